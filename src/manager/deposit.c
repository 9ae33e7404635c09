/*
 * A file on its way to a place on this machine: open the source under the local identity, hand it
 * to a bits-file of the network identity, which puts a copy beside the remote name and gives it
 * that name at the end. No server, no session: what was copied lies in a temporary file over there,
 * which is recorded as a download's is, and is gone on with while the machine is up.
 *
 * The source must be the same from the first byte to the last, as for every upload.
 */
#include "manager/transfer-kind.h"

#include "basic/fd.h"
#include "core/remote-name.h"

#include <stdio.h>

enum {
        LOSSES_MAX = 10, /* workers that died on it in a row without progress */
};

typedef struct Deposit {
        Transfer base;
        File *file;
        Worker *local, *remote;
        Store *store;
        Turn *turn;
        const TransferListener *listener;
        void *userdata;

        bool stopping;
        bool refused; /* FIL-119: not the content, what it was to carry */
        int fd;
        NetClient client;
        unsigned losses;

        TransferReport report;
        char *detail;
} Deposit;

static void mark(Deposit *d, StoreUrgency urgency)
{
        store_mark_job(d->store, d->file->job, urgency);
        store_mark_file(d->store, d->file, urgency);
        turn_schedule(d->turn);
}

static void end(Deposit *d, TransferReport report)
{
        d->fd = fd_close(d->fd);
        d->report = report;
        d->listener->on_end(d->userdata, &d->base, &d->report);
}

static void end_failed(Deposit *d, ErrorContext context, BitsCode code, const char *detail)
{
        free(d->detail);
        d->detail = string_empty(detail) ? NULL : strdup(detail);
        end(d, (TransferReport){ .end = TRANSFER_FAILED,
                                 .context = context,
                                 .code = code,
                                 .transient = d->refused,
                                 .detail = d->detail });
}

static void end_unserved(Deposit *d, WorkResult result, bool local)
{
        end(d, (TransferReport){ .end = TRANSFER_UNSERVED, .result = result, .local = local });
}

static void fail_local(Deposit *d, BitsCode code, const char *what, const char *why)
{
        _cleanup_free_ char *detail = NULL;

        if (asprintf(&detail, "%s %s: %s", what, d->file->local_name, why) < 0)
                detail = NULL;
        end_failed(d, CONTEXT_LOCAL_FILE, code, detail);
}

static void stop_here(Deposit *d)
{
        end(d, (TransferReport){ .end = TRANSFER_STOPPED });
}

/* ---- the other end ---- */

/* FIL-112 */
static void write_start(void *userdata, Message *m)
{
        Deposit *d = userdata;
        const File *file = d->file;
        const Job *job = file->job;
        char path[REMOTE_PATH_MAX];

        if (remote_name_path(file->remote_name, path))
                path[0] = 0; /* was none when it was added */
        copy_put_write(m, 0,
                       &(CopyPut){ .transfer = d->client.id,
                                   .path = path,
                                   .temporary_name = file->temporary_name,
                                   .device = file->device,
                                   .inode = file->inode,
                                   .birth = file->birth,
                                   .offset = file->written,
                                   .total = file->total,
                                   .modification_time = job->upload.source_time,
                                   .flags = transfer_attributes(job),
                                   .file = d->fd });
}

/* Stored at once, so that it can be removed after a crash. */
static void on_placed(void *userdata, const CopyPlaced *placed)
{
        Deposit *d = userdata;
        File *file = d->file;

        file->device = placed->device;
        file->inode = placed->inode;
        file->birth = placed->birth;
        file_set_written(file, MIN(placed->offset, file->total));
        mark(d, STORE_PROMISED);
        d->listener->on_connected(d->userdata, &d->base);
}

static void on_progress(void *userdata, uint64_t written)
{
        Deposit *d = userdata;

        if (written <= d->file->written || written > d->file->total)
                return;
        d->losses = 0;
        file_set_written(d->file, written);
        mark(d, STORE_LAZY);
        d->listener->on_progress(d->userdata, &d->base);
}

static void on_copied(void *userdata, const CopyDone *done)
{
        Deposit *d = userdata;
        File *file = d->file;

        (void)done;
        file_set_written(file, file->total);
        file_set_kept(file, file->total);
        file->completed = true;
        mark(d, STORE_PROMISED);
        end(d, (TransferReport){ .end = TRANSFER_DONE });
}

static void on_done(void *userdata, const NetDone *done)
{
        Deposit *d = userdata;

        if (done->written > d->file->written && done->written <= d->file->total) {
                file_set_written(d->file, done->written);
                mark(d, STORE_LAZY);
        }
        if (done->outcome == NET_STOPPED)
                stop_here(d);
        else if (done->outcome == NET_FAILED) {
                d->refused = done->code == BITS_E_ACCESS_DENIED &&
                             d->file->job->file_acl_flags != 0 && done->written == d->file->total;
                end_failed(d, (ErrorContext)done->context, done->code, done->detail);
        } else
                end_failed(d, CONTEXT_REMOTE_FILE, BITS_E_PROCESS_ABORTED,
                           "the worker made no sense");
}

static void on_lost(void *userdata)
{
        Deposit *d = userdata;

        if (!d->stopping && ++d->losses < LOSSES_MAX)
                return;
        worker_net_detach(&d->client);
        if (d->stopping)
                stop_here(d);
        else
                end_unserved(d, WORK_ABORTED, false);
}

static void on_failed(void *userdata, WorkResult result)
{
        Deposit *d = userdata;

        if (result == WORK_SILENT)
                end_failed(d, CONTEXT_REMOTE_FILE, BITS_E_TIMEOUT, TRANSFER_SILENT_TEXT);
        else
                end_unserved(d, result, false);
}

/* ---- the source ---- */

/* FIL-114: fatal, as for every upload: what is over there may be of either. */
static void on_source(void *userdata, FileAnswer *answer)
{
        Deposit *d = userdata;
        Job *job = d->file->job;
        FileSource *source = &answer->source;

        if (answer->result != WORK_DONE) {
                end_unserved(d, answer->result, true);
                return;
        }
        if (answer->error != 0) {
                fail_local(d, upload_source_code(answer->error), "cannot read",
                           upload_source_text(answer->error));
                return;
        }
        if (job->upload.source_known && (source->size != d->file->total ||
                                         source->modification_time != job->upload.source_time)) {
                fail_local(d, BG_E_LOCAL_FILE_CHANGED, "cannot go on with",
                           "it was changed since its upload began; make a new job");
                return;
        }
        d->fd = TAKE_FD(source->file.items[0]);
        source->file.count = 0;
        if (!job->upload.source_known) {
                job->upload.source_known = true;
                job->upload.source_time = source->modification_time;
                file_set_total(d->file, source->size);
                mark(d, STORE_PROMISED);
        }
        if (d->stopping)
                stop_here(d);
        else if (worker_net_attach(d->remote, &d->client) < 0)
                end_unserved(d, WORK_NOT_STARTED, false);
}

/* ---- life ---- */

static void deposit_stop(Transfer *transfer)
{
        Deposit *d = (Deposit *)transfer;

        if (d->stopping)
                return;
        d->stopping = true;
        if (!d->client.worker || worker_net_stop(&d->client))
                return; /* an answer is on its way */
        worker_net_detach(&d->client);
        stop_here(d);
}

static void deposit_free(Transfer *transfer)
{
        Deposit *d = (Deposit *)transfer;

        worker_net_detach(&d->client);
        worker_release(d->local);
        worker_release(d->remote);
        fd_close(d->fd);
        free(d->detail);
        free(d);
}

int deposit_new(const TransferParts *parts, Transfer **ret)
{
        static const TransferKind kind = { .stop = deposit_stop, .free = deposit_free };
        static const NetListener listener = {
                .write_start = write_start,
                .on_progress = on_progress,
                .on_done = on_done,
                .on_lost = on_lost,
                .on_failed = on_failed,
                .on_placed = on_placed,
                .on_copied = on_copied,
        };
        Deposit *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->base = (Transfer){ &kind, parts->file };
        d->file = parts->file;
        d->local = worker_acquire_again(parts->local);
        d->remote = worker_acquire_again(parts->net);
        d->store = parts->store;
        d->turn = parts->turn;
        d->listener = parts->listener;
        d->userdata = parts->userdata;
        d->fd = -EBADF;
        d->client = (NetClient){ .listener = &listener, .userdata = d };
        *ret = d->file->transfer = &d->base;
        if (worker_open_source(d->local, &(FileOpenSource){ .local_name = d->file->local_name },
                               on_source, d) < 0)
                end_unserved(d, WORK_NOT_STARTED, true);
        return 0;
}
