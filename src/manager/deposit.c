/*
 * A file on its way to a place on this machine: open the source under the local identity, hand it
 * to a bits-file of the network identity, which puts a copy beside the remote name and gives it
 * that name at the end. No server, no session: what was copied lies in a temporary file over there,
 * which is recorded as a download's is, and is gone on with while the machine is up.
 *
 * The source must be the same from the first byte to the last, as for every upload.
 */
#include "manager/transfer-kind.h"

#include "core/remote-name.h"

/* ---- the other end ---- */

/* FIL-112 */
static void write_start(void *userdata, Message *m)
{
        Transfer *t = userdata;
        const File *file = t->file;
        const Job *job = file->job;
        char path[REMOTE_PATH_MAX];

        if (remote_name_path(file->remote_name, path))
                path[0] = 0; /* was none when it was added */
        copy_put_write(m, 0,
                       &(CopyPut){ .transfer = t->client.id,
                                   .path = path,
                                   .temporary_name = file->temporary_name,
                                   .device = file->device,
                                   .inode = file->inode,
                                   .birth = file->birth,
                                   .offset = file->written,
                                   .total = file->total,
                                   .modification_time = job->upload.source_time,
                                   .flags = transfer_attributes(job),
                                   .file = t->fd });
}

/* Stored at once, so that it can be removed after a crash. */
static void on_placed(void *userdata, const CopyPlaced *placed)
{
        Transfer *t = userdata;
        File *file = t->file;

        file->device = placed->device;
        file->inode = placed->inode;
        file->birth = placed->birth;
        file_set_written(file, MIN(placed->offset, file->total));
        transfer_mark_upload(t, STORE_PROMISED);
        t->listener->on_connected(t->userdata, t);
}

static void on_progress(void *userdata, uint64_t written)
{
        Transfer *t = userdata;

        if (written <= t->file->written || written > t->file->total)
                return;
        t->losses = 0;
        file_set_written(t->file, written);
        transfer_mark_upload(t, STORE_LAZY);
        t->listener->on_progress(t->userdata, t);
}

static void on_copied(void *userdata, const CopyDone *done)
{
        Transfer *t = userdata;
        File *file = t->file;

        (void)done;
        file_set_written(file, file->total);
        file_set_kept(file, file->total);
        file->completed = true;
        transfer_mark_upload(t, STORE_PROMISED);
        t->report = (TransferReport){ .end = TRANSFER_DONE };
        transfer_end(t);
}

static void on_done(void *userdata, const NetDone *done)
{
        Transfer *t = userdata;

        if (done->written > t->file->written && done->written <= t->file->total) {
                file_set_written(t->file, done->written);
                transfer_mark_upload(t, STORE_LAZY);
        }
        if (done->outcome == NET_STOPPED)
                transfer_end_stopped(t);
        else if (done->outcome == NET_FAILED) {
                transfer_set_failure(t, (ErrorContext)done->context, done->code, done->detail);
                /* FIL-119: not the content, what it was to carry */
                t->report.transient = done->code == BITS_E_ACCESS_DENIED &&
                                      t->file->job->file_acl_flags != 0 &&
                                      done->written == t->file->total;
                transfer_end(t);
        } else
                transfer_end_unserved(t, WORK_ABORTED, false);
}

static void on_failed(void *userdata, WorkResult result)
{
        Transfer *t = userdata;

        if (result == WORK_SILENT)
                transfer_end_failed(t, CONTEXT_REMOTE_FILE, BITS_E_TIMEOUT, TRANSFER_SILENT_TEXT);
        else
                transfer_end_unserved(t, result, false);
}

/* ---- life ---- */

static void start(Transfer *t)
{
        if (worker_net_attach(t->net, &t->client) < 0)
                transfer_end_unserved(t, WORK_NOT_STARTED, false);
}

int deposit_new(const TransferParts *parts, Transfer **ret)
{
        static const TransferKind kind = {
                .stop = transfer_stop_now,
                .on_source = start,
                .net = { .write_start = write_start,
                         .on_progress = on_progress,
                         .on_done = on_done,
                         .on_lost = transfer_on_lost,
                         .on_failed = on_failed,
                         .on_placed = on_placed,
                         .on_copied = on_copied },
        };

        *ret = transfer_make(sizeof(Transfer), &kind, parts);
        if (!*ret)
                return -ENOMEM;
        transfer_open_source(*ret);
        return 0;
}
