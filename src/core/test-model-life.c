#include "core/test-model-world.h"
struct Report *report;
const char *step_name;

#define SECOND TIMERS_USEC_PER_SEC
#define DAY    (24 * 3600 * SECOND)

enum {
        PATIENCE = 20000,
};

static Now now_of(const World *w)
{
        return (Now){ w->clock, w->clock + 1000 * DAY };
}

static Slot *slot_of(World *w, const Job *job)
{
        for (size_t i = 0; i < JOBS; i++)
                if (w->slots[i].job == job)
                        return &w->slots[i];
        abort();
}

static bool is_there(void *userdata, const Job *job)
{
        return ((World *)userdata)->there[job->owner % USERS];
}

static BitsCode check_gate(void *userdata, const Job *job, const char **ret_detail)
{
        *ret_detail = "gate";
        return ((World *)userdata)->gate[job->priority];
}

/* ---- the engine's part ---- */

static void finish_if_done(World *w, Slot *slot)
{
        if (slot->job->n_transferred == slot->job->n_files)
                (void)queue_event(&w->q, slot->job, EVENT_FINISHED, now_of(w));
}

static void fill(Slot *slot)
{
        for (size_t i = 0; i < slot->job->n_files; i++)
                if (!slot->job->files[i]->transferred && !slot->files[i].active)
                        slot->files[i] = (Fetch){ .active = true, .kept = slot->files[i].kept };
}

static void fail_token_required(World *w, Job *job)
{
        queue_fail(&w->q, job, NULL, false, CONTEXT_GENERAL_QUEUE_MANAGER, BG_E_TOKEN_REQUIRED,
                   NULL, now_of(w));
}

static void on_turn(void *userdata, Job *job)
{
        World *w = userdata;
        Slot *slot = slot_of(w, job);

        CHECK(!slot->running, "a turn in a turn");
        slot->running = true;
        if (!has_identities(job)) {
                fail_token_required(w, job);
                return;
        }
        fill(slot);
        finish_if_done(w, slot);
}

static void on_turn_over(void *userdata, Job *job)
{
        Slot *slot = slot_of(userdata, job);

        slot->running = false;
        for (size_t i = 0; i < job->n_files; i++)
                slot->files[i].stopping = slot->files[i].active;
}

static void on_changed(void *userdata, Job *job, bool promised)
{
        Slot *slot = slot_of(userdata, job);

        CHECK(promised || (job->state != STATE_ERROR && job->state != STATE_TRANSFERRED),
              "an end that need not be stored");
        if (job->state != STATE_ERROR)
                slot->told_error = false;
        if (job->state != STATE_TRANSFERRED)
                slot->told_transferred = false;
}

static void on_error(void *userdata, Job *job)
{
        Slot *slot = slot_of(userdata, job);

        CHECK(job->state == STATE_ERROR && job->fault.code != 0, "an error without one");
        slot->told_error = true;
}

static void on_transferred(void *userdata, Job *job)
{
        Slot *slot = slot_of(userdata, job);

        CHECK(job->state == STATE_TRANSFERRED && !slot->told_transferred, "told twice");
        CHECK(job->n_transferred == job->n_files && job->n_files > 0, "told too early");
        slot->told_transferred = true;
}

static void retire(World *w, Slot *slot, JobEvent event);

static void on_inactive(void *userdata, Job *job)
{
        World *w = userdata;
        Slot *slot = slot_of(w, job);

        CHECK(job->state != STATE_CONNECTING && job->state != STATE_TRANSFERRING, "active");
        if (job->pending == PENDING_NONE && n_active(slot) == 0)
                retire(w, slot, EVENT_EXPIRED);
}

static void on_wanted(void *userdata)
{
        ((World *)userdata)->wanted = true;
}

static const QueueListener listener = {
        .on_turn = on_turn,
        .on_turn_over = on_turn_over,
        .on_changed = on_changed,
        .on_transferred = on_transferred,
        .on_error = on_error,
        .on_inactive = on_inactive,
        .on_wanted = on_wanted,
        .signed_on = is_there,
};

/* ---- jobs come and go ---- */

static void create(World *w, Slot *slot)
{
        uint8_t random[JOB_ID_BYTES] = { 0 };

        *slot = (Slot){ .may_be_suspended = true };
        w->n_ids++;
        memcpy(random, &w->n_ids, sizeof(w->n_ids));
        if (job_new(random, (uid_t)(1000 + w->n_ids % USERS), JOB_DOWNLOAD, "j", w->clock,
                    &slot->job) < 0)
                abort();
        slot->job->minimum_retry_delay = 60;
        if (queue_add(&w->q, slot->job, now_of(w)) < 0)
                abort();
}

static void retire(World *w, Slot *slot, JobEvent event)
{
        JobState before = slot->job->state;

        CHECK(job_transition(slot->job, event, w->clock) == 0, "not from %s",
              job_state_name(before));
        CHECK(job_state_is_final(slot->job->state), "not final");
        queue_remove(&w->q, slot->job);
        job_free(slot->job);
        create(w, slot);
}

static void add_file(World *w, Slot *slot)
{
        static const uint8_t random[NAME_RANDOM_BYTES];
        File *file;

        if (slot->job->n_files == FILES || slot->job->pending != PENDING_NONE)
                return;
        if (file_new("http://h/f", "/srv/f", random, &file) < 0 ||
            job_append_file(slot->job, file) < 0)
                abort();
        slot->files[file->index] = (Fetch){ 0 };
        if (slot->running)
                fill(slot);
        queue_touched(&w->q, slot->job, now_of(w));
}

/* ---- steps: each has a job, a file and a number ---- */

typedef struct Choice {
        Slot *slot;
        Job *job;
        File *file; /* NULL: the job has none */
        Fetch *fetch;
        uint32_t number;
} Choice;

static void end_fetch(World *w, const Choice *c)
{
        c->fetch->active = c->fetch->stopping = false;
        if (c->slot->running)
                fill(c->slot);
        finish_if_done(w, c->slot);
}

static void step_resume(World *w, const Choice *c)
{
        JobState before = c->job->state;
        QueueMove move;
        BitsCode code = queue_resume(c->job, now_of(w), &move);

        CHECK(code == 0 || c->job->state == before, "refused and moved");
        if (code != 0)
                return;
        queue_follow(&w->q, c->job, &move, now_of(w));
        c->slot->may_be_suspended = false;
        CHECK(c->job->timers.busy == 0, "no new download time");
        CHECK(before != STATE_ERROR || c->job->state != STATE_QUEUED ||
                      c->job->timers.failing_since == 0,
              "a failure that is not forgotten");
}

/* DUR-390: as if the store had refused it, the job is what it was, and nobody has noticed. */
static bool take_back_suspend(World *w, const Choice *c)
{
        Job before = *c->job;
        QueueMove move;

        if (c->number % 4 != 0)
                return false;
        (void)queue_suspend(c->job, now_of(w), &move);
        CHECK(c->job->fault.code == before.fault.code, "a fault that cannot be taken back");
        c->job->state = before.state;
        c->job->modified = before.modified;
        c->job->failed = before.failed;
        c->job->timers = before.timers;
        return true;
}

static void step_suspend(World *w, const Choice *c)
{
        bool was_transferred = c->job->state == STATE_TRANSFERRED;
        QueueMove move;
        BitsCode code;

        if (take_back_suspend(w, c))
                return;
        c->slot->may_be_suspended = true;
        code = queue_suspend(c->job, now_of(w), &move);
        if (code == 0)
                queue_follow(&w->q, c->job, &move, now_of(w));

        CHECK(code != 0 || was_transferred || c->job->state == STATE_SUSPENDED, "it goes on");
}

static void step_add_file(World *w, const Choice *c)
{
        add_file(w, c->slot);
}

static void step_priority(World *w, const Choice *c)
{
        c->job->priority = (JobPriority)(c->number % PRIORITY_MAX);
        queue_priority_changed(&w->q, c->job, now_of(w));
}

static void step_limits_of_job(World *w, const Choice *c)
{
        static const uint32_t values[] = { 0, 5, 60, 600, 3600, 1209600, UINT32_MAX };
        uint32_t value = values[c->number / 4 % ELEMENTS(values)];

        if (c->number % 4 == 0)
                c->job->minimum_retry_delay = MAX(value, (uint32_t)LEAST_MINIMUM_RETRY_DELAY);
        else if (c->number % 4 == 1)
                c->job->no_progress_timeout = value;
        else
                c->job->maximum_download_time = value;
        queue_touched(&w->q, c->job, now_of(w));
}

static void step_connected(World *w, const Choice *c)
{
        if (c->fetch && c->fetch->active && c->job->state == STATE_CONNECTING && c->slot->running) {
                file_set_total(c->file, SIZE);
                (void)queue_event(&w->q, c->job, EVENT_CONNECTED, now_of(w));
        }
}

static void step_progress(World *w, const Choice *c)
{
        if (!c->fetch || !c->fetch->active)
                return;
        file_set_written(c->file, MIN(c->file->written + c->number % 500, (uint64_t)SIZE));
        queue_progress(&w->q, c->job, now_of(w));
}

static void step_sync(World *w, const Choice *c)
{
        (void)w;
        if (!c->fetch || !c->fetch->active)
                return;
        file_set_kept(c->file, c->file->written);
        c->fetch->kept = c->file->kept;
}

static void step_whole(World *w, const Choice *c)
{
        if (!c->fetch || !c->fetch->active)
                return;
        file_set_total(c->file, SIZE);
        file_set_kept(c->file, SIZE);
        *c->fetch = (Fetch){ .kept = SIZE, .whole = true };
        queue_progress(&w->q, c->job, now_of(w));
        file_set_transferred(c->file, true);
        end_fetch(w, c);
}

static void step_stopped(World *w, const Choice *c)
{
        if (c->fetch && c->fetch->stopping)
                end_fetch(w, c);
}

static void step_version_changed(World *w, const Choice *c)
{
        (void)w;
        if (!c->fetch || !c->fetch->active)
                return;
        file_reset(c->file);
        c->fetch->kept = 0;
}

static void step_fail(World *w, const Choice *c)
{
        static const BitsCode codes[] = { BITS_E_CANNOT_CONNECT, BITS_E_TIMEOUT,
                                          BG_E_DESTINATION_LOCKED, BITS_E_HTTP(503),
                                          BITS_E_HTTP(404) };
        BitsCode code = codes[c->number % ELEMENTS(codes)];

        if (!c->fetch || !c->fetch->active)
                return;
        c->fetch->active = c->fetch->stopping = false;
        queue_fail(&w->q, c->job, c->file, error_is_transient(code), CONTEXT_REMOTE_FILE, code,
                   NULL, now_of(w));
        if (c->slot->running)
                fill(c->slot);
        finish_if_done(w, c->slot);
}

/* SetValidationState, with the file's bytes thrown away. */
static void step_invalidate(World *w, const Choice *c)
{
        if (!c->file || !c->file->transferred || c->number % 8 || c->job->pending != PENDING_NONE)
                return;
        file_reset(c->file);
        *c->fetch = (Fetch){ 0 };
        (void)queue_condemn(&w->q, c->job, c->file, EVENT_INVALIDATED, CONTEXT_LOCAL_FILE,
                            BG_E_VALIDATION_FAILED, NULL, now_of(w));
}

static void step_ranges_filled(World *w, const Choice *c)
{
        if (!c->slot->running || c->number % 8)
                return;
        c->slot->may_be_suspended = true;
        (void)queue_event(&w->q, c->job, EVENT_RANGES_FILLED, now_of(w));
}

/* Complete and Cancel: the job is held until nothing of it runs. */
static void step_finish(World *w, const Choice *c)
{
        if (c->job->pending == PENDING_NONE && c->number % 16 == 0) {
                c->job->pending = c->number % 32 ? PENDING_CANCEL : PENDING_COMPLETE;
                queue_hold(&w->q, c->job, now_of(w));
        } else if (c->job->pending != PENDING_NONE && n_active(c->slot) == 0) {
                JobEvent event = c->job->pending == PENDING_CANCEL ? EVENT_CANCEL : EVENT_COMPLETE;

                c->job->pending = PENDING_NONE;
                if (c->number % 3) {
                        retire(w, c->slot, event);
                        return;
                }
                if (c->number & 64) { /* it could not be done */
                        c->slot->may_be_suspended = true;
                        (void)queue_event(&w->q, c->job, EVENT_SUSPEND, now_of(w));
                }
                queue_unhold(&w->q, c->job, now_of(w));
        }
}

static void step_users(World *w, const Choice *c)
{
        uint32_t user = c->number % USERS;

        w->there[user] = !w->there[user];
        for (size_t i = 0; i < JOBS; i++) {
                Job *job = w->slots[i].job;

                if (job->owner % USERS != user)
                        continue;
                if (!w->there[user]) {
                        token_free(job->token);
                        job->token = NULL;
                        if (job->token_flags != 0)
                                (void)queue_condemn(&w->q, job, NULL, EVENT_TOKEN_REQUIRED,
                                                    CONTEXT_GENERAL_QUEUE_MANAGER,
                                                    BG_E_TOKEN_REQUIRED, NULL, now_of(w));
                }
                if (job->pending == PENDING_NONE || w->there[user])
                        queue_owner_changed(&w->q, job, now_of(w));
        }
}

static void step_token(World *w, const Choice *c)
{
        if (c->job->pending != PENDING_NONE)
                return;
        token_free(c->job->token);
        c->job->token = NULL;
        c->job->token_flags = c->number % 4;
        if (c->number & 4) {
                c->job->token = calloc(1, sizeof(Token));
                if (!c->job->token)
                        abort();
                c->job->token->fd = -EBADF;
        }
        if (c->slot->running && !has_identities(c->job))
                fail_token_required(w, c->job);
}

static void reconsider_all(World *w)
{
        for (size_t i = 0; i < JOBS; i++)
                queue_reconsider(&w->q, w->slots[i].job, now_of(w));
}

static void step_gate(World *w, const Choice *c)
{
        static const BitsCode codes[] = { 0,
                                          0,
                                          BG_E_NETWORK_DISCONNECTED,
                                          BG_E_BLOCKED_BY_POLICY,
                                          BG_E_BLOCKED_BY_COST_TRANSFER_POLICY,
                                          BG_E_STANDBY_MODE };
        BitsCode code = codes[c->number / 8 % ELEMENTS(codes)];

        for (JobPriority p = 0; p < PRIORITY_MAX; p++)
                if (c->number % 8 >= PRIORITY_MAX || c->number % 8 == (uint32_t)p)
                        w->gate[p] = code;
        reconsider_all(w);
        if (code == 0 && c->number & 4)
                for (size_t i = 0; i < JOBS; i++)
                        queue_network_back(&w->q, w->slots[i].job, now_of(w));
}

static void step_places(World *w, const Choice *c)
{
        queue_set_places(&w->q, c->number % 4);
}

static void step_machine_limits(World *w, const Choice *c)
{
        TimerLimits limits = { .inactivity = (1 + c->number % 99) * DAY,
                               .download_time = c->number % 7777777 + 1 };

        queue_set_limits(&w->q, &limits);
}

static void step_time(World *w, const Choice *c)
{
        static const uint64_t spans[] = { 1,           1000,         SECOND,
                                          30 * SECOND, 300 * SECOND, 3600 * SECOND,
                                          DAY,         30 * DAY };
        uint64_t deadline = queue_deadline(&w->q);

        if (c->number % 3 && deadline != TIMERS_NEVER)
                w->clock = MAX(w->clock, deadline);
        else
                w->clock += spans[c->number / 3 % ELEMENTS(spans)];
        w->wanted = true;
}

/* The daemon ends and comes back, maybe with the machine; its clock knows no later point than the
   last one noted. */
static void step_restart(World *w, const Choice *c)
{
        const Gate *gate = w->q.gate;
        unsigned places = w->q.schedule.max_background;
        TimerLimits limits = w->q.limits;

        if (c->number % 4)
                return;
        for (size_t i = 0; i < JOBS; i++) {
                Slot *slot = &w->slots[i];

                queue_remove(&w->q, slot->job);
                slot->running = false;
                for (size_t f = 0; f < slot->job->n_files; f++) {
                        File *file = slot->job->files[f];

                        slot->files[f].active = slot->files[f].stopping = false;
                        if (c->number & 4)
                                file_set_written(file, file->kept);
                }
                token_free(slot->job->token);
                slot->job->token = NULL;
        }
        queue_done(&w->q);
        w->clock -= MIN(w->clock - SECOND, c->number / 8 % (10 * SECOND));
        queue_init(&w->q, 1, &listener, w);
        w->q.gate = gate;
        queue_set_places(&w->q, places);
        queue_set_limits(&w->q, &limits);
        for (size_t i = 0; i < JOBS; i++) {
                Slot *slot = &w->slots[i];

                if (queue_add(&w->q, slot->job, now_of(w)) < 0)
                        abort();
                if (slot->job->pending != PENDING_NONE)
                        queue_hold(&w->q, slot->job, now_of(w));
        }
}

static const struct Step {
        const char *name;
        void (*take)(World *w, const Choice *c);
        uint32_t weight;
} steps[] = {
        { "resume", step_resume, 12 },
        { "suspend", step_suspend, 3 },
        { "add file", step_add_file, 8 },
        { "priority", step_priority, 3 },
        { "limits of the job", step_limits_of_job, 2 },
        { "connected", step_connected, 10 },
        { "progress", step_progress, 16 },
        { "sync", step_sync, 8 },
        { "whole", step_whole, 6 },
        { "stopped", step_stopped, 10 },
        { "version changed", step_version_changed, 1 },
        { "fail", step_fail, 4 },
        { "invalidate", step_invalidate, 1 },
        { "ranges filled", step_ranges_filled, 1 },
        { "finish", step_finish, 6 },
        { "users", step_users, 1 },
        { "token", step_token, 2 },
        { "gate", step_gate, 1 },
        { "places", step_places, 1 },
        { "limits of the machine", step_machine_limits, 1 },
        { "time", step_time, 10 },
        { "restart", step_restart, 1 },
};

/* ---- a life ---- */

static void run_queue(World *w)
{
        for (unsigned i = 0; w->wanted; i++) {
                CHECK(i < 1000, "it never comes to rest");
                w->wanted = false;
                queue_run(&w->q, now_of(w));
        }
}

static const struct Step *choose(uint32_t number)
{
        uint32_t sum = 0;

        for (size_t i = 0; i < ELEMENTS(steps); i++)
                sum += steps[i].weight;
        number %= sum;
        for (const struct Step *s = steps;; number -= s++->weight)
                if (number < s->weight)
                        return s;
}

static uint64_t mix(uint64_t x)
{
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

uint64_t model_number(uint64_t seed, uint32_t step)
{
        return mix(seed * LIFE + step + 1);
}

const char *model_step_name(uint64_t number)
{
        return choose((uint32_t)mix(number))->name;
}

static void take(World *w, const struct Step *step, uint64_t random)
{
        Slot *slot = &w->slots[random % JOBS];
        Choice c = { .slot = slot, .job = slot->job, .number = (uint32_t)(random >> 32) };

        if (slot->job->n_files > 0) {
                size_t i = (random >> 8) % slot->job->n_files;

                c.file = slot->job->files[i];
                c.fetch = &slot->files[i];
        }
        step_name = step->name;
        step->take(w, &c);
        run_queue(w);
        world_check(w);
}

/* Everybody is there, nothing is in the way, every fetch succeeds: whatever wants to run ends. */
static void let_all_end(World *w)
{
        step_name = "the end";
        for (size_t i = 0; i < USERS; i++)
                if (!w->there[i])
                        step_users(w, &(Choice){ .number = (uint32_t)i });
        memset(w->gate, 0, sizeof(w->gate));
        reconsider_all(w);
        for (unsigned n = 0; n < PATIENCE; n++) {
                bool busy = false;

                run_queue(w);
                for (size_t i = 0; i < JOBS; i++) {
                        Slot *slot = &w->slots[i];

                        for (size_t f = 0; f < slot->job->n_files; f++) {
                                Choice c = { slot, slot->job, slot->job->files[f], &slot->files[f],
                                             0 };

                                busy = busy || c.fetch->active;
                                if (c.fetch->stopping)
                                        step_stopped(w, &c);
                                else
                                        step_whole(w, &c);
                        }
                        busy = busy || job_state_is_runnable(slot->job->state) ||
                               slot->job->state == STATE_TRANSIENT_ERROR;
                        if (slot->job->held)
                                busy = n_active(slot) > 0;
                }
                if (!busy)
                        return;
                if (queue_deadline(&w->q) != TIMERS_NEVER && !w->wanted) {
                        w->clock = queue_deadline(&w->q);
                        w->wanted = true;
                }
        }
        for (size_t i = 0; i < JOBS; i++) {
                JobState state = w->slots[i].job->state;

                CHECK(w->slots[i].job->held ||
                              (!job_state_is_runnable(state) && state != STATE_TRANSIENT_ERROR),
                      "job %zu is still %s", i, job_state_name(state));
        }
}

void model_live(uint64_t seed, const bool *kept)
{
        static World w;
        static const Gate gate = { check_gate, &w };

        w = (World){ .clock = DAY, .there = { true, true } };
        report->seed = seed;
        queue_init(&w.q, seed, &listener, &w);
        w.q.gate = &gate;
        for (size_t i = 0; i < JOBS; i++)
                create(&w, &w.slots[i]);
        for (uint32_t n = 0; n < LIFE; n++) {
                uint64_t random = model_number(seed, n);

                report->step = n;
                if (!kept || kept[n])
                        take(&w, choose((uint32_t)mix(random)), random);
        }
        report->step = LIFE;
        let_all_end(&w);
        for (size_t i = 0; i < JOBS; i++) {
                queue_remove(&w.q, w.slots[i].job);
                job_free(w.slots[i].job);
        }
        queue_done(&w.q);
}
