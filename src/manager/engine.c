#include "manager/engine.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "manager/late.h"
#include "manager/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

enum {
        FILES_AT_ONCE = 64,     /* of one job, opening, fetching or syncing */
        TRANSFERS_MAX = 512,    /* of all jobs; beyond it each running job has one */
        BACKGROUND_AT_ONCE = 1, /* jobs (reference 02 section 6) */
};

#define SLICE_USEC       (5 * 60 * USEC_PER_SEC)
#define RETRY_LIMIT_USEC (60 * 60 * USEC_PER_SEC)

typedef struct EngineJob EngineJob;

struct EngineJob {
        Engine *engine;
        Job *job;
        Worker *local, *net; /* while running */
        bool running;
        bool held;
        EngineStopped on_stopped;
        void *stopped_userdata;

        unsigned n_transfers;
        size_t cursor; /* every file before it is transferred or on its way */

        sd_event_source *retry;
        uint64_t retry_at;      /* µs, CLOCK_BOOTTIME */
        uint64_t first_failure; /* of the failures since the last progress, 0: none */
        unsigned failures;
};

struct Engine {
        sd_event *event;
        WorkerPool *pool;
        Store *store;
        Turn *turn;
        const EngineListener *listener;
        void *userdata;
        const Presence *presence; /* NULL: everybody is signed on */
        const Gate *gate;         /* NULL: nothing is in the way */
        const Config *config;     /* NULL: BITS's defaults */

        Schedule schedule;
        unsigned n_transfers;
        Late dispatch; /* at the end of this iteration */
        sd_event_source *slice;
};

static Job *job_of(ScheduleEntry *entry)
{
        return (Job *)((char *)entry - offsetof(Job, schedule));
}

static void kick(Engine *engine)
{
        late_want(&engine->dispatch);
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
        ej->local = ej->net = NULL;
}

static void stop_transfers(EngineJob *ej)
{
        Job *job = ej->job;

        for (size_t i = 0; i < job->n_files && ej->n_transfers > 0; i++)
                if (job->files[i]->transfer)
                        transfer_stop(job->files[i]->transfer);
}

/* Ends the turn, whatever the reason: transfers wind down by themselves. */
static void leave_turn(EngineJob *ej)
{
        ej->running = false;
        release_workers(ej);
        stop_transfers(ej);
}

static void cancel_retry(EngineJob *ej)
{
        if (ej->retry)
                (void)sd_event_source_set_enabled(ej->retry, SD_EVENT_OFF);
        ej->retry_at = 0;
}

static bool signed_on(const Engine *engine, const Job *job)
{
        return !engine->presence ||
               engine->presence->signed_on(engine->presence->userdata, job->owner);
}

/* JOB-221: whoever asks before a job waits for its turn hears why it may not; the retry is not a
   matter of time then. */
static void ask_gate(Engine *engine, Job *job)
{
        const char *detail = NULL;
        BitsCode code;

        if (!engine->gate || !job_state_is_runnable(job->state) || job->engine->held ||
            !signed_on(engine, job))
                return;
        code = engine->gate->check(engine->gate->userdata, job, &detail);
        if (code == 0)
                return;
        job_set_fault(job, NULL, CONTEXT_GENERAL_QUEUE_MANAGER, code, detail);
        (void)job_transition(job,
                             code == BG_E_NETWORK_DISCONNECTED ? EVENT_NETWORK_LOST : EVENT_BLOCKED,
                             clock_usec(CLOCK_REALTIME));
}

/* The schedule follows the state, the gate, and the owner. ENG-64 */
static void follow_state(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;

        ask_gate(engine, job);
        if (job->state != STATE_TRANSIENT_ERROR)
                cancel_retry(ej);
        if (job_state_is_runnable(job->state) && !ej->held && signed_on(engine, job)) {
                if (!job->schedule.member)
                        schedule_insert(&engine->schedule, &job->schedule, job->priority);
        } else {
                schedule_remove(&engine->schedule, &job->schedule);
                if (ej->running)
                        leave_turn(ej);
        }
        kick(engine);
}

static BitsCode transition(Engine *engine, Job *job, JobEvent event, StoreUrgency urgency)
{
        BitsCode code = job_transition(job, event, clock_usec(CLOCK_REALTIME));

        if (code != 0)
                return code;
        follow_state(engine, job);
        changed(engine, job, urgency);
        return 0;
}

/* ---- failing and trying again ---- */

static void forget_failures(EngineJob *ej)
{
        ej->failures = 0;
        ej->first_failure = 0;
}

/* The delay is a minimum: doubled with each failure, up to an hour, and spread a little. BUS-08 */
static uint64_t retry_delay(const EngineJob *ej)
{
        uint64_t least = ej->job->minimum_retry_delay * USEC_PER_SEC;
        uint64_t delay = least, jitter = 0;

        for (unsigned i = 1; i < ej->failures && delay < RETRY_LIMIT_USEC; i++)
                delay *= 2;
        delay = MAX(MIN(delay, RETRY_LIMIT_USEC), least);
        if (getrandom(&jitter, sizeof(jitter), 0) < 0)
                jitter = 0;
        return delay + jitter % (delay / 10 + 1);
}

static uint64_t no_progress_deadline(const EngineJob *ej)
{
        return ej->first_failure + ej->job->no_progress_timeout * USEC_PER_SEC;
}

/* JOB-66, ENG-45 */
static bool out_of_patience(const EngineJob *ej, uint64_t now)
{
        return ej->job->no_progress_timeout == 0 ||
               ej->job->minimum_retry_delay > ej->job->no_progress_timeout ||
               now >= no_progress_deadline(ej);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        EngineJob *ej = userdata;
        Engine *engine = ej->engine;
        bool over = ej->first_failure > 0 && clock_usec(CLOCK_BOOTTIME) >= no_progress_deadline(ej);

        (void)source;
        (void)usec;
        if (!over) {
                (void)transition(engine, ej->job, EVENT_RETRY, STORE_LAZY);
                return 0;
        }
        if (transition(engine, ej->job, EVENT_TIMED_OUT, STORE_PROMISED) == 0)
                engine->listener->on_error(engine->userdata, ej->job);
        return 0;
}

/* JOB-62 */
static void arm_retry(EngineJob *ej)
{
        uint64_t now = clock_usec(CLOCK_BOOTTIME);

        ej->retry_at = MIN(now + retry_delay(ej), no_progress_deadline(ej));
        if (!ej->retry && sd_event_add_time(ej->engine->event, &ej->retry, CLOCK_BOOTTIME,
                                            ej->retry_at, 0, on_retry, ej) < 0) {
                log_error("out of memory: job %s is not tried again by itself", ej->job->id);
                return;
        }
        (void)sd_event_source_set_time(ej->retry, ej->retry_at);
        (void)sd_event_source_set_enabled(ej->retry, SD_EVENT_ONESHOT);
}

/* JOB-60, JOB-61: the job keeps context, code, sentence and file. JOB-67: only the end is told.
   ENG-44, ENG-51 */
static void fail(Engine *engine, Job *job, const File *file, bool transient, ErrorContext context,
                 BitsCode code, const char *detail)
{
        EngineJob *ej = job->engine;
        uint64_t now = clock_usec(CLOCK_BOOTTIME);
        JobEvent event;

        if (!job_state_is_runnable(job->state))
                return; /* another file was first, or a call */
        ej->failures++;
        if (ej->first_failure == 0)
                ej->first_failure = now;
        transient = transient && !out_of_patience(ej, now);
        job_set_fault(job, file, context, code, detail);
        event = code == BG_E_TOKEN_REQUIRED ? EVENT_TOKEN_REQUIRED
                : transient                 ? EVENT_FAILED_TRANSIENT
                                            : EVENT_FAILED_FATAL;
        if (transition(engine, job, event, STORE_PROMISED) != 0)
                return;
        if (job->state == STATE_TRANSIENT_ERROR)
                arm_retry(ej);
        else
                engine->listener->on_error(engine->userdata, job);
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

/* JOB-24, ENG-43: each file is told before the job. DUR-22: and the job after its commit. */
static void finish_if_done(Engine *engine, Job *job)
{
        if (job->n_transferred < job->n_files || !job_state_is_runnable(job->state))
                return;
        if (transition(engine, job, EVENT_FINISHED, STORE_PROMISED) == 0)
                engine->listener->on_transferred(engine->userdata, job);
}

static void on_connected(void *userdata, Transfer *transfer)
{
        Engine *engine = userdata;
        Job *job = transfer_file(transfer)->job;

        if (job->state == STATE_CONNECTING)
                (void)transition(engine, job, EVENT_CONNECTED, STORE_LAZY);
}

static void on_progress(void *userdata, Transfer *transfer)
{
        Engine *engine = userdata;
        Job *job = transfer_file(transfer)->job;

        forget_failures(job->engine);
        engine->listener->on_modified(engine->userdata, job);
}

static void file_done(Engine *engine, File *file)
{
        Job *job = file->job;

        forget_failures(job->engine);
        file_set_transferred(file, true);
        engine->listener->on_file_transferred(engine->userdata, job, file);
}

static void on_end(void *userdata, Transfer *transfer, const TransferReport *report)
{
        Engine *engine = userdata;
        File *file = transfer_file(transfer);
        Job *job = file->job;
        EngineJob *ej = job->engine;

        ej->n_transfers--;
        engine->n_transfers--;
        if (report->end == TRANSFER_DONE)
                file_done(engine, file);
        else
                ej->cursor = MIN(ej->cursor, (size_t)file->index);
        store_mark_file(engine->store, file, STORE_LAZY);
        turn_schedule(engine->turn);
        if (report->end == TRANSFER_FAILED)
                fail(engine, job, file, error_is_transient(report->code), report->context,
                     report->code, report->detail);
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
}

static bool start_file(EngineJob *ej, File *file)
{
        static const TransferListener listener = {
                .on_connected = on_connected,
                .on_progress = on_progress,
                .on_end = on_end,
        };
        Engine *engine = ej->engine;
        Transfer *transfer;

        ej->n_transfers++;
        engine->n_transfers++;
        if (transfer_new(file, ej->local, ej->net, engine->store, engine->turn, &listener, engine,
                         &transfer) >= 0)
                return true;
        ej->n_transfers--;
        engine->n_transfers--;
        return false;
}

static bool may_start_another(const EngineJob *ej)
{
        return ej->n_transfers == 0 ||
               (ej->n_transfers < FILES_AT_ONCE && ej->engine->n_transfers < TRANSFERS_MAX);
}

/* Keeps as many files on their way as a job may have. JOB-43 */
static void fill(EngineJob *ej)
{
        Job *job = ej->job;

        while (ej->cursor < job->n_files && may_start_another(ej)) {
                File *file = job->files[ej->cursor++];

                if (file->transferred || file->transfer)
                        continue;
                if (!start_file(ej, file) || !ej->running)
                        return;
        }
}

/* TOK-45, TOK-46: whoever is meant now; the kept bytes belong to the file, not to him. */
static bool acquire_workers(EngineJob *ej)
{
        WorkerIdentity local, net;

        if (!engine_identity(ej->job, PURPOSE_TEMPORARY_FILE, &local) ||
            !engine_identity(ej->job, PURPOSE_HTTP, &net))
                return false;
        ej->local = worker_acquire(ej->engine->pool, WORKER_FILE, &local);
        ej->net = worker_acquire(ej->engine->pool, WORKER_NET, &net);
        return ej->local && ej->net;
}

static void start_job(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;

        ej->running = true;
        if (job->state == STATE_QUEUED)
                (void)transition(engine, job, EVENT_PICKED, STORE_LAZY);
        if (!ej->running)
                return;
        if (!acquire_workers(ej)) {
                fail_token_required(engine, job);
                return;
        }
        ej->cursor = 0;
        fill(ej);
        finish_if_done(engine, job);
}

static void yield_job(Engine *engine, Job *job)
{
        schedule_stopped(&engine->schedule, &job->schedule);
        leave_turn(job->engine);
        (void)transition(engine, job, EVENT_YIELDED, STORE_LAZY);
}

static void arm_slice(Engine *engine)
{
        uint64_t deadline = schedule_deadline(&engine->schedule);

        if (deadline == SCHEDULE_NEVER) {
                (void)sd_event_source_set_enabled(engine->slice, SD_EVENT_OFF);
                return;
        }
        (void)sd_event_source_set_time(engine->slice, deadline);
        (void)sd_event_source_set_enabled(engine->slice, SD_EVENT_ONESHOT);
}

/* JOB-48, JOB-49, JOB-50: schedule.h decides. */
static void on_dispatch(void *userdata)
{
        Engine *engine = userdata;
        ScheduleEntry *entry;
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        while ((entry = schedule_next_to_stop(&engine->schedule, now)))
                yield_job(engine, job_of(entry));
        while ((entry = schedule_next_to_start(&engine->schedule))) {
                schedule_started(&engine->schedule, entry, now);
                start_job(engine, job_of(entry));
        }
        arm_slice(engine);
}

static int on_slice(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        on_dispatch(userdata);
        return 0;
}

/* ---- the engine ---- */

int engine_new(sd_event *event, WorkerPool *pool, Store *store, Turn *turn,
               const EngineListener *listener, void *userdata, Engine **ret)
{
        _cleanup_(engine_freep) Engine *engine = calloc(1, sizeof(*engine));
        int r;

        if (!engine)
                return -ENOMEM;
        engine->event = event;
        engine->pool = pool;
        engine->store = store;
        engine->turn = turn;
        engine->listener = listener;
        engine->userdata = userdata;
        schedule_init(&engine->schedule, BACKGROUND_AT_ONCE, SLICE_USEC);
        r = late_init(&engine->dispatch, event, LOOP_ENGINE, on_dispatch, engine);
        if (r >= 0)
                r = sd_event_add_time(event, &engine->slice, CLOCK_MONOTONIC, 0, 0, on_slice,
                                      engine);
        if (r >= 0)
                r = sd_event_source_set_enabled(engine->slice, SD_EVENT_OFF);
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
        engine->gate = gate;
}

/* POL-212 */
void engine_set_config(Engine *engine, const Config *config)
{
        engine->config = config;
        engine->schedule.max_background = config->max_background_jobs;
        kick(engine);
}

void engine_free(Engine *engine)
{
        if (!engine)
                return;
        late_done(&engine->dispatch);
        sd_event_source_disable_unref(engine->slice);
        free(engine);
}

/* JOB-52, JOB-53, DUR-18, DUR-28: what was under way when the daemon ended is queued again. */
int engine_adopt(Engine *engine, Job *job)
{
        EngineJob *ej = calloc(1, sizeof(*ej));

        if (!ej)
                return -ENOMEM;
        ej->engine = engine;
        ej->job = job;
        job->engine = ej;
        if (job->state == STATE_CONNECTING || job->state == STATE_TRANSFERRING)
                (void)transition(engine, job, EVENT_YIELDED, STORE_LAZY);
        else if (job->state == STATE_TRANSIENT_ERROR) {
                ej->failures = 1;
                ej->first_failure = clock_usec(CLOCK_BOOTTIME);
                arm_retry(ej);
        } else
                follow_state(engine, job);
        return 0;
}

void engine_release(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;

        if (!ej)
                return;
        schedule_remove(&engine->schedule, &job->schedule);
        release_workers(ej);
        for (size_t i = 0; i < job->n_files; i++)
                transfer_free(job->files[i]->transfer);
        sd_event_source_disable_unref(ej->retry);
        free(ej);
        job->engine = NULL;
}

/* JOB-47, JOB-69, ENG-48 */
BitsCode engine_resume(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;
        JobState before = job->state;
        BitsCode code;

        if (job->pending != PENDING_NONE)
                return BG_E_INVALID_STATE;
        if (job->state == STATE_TRANSIENT_ERROR || job->state == STATE_ERROR) {
                forget_failures(ej);
        }
        code = transition(engine, job, job_resume_event(job), STORE_PROMISED);
        if (code == 0 && job->state == STATE_TRANSFERRED && before != STATE_TRANSFERRED)
                engine->listener->on_transferred(engine->userdata, job);
        return code;
}

BitsCode engine_suspend(Engine *engine, Job *job)
{
        if (job->pending != PENDING_NONE)
                return BG_E_INVALID_STATE;
        return transition(engine, job, EVENT_SUSPEND, STORE_PROMISED);
}

void engine_files_added(Engine *engine, Job *job)
{
        if (job->engine->running)
                fill(job->engine);
        changed(engine, job, STORE_PROMISED);
}

/* JOB-51, ENG-49 */
void engine_priority_changed(Engine *engine, Job *job)
{
        if (!job->schedule.member)
                return;
        schedule_remove(&engine->schedule, &job->schedule);
        if (job->engine->running) {
                leave_turn(job->engine);
                (void)transition(engine, job, EVENT_YIELDED, STORE_LAZY);
        } else
                schedule_insert(&engine->schedule, &job->schedule, job->priority);
        kick(engine);
}

/* ENG-47 */
void engine_identity_changed(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;

        tell_token(engine, job);
        follow_state(engine, job); /* the owner may be another one */
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
        if (job_state_is_runnable(job->state) || job->state == STATE_TRANSIENT_ERROR) {
                job_set_fault(job, NULL, CONTEXT_GENERAL_QUEUE_MANAGER, BG_E_TOKEN_REQUIRED,
                              detail);
                if (transition(engine, job, EVENT_TOKEN_REQUIRED, STORE_PROMISED) == 0)
                        engine->listener->on_error(engine->userdata, job);
        }
}

void engine_token_ended(Engine *engine, Job *job, const char *why)
{
        lose_token(engine, job, why);
        changed(engine, job, STORE_LAZY);
}

/* ENG-64: waiting for somebody is no failure and costs no patience. */
static void wait_for_owner(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;

        forget_failures(ej);
        if (job->state == STATE_TRANSIENT_ERROR)
                (void)transition(engine, job, EVENT_RETRY, STORE_LAZY);
        else if (job->state == STATE_CONNECTING || job->state == STATE_TRANSFERRING)
                (void)transition(engine, job, EVENT_YIELDED, STORE_LAZY);
        else
                follow_state(engine, job);
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
                wait_for_owner(engine, job);
        changed(engine, job, STORE_LAZY);
}

void engine_signed_on(Engine *engine, Job *job)
{
        follow_state(engine, job);
        changed(engine, job, STORE_LAZY);
}

/* JOB-221 */
void engine_reconsider(Engine *engine, Job *job)
{
        bool waits = job->state == STATE_TRANSIENT_ERROR &&
                     wait_kind_of(job->fault.code) != WAIT_NOTHING && job->engine->retry_at == 0;
        JobState before = job->state;

        if (job->pending != PENDING_NONE)
                return;
        if (waits)
                (void)transition(engine, job, EVENT_UNBLOCKED, STORE_LAZY);
        else
                follow_state(engine, job);
        if (job->state != before)
                changed(engine, job, STORE_LAZY);
}

void engine_network_back(Engine *engine, Job *job)
{
        if (job->pending == PENDING_NONE)
                (void)transition(engine, job, EVENT_NETWORK_BACK, STORE_LAZY);
}

/* ENG-50 */
void engine_hold(Engine *engine, Job *job, EngineStopped on_stopped, void *userdata)
{
        EngineJob *ej = job->engine;

        ej->held = true;
        follow_state(engine, job);
        if (ej->n_transfers == 0) {
                on_stopped(userdata, job);
                return;
        }
        ej->on_stopped = on_stopped;
        ej->stopped_userdata = userdata;
}

void engine_unhold(Engine *engine, Job *job)
{
        job->engine->held = false;
        follow_state(engine, job);
}

/* CLI-65: by number, because names are not known in here. */
static char *helper_needed(const Job *job, const char *next)
{
        char user[16] = "USER", *text;

        if (job->last_helper != JOB_NO_HELPER)
                snprintf(user, sizeof(user), "%u", (unsigned)job->last_helper);
        if (asprintf(&text,
                     "helper token needed: run bits token set %.8s --as %s, then bits %s %.8s",
                     job->id, user, next, job->id) < 0)
                return NULL;
        return text;
}

/* JOB-77 */
char *engine_wait_reason(const Engine *engine, const Job *job)
{
        const EngineJob *ej = job->engine;
        char *text = NULL;
        int r = 0;

        if (!ej)
                return strdup("");
        if (job->state == STATE_QUEUED && !signed_on(engine, job)) {
                const Presence *presence = engine->presence;

                r = asprintf(&text, "waits until %s signs on",
                             presence->user_name(presence->userdata, job->owner));
                return r < 0 ? NULL : text;
        }
        if (job->state == STATE_QUEUED)
                return strdup("waits for its turn");
        if (job->state == STATE_TRANSIENT_ERROR && ej->retry_at > 0) {
                uint64_t now = clock_usec(CLOCK_BOOTTIME);
                uint64_t left = ej->retry_at > now ? ej->retry_at - now : 0;

                r = asprintf(&text, "will be tried again in %" PRIu64 " s",
                             (left + USEC_PER_SEC - 1) / USEC_PER_SEC);
                return r < 0 ? NULL : text;
        }
        if (job->state == STATE_TRANSIENT_ERROR && wait_kind_of(job->fault.code) != WAIT_NOTHING)
                return strdup(wait_kind_text(wait_kind_of(job->fault.code)));
        if (job->state == STATE_ERROR && job->fault.code == BG_E_TOKEN_REQUIRED)
                return helper_needed(job, "resume");
        if (job->state == STATE_TRANSFERRED && job_actor(job, PURPOSE_RENAME) == ACTOR_MISSING)
                return helper_needed(job, "complete");
        return strdup("");
}
