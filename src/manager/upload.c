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
#include "basic/log.h"
#include "basic/random.h"
#include "core/policy.h"
#include "core/remote-name.h"
#include "manager/net-terms.h"

#include <time.h>

typedef struct Closing Closing;

typedef struct Upload {
        Transfer base;
        bool connected;
        NetTerms terms;
        Closing *closing; /* NULL: nothing waits for the store */
} Upload;

/* What the commit calls back: the upload may be gone by then, or ask another process. */
struct Closing {
        Upload *upload; /* NULL: nobody waits any more */
};

static void attach(Upload *u);

/* ---- until it is stored ---- */

static void forget_closing(Upload *u)
{
        if (u->closing)
                u->closing->upload = NULL;
        u->closing = NULL;
}

/* Either the session of a file that was just sent, or one that was kept until the reply was
   there. */
static void go_on_closing(Upload *u)
{
        if (upload_step(u->base.file->job) == UPLOAD_CLOSE)
                attach(u);
        else
                worker_net_close(&u->base.client);
}

static void on_stored(void *userdata, uint64_t id)
{
        Closing *closing = userdata;
        Upload *u = closing->upload;

        (void)id;
        free(closing);
        if (!u)
                return;
        u->closing = NULL;
        go_on_closing(u);
}

/* UPL-390: whatever happens from now on, the next one to ask the server knows that it was asked,
   and has the reply. Without memory the upload goes on as if there were no such promise. */
static void close_when_stored(Upload *u)
{
        Closing *closing = malloc(sizeof(*closing));

        forget_closing(u);
        transfer_mark_upload(&u->base, STORE_PROMISED);
        if (closing && turn_after_commit(u->base.turn, on_stored, closing, 0) >= 0) {
                closing->upload = u;
                u->closing = closing;
                return;
        }
        free(closing);
        go_on_closing(u);
}

/* ---- talking to the server ---- */

static void write_farewell(Upload *u, Message *m)
{
        char realm[VALIDATION_REALM_MAX];
        FdList secrets;
        uint32_t which = net_terms_open(&u->terms, &secrets);
        const Job *job = u->base.file->job;
        const UploadState *state = &job->upload;

        validation_realm(job, realm);
        net_farewell_write(m, 0,
                           &(NetFarewell){ NET_TERMS(job, u->base.file->remote_name),
                                           .transfer = u->base.client.id, .session = state->session,
                                           .host = upload_host(job, clock_usec(CLOCK_REALTIME)),
                                           .host_fallback = state->host_fallback,
                                           .validation = realm, .secrets = which,
                                           .secret_files = secrets });
}

/* SEC-81: they are opened for each start, and lie nowhere meanwhile. */
static void write_start(void *userdata, Message *m)
{
        Upload *u = userdata;
        const File *file = u->base.file;
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
                &(NetUpload){ NET_TERMS(job, file->remote_name), .transfer = u->base.client.id,
                              .offset = file->written, .total = file->total,
                              .modification_time = state->source_time,
                              .content_name = upload_content_name(file), .session = state->session,
                              .host = upload_host(job, clock_usec(CLOCK_REALTIME)),
                              .host_fallback = state->host_fallback, .closing = state->closing,
                              .wants_reply = job->type == JOB_UPLOAD_REPLY, .file = u->base.fd,
                              .validation = realm, .secrets = which, .secret_files = secrets });
}

/* UPL-124: stored at once, so that it can be gone on with, or given up, after a crash. */
static void on_session(void *userdata, const NetSession *session)
{
        Upload *u = userdata;
        Job *job = u->base.file->job;

        net_terms_sent(&u->terms); /* the worker has them */
        if (upload_set_session(job, session->session, session->host, session->host_fallback,
                               session->reply_url, session->closing != 0) < 0)
                log_error("out of memory: job %s loses its session", job->id);
        transfer_mark_upload(&u->base, STORE_PROMISED);
        if (!u->connected)
                u->base.listener->on_connected(u->base.userdata, &u->base);
        u->connected = true;
        if (session->closing)
                close_when_stored(u);
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
        bool forward = acknowledged > u->base.file->written;

        set_acknowledged(u->base.file, acknowledged);
        transfer_mark_upload(&u->base, STORE_LAZY);
        if (!forward)
                return;
        u->base.losses = 0;
        upload_host_served(u->base.file->job);
        u->base.listener->on_progress(u->base.userdata, &u->base);
}

/* UPL-125, UPL-138: a reply that was not announced, or lies where nothing may be fetched from. */
static bool accept_reply(Upload *u)
{
        Job *job = u->base.file->job;
        uint8_t random[NAME_RANDOM_BYTES];
        const char *why = "";

        if (string_empty(job->upload.reply_url)) {
                transfer_end_failed(
                        &u->base, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                        "the server took the file, but did not say where its reply is; it has "
                        "to be set up for jobs of type upload-reply");
                return false;
        }
        /* FIL-111: a server may not name files of this machine. */
        if (policy_check_remote_name(job->upload.reply_url, &why) != 0 ||
            remote_name_is_file(job->upload.reply_url)) {
                transfer_end_failed(&u->base, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                                    "the server's URL for the reply cannot be used");
                return false;
        }
        if (random_bytes(random, sizeof(random)) < 0 || upload_make_reply(job, random) < 0) {
                transfer_end_failed(&u->base, CONTEXT_GENERAL_QUEUE_MANAGER, BITS_E_OUT_OF_MEMORY,
                                    "out of memory");
                return false;
        }
        store_mark_file(u->base.store, job->reply, STORE_PROMISED);
        return true;
}

static void on_complete(Upload *u)
{
        File *file = u->base.file;
        Job *job = file->job;

        if (upload_step(job) == UPLOAD_CLOSE || job->type == JOB_UPLOAD)
                upload_forget_session(job);
        else if (!accept_reply(u))
                return;
        set_acknowledged(file, file->total);
        file->completed = true; /* UPL-126 */
        transfer_mark_upload(&u->base, STORE_PROMISED);
        u->base.report = (TransferReport){ .end = TRANSFER_DONE };
        transfer_end(&u->base);
}

static void on_done(void *userdata, const NetDone *done)
{
        Upload *u = userdata;

        switch ((NetOutcome)done->outcome) {
        case NET_COMPLETE:
                on_complete(u);
                return;
        case NET_STOPPED:
                transfer_end_stopped(&u->base);
                return;
        case NET_FAILED:
                if (done->context != CONTEXT_LOCAL_FILE)
                        upload_host_failed(u->base.file->job, clock_usec(CLOCK_REALTIME));
                transfer_end_failed(&u->base, (ErrorContext)done->context, done->code,
                                    done->detail);
                return;
        case NET_VERSION_CHANGED:
        case NET_OUTCOME_MAX:
        case NET_OUTCOME_INVALID:
                break;
        }
        transfer_end_unserved(&u->base, WORK_ABORTED, false);
}

static void on_failed(void *userdata, WorkResult result)
{
        transfer_end_unserved(userdata, result, false);
}

static void on_terms(void *userdata, const NetTermsAnswer *answer)
{
        Upload *u = userdata;

        if (answer->result != WORK_DONE)
                transfer_end_unserved(&u->base, answer->result, true);
        else if (answer->code != 0)
                transfer_end_failed(&u->base, CONTEXT_LOCAL_FILE, answer->code, answer->detail);
        else
                attach(u);
}

/* TOK-150 */
static void attach(Upload *u)
{
        int r;

        if (u->base.stopping) {
                transfer_end_stopped(&u->base);
                return;
        }
        r = net_terms_read(&u->terms, u->base.local, on_terms, u);
        if (r < 0)
                transfer_end_unserved(&u->base, r == -ENOKEY ? WORK_DEAD_TOKEN : WORK_NOT_STARTED,
                                      true);
        else if (r > 0 && worker_net_attach(u->base.net, &u->base.client) < 0)
                transfer_end_unserved(&u->base, WORK_NOT_STARTED, false);
}

/* ---- life ---- */

static void on_source(Transfer *t)
{
        attach((Upload *)t);
}

static void upload_done(Transfer *t)
{
        forget_closing((Upload *)t);
        net_terms_done(&((Upload *)t)->terms);
}

int upload_new(const TransferParts *parts, Transfer **ret)
{
        static const TransferKind kind = {
                .stop = transfer_stop_now,
                .done = upload_done,
                .on_source = on_source,
                .net = { .write_start = write_start,
                         .on_session = on_session,
                         .on_certificate = transfer_on_certificate,
                         .on_progress = on_progress,
                         .on_done = on_done,
                         .on_lost = transfer_on_lost,
                         .on_failed = on_failed },
        };
        Upload *u = (Upload *)transfer_make(sizeof(*u), &kind, parts);

        if (!u)
                return -ENOMEM;
        net_terms_init(&u->terms, parts->store, parts->file->job, true);
        *ret = &u->base;
        if (upload_step(parts->file->job) == UPLOAD_CLOSE)
                close_when_stored(u);
        else
                transfer_open_source(&u->base);
        return 0;
}
