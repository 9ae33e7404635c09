#include "manager/transfer-kind.h"

#include "basic/closer.h"
#include "core/remote-name.h"

#include <stdio.h>

int transfer_new(File *file, Worker *local, Worker *net, Store *store, Turn *turn,
                 const TransferListener *listener, void *userdata, Transfer **ret)
{
        TransferParts parts = { file, local, net, store, turn, listener, userdata };

        if (file_is_fetched(file))
                return download_new(&parts, ret);
        return remote_name_is_file(file->remote_name) ? deposit_new(&parts, ret)
                                                      : upload_new(&parts, ret);
}

void transfer_free(Transfer *t)
{
        if (!t)
                return;
        t->file->transfer = NULL;
        worker_net_detach(&t->client);
        if (t->kind->done)
                t->kind->done(t);
        worker_release(t->local);
        worker_release(t->net);
        closer_close(t->fd);
        free(t->detail);
        free(t);
}

/* ENG-41 */
bool transfer_is_stopping(const Transfer *t)
{
        return t->stopping;
}

void transfer_stop(Transfer *t)
{
        if (t->stopping)
                return;
        t->stopping = true;
        t->kind->stop(t);
}

void transfer_reconsider(Transfer *t)
{
        if (t->kind->reconsider)
                t->kind->reconsider(t);
}

void transfer_accept(Transfer *t, uint64_t client, BitsCode code, const char *detail)
{
        if (t->client.id == client)
                worker_net_accept(&t->client, code, detail);
}

File *transfer_file(const Transfer *t)
{
        return t->file;
}

/* ---- what the kinds share ---- */

Transfer *transfer_make(size_t size, const TransferKind *kind, const TransferParts *parts)
{
        Transfer *t = calloc(1, size);

        if (!t)
                return NULL;
        *t = (Transfer){
                .kind = kind,
                .file = parts->file,
                .local = worker_acquire_again(parts->local),
                .net = worker_acquire_again(parts->net),
                .store = parts->store,
                .turn = parts->turn,
                .listener = parts->listener,
                .userdata = parts->userdata,
                .client = { &kind->net, t, (NetClass)parts->file->job->priority },
                .fd = -EBADF,
        };
        return parts->file->transfer = t;
}

void transfer_mark(Transfer *t, StoreUrgency urgency)
{
        store_mark_file(t->store, t->file, urgency);
        turn_schedule(t->turn);
}

void transfer_mark_upload(Transfer *t, StoreUrgency urgency)
{
        store_mark_job(t->store, t->file->job, urgency);
        transfer_mark(t, urgency);
}

void transfer_end(Transfer *t)
{
        t->fd = closer_close(t->fd);
        t->listener->on_end(t->userdata, t, &t->report);
}

void transfer_end_stopped(Transfer *t)
{
        t->report = (TransferReport){ .end = TRANSFER_STOPPED };
        transfer_end(t);
}

void transfer_end_unserved(Transfer *t, WorkResult result, bool local)
{
        t->report = (TransferReport){ .end = TRANSFER_UNSERVED, .result = result, .local = local };
        transfer_end(t);
}

void transfer_set_failure(Transfer *t, ErrorContext context, BitsCode code, const char *detail)
{
        free(t->detail);
        t->detail = string_empty(detail) ? NULL : strdup(detail);
        t->report = (TransferReport){
                .end = TRANSFER_FAILED, .context = context, .code = code, .detail = t->detail
        };
}

void transfer_end_failed(Transfer *t, ErrorContext context, BitsCode code, const char *detail)
{
        transfer_set_failure(t, context, code, detail);
        transfer_end(t);
}

void transfer_end_local(Transfer *t, BitsCode code, const char *what, const char *why)
{
        _cleanup_free_ char *detail = NULL;

        if (asprintf(&detail, "%s %s: %s", what, t->file->local_name, why) < 0)
                detail = NULL;
        transfer_end_failed(t, CONTEXT_LOCAL_FILE, code, detail);
}

void transfer_on_certificate(void *userdata, const NetCertificate *question)
{
        Transfer *t = userdata;

        t->listener->on_certificate(t->userdata, t, t->client.id, question);
}

/* UPL-127: the next process goes on from what was acknowledged. */
void transfer_on_lost(void *userdata)
{
        Transfer *t = userdata;

        if (!t->stopping && ++t->losses < LOSSES_MAX)
                return;
        worker_net_detach(&t->client);
        if (t->stopping)
                transfer_end_stopped(t);
        else
                transfer_end_unserved(t, WORK_ABORTED, false);
}

void transfer_stop_now(Transfer *t)
{
        if (!t->client.worker || worker_net_stop(&t->client))
                return; /* an answer is on its way */
        worker_net_detach(&t->client);
        transfer_end_stopped(t);
}

/* FIL-116 */
uint32_t transfer_attributes(const Job *job)
{
        uint32_t flags = 0;

        flags |= job->file_acl_flags & COPY_FILE_OWNER ? ATTRIBUTE_OWNER : 0;
        flags |= job->file_acl_flags & COPY_FILE_GROUP ? ATTRIBUTE_GROUP : 0;
        flags |= job->file_acl_flags & COPY_FILE_DACL ? ATTRIBUTE_RIGHTS : 0;
        return flags;
}

/* ---- the source of what is sent ---- */

/* UPL-128, FIL-114: fatal, for the other end may have bytes of either. */
static bool is_unchanged(const File *file, const FileSource *source)
{
        return source->size == file->total &&
               source->modification_time == file->job->upload.source_time;
}

static void on_source(void *userdata, FileAnswer *answer)
{
        Transfer *t = userdata;
        UploadState *upload = &t->file->job->upload;
        FileSource *source = &answer->source;

        if (answer->result != WORK_DONE) {
                transfer_end_unserved(t, answer->result, true);
                return;
        }
        if (answer->error != 0) {
                transfer_end_local(t, upload_source_code(answer->error), "cannot read",
                                   upload_source_text(answer->error));
                return;
        }
        if (upload->source_known && !is_unchanged(t->file, source)) {
                transfer_end_local(t, BG_E_LOCAL_FILE_CHANGED, "cannot go on with",
                                   "it was changed since its upload began; make a new job");
                return;
        }
        t->fd = TAKE_FD(source->file.items[0]);
        source->file.count = 0;
        if (!upload->source_known) {
                upload->source_known = true;
                upload->source_time = source->modification_time;
                file_set_total(t->file, source->size);
                transfer_mark_upload(t, STORE_PROMISED);
        }
        if (t->stopping)
                transfer_end_stopped(t);
        else
                t->kind->on_source(t);
}

void transfer_open_source(Transfer *t)
{
        if (worker_open_source(t->local, &(FileOpenSource){ .local_name = t->file->local_name },
                               on_source, t) < 0)
                transfer_end_unserved(t, WORK_NOT_STARTED, true);
}
