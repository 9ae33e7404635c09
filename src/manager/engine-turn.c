#include "manager/engine-turn.h"

#include "core/fill.h"
#include "manager/transfer.h"

enum {
        FILES_AT_ONCE = 64,  /* of one job, opening, fetching or syncing */
        TRANSFERS_MAX = 512, /* of all jobs; beyond it each running job has one */
};

/* ---- the job's turn ---- */

void engine_release_workers(EngineJob *ej)
{
        worker_release(ej->local);
        worker_release(ej->net);
        worker_release(ej->remote);
        ej->local = ej->net = ej->remote = NULL;
}

void engine_stop_transfers(EngineJob *ej)
{
        Job *job = ej->job;
        File *file;

        for (size_t i = 0; ej->n_transfers > 0 && (file = job_file(job, i)); i++)
                if (file->transfer)
                        transfer_stop(file->transfer);
}

void engine_leave_turn(EngineJob *ej)
{
        ej->running = false;
        engine_forget_failure(ej);
        engine_release_workers(ej);
        engine_stop_transfers(ej);
}

/* ---- failing ---- */

static void fail(Engine *engine, Job *job, const File *file, bool transient, ErrorContext context,
                 BitsCode code, const char *detail)
{
        transient = transient && !http_has_custom_method(&job->http); /* NET-159 */
        queue_fail(&engine->queue, job, file, transient, context, code, detail, engine_now(engine));
}

void engine_tell_token(Engine *engine, Job *job)
{
        if (engine->listener->on_token)
                engine->listener->on_token(engine->userdata, job);
}

void engine_drop_token(Engine *engine, Job *job)
{
        if (!job->token)
                return;
        token_free(job->token);
        job->token = NULL;
        engine_tell_token(engine, job);
}

static void fail_unserved(Engine *engine, Job *job, const TransferReport *report)
{
        bool fatal;
        BitsCode code = engine_work_result_code(report->result, &fatal);

        /* It wound down: the job is not what failed, and may have another token by now. */
        if (report->result == WORK_DISMISSED || !job->engine->running)
                return;
        if (code == BG_E_TOKEN_REQUIRED)
                engine_drop_token(engine, job);
        fail(engine, job, NULL, !fatal, CONTEXT_GENERAL_QUEUE_MANAGER, code,
             engine_work_result_text(report->result));
}

/* ENG-46 */
void engine_fail_token_required(Engine *engine, Job *job)
{
        fail(engine, job, NULL, false, CONTEXT_GENERAL_QUEUE_MANAGER, BG_E_TOKEN_REQUIRED,
             "the flags give work to a helper token, but the job has none; set one and resume, or "
             "clear the flags and resume");
}

/* ---- transfers ---- */

/* RNG-191: whatever is requested of the files is there. */
static bool is_idle(const Job *job)
{
        if (!job->on_demand || job->engine->n_transfers > 0)
                return false;
        for (size_t i = 0; i < job->n_files; i++)
                if (!job->files[i]->transferred && !job->files[i]->idle)
                        return false;
        return true;
}

/* JOB-24, ENG-43: each file is told before the job. DUR-22: and the job after its commit. */
void engine_finish_if_done(Engine *engine, Job *job)
{
        if (job_is_transferred(job))
                (void)queue_event(&engine->queue, job, EVENT_FINISHED, engine_now(engine));
        else if (is_idle(job))
                (void)queue_event(&engine->queue, job, EVENT_RANGES_FILLED, engine_now(engine));
}

static void on_connected(void *userdata, Transfer *transfer)
{
        Engine *engine = userdata;
        Job *job = transfer_file(transfer)->job;

        if (job->state == STATE_CONNECTING)
                (void)queue_event(&engine->queue, job, EVENT_CONNECTED, engine_now(engine));
}

static void on_progress(void *userdata, Transfer *transfer)
{
        Engine *engine = userdata;
        Job *job = transfer_file(transfer)->job;

        queue_progress(&engine->queue, job, engine_now(engine));
        engine->listener->on_modified(engine->userdata, job);
}

/* RNG-194: where ranges are not to be had, nobody waits for some. */
static void on_kept(void *userdata, Transfer *transfer, const Ranges *news)
{
        Engine *engine = userdata;
        File *file = transfer_file(transfer);

        if (fill_can_scatter(file) && file->resumable && engine->listener->on_ranges)
                engine->listener->on_ranges(engine->userdata, file->job, file, news);
}

static void file_done(Engine *engine, File *file)
{
        Job *job = file->job;

        queue_progress(&engine->queue, job, engine_now(engine));
        file_set_transferred(file, true);
        if (file_is_fetched(file)) /* UPL-129 */
                engine->listener->on_file_transferred(engine->userdata, job, file);
}

static void on_certificate(void *userdata, Transfer *transfer, uint64_t client,
                           const NetCertificate *question)
{
        Engine *engine = userdata;

        engine->listener->on_certificate(engine->userdata, transfer_file(transfer), client,
                                         question);
}

/* NET-160: what the judge of a certificate says may be another tomorrow; without him nobody may. */
static bool is_transient(const TransferReport *report, BitsCode code)
{
        if (report->context == CONTEXT_SERVER_CERTIFICATE_CALLBACK)
                return code != BG_E_SERVER_CERT_VALIDATION_INTERFACE_REQUIRED;
        return report->transient || error_is_transient(code);
}

/* JOB-226: the destination was writable when the file was added, so that it will be again. */
static void fail_file(Engine *engine, File *file, const TransferReport *report)
{
        bool locked = report->code == BITS_E_WRITE_PROTECT;
        BitsCode code = locked ? BG_E_DESTINATION_LOCKED : report->code;

        fail(engine, file->job, file, is_transient(report, code), report->context, code,
             report->detail);
}

/* ---- failures come in the order of the files ---- */

void engine_forget_failure(EngineJob *ej)
{
        free(ej->failure.detail);
        ej->failure = (LateFailure){ 0 };
}

static bool is_preceded(const EngineJob *ej, const File *file)
{
        for (size_t i = 0; ej->n_transfers > 0 && i < MIN(file->index, ej->job->n_files); i++)
                if (ej->job->files[i]->transfer)
                        return true;
        return false;
}

/* What is a state of the machine concerns every file. What was asked for under another name, or as
   somebody else, and is stopped for that, is asked for again. */
static void note_failure(EngineJob *ej, const Transfer *transfer, const TransferReport *report)
{
        File *file = transfer_file(transfer);

        if (!ej->running || wait_kind_of(report->code) != WAIT_NOTHING) {
                fail_file(ej->engine, file, report);
                return;
        }
        if (transfer_is_stopping(transfer))
                return;
        if (ej->failure.file && ej->failure.file->index < file->index)
                return;
        engine_forget_failure(ej);
        ej->failure = (LateFailure){ .file = file, .report = *report };
        ej->failure.detail = report->detail ? strdup(report->detail) : NULL;
        ej->failure.report.detail = ej->failure.detail;
}

/* JOB-472 */
static void fail_in_order(EngineJob *ej)
{
        LateFailure failure = ej->failure;

        if (!failure.file || is_preceded(ej, failure.file))
                return;
        ej->failure = (LateFailure){ 0 };
        fail_file(ej->engine, failure.file, &failure.report);
        free(failure.detail);
}

static void on_end(void *userdata, Transfer *transfer, const TransferReport *report)
{
        Engine *engine = userdata;
        File *file = transfer_file(transfer);
        Job *job = file->job;
        EngineJob *ej = job->engine;

        ej->n_transfers--;
        engine->n_transfers--;
        file->idle = report->end == TRANSFER_IDLE;
        if (report->end == TRANSFER_DONE)
                file_done(engine, file);
        else
                ej->cursor = MIN(ej->cursor, (size_t)file->index);
        store_mark_file(engine->store, file, STORE_LAZY);
        turn_schedule(engine->turn);
        if (report->end == TRANSFER_FAILED)
                note_failure(ej, transfer, report);
        else if (report->end == TRANSFER_UNSERVED)
                fail_unserved(engine, job, report);
        transfer_free(transfer);
        if (ej->running)
                engine_start_files(ej);
        fail_in_order(ej);
        engine_finish_if_done(engine, job);
        if (ej->n_transfers == 0 && !ej->running && engine->listener->on_wound_down)
                engine->listener->on_wound_down(engine->userdata, job);
        if (ej->n_transfers == 0 && ej->on_stopped) {
                EngineStopped on_stopped = TAKE_PTR(ej->on_stopped);

                on_stopped(ej->stopped_userdata, job);
        }
        if (engine->n_transfers == 0 && engine->listener->on_rest)
                engine->listener->on_rest(engine->userdata);
}

static bool start_file(EngineJob *ej, File *file)
{
        static const TransferListener listener = {
                .on_connected = on_connected,
                .on_progress = on_progress,
                .on_kept = on_kept,
                .on_certificate = on_certificate,
                .on_end = on_end,
        };
        Engine *engine = ej->engine;
        Worker *net = engine_fetcher(engine->pool, file, ej->net, &ej->remote);
        Transfer *transfer;

        if (!net)
                return false;
        ej->n_transfers++;
        engine->n_transfers++;
        if (transfer_new(file, ej->local, net, engine->store, engine->turn, &listener, engine,
                         &transfer) >= 0)
                return true;
        ej->n_transfers--;
        engine->n_transfers--;
        return false;
}

/* RNG-185: with a limit for the whole job, what one file leaves of it is the next one's. */
static bool may_start_another(const EngineJob *ej)
{
        return ej->n_transfers == 0 ||
               (ej->job->max_download_size == UINT64_MAX && ej->n_transfers < FILES_AT_ONCE &&
                ej->engine->n_transfers < TRANSFERS_MAX);
}

/* The one file, then its reply, then the end of the session. UPL-120 */
static void fill_upload(EngineJob *ej)
{
        Job *job = ej->job;

        if (job->n_files == 0 || ej->n_transfers > 0)
                return;
        switch (upload_step(job)) {
        case UPLOAD_SEND:
        case UPLOAD_CLOSE:
                (void)start_file(ej, job->files[0]);
                break;
        case UPLOAD_FETCH_REPLY:
                (void)start_file(ej, job->reply);
                break;
        case UPLOAD_OVER:
        case UPLOAD_STEP_MAX:
        case UPLOAD_STEP_INVALID:
                break;
        }
}

/* JOB-43 */
void engine_start_files(EngineJob *ej)
{
        Job *job = ej->job;

        if (job_is_upload(job)) {
                if (!ej->failure.file)
                        fill_upload(ej);
                return;
        }
        while (ej->cursor < job->n_files && may_start_another(ej)) {
                File *file = job->files[ej->cursor];

                if (ej->failure.file && file->index >= ej->failure.file->index)
                        return; /* JOB-472 */
                ej->cursor++;
                if (file->transferred || file->transfer || file->idle)
                        continue;
                if (!start_file(ej, file) || !ej->running)
                        return;
        }
}

static Purpose local_purpose(const Job *job)
{
        if (!job_is_upload(job))
                return PURPOSE_TEMPORARY_FILE;
        return job->reply ? PURPOSE_REPLY_FILE : PURPOSE_READ_SOURCE;
}

/* TOK-45, TOK-46 */
bool engine_acquire_workers(EngineJob *ej)
{
        WorkerPool *pool = ej->engine->pool;
        WorkerIdentity certificate;

        if (http_has_certificate(&ej->job->http) &&
            !engine_identity(ej->job, PURPOSE_CLIENT_CERTIFICATE, &certificate))
                return false;
        ej->local = engine_acquire(pool, ej->job, WORKER_FILE, local_purpose(ej->job));
        ej->net = engine_acquire(pool, ej->job, WORKER_NET, PURPOSE_HTTP);
        return ej->local && ej->net;
}
