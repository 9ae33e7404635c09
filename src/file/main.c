/*
 * bits-file: touches the files of one identity, exactly with its rights, because the process has
 * that identity and no other. For a local identity it opens what a transfer writes into and hands
 * the descriptor over; content passes through it only when a file changes hands (place.h), and when
 * a certificate is read (content.h). For a network identity it fetches remote files that are files
 * of this machine (fetch.h); bitsd asks a process of its own for that, so that a share that hangs
 * leaves local files alone.
 *
 * One request, one answer, one after the other; copying goes on between them. A hung file system
 * may block it, which stalls this process and nobody else. Between requests it remembers only the
 * directories that are not synced yet and the copies under way, so it may end at any time in which
 * nobody waits for one of them.
 *
 * Anything that is not a request drawn in wire/protocol.h ends it.
 */
#include "basic/fd.h"
#include "basic/log.h"
#include "file/attributes.h"
#include "file/content.h"
#include "file/fetch.h"
#include "file/place.h"
#include "file/source.h"
#include "file/sync.h"
#include "file/target.h"
#include "sandbox/sandbox.h"
#include "wire/protocol.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum {
        IDLE_MSEC = 60 * 1000,
};

typedef struct Worker {
        Talk talk;
        Changed changed;
        Fetches fetches;
} Worker;

static uint32_t positive(int r)
{
        return r < 0 ? (uint32_t)-r : 0;
}

static int answer(Worker *w, int result)
{
        FileResult reply = { .error = positive(result) };

        file_result_write(&w->talk.out, w->talk.in->serial, &reply);
        return talk_send_soon(&w->talk);
}

static int on_check(Worker *w)
{
        FileCheck q;
        int r = file_check_read(w->talk.in, &q);

        return r < 0 ? r : answer(w, place_check(q.local_name));
}

static int on_same(Worker *w)
{
        FileSame q;
        int r = file_same_read(w->talk.in, &q);

        return r < 0 ? r : answer(w, place_same(q.local_name, q.device, q.inode));
}

/* Takes opened->fd, which there is unless r is a failure. */
static int answer_opened(Worker *w, int r, const PlaceOpened *opened)
{
        FileOpened reply = { .error = positive(r) };

        if (r == 0) {
                reply.fresh = opened->fresh;
                reply.device = opened->mark.device;
                reply.inode = opened->mark.inode;
                reply.birth = opened->mark.birth;
                reply.size = opened->size;
                reply.file = (FdList){ .items = { opened->fd }, .count = 1 };
        }
        file_opened_write(&w->talk.out, w->talk.in->serial, &reply);
        return talk_send_soon(&w->talk);
}

static int on_open(Worker *w)
{
        PlaceOpened opened = { -EBADF };
        FileOpen q;
        int r;

        r = file_open_read(w->talk.in, &q);
        if (r < 0)
                return r;
        r = place_open(&w->changed,
                       &(PlaceRequest){ q.local_name,
                                        q.temporary_name,
                                        { q.device, q.inode, q.birth },
                                        q.kept,
                                        q.written },
                       &opened);
        return answer_opened(w, r, &opened);
}

static int on_read(Worker *w)
{
        PlaceOpened opened = { -EBADF };
        FileRead q;
        int r;

        r = file_read_read(w->talk.in, &q);
        if (r < 0)
                return r;
        r = content_copy(q.local_name, q.size_max, &opened.fd, &opened.size);
        return answer_opened(w, r, &opened);
}

static int on_sync(Worker *w)
{
        FileSynced reply = { 0 };
        FileSync q;
        int r;

        r = file_sync_read(w->talk.in, &q);
        if (r >= 0)
                r = talk_flush(&w->talk); /* the disk may take its time */
        if (r < 0)
                return r;
        sync_files(q.files.items, q.files.count, reply.errors.items);
        reply.errors.count = q.files.count;
        for (unsigned i = 0; i < q.files.count; i++)
                fd_close(q.files.items[i]);
        file_synced_write(&w->talk.out, w->talk.in->serial, &reply);
        return talk_send(&w->talk);
}

static int on_commit(Worker *w)
{
        FileCommit q;
        int r;

        r = file_commit_read(w->talk.in, &q);
        if (r < 0)
                return r;
        return answer(w, place_commit(&w->changed,
                                      &(PlaceRequest){ .local_name = q.local_name,
                                                       .temporary_name = q.temporary_name,
                                                       .recorded = { q.device, q.inode, q.birth } },
                                      q.modification_time));
}

static int on_access(Worker *w)
{
        FileAccess q;
        int r = file_access_read(w->talk.in, &q);

        if (r < 0)
                return r;
        return answer(w, place_access(&(PlaceRequest){ .local_name = q.local_name,
                                                       .temporary_name = q.temporary_name,
                                                       .recorded = { q.device, q.inode, q.birth } },
                                      q.writing != 0));
}

static int on_discard(Worker *w)
{
        FileDiscard q;
        int r;

        r = file_discard_read(w->talk.in, &q);
        if (r < 0)
                return r;
        return answer(w,
                      place_discard(&w->changed,
                                    &(PlaceRequest){ .local_name = q.local_name,
                                                     .temporary_name = q.temporary_name,
                                                     .recorded = { q.device, q.inode, q.birth } },
                                    q.own != 0));
}

static int on_sync_directories(Worker *w)
{
        FileSyncDirectories q;
        int r = file_sync_directories_read(w->talk.in, &q);

        if (r >= 0)
                r = talk_flush(&w->talk);
        return r < 0 ? r : answer(w, changed_sync(&w->changed));
}

static int answer_source(Worker *w, int result, Source *source)
{
        FileSource reply = { .error = positive(result) };
        int r;

        if (result == 0) {
                reply.size = source->size;
                reply.modification_time = source->modification_time;
                reply.file = (FdList){ .items = { source->fd }, .count = source->fd >= 0 };
        }
        file_source_write(&w->talk.out, w->talk.in->serial, &reply);
        r = talk_send(&w->talk);
        fd_close(source->fd);
        return r;
}

static int on_open_source(Worker *w)
{
        Source source = { -EBADF };
        FileOpenSource q;
        int r = file_open_source_read(w->talk.in, &q);

        return r < 0 ? r : answer_source(w, source_open(q.local_name, &source), &source);
}

static int on_read_reply(Worker *w)
{
        Source source = { -EBADF };
        FileReadReply q;
        int r = file_read_reply_read(w->talk.in, &q);

        if (r >= 0)
                r = answer_source(w,
                                  source_read_reply(q.local_name, q.temporary_name,
                                                    &(Mark){ q.device, q.inode, q.birth }, q.limit,
                                                    &source),
                                  &source);
        return r;
}

static int on_attributes(Worker *w)
{
        FileAttributes q;
        int r;

        r = file_attributes_read(w->talk.in, &q);
        if (r < 0)
                return r;
        r = attributes_apply(q.file, &(Attributes){ .flags = q.flags,
                                                    .modified = { (time_t)q.modification_time,
                                                                  (long)q.modification_nsec },
                                                    .owner = q.owner,
                                                    .group = q.group,
                                                    .mode = (mode_t)q.mode,
                                                    .acl = q.acl });
        fd_close(q.file);
        return answer(w, r);
}

static int on_copy_start(Worker *w)
{
        CopyStart q;
        int r = copy_start_read(w->talk.in, &q);

        return r < 0 ? r : fetches_start(&w->fetches, &q, w->talk.in->serial);
}

static int on_copy_put(Worker *w)
{
        CopyPut q;
        int r = copy_put_read(w->talk.in, &q);

        return r < 0 ? r : fetches_put(&w->fetches, &q, w->talk.in->serial);
}

static int on_net_stop(Worker *w)
{
        NetStop q;
        int r = net_stop_read(w->talk.in, &q);

        return r < 0 ? r : fetches_stop(&w->fetches, q.transfer);
}

/* FIL-31: every request there is; any other number is a breach. */
static const struct {
        uint16_t type;
        int (*handle)(Worker *w);
} requests[] = {
        { MESSAGE_FILE_CHECK, on_check },
        { MESSAGE_FILE_SAME, on_same },
        { MESSAGE_FILE_OPEN, on_open },
        { MESSAGE_FILE_READ, on_read },
        { MESSAGE_FILE_SYNC, on_sync },
        { MESSAGE_FILE_COMMIT, on_commit },
        { MESSAGE_FILE_ACCESS, on_access },
        { MESSAGE_FILE_DISCARD, on_discard },
        { MESSAGE_FILE_SYNC_DIRECTORIES, on_sync_directories },
        { MESSAGE_FILE_OPEN_SOURCE, on_open_source },
        { MESSAGE_FILE_READ_REPLY, on_read_reply },
        { MESSAGE_FILE_ATTRIBUTES, on_attributes },
        { MESSAGE_COPY_START, on_copy_start },
        { MESSAGE_COPY_PUT, on_copy_put },
        { MESSAGE_NET_STOP, on_net_stop },
};

static int dispatch(Worker *w)
{
        for (size_t i = 0; i < ELEMENTS(requests); i++)
                if (requests[i].type == w->talk.in->type)
                        return requests[i].handle(w);
        return -EBADMSG;
}

static bool peer_is_gone(int r)
{
        return r == 0 || message_peer_is_gone(r);
}

/* 0 when there is nothing more to do, 1 when there may be a message. */
static int wait_for_request(int channel)
{
        struct pollfd p = { channel, POLLIN, 0 };
        int r = poll(&p, 1, IDLE_MSEC);

        if (r < 0)
                return errno == EINTR ? 1 : -errno;
        return r; /* FIL-33 */
}

/* Nobody waits for an answer while there is nothing to answer, or a long copy goes on. 1 when there
   may be a message, 0 when there is nothing more to do. */
static int go_on(Worker *w)
{
        bool busy = fetches_busy(&w->fetches);
        int r = busy && fetches_brief(&w->fetches) ? 0 : talk_flush(&w->talk);

        if (r < 0)
                return r;
        if (!busy)
                return wait_for_request(w->talk.channel);
        r = fetches_run(&w->fetches);
        return r < 0 ? r : 1;
}

/* Requests come in bursts: poll() only when the channel is empty and there is nothing to copy.
   0 when there is nothing more to do, -errno when the peer broke the protocol or poll() failed.
   FIL-34 */
static int serve(Worker *w)
{
        for (;;) {
                int r;

                if (talk_is_read(&w->talk))
                        target_together();
                r = talk_receive(&w->talk);

                if (r > 0) {
                        r = dispatch(w);
                        if (r == 0)
                                continue;
                } else if (r == -EAGAIN) {
                        r = go_on(w);
                        if (r > 0)
                                continue;
                }
                return peer_is_gone(r) ? 0 : r; /* FIL-32 */
        }
}

static int say_hello(Worker *w, uint32_t layers)
{
        WorkerHello hello = { PROTOCOL_VERSION, WORKER_FILE, geteuid(), layers };

        worker_hello_write(&w->talk.out, 0, &hello);
        return talk_send(&w->talk);
}

/* Each copy holds two files. The soft limit is for users of select(). */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* FIL-30: no request is read before the sandbox has proved itself. */
static int enter_sandbox(uint32_t *ret_layers)
{
        int r;

        r = sandbox_enter(SANDBOX_FILE, NULL, ret_layers);
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot enter the sandbox");
        r = sandbox_prove(SANDBOX_FILE);
        return r < 0 ? log_errno(LOG_ERR, r, "the sandbox does not hold") : 0;
}

static int run(Worker *w, uint32_t layers)
{
        int r;

        fetches_init(&w->fetches, &w->talk, &w->changed);
        r = talk_init(&w->talk, WORKER_CHANNEL_FD);
        if (r >= 0)
                r = say_hello(w, layers);
        if (r >= 0)
                r = serve(w);
        talk_done(&w->talk);
        changed_done(&w->changed);
        fetches_done(&w->fetches);
        return peer_is_gone(r) ? 0 : r;
}

int main(void)
{
        Worker w = { 0 };
        uint32_t layers = 0;
        int r;

        log_open("bits-file", LOG_INFO);
        signal(SIGXFSZ, SIG_IGN); /* a file at its limit is the error of one copy */
        raise_descriptor_limit();
        if (enter_sandbox(&layers) < 0)
                return EX_SOFTWARE;
        r = run(&w, layers);
        if (r < 0)
                log_errno(LOG_ERR, r, "channel cut off");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
