#include "manager/engine.h"

#include "basic/clock.h"
#include "core/fill.h"
#include "manager/late.h"
#include "manager/transfer.h"
#include "store/service-clock.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

enum {
        FILES_AT_ONCE = 64,  /* of one job, opening, fetching or syncing */
        TRANSFERS_MAX = 512, /* of all jobs; beyond it each running job has one */
};

#define DAY_USEC        (24 * 60 * 60 * USEC_PER_SEC)
/* How long the store may know no better than before where the clock of the service is. */
#define CLOCK_NOTE_USEC (60 * 60 * USEC_PER_SEC)

typedef struct EngineJob EngineJob;

struct EngineJob {
        Engine *engine;
        Job *job;
        Worker *local, *net; /* while running */
        Worker *remote;      /* likewise, from the first file that is a file of this machine */
        bool running;        /* its turn */
        EngineStopped on_stopped;
        void *stopped_userdata;

        unsigned n_transfers;
        size_t cursor; /* every file before it is transferred or on its way */
};

struct Engine {
        sd_event *event;
        WorkerPool *pool;
        Store *store;
        Turn *turn;
        const EngineListener *listener;
        void *userdata;
        const Presence *presence; /* NULL: everybody is signed on */
        const Config *config;     /* NULL: BITS's defaults */

        Queue queue;
        unsigned n_transfers;
        Late dispatch; /* at the end of this iteration */
        sd_event_source *timer;
};

static Now now_of(const Engine *engine)
{
        return (Now){ service_clock_now(store_clock(engine->store)), clock_usec(CLOCK_REALTIME) };
}

/* JOB-25: no change of state without news of it. */
static void changed(Engine *engine, Job *job, StoreUrgency urgency)
{
        store_mark_job(engine->store, job, urgency);
        turn_schedule(engine->turn);
        engine->listener->on_modified(engine->userdata, job);
}

/* ---- the job's turn ---- */

static void release_workers(EngineJob *ej)
{
        worker_release(ej->local);
        worker_release(ej->net);
        worker_release(ej->remote);
        ej->local = ej->net = ej->remote = NULL;
}

static void stop_transfers(EngineJob *ej)
{
        Job *job = ej->job;

        File *file;

        for (size_t i = 0; ej->n_transfers > 0 && (file = job_file(job, i)); i++)
                if (file->transfer)
                        transfer_stop(file->transfer);
}

/* Ends the turn, whatever the reason: transfers wind down by themselves. */
static void leave_turn(EngineJob *ej)
{
        ej->running = false;
        release_workers(ej);
        stop_transfers(ej);
}

static bool signed_on(void *userdata, const Job *job)
{
        const Presence *presence = ((const Engine *)userdata)->presence;

        return !presence || presence->signed_on(presence->userdata, job->owner);
}

/* ---- failing ---- */

static void fail(Engine *engine, Job *job, const File *file, bool transient, ErrorContext context,
                 BitsCode code, const char *detail)
{
        transient = transient && !http_has_custom_method(&job->http); /* NET-159 */
        queue_fail(&engine->queue, job, file, transient, context, code, detail, now_of(engine));
}

static void tell_token(Engine *engine, Job *job)
{
        if (engine->listener->on_token)
                engine->listener->on_token(engine->userdata, job);
}

static void drop_token(Engine *engine, Job *job)
{
        if (!job->token)
                return;
        token_free(job->token);
        job->token = NULL;
        tell_token(engine, job);
}

static void fail_unserved(Engine *engine, Job *job, const TransferReport *report)
{
        bool fatal;
        BitsCode code = engine_work_result_code(report->result, &fatal);

        /* It wound down: the job is not what failed, and may have another token by now. */
        if (report->result == WORK_DISMISSED || !job->engine->running)
                return;
        if (code == BG_E_TOKEN_REQUIRED)
                drop_token(engine, job);
        fail(engine, job, NULL, !fatal, CONTEXT_GENERAL_QUEUE_MANAGER, code,
             engine_work_result_text(report->result));
}

/* ENG-46 */
static void fail_token_required(Engine *engine, Job *job)
{
        fail(engine, job, NULL, false, CONTEXT_GENERAL_QUEUE_MANAGER, BG_E_TOKEN_REQUIRED,
             "the flags give work to a helper token, but the job has none; set one and resume, or "
             "clear the flags and resume");
}

/* ---- transfers ---- */

static void fill(EngineJob *ej);

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
static void finish_if_done(Engine *engine, Job *job)
{
        if (job_is_transferred(job))
                (void)queue_event(&engine->queue, job, EVENT_FINISHED, now_of(engine));
        else if (is_idle(job))
                (void)queue_event(&engine->queue, job, EVENT_RANGES_FILLED, now_of(engine));
}

static void on_connected(void *userdata, Transfer *transfer)
{
        Engine *engine = userdata;
        Job *job = transfer_file(transfer)->job;

        if (job->state == STATE_CONNECTING)
                (void)queue_event(&engine->queue, job, EVENT_CONNECTED, now_of(engine));
}

static void on_progress(void *userdata, Transfer *transfer)
{
        Engine *engine = userdata;
        Job *job = transfer_file(transfer)->job;

        queue_progress(&engine->queue, job, now_of(engine));
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

        queue_progress(&engine->queue, job, now_of(engine));
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
                fail_file(engine, file, report);
        else if (report->end == TRANSFER_UNSERVED)
                fail_unserved(engine, job, report);
        transfer_free(transfer);
        if (ej->running)
                fill(ej);
        finish_if_done(engine, job);
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

/* Keeps as many files on their way as a job may have. JOB-43 */
static void fill(EngineJob *ej)
{
        Job *job = ej->job;

        if (job_is_upload(job)) {
                fill_upload(ej);
                return;
        }

        while (ej->cursor < job->n_files && may_start_another(ej)) {
                File *file = job->files[ej->cursor++];

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

/* TOK-45, TOK-46: whoever is meant now; the kept bytes belong to the file, not to him. */
static bool acquire_workers(EngineJob *ej)
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

/* ---- what the queue wants ---- */

static void on_turn(void *userdata, Job *job)
{
        Engine *engine = userdata;
        EngineJob *ej = job->engine;

        ej->running = true;
        if (!acquire_workers(ej)) {
                fail_token_required(engine, job);
                return;
        }
        ej->cursor = 0;
        for (size_t i = 0; i < job->n_files; i++)
                job->files[i]->idle = false;
        fill(ej);
        finish_if_done(engine, job);
}

static void on_turn_over(void *userdata, Job *job)
{
        (void)userdata;
        leave_turn(job->engine);
}

static void on_changed(void *userdata, Job *job, bool promised)
{
        changed(userdata, job, promised ? STORE_PROMISED : STORE_LAZY);
}

static void on_transferred(void *userdata, Job *job)
{
        Engine *engine = userdata;

        engine->listener->on_transferred(engine->userdata, job);
}

static void on_error(void *userdata, Job *job)
{
        Engine *engine = userdata;

        engine->listener->on_error(engine->userdata, job);
}

static void on_inactive(void *userdata, Job *job)
{
        Engine *engine = userdata;

        if (engine->listener->on_inactive)
                engine->listener->on_inactive(engine->userdata, job);
}

static void on_wanted(void *userdata)
{
        late_want(&((Engine *)userdata)->dispatch);
}

/* ENG-224: one timer of the kernel for all jobs. While any of them counts time, the store hears now
   and then where the clock is. */
static void arm(Engine *engine)
{
        const ServiceClock *clock = store_clock(engine->store);
        uint64_t deadline = queue_deadline(&engine->queue);

        if (deadline == TIMERS_NEVER) {
                (void)sd_event_source_set_enabled(engine->timer, SD_EVENT_OFF);
                return;
        }
        deadline = MIN(deadline, service_clock_now(clock) + CLOCK_NOTE_USEC);
        (void)sd_event_source_set_time(engine->timer, service_clock_to_boottime(clock, deadline));
        (void)sd_event_source_set_enabled(engine->timer, SD_EVENT_ONESHOT);
}

static void on_dispatch(void *userdata)
{
        Engine *engine = userdata;

        queue_run(&engine->queue, now_of(engine));
        arm(engine);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Engine *engine = userdata;

        (void)source;
        (void)usec;
        store_note_clock(engine->store);
        turn_schedule(engine->turn);
        on_dispatch(engine);
        return 0;
}

/* ---- the engine ---- */

int engine_new(sd_event *event, WorkerPool *pool, Store *store, Turn *turn,
               const EngineListener *listener, void *userdata, Engine **ret)
{
        static const QueueListener queue_listener = {
                .on_turn = on_turn,
                .on_turn_over = on_turn_over,
                .on_changed = on_changed,
                .on_transferred = on_transferred,
                .on_error = on_error,
                .on_inactive = on_inactive,
                .on_wanted = on_wanted,
                .signed_on = signed_on,
        };
        _cleanup_(engine_freep) Engine *engine = calloc(1, sizeof(*engine));
        uint64_t seed = 0;
        int r;

        if (!engine)
                return -ENOMEM;
        if (getrandom(&seed, sizeof(seed), 0) < 0)
                seed = clock_usec(CLOCK_REALTIME);
        queue_init(&engine->queue, seed, &queue_listener, engine);
        engine->event = event;
        engine->pool = pool;
        engine->store = store;
        engine->turn = turn;
        engine->listener = listener;
        engine->userdata = userdata;
        r = late_init(&engine->dispatch, event, LOOP_ENGINE, on_dispatch, engine);
        if (r >= 0)
                r = sd_event_add_time(event, &engine->timer, CLOCK_BOOTTIME, 0, 0, on_timer,
                                      engine);
        if (r >= 0)
                r = sd_event_source_set_enabled(engine->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(engine);
        return 0;
}

void engine_set_presence(Engine *engine, const Presence *presence)
{
        engine->presence = presence;
}

void engine_set_gate(Engine *engine, const Gate *gate)
{
        engine->queue.gate = gate;
}

/* POL-212 */
void engine_set_config(Engine *engine, const Config *config)
{
        const TimerLimits limits = { .inactivity = config->job_inactivity_timeout * DAY_USEC,
                                     .download_time = config->max_download_time };

        engine->config = config;
        queue_set_places(&engine->queue, config->max_background_jobs);
        queue_set_limits(&engine->queue, &limits);
}

void engine_free(Engine *engine)
{
        if (!engine)
                return;
        late_done(&engine->dispatch);
        sd_event_source_disable_unref(engine->timer);
        queue_done(&engine->queue);
        free(engine);
}

int engine_adopt(Engine *engine, Job *job)
{
        EngineJob *ej = calloc(1, sizeof(*ej));
        int r;

        if (!ej)
                return -ENOMEM;
        ej->engine = engine;
        ej->job = job;
        job->engine = ej;
        r = queue_add(&engine->queue, job, now_of(engine));
        if (r < 0) {
                free(ej);
                job->engine = NULL;
        }
        return r;
}

void engine_release(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;
        File *file;

        if (!ej)
                return;
        queue_remove(&engine->queue, job);
        release_workers(ej);
        for (size_t i = 0; (file = job_file(job, i)); i++)
                transfer_free(file->transfer);
        free(ej);
        job->engine = NULL;
}

BitsCode engine_resume(Engine *engine, Job *job, QueueMove *ret)
{
        return queue_resume(job, now_of(engine), ret);
}

BitsCode engine_suspend(Engine *engine, Job *job, QueueMove *ret)
{
        return queue_suspend(job, now_of(engine), ret);
}

/* RNG-197 */
BitsCode engine_invalidate(Engine *engine, Job *job, File *file, QueueMove *ret)
{
        BitsCode code = queue_invalidate(job, file, now_of(engine), ret);

        if (code == 0)
                file_reset(file);
        return code;
}

void engine_follow(Engine *engine, Job *job, const QueueMove *move)
{
        queue_follow(&engine->queue, job, move, now_of(engine));
}

void engine_lay_aside(Engine *engine, Job *job)
{
        (void)queue_event(&engine->queue, job, EVENT_SUSPEND, now_of(engine));
}

void engine_touched(Engine *engine, Job *job)
{
        if (job->engine)
                queue_touched(&engine->queue, job, now_of(engine));
}

void engine_files_added(Engine *engine, Job *job)
{
        if (job->engine->running)
                fill(job->engine);
        changed(engine, job, STORE_PROMISED);
}

/* ---- single files ---- */

void engine_ranges_requested(Engine *engine, Job *job, File *file)
{
        EngineJob *ej = job->engine;

        file->idle = false;
        if (file->transfer)
                transfer_reconsider(file->transfer);
        else if (ej->running && !file->transferred) {
                ej->cursor = MIN(ej->cursor, (size_t)file->index);
                fill(ej);
        }
        changed(engine, job, STORE_PROMISED);
}

void engine_mode_changed(Engine *engine, Job *job)
{
        (void)engine;
        for (size_t i = 0; i < job->n_files; i++) {
                job->files[i]->idle = false;
                if (job->files[i]->transfer)
                        transfer_stop(job->files[i]->transfer);
        }
}

/* RNG-181: the transfer goes on from what is kept, if that fits. */
void engine_remote_name_changed(Engine *engine, Job *job, File *file)
{
        if (file->transfer)
                transfer_stop(file->transfer);
        changed(engine, job, STORE_PROMISED);
}

void engine_priority_changed(Engine *engine, Job *job)
{
        queue_priority_changed(&engine->queue, job, now_of(engine));
}

/* ENG-47 */
void engine_identity_changed(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;

        tell_token(engine, job);
        queue_owner_changed(&engine->queue, job, now_of(engine)); /* it may be another one */
        if (!ej->running)
                return;
        release_workers(ej);
        if (!acquire_workers(ej)) {
                fail_token_required(engine, job);
                return;
        }
        /* TOK-47: each ends with its bytes kept; fill() then starts it again on the new workers. */
        ej->running = false;
        stop_transfers(ej);
        ej->running = true;
        fill(ej);
}

/* ---- users who leave ---- */

/* TOK-62, TOK-63: `why` the token ended. A job that is suspended, failed or transferred will say
   that it needs one when it does. */
static void lose_token(Engine *engine, Job *job, const char *why)
{
        _cleanup_free_ char *detail = NULL;

        drop_token(engine, job);
        if (job->token_flags == 0 || job->pending != PENDING_NONE)
                return;
        if (asprintf(&detail,
                     "%s, which ended the helper token; set a new one and resume, or clear the "
                     "flags and resume",
                     why) < 0)
                detail = NULL;
        (void)queue_condemn(&engine->queue, job, NULL, EVENT_TOKEN_REQUIRED,
                            CONTEXT_GENERAL_QUEUE_MANAGER, BG_E_TOKEN_REQUIRED, detail,
                            now_of(engine));
}

void engine_token_ended(Engine *engine, Job *job, const char *why)
{
        lose_token(engine, job, why);
        changed(engine, job, STORE_LAZY);
}

void engine_signed_off(Engine *engine, Job *job)
{
        _cleanup_free_ char *why = NULL;
        const Presence *presence = engine->presence;

        if (asprintf(&why, "the owner %s signed off",
                     presence->user_name(presence->userdata, job->owner)) < 0)
                why = NULL;
        lose_token(engine, job, why ? why : "the owner signed off");
        if (job->pending == PENDING_NONE)
                queue_owner_changed(&engine->queue, job, now_of(engine));
        changed(engine, job, STORE_LAZY);
}

void engine_signed_on(Engine *engine, Job *job)
{
        queue_owner_changed(&engine->queue, job, now_of(engine));
        changed(engine, job, STORE_LAZY);
}

void engine_reconsider(Engine *engine, Job *job)
{
        queue_reconsider(&engine->queue, job, now_of(engine));
}

void engine_network_back(Engine *engine, Job *job)
{
        queue_network_back(&engine->queue, job, now_of(engine));
}

bool engine_is_at_rest(const Engine *engine)
{
        return engine->n_transfers == 0;
}

void engine_hold(Engine *engine, Job *job, EngineStopped on_stopped, void *userdata)
{
        EngineJob *ej = job->engine;

        queue_hold(&engine->queue, job, now_of(engine));
        if (ej->n_transfers == 0) {
                on_stopped(userdata, job);
                return;
        }
        ej->on_stopped = on_stopped;
        ej->stopped_userdata = userdata;
}

void engine_unhold(Engine *engine, Job *job)
{
        queue_unhold(&engine->queue, job, now_of(engine));
}

/* ---- what it waits for ---- */

const Presence *engine_presence(const Engine *engine)
{
        return engine->presence;
}

WaitKind engine_wait_kind(const Engine *engine, const Job *job)
{
        return queue_wait_kind(&engine->queue, job);
}

uint64_t engine_next_attempt(const Engine *engine, const Job *job)
{
        uint64_t at = queue_next_attempt(job);
        Now now = now_of(engine);

        return at == 0 ? 0 : now.realtime + (at > now.clock ? at - now.clock : 0);
}

uint32_t engine_download_time(const Engine *engine, const Job *job)
{
        return timers_download_time(job, &engine->queue.limits);
}
