/*
 * A file on its way to a server: open the source under the local identity, send it under the
 * network identity. What was sent counts when the server has acknowledged it; that is all there is
 * to keep, and it outlives this daemon together with the session.
 *
 * The source must be the same from the first byte to the last. It is compared here whenever it is
 * opened, and by the network's worker before each fragment.
 */
#include "manager/transfer-kind.h"
#include "manager/validation.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "core/policy.h"
#include "core/remote-name.h"
#include "manager/net-terms.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

enum {
        LOSSES_MAX = 10, /* workers that died on it in a row without progress */
};

typedef struct Upload {
        Transfer base;
        File *file;
        Worker *local, *net;
        Store *store;
        Turn *turn;
        const TransferListener *listener;
        void *userdata;

        bool stopping, connected;
        int fd;
        NetTerms terms;
        NetClient client;
        unsigned losses;

        TransferReport report;
        char *detail;
} Upload;

static void mark(Upload *u, StoreUrgency urgency)
{
        store_mark_job(u->store, u->file->job, urgency);
        store_mark_file(u->store, u->file, urgency);
        turn_schedule(u->turn);
}

static void end(Upload *u, TransferReport report)
{
        u->fd = fd_close(u->fd);
        u->report = report;
        u->listener->on_end(u->userdata, &u->base, &u->report);
}

static void end_failed(Upload *u, ErrorContext context, BitsCode code, const char *detail)
{
        free(u->detail);
        u->detail = string_empty(detail) ? NULL : strdup(detail);
        end(u, (TransferReport){ .end = TRANSFER_FAILED,
                                 .context = context,
                                 .code = code,
                                 .detail = u->detail });
}

static void end_unserved(Upload *u, WorkResult result, bool local)
{
        end(u, (TransferReport){ .end = TRANSFER_UNSERVED, .result = result, .local = local });
}

static void fail_local(Upload *u, BitsCode code, const char *what, const char *why)
{
        _cleanup_free_ char *detail = NULL;

        if (asprintf(&detail, "%s %s: %s", what, u->file->local_name, why) < 0)
                detail = NULL;
        end_failed(u, CONTEXT_LOCAL_FILE, code, detail);
}

static void stop_here(Upload *u)
{
        end(u, (TransferReport){ .end = TRANSFER_STOPPED });
}

/* ---- talking to the server ---- */

static void write_farewell(Upload *u, Message *m)
{
        char realm[VALIDATION_REALM_MAX];
        FdList secrets;
        uint32_t which = net_terms_open(&u->terms, &secrets);
        const Job *job = u->file->job;
        const UploadState *state = &job->upload;

        validation_realm(job, realm);
        net_farewell_write(m, 0,
                           &(NetFarewell){ NET_TERMS(job, u->file->remote_name),
                                           .transfer = u->client.id, .session = state->session,
                                           .host = upload_host(job, clock_usec(CLOCK_REALTIME)),
                                           .host_fallback = state->host_fallback,
                                           .validation = realm, .secrets = which,
                                           .secret_files = secrets });
}

/* SEC-81: they are opened for each start, and lie nowhere meanwhile. */
static void write_start(void *userdata, Message *m)
{
        Upload *u = userdata;
        const File *file = u->file;
        const Job *job = file->job;
        const UploadState *state = &job->upload;
        char realm[VALIDATION_REALM_MAX];
        FdList secrets;
        uint32_t which;

        if (upload_step(job) == UPLOAD_CLOSE) {
                write_farewell(u, m);
                return;
        }
        which = net_terms_open(&u->terms, &secrets);
        validation_realm(job, realm);
        net_upload_write(
                m, 0,
                &(NetUpload){ NET_TERMS(job, file->remote_name), .transfer = u->client.id,
                              .offset = file->written, .total = file->total,
                              .modification_time = state->source_time,
                              .content_name = upload_content_name(file), .session = state->session,
                              .host = upload_host(job, clock_usec(CLOCK_REALTIME)),
                              .host_fallback = state->host_fallback, .closing = state->closing,
                              .wants_reply = job->type == JOB_UPLOAD_REPLY, .file = u->fd,
                              .validation = realm, .secrets = which, .secret_files = secrets });
}

/* UPL-124: stored at once, so that it can be gone on with, or given up, after a crash. */
static void on_session(void *userdata, const NetSession *session)
{
        Upload *u = userdata;
        Job *job = u->file->job;

        net_terms_sent(&u->terms); /* the worker has them */
        if (upload_set_session(job, session->session, session->host, session->host_fallback,
                               session->reply_url, session->closing != 0) < 0)
                log_error("out of memory: job %s loses its session", job->id);
        mark(u, STORE_PROMISED);
        if (!u->connected)
                u->listener->on_connected(u->userdata, &u->base);
        u->connected = true;
}

/* The server's word counts, also when it knows of less than we thought. */
static void set_acknowledged(File *file, uint64_t acknowledged)
{
        acknowledged = MIN(acknowledged, file->total);
        file_set_written(file, acknowledged);
        file_set_kept(file, acknowledged);
}

static void on_progress(void *userdata, uint64_t acknowledged)
{
        Upload *u = userdata;
        bool forward = acknowledged > u->file->written;

        set_acknowledged(u->file, acknowledged);
        mark(u, STORE_LAZY);
        if (!forward)
                return;
        u->losses = 0;
        upload_host_served(u->file->job);
        u->listener->on_progress(u->userdata, &u->base);
}

/* UPL-125, UPL-138: a reply that was not announced, or lies where nothing may be fetched from. */
static bool accept_reply(Upload *u)
{
        Job *job = u->file->job;
        uint8_t random[6];
        const char *why = "";

        if (string_empty(job->upload.reply_url)) {
                end_failed(u, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                           "the server took the file, but did not say where its reply is; it has "
                           "to be set up for jobs of type upload-reply");
                return false;
        }
        /* FIL-111: a server may not name files of this machine. */
        if (policy_check_remote_name(job->upload.reply_url, &why) != 0 ||
            remote_name_is_file(job->upload.reply_url)) {
                end_failed(u, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                           "the server's URL for the reply cannot be used");
                return false;
        }
        if (getrandom(random, sizeof(random), 0) != sizeof(random) ||
            upload_make_reply(job, random) < 0) {
                end_failed(u, CONTEXT_GENERAL_QUEUE_MANAGER, BITS_E_OUT_OF_MEMORY, "out of memory");
                return false;
        }
        store_mark_file(u->store, job->reply, STORE_PROMISED);
        return true;
}

static void on_complete(Upload *u)
{
        File *file = u->file;
        Job *job = file->job;

        if (upload_step(job) == UPLOAD_CLOSE || job->type == JOB_UPLOAD)
                upload_forget_session(job);
        else if (!accept_reply(u))
                return;
        set_acknowledged(file, file->total);
        file->completed = true; /* UPL-126 */
        mark(u, STORE_PROMISED);
        end(u, (TransferReport){ .end = TRANSFER_DONE });
}

static void on_done(void *userdata, const NetDone *done)
{
        Upload *u = userdata;

        switch ((NetOutcome)done->outcome) {
        case NET_COMPLETE:
                on_complete(u);
                return;
        case NET_STOPPED:
                stop_here(u);
                return;
        case NET_FAILED:
                if (done->context != CONTEXT_LOCAL_FILE)
                        upload_host_failed(u->file->job, clock_usec(CLOCK_REALTIME));
                end_failed(u, (ErrorContext)done->context, done->code, done->detail);
                return;
        case NET_VERSION_CHANGED:
        case NET_OUTCOME_MAX:
        case NET_OUTCOME_INVALID:
                break;
        }
        end_failed(u, CONTEXT_GENERAL_TRANSPORT, BITS_E_PROCESS_ABORTED,
                   "the network worker made no sense");
}

/* UPL-127: the next process goes on with the session, from what was acknowledged. */
static void on_lost(void *userdata)
{
        Upload *u = userdata;

        if (!u->stopping && ++u->losses < LOSSES_MAX)
                return;
        worker_net_detach(&u->client);
        if (u->stopping)
                stop_here(u);
        else
                end_unserved(u, WORK_ABORTED, false);
}

static void on_failed(void *userdata, WorkResult result)
{
        end_unserved(userdata, result, false);
}

static void attach(Upload *u);

static void on_terms(void *userdata, const NetTermsAnswer *answer)
{
        Upload *u = userdata;

        if (answer->result != WORK_DONE)
                end_unserved(u, answer->result, true);
        else if (answer->code != 0)
                end_failed(u, CONTEXT_LOCAL_FILE, answer->code, answer->detail);
        else
                attach(u);
}

/* TOK-150 */
static void attach(Upload *u)
{
        int r;

        if (u->stopping) {
                stop_here(u);
                return;
        }
        r = net_terms_read(&u->terms, u->local, on_terms, u);
        if (r < 0)
                end_unserved(u, r == -ENOKEY ? WORK_DEAD_TOKEN : WORK_NOT_STARTED, true);
        else if (r > 0 && worker_net_attach(u->net, &u->client) < 0)
                end_unserved(u, WORK_NOT_STARTED, false);
}

/* ---- the source ---- */

/* UPL-128: fatal, for the server may have bytes of either. */
static bool is_unchanged(const Upload *u, const FileSource *source)
{
        const Job *job = u->file->job;

        return source->size == u->file->total &&
               source->modification_time == job->upload.source_time;
}

static void on_source(void *userdata, FileAnswer *answer)
{
        Upload *u = userdata;
        Job *job = u->file->job;

        if (answer->result != WORK_DONE) {
                end_unserved(u, answer->result, true);
                return;
        }
        if (answer->error != 0) {
                fail_local(u, upload_source_code(answer->error), "cannot read",
                           upload_source_text(answer->error));
                return;
        }
        if (job->upload.source_known && !is_unchanged(u, &answer->source)) {
                fail_local(u, BG_E_LOCAL_FILE_CHANGED, "cannot go on with",
                           "it was changed since its upload began; make a new job");
                return;
        }
        u->fd = TAKE_FD(answer->source.file.items[0]);
        answer->source.file.count = 0;
        if (!job->upload.source_known) {
                job->upload.source_known = true;
                job->upload.source_time = answer->source.modification_time;
                file_set_total(u->file, answer->source.size);
                mark(u, STORE_PROMISED);
        }
        attach(u);
}

static void begin(Upload *u)
{
        if (upload_step(u->file->job) == UPLOAD_CLOSE)
                attach(u);
        else if (worker_open_source(u->local,
                                    &(FileOpenSource){ .local_name = u->file->local_name },
                                    on_source, u) < 0)
                end_unserved(u, WORK_NOT_STARTED, true);
}

/* ---- life ---- */

static void upload_stop(Transfer *transfer)
{
        Upload *u = (Upload *)transfer;

        if (u->stopping)
                return;
        u->stopping = true;
        if (!u->client.worker || worker_net_stop(&u->client))
                return; /* an answer is on its way */
        worker_net_detach(&u->client);
        stop_here(u);
}

static void upload_free(Transfer *transfer)
{
        Upload *u = (Upload *)transfer;

        worker_net_detach(&u->client);
        worker_release(u->local);
        worker_release(u->net);
        fd_close(u->fd);
        net_terms_done(&u->terms);
        free(u->detail);
        free(u);
}

int upload_new(const TransferParts *parts, Transfer **ret)
{
        static const TransferKind kind = { .stop = upload_stop, .free = upload_free };
        static const NetListener net_listener = {
                .write_start = write_start,
                .on_session = on_session,
                .on_certificate = transfer_on_certificate,
                .on_progress = on_progress,
                .on_done = on_done,
                .on_lost = on_lost,
                .on_failed = on_failed,
        };
        Upload *u = calloc(1, sizeof(*u));

        if (!u)
                return -ENOMEM;
        u->base = (Transfer){ &kind, parts->file, &u->client, parts->listener, parts->userdata };
        u->file = parts->file;
        u->local = worker_acquire_again(parts->local);
        u->net = worker_acquire_again(parts->net);
        u->store = parts->store;
        u->turn = parts->turn;
        u->listener = parts->listener;
        u->userdata = parts->userdata;
        u->fd = -EBADF;
        net_terms_init(&u->terms, u->store, u->file->job, true);
        u->client = (NetClient){ &net_listener, u, (NetClass)u->file->job->priority };
        *ret = u->file->transfer = &u->base;
        begin(u);
        return 0;
}
