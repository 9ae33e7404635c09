#include "manager/engine-turn.h"

#include "basic/clock.h"
#include "basic/random.h"
#include "manager/late.h"
#include "manager/transfer.h"
#include "store/service-clock.h"

#include <stdio.h>
#include <time.h>

#define DAY_USEC        (24 * 60 * 60 * USEC_PER_SEC)
/* How long the store may know no better than before where the clock of the service is. */
#define CLOCK_NOTE_USEC (60 * 60 * USEC_PER_SEC)

Now engine_now(const Engine *engine)
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

static bool signed_on(void *userdata, const Job *job)
{
        const Presence *presence = ((const Engine *)userdata)->presence;

        return !presence || presence->signed_on(presence->userdata, job->owner);
}

/* ---- what the queue wants ---- */

static void on_turn(void *userdata, Job *job)
{
        Engine *engine = userdata;
        EngineJob *ej = job->engine;

        ej->running = true;
        if (!engine_acquire_workers(ej)) {
                engine_fail_token_required(engine, job);
                return;
        }
        ej->cursor = 0;
        for (size_t i = 0; i < job->n_files; i++)
                job->files[i]->idle = false;
        engine_start_files(ej);
        engine_finish_if_done(engine, job);
}

static void on_turn_over(void *userdata, Job *job)
{
        (void)userdata;
        engine_leave_turn(job->engine);
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

        queue_run(&engine->queue, engine_now(engine));
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
        if (random_bytes(&seed, sizeof(seed)) < 0)
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
        r = queue_add(&engine->queue, job, engine_now(engine));
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
        engine_forget_failure(ej);
        engine_release_workers(ej);
        for (size_t i = 0; (file = job_file(job, i)); i++)
                transfer_free(file->transfer);
        free(ej);
        job->engine = NULL;
}

BitsCode engine_resume(Engine *engine, Job *job, QueueMove *ret)
{
        return queue_resume(job, engine_now(engine), ret);
}

BitsCode engine_suspend(Engine *engine, Job *job, QueueMove *ret)
{
        return queue_suspend(job, engine_now(engine), ret);
}

/* RNG-197 */
BitsCode engine_invalidate(Engine *engine, Job *job, File *file, QueueMove *ret)
{
        BitsCode code = queue_invalidate(job, file, engine_now(engine), ret);

        if (code == 0)
                file_reset(file);
        return code;
}

void engine_follow(Engine *engine, Job *job, const QueueMove *move)
{
        queue_follow(&engine->queue, job, move, engine_now(engine));
}

void engine_lay_aside(Engine *engine, Job *job)
{
        (void)queue_event(&engine->queue, job, EVENT_SUSPEND, engine_now(engine));
}

void engine_touched(Engine *engine, Job *job)
{
        if (job->engine)
                queue_touched(&engine->queue, job, engine_now(engine));
}

void engine_files_added(Engine *engine, Job *job)
{
        if (job->engine->running)
                engine_start_files(job->engine);
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
                engine_start_files(ej);
        }
        changed(engine, job, STORE_PROMISED);
}

void engine_mode_changed(Engine *engine, Job *job)
{
        (void)engine;
        engine_forget_failure(job->engine);
        for (size_t i = 0; i < job->n_files; i++) {
                job->files[i]->idle = false;
                if (job->files[i]->transfer)
                        transfer_stop(job->files[i]->transfer);
        }
}

/* RNG-181: the transfer goes on from what is kept, if that fits. */
void engine_remote_name_changed(Engine *engine, Job *job, File *file)
{
        EngineJob *ej = job->engine;

        if (file->transfer)
                transfer_stop(file->transfer);
        else if (ej->failure.file == file) {
                engine_forget_failure(ej);
                engine_start_files(ej);
        }
        changed(engine, job, STORE_PROMISED);
}

void engine_priority_changed(Engine *engine, Job *job)
{
        queue_priority_changed(&engine->queue, job, engine_now(engine));
}

/* ENG-47 */
void engine_identity_changed(Engine *engine, Job *job)
{
        EngineJob *ej = job->engine;

        engine_tell_token(engine, job);
        queue_owner_changed(&engine->queue, job, engine_now(engine)); /* it may be another one */
        if (!ej->running)
                return;
        engine_forget_failure(ej);
        engine_release_workers(ej);
        if (!engine_acquire_workers(ej)) {
                engine_fail_token_required(engine, job);
                return;
        }
        /* TOK-47: each ends with its bytes kept, and is then started again on the new workers. */
        ej->running = false;
        engine_stop_transfers(ej);
        ej->running = true;
        engine_start_files(ej);
}

/* ---- users who leave ---- */

/* TOK-62, TOK-63: `why` the token ended. A job that is suspended, failed or transferred will say
   that it needs one when it does. */
static void lose_token(Engine *engine, Job *job, const char *why)
{
        _cleanup_free_ char *detail = NULL;

        engine_drop_token(engine, job);
        if (job->token_flags == 0 || job->pending != PENDING_NONE)
                return;
        if (asprintf(&detail,
                     "%s, which ended the helper token; set a new one and resume, or clear the "
                     "flags and resume",
                     why) < 0)
                detail = NULL;
        (void)queue_condemn(&engine->queue, job, NULL, EVENT_TOKEN_REQUIRED,
                            CONTEXT_GENERAL_QUEUE_MANAGER, BG_E_TOKEN_REQUIRED, detail,
                            engine_now(engine));
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
                queue_owner_changed(&engine->queue, job, engine_now(engine));
        changed(engine, job, STORE_LAZY);
}

void engine_signed_on(Engine *engine, Job *job)
{
        queue_owner_changed(&engine->queue, job, engine_now(engine));
        changed(engine, job, STORE_LAZY);
}

void engine_reconsider(Engine *engine, Job *job)
{
        queue_reconsider(&engine->queue, job, engine_now(engine));
}

void engine_network_back(Engine *engine, Job *job)
{
        queue_network_back(&engine->queue, job, engine_now(engine));
}

bool engine_winds_down(const Job *job)
{
        return job->engine->n_transfers > 0;
}

bool engine_is_at_rest(const Engine *engine)
{
        return engine->n_transfers == 0;
}

void engine_hold(Engine *engine, Job *job, EngineStopped on_stopped, void *userdata)
{
        EngineJob *ej = job->engine;

        queue_hold(&engine->queue, job, engine_now(engine));
        if (ej->n_transfers == 0) {
                on_stopped(userdata, job);
                return;
        }
        ej->on_stopped = on_stopped;
        ej->stopped_userdata = userdata;
}

void engine_unhold(Engine *engine, Job *job)
{
        queue_unhold(&engine->queue, job, engine_now(engine));
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
        Now now = engine_now(engine);

        return at == 0 ? 0 : now.realtime + (at > now.clock ? at - now.clock : 0);
}

uint32_t engine_download_time(const Engine *engine, const Job *job)
{
        return timers_download_time(job, &engine->queue.limits);
}
