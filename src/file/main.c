/*
 * bits-file: touches the local files of one identity, exactly with its rights, because the process
 * has that identity and no other. It opens what a transfer writes into and hands the descriptor
 * over; content passes through it only when a file changes hands (place.h).
 *
 * One request, one answer, one after the other: a hung file system may block it, which stalls this
 * identity and nobody else. Between requests it remembers only the directories that are not synced
 * yet, so it may end at any time in which nobody waits for a directory.
 *
 * Anything that is not a request drawn in wire/protocol.h ends it.
 */
#include "basic/fd.h"
#include "basic/log.h"
#include "file/place.h"
#include "file/source.h"
#include "file/sync.h"
#include "sandbox/sandbox.h"
#include "wire/protocol.h"

#include <fcntl.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

enum {
        IDLE_MSEC = 60 * 1000,
};

typedef struct Worker {
        int channel;
        Message in, out;
        Changed changed;
} Worker;

static uint32_t positive(int r)
{
        return r < 0 ? (uint32_t)-r : 0;
}

/* The channel is non-blocking. */
static int send_out(Worker *w)
{
        struct pollfd p = { w->channel, POLLOUT, 0 };
        int r;

        while ((r = message_send(&w->out, w->channel)) == -EAGAIN)
                if (poll(&p, 1, -1) < 0 && errno != EINTR)
                        return -errno;
        return r;
}

static int answer(Worker *w, int result)
{
        FileResult reply = { .error = positive(result) };

        file_result_write(&w->out, w->in.serial, &reply);
        return send_out(w);
}

static int on_check(Worker *w)
{
        FileCheck q;
        int r = file_check_read(&w->in, &q);

        return r < 0 ? r : answer(w, place_check(q.local_name));
}

static int on_open(Worker *w)
{
        _cleanup_close_ int fd = -EBADF;
        PlaceOpened opened = { -EBADF };
        FileOpened reply = { 0 };
        FileOpen q;
        int r;

        r = file_open_read(&w->in, &q);
        if (r < 0)
                return r;
        r = place_open(&w->changed,
                       &(PlaceRequest){ q.local_name,
                                        q.temporary_name,
                                        { q.device, q.inode, q.birth },
                                        q.kept,
                                        q.written },
                       &opened);
        reply.error = positive(r);
        if (r == 0) {
                fd = opened.fd;
                reply.fresh = opened.fresh;
                reply.device = opened.mark.device;
                reply.inode = opened.mark.inode;
                reply.birth = opened.mark.birth;
                reply.size = opened.size;
                reply.file = (FdList){ .items = { fd }, .count = 1 };
        }
        file_opened_write(&w->out, w->in.serial, &reply);
        return send_out(w);
}

static int on_sync(Worker *w)
{
        FileSynced reply = { 0 };
        FileSync q;
        int r;

        r = file_sync_read(&w->in, &q);
        if (r < 0)
                return r;
        sync_files(q.files.items, q.files.count, reply.errors.items);
        reply.errors.count = q.files.count;
        for (unsigned i = 0; i < q.files.count; i++)
                fd_close(q.files.items[i]);
        file_synced_write(&w->out, w->in.serial, &reply);
        return send_out(w);
}

static int on_commit(Worker *w)
{
        FileCommit q;
        int r;

        r = file_commit_read(&w->in, &q);
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
        int r = file_access_read(&w->in, &q);

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

        r = file_discard_read(&w->in, &q);
        if (r < 0)
                return r;
        return answer(w,
                      place_discard(&w->changed,
                                    &(PlaceRequest){ .local_name = q.local_name,
                                                     .temporary_name = q.temporary_name,
                                                     .recorded = { q.device, q.inode, q.birth } }));
}

static int on_sync_directories(Worker *w)
{
        FileSyncDirectories q;
        int r = file_sync_directories_read(&w->in, &q);

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
        file_source_write(&w->out, w->in.serial, &reply);
        r = send_out(w);
        fd_close(source->fd);
        return r;
}

static int on_open_source(Worker *w)
{
        Source source = { -EBADF };
        FileOpenSource q;
        int r = file_open_source_read(&w->in, &q);

        return r < 0 ? r : answer_source(w, source_open(q.local_name, &source), &source);
}

static int on_read_reply(Worker *w)
{
        Source source = { -EBADF };
        FileReadReply q;
        int r = file_read_reply_read(&w->in, &q);

        if (r >= 0)
                r = answer_source(w,
                                  source_read_reply(q.local_name, q.temporary_name,
                                                    &(Mark){ q.device, q.inode, q.birth }, q.limit,
                                                    &source),
                                  &source);
        return r;
}

/* FIL-31: every request there is; any other number is a breach. */
static const struct {
        uint16_t type;
        int (*handle)(Worker *w);
} requests[] = {
        { MESSAGE_FILE_CHECK, on_check },
        { MESSAGE_FILE_OPEN, on_open },
        { MESSAGE_FILE_SYNC, on_sync },
        { MESSAGE_FILE_COMMIT, on_commit },
        { MESSAGE_FILE_ACCESS, on_access },
        { MESSAGE_FILE_DISCARD, on_discard },
        { MESSAGE_FILE_SYNC_DIRECTORIES, on_sync_directories },
        { MESSAGE_FILE_OPEN_SOURCE, on_open_source },
        { MESSAGE_FILE_READ_REPLY, on_read_reply },
};

static int dispatch(Worker *w)
{
        for (size_t i = 0; i < ELEMENTS(requests); i++)
                if (requests[i].type == w->in.type)
                        return requests[i].handle(w);
        return -EBADMSG;
}

static bool peer_is_gone(int r)
{
        return r == 0 || r == -EPIPE || r == -ECONNRESET;
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

/* Requests come in bursts: poll() only when the channel is empty.
   0 when there is nothing more to do, -errno when the peer broke the protocol or poll() failed.
   FIL-34 */
static int serve(Worker *w)
{
        for (;;) {
                int r = message_receive(&w->in, w->channel);

                if (r > 0) {
                        r = dispatch(w);
                        if (r == 0)
                                continue;
                } else if (r == -EAGAIN) {
                        r = wait_for_request(w->channel);
                        if (r > 0)
                                continue;
                }
                return peer_is_gone(r) ? 0 : r; /* FIL-32 */
        }
}

static int say_hello(Worker *w, uint32_t layers)
{
        WorkerHello hello = { PROTOCOL_VERSION, WORKER_FILE, geteuid(), layers };

        worker_hello_write(&w->out, 0, &hello);
        return send_out(w);
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
        int r = 0;

        if (fcntl(w->channel, F_SETFL, fcntl(w->channel, F_GETFL) | O_NONBLOCK) < 0)
                r = -errno;
        if (r >= 0)
                r = message_init(&w->in);
        if (r >= 0)
                r = message_init(&w->out);
        if (r >= 0)
                r = say_hello(w, layers);
        if (r >= 0)
                r = serve(w);
        message_done(&w->in);
        message_done(&w->out);
        changed_done(&w->changed);
        return peer_is_gone(r) ? 0 : r;
}

int main(void)
{
        Worker w = { .channel = WORKER_CHANNEL_FD };
        uint32_t layers = 0;
        int r;

        log_open("bits-file", LOG_INFO);
        if (enter_sandbox(&layers) < 0)
                return EX_SOFTWARE;
        r = run(&w, layers);
        if (r < 0)
                log_errno(LOG_ERR, r, "channel cut off");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
