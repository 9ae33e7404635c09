/*
 * What counts: `kept` moves only after a sync; a file begun anew although the store still
 * remembers kept bytes is not written to before the store has forgotten them (an inode number may
 * come back).
 */
#include "manager/transfer-kind.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "core/remote-name.h"
#include "manager/net-terms.h"

#include <time.h>

enum {
        SYNC_BYTES =
                256 * 1024 * 1024,   /* unsynced bytes of a running transfer, at most about this */
        SYNC_USEC = 5 * 1000 * 1000, /* and for at most about that long */
        LOSSES_MAX = 10,             /* workers that died on it in a row without lasting progress */
        VERSIONS_MAX = 5,            /* changes of version before it is called a failure */
};

typedef enum Phase {
        PHASE_OPENING,
        PHASE_FORGETTING, /* the store learns which file it is, and forgets bytes of another */
        PHASE_FETCHING,
        PHASE_SYNCING,  /* for the last time; `report` says what follows */
        PHASE_DRESSING, /* the file gets what it has besides its content */
} Phase;

typedef struct Download {
        Transfer base;
        File *file;
        Worker *local, *net;
        Store *store;
        Turn *turn;
        const TransferListener *listener;
        void *userdata;

        Phase phase;
        bool stopping;
        int fd;
        int credentials; /* for the NET_START that is being sent */
        NetClient client;
        unsigned losses, versions;

        bool syncing;   /* a sync is under way */
        int sync_error; /* the kernel tells a lost write once: it must not be forgotten */
        bool doubt;     /* a worker died with a sync: it may have been told */
        uint64_t sync_target, last_sync; /* bytes it makes safe; µs, monotonic */

        FileAttributes attributes; /* of a file of this machine, when it is copied; acl: owned */

        TransferReport report;
        char *detail;
} Download;

static void open_temporary(Download *t);

static void mark(Download *t)
{
        store_mark_file(t->store, t->file, STORE_LAZY);
        turn_schedule(t->turn);
}

static void end(Download *t)
{
        t->fd = fd_close(t->fd);
        t->listener->on_end(t->userdata, &t->base, &t->report);
}

/* Ends with t->report; while a sync uses the descriptor, as soon as that is over. DUR-35 */
static void end_soon(Download *t)
{
        if (t->syncing)
                t->phase = PHASE_SYNCING;
        else
                end(t);
}

static void end_unserved(Download *t, WorkResult result, bool local)
{
        t->report = (TransferReport){ .end = TRANSFER_UNSERVED, .result = result, .local = local };
        end(t);
}

static void set_failure(Download *t, ErrorContext context, BitsCode code, const char *detail)
{
        free(t->detail);
        t->detail = string_empty(detail) ? NULL : strdup(detail);
        t->report = (TransferReport){
                .end = TRANSFER_FAILED, .context = context, .code = code, .detail = t->detail
        };
}

static void fail_local(Download *t, int error, const char *what)
{
        _cleanup_free_ char *detail = NULL;

        if (asprintf(&detail, "%s %s: %s", what, t->file->local_name, strerror(error)) < 0)
                detail = NULL;
        set_failure(t, CONTEXT_LOCAL_FILE, code_from_errno(error), detail);
        end(t);
}

/* ---- syncing ---- */

static void sync_last(Download *t);
static void dress(Download *t);
static void stop_fetching(Download *t);

/* DUR-14, DUR-23, DUR-24: `kept` moves here and nowhere else, after the disk said so.
   DUR-20, DUR-25, DUR-31, DUR-36 */
static void on_synced(void *userdata, FileAnswer *answer)
{
        Download *t = userdata;

        t->syncing = false;
        t->last_sync = clock_usec(CLOCK_MONOTONIC);
        t->doubt = t->doubt || answer->doubtful;
        if (answer->result == WORK_DONE && answer->error == 0 && !t->doubt) {
                file_set_kept(t->file, MAX(t->file->kept, MIN(t->sync_target, t->file->written)));
                mark(t);
        }
        if (answer->error != 0)
                t->sync_error = answer->error;
        if (t->phase != PHASE_SYNCING) {
                if (t->sync_error != 0 || t->doubt)
                        stop_fetching(t);
                return;
        }
        if (answer->result != WORK_DONE) {
                end_unserved(t, answer->result, true);
                return;
        }
        if (t->sync_error != 0) {
                /* Bytes may be lost that seemed to be written: only the kept ones are sure. */
                file_set_written(t->file, t->file->kept);
                fail_local(t, t->sync_error, "cannot write");
                return;
        }
        if (t->doubt) { /* DUR-50: fetched again from what is sure */
                file_set_written(t->file, t->file->kept);
                t->report = (TransferReport){ .end = TRANSFER_STOPPED };
                end(t);
        } else if (t->sync_target < t->file->written)
                sync_last(t);
        else if (t->report.end == TRANSFER_DONE && t->attributes.flags != 0)
                dress(t);
        else
                end(t);
}

static void sync_now(Download *t)
{
        t->sync_target = t->file->written;
        t->syncing = worker_sync(t->local, t->fd, on_synced, t) >= 0;
}

static void sync_last(Download *t)
{
        t->phase = PHASE_SYNCING;
        if (t->syncing)
                return; /* goes on in on_synced() */
        sync_now(t);
        if (!t->syncing)
                end_unserved(t, WORK_NOT_STARTED, true);
}

/* Ends with t->report after what arrived is safe; at once when nothing new is there. JOB-26,
   DUR-10 */
static void end_synced(Download *t)
{
        bool nothing = t->file->written == t->file->kept && t->report.end != TRANSFER_DONE &&
                       t->sync_error == 0 && !t->doubt;

        if (t->fd < 0 || (nothing && !t->syncing))
                end(t);
        else
                sync_last(t);
}

static void sync_in_passing(Download *t)
{
        uint64_t unsynced = t->file->written - t->file->kept;

        if (!t->syncing && unsynced > 0 &&
            (unsynced >= SYNC_BYTES || clock_usec(CLOCK_MONOTONIC) - t->last_sync >= SYNC_USEC))
                sync_now(t);
}

/* ---- what a file has besides its content ---- */

/* FIL-119: whoever may not give a file away today may be let tomorrow. */
static void on_dressed(void *userdata, FileAnswer *answer)
{
        Download *t = userdata;

        if (answer->result != WORK_DONE) {
                end_unserved(t, answer->result, true);
                return;
        }
        if (answer->error != 0) {
                set_failure(t, CONTEXT_LOCAL_FILE, code_from_errno(answer->error),
                            "the file is there, but cannot get owner, group and rights of the "
                            "remote file as the job's FileACLFlags ask: the identity of the local "
                            "files may not give them");
                t->report.transient = true;
        }
        end(t);
}

static void dress(Download *t)
{
        t->phase = PHASE_DRESSING;
        t->attributes.file = t->fd;
        if (worker_attributes(t->local, &t->attributes, on_dressed, t) < 0)
                end_unserved(t, WORK_NOT_STARTED, true);
}

/* ---- fetching ---- */

/* JOB-32, DUR-12. JOB-33: this file alone. */
static void start_over(Download *t)
{
        file_reset(t->file);
        mark(t);
        t->fd = fd_close(t->fd);
        open_temporary(t);
}

/* SEC-120: a server says where its reply is; nobody else's is meant by the job's credentials. */
static bool may_show_credentials(const File *file)
{
        return file != file->job->reply || upload_reply_is_trusted(file->job);
}

/* FIL-107: the network identity's bits-file opens the source, and writes where the local identity's
   lets it. */
static void write_copy_start(const Download *t, Message *m)
{
        char path[REMOTE_PATH_MAX];

        if (remote_name_path(t->file->remote_name, path))
                path[0] = 0; /* was none when it was added; then there is no such file */
        copy_start_write(m, 0,
                         &(CopyStart){ .transfer = t->client.id,
                                       .path = path,
                                       .offset = t->file->written,
                                       .version = t->file->etag,
                                       .file = t->fd });
}

/* SEC-81: they are opened for each start, and lie nowhere meanwhile. */
static void write_start(void *userdata, Message *m)
{
        Download *t = userdata;
        File *file = t->file;
        const Job *job = file->job;

        if (remote_name_is_file(file->remote_name)) {
                write_copy_start(t, m);
                return;
        }
        fd_close(t->credentials);
        t->credentials =
                may_show_credentials(file) ? store_credentials_to_fd(t->store, job) : -EBADF;

        net_start_write(m, 0,
                        &(NetStart){ NET_TERMS(job, file->remote_name), .transfer = t->client.id,
                                     .offset = file->written, .total = file->total,
                                     .etag = file->etag, .last_modified = file->last_modified,
                                     .file = t->fd,
                                     .credentials = NET_CREDENTIALS(t->credentials) });
}

static void on_started(void *userdata, const NetStarted *started)
{
        Download *t = userdata;

        t->credentials = fd_close(t->credentials); /* the worker has them */
        if (file_set_version(t->file, started->etag, started->last_modified,
                             started->resumable != 0) < 0)
                t->file->resumable = false;
        file_set_total(t->file, started->total);
        mark(t);
        t->listener->on_connected(t->userdata, &t->base);
}

/* JOB-23: never backwards. */
static void on_progress(void *userdata, uint64_t written)
{
        Download *t = userdata;

        if (written <= t->file->written)
                return;
        /* What has to be begun again was no progress. */
        if (file_can_resume(t->file))
                t->losses = 0;
        file_set_written(t->file, written);
        mark(t);
        sync_in_passing(t);
        t->listener->on_progress(t->userdata, &t->base);
}

/* DUR-34 */
static void on_version_changed(Download *t)
{
        if (t->stopping) {
                t->report = (TransferReport){ .end = TRANSFER_STOPPED };
                end_synced(t);
        } else if (++t->versions > VERSIONS_MAX) {
                set_failure(t, CONTEXT_REMOTE_FILE, BG_E_REMOTE_FILE_CHANGED,
                            "the remote file changes faster than it can be fetched");
                end_soon(t);
        } else if (!t->syncing)
                start_over(t);
        else {
                /* The descriptor is in use: stop here, the next start finds the new version. */
                file_reset(t->file);
                t->report = (TransferReport){ .end = TRANSFER_STOPPED };
                end_soon(t);
        }
}

static void on_done(void *userdata, const NetDone *done)
{
        Download *t = userdata;
        File *file = t->file;

        if (done->outcome == NET_VERSION_CHANGED) {
                on_version_changed(t);
                return;
        }
        if (done->written > file->written)
                file_set_written(file, done->written);
        switch ((NetOutcome)done->outcome) {
        case NET_COMPLETE:
                file_set_total(file, done->written); /* JOB-23, JOB-35, JOB-42 */
                file->modification_time = done->modification_time;
                t->report = (TransferReport){ .end = TRANSFER_DONE };
                break;
        case NET_STOPPED:
                t->report = (TransferReport){ .end = TRANSFER_STOPPED };
                break;
        case NET_FAILED:
                set_failure(t, (ErrorContext)done->context, done->code, done->detail);
                break;
        case NET_VERSION_CHANGED:
        case NET_OUTCOME_MAX:
        case NET_OUTCOME_INVALID:
                break;
        }
        end_synced(t);
}

/* FIL-115, FIL-116 */
static uint32_t attributes_wanted(const Job *job, const CopyDone *done)
{
        uint32_t flags = done->modification_time != 0 ? ATTRIBUTE_TIME : 0;

        flags |= job->file_acl_flags & COPY_FILE_OWNER ? ATTRIBUTE_OWNER : 0;
        flags |= job->file_acl_flags & COPY_FILE_GROUP ? ATTRIBUTE_GROUP : 0;
        flags |= job->file_acl_flags & COPY_FILE_DACL ? ATTRIBUTE_RIGHTS : 0;
        return flags;
}

static void on_copied(void *userdata, const CopyDone *done)
{
        Download *t = userdata;
        char *acl = strdup(done->acl);

        if (!acl) {
                set_failure(t, CONTEXT_LOCAL_FILE, BITS_E_OUT_OF_MEMORY, NULL);
                end_synced(t);
                return;
        }
        free((char *)t->attributes.acl);
        t->attributes = (FileAttributes){ .flags = attributes_wanted(t->file->job, done),
                                          .modification_time = done->modification_time,
                                          .modification_nsec = done->modification_nsec,
                                          .owner = done->owner,
                                          .group = done->group,
                                          .mode = done->mode,
                                          .acl = acl };
        file_set_written(t->file, MAX(t->file->written, done->written));
        file_set_total(t->file, done->written);
        t->report = (TransferReport){ .end = TRANSFER_DONE };
        end_synced(t);
}

/* ENG-38, ENG-39, ENG-40 */
static void on_lost(void *userdata)
{
        Download *t = userdata;

        if (t->stopping) {
                worker_net_detach(&t->client);
                t->report = (TransferReport){ .end = TRANSFER_STOPPED };
                end_synced(t);
        } else if (++t->losses >= LOSSES_MAX) {
                worker_net_detach(&t->client);
                t->report = (TransferReport){ .end = TRANSFER_UNSERVED, .result = WORK_ABORTED };
                end_soon(t);
        } else if (t->file->written > 0 && !file_can_resume(t->file)) {
                worker_net_detach(&t->client);
                if (t->syncing)
                        on_version_changed(t);
                else
                        start_over(t);
        }
}

static void on_failed(void *userdata, WorkResult result)
{
        Download *t = userdata;

        t->report = (TransferReport){ .end = TRANSFER_UNSERVED, .result = result };
        if (result == WORK_SILENT)
                set_failure(t, CONTEXT_REMOTE_FILE, BITS_E_TIMEOUT,
                            "The file system of the remote file, or of another one that the same "
                            "identity fetches, does not answer");
        end_soon(t);
}

static void fetch(Download *t)
{
        t->phase = PHASE_FETCHING;
        t->last_sync = clock_usec(CLOCK_MONOTONIC);
        if (t->stopping) {
                t->report = (TransferReport){ .end = TRANSFER_STOPPED };
                end(t);
        } else if (t->file->total != JOB_SIZE_UNKNOWN && t->file->total > 0 &&
                   t->file->written == t->file->total &&
                   !remote_name_is_file(t->file->remote_name)) { /* has more than its content */
                t->report = (TransferReport){ .end = TRANSFER_DONE };
                end_synced(t);
        } else if (worker_net_attach(t->net, &t->client) < 0)
                end_unserved(t, WORK_NOT_STARTED, false);
}

/* ---- the temporary file ---- */

static void on_forgotten(void *userdata, uint64_t id)
{
        (void)id;
        fetch(userdata);
}

/* FIL-40: a device may have another number since the last boot, which makes no other file; telling
   the store does no harm. */
static bool is_news(const File *file, const FileOpened *opened)
{
        return file->device != opened->device || file->inode != opened->inode ||
               file->birth != opened->birth;
}

/* JOB-78: a file that is not the recorded one begins at nothing, unless it is a copy of its kept
   bytes. Of both the store hears before a byte is written. DUR-32, DUR-33, DUR-54, DUR-55,
   ENG-42 */
static void on_opened(void *userdata, FileAnswer *answer)
{
        Download *t = userdata;
        File *file = t->file;
        bool news;

        if (answer->result != WORK_DONE) {
                end_unserved(t, answer->result, true);
                return;
        }
        if (answer->error != 0) {
                fail_local(t, answer->error, "cannot open a temporary file for");
                return;
        }
        t->fd = TAKE_FD(answer->opened.file.items[0]);
        if (!answer->opened.fresh && answer->opened.size < file->kept) {
                start_over(t); /* somebody shortened it */
                return;
        }
        if (answer->opened.fresh && (file->inode != 0 || file->written > 0))
                file_reset(file);
        if (answer->opened.size < file->written)
                file_set_written(file, file->kept);
        news = is_news(file, &answer->opened);
        file->device = answer->opened.device;
        file->inode = answer->opened.inode;
        file->birth = answer->opened.birth;
        mark(t);
        if (file->stored_written > 0 && (news || file->written == 0)) {
                t->phase = PHASE_FORGETTING;
                store_mark_file(t->store, file, STORE_PROMISED);
                if (turn_after_commit(t->turn, on_forgotten, t, 0) < 0)
                        end_unserved(t, WORK_NOT_STARTED, true);
        } else
                fetch(t);
}

static void open_temporary(Download *t)
{
        File *file = t->file;

        t->phase = PHASE_OPENING;
        if (file->written > 0 && !file_can_resume(file)) /* JOB-34 */
                file_reset(file);
        /* With nothing written it is a new one: that costs nothing and is surely empty. */
        if (worker_open(t->local,
                        &(FileOpen){ .local_name = file->local_name,
                                     .temporary_name = file->temporary_name,
                                     .device = file->device,
                                     .inode = file->inode,
                                     .birth = file->birth,
                                     .kept = file->kept,
                                     .written = file->written },
                        on_opened, t) < 0)
                end_unserved(t, WORK_NOT_STARTED, true);
}

/* ---- life ---- */

static void stop_fetching(Download *t)
{
        if (t->phase != PHASE_FETCHING || !t->client.worker || worker_net_stop(&t->client))
                return; /* an answer is on its way */
        worker_net_detach(&t->client);
        t->report = (TransferReport){ .end = TRANSFER_STOPPED };
        end_synced(t);
}

/* ENG-41 */
static void download_stop(Transfer *transfer)
{
        Download *t = (Download *)transfer;

        if (t->stopping)
                return;
        t->stopping = true;
        stop_fetching(t);
}

static void download_free(Transfer *transfer)
{
        Download *t = (Download *)transfer;

        worker_net_detach(&t->client);
        worker_release(t->local);
        worker_release(t->net);
        fd_close(t->fd);
        fd_close(t->credentials);
        free((char *)t->attributes.acl);
        free(t->detail);
        free(t);
}

int download_new(const TransferParts *parts, Transfer **ret)
{
        static const TransferKind kind = { download_stop, download_free };
        static const NetListener net_listener = {
                .write_start = write_start,
                .on_started = on_started,
                .on_progress = on_progress,
                .on_done = on_done,
                .on_copied = on_copied,
                .on_lost = on_lost,
                .on_failed = on_failed,
        };
        Download *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->base = (Transfer){ &kind, parts->file };
        t->file = parts->file;
        t->local = worker_acquire_again(parts->local);
        t->net = worker_acquire_again(parts->net);
        t->store = parts->store;
        t->turn = parts->turn;
        t->listener = parts->listener;
        t->userdata = parts->userdata;
        t->fd = t->credentials = -EBADF;
        t->client = (NetClient){ .listener = &net_listener, .userdata = t };
        *ret = t->file->transfer = &t->base;
        open_temporary(t);
        return 0;
}
