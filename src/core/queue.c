#include "core/queue.h"

#define SLICE (5 * 60 * TIMERS_USEC_PER_SEC)

enum {
        BACKGROUND_AT_ONCE = 1, /* reference 02 section 6 */
        INACTIVITY_DAYS = 90,
};

static Job *job_of(ScheduleEntry *entry)
{
        return (Job *)((char *)entry - offsetof(Job, schedule));
}

static Job *job_of_timers(Timers *timers)
{
        return (Job *)((char *)timers - offsetof(Job, timers));
}

void queue_init(Queue *q, uint64_t seed, const QueueListener *listener, void *userdata)
{
        *q = (Queue){
                .limits = { .inactivity = INACTIVITY_DAYS * TIMERS_DAY,
                            .download_time = DEFAULT_MAXIMUM_DOWNLOAD_TIME },
                .random = seed | 1,
                .listener = listener,
                .userdata = userdata,
        };
        schedule_init(&q->schedule, BACKGROUND_AT_ONCE, SLICE);
}

void queue_done(Queue *q)
{
        deadlines_done(&q->deadlines);
}

void queue_set_places(Queue *q, unsigned background)
{
        q->schedule.max_background = MAX(background, 1u);
        q->listener->on_wanted(q->userdata);
}

void queue_set_limits(Queue *q, const TimerLimits *limits)
{
        q->limits = *limits;
        for (size_t i = 0; i < q->deadlines.n; i++) {
                Timers *t = q->deadlines.heap[i];

                t->due = timers_next(job_of_timers(t), &q->limits);
        }
        deadlines_reorder(&q->deadlines);
        q->listener->on_wanted(q->userdata);
}

/* xorshift: spreads retries, guards nothing. */
static uint64_t next_random(Queue *q)
{
        q->random ^= q->random << 13;
        q->random ^= q->random >> 7;
        q->random ^= q->random << 17;
        return q->random;
}

/* ---- the schedule and the heap follow the job ---- */

static void watch(Queue *q, Job *job)
{
        uint64_t due = job->held ? TIMERS_NEVER : timers_next(job, &q->limits);

        deadlines_set(&q->deadlines, &job->timers, due);
        q->listener->on_wanted(q->userdata);
}

static bool may_run(const Queue *q, const Job *job)
{
        return job_state_is_runnable(job->state) && !job->held &&
               q->listener->signed_on(q->userdata, job);
}

static void leave_schedule(Queue *q, Job *job)
{
        bool running = job->schedule.running;

        schedule_remove(&q->schedule, &job->schedule);
        if (running)
                q->listener->on_turn_over(q->userdata, job);
}

/* JOB-221: asked before a job waits for its turn, so that it hears why it may not. */
static BitsCode ask_gate(Queue *q, Job *job)
{
        const char *detail = NULL;
        BitsCode code;

        if (!q->gate || !may_run(q, job))
                return 0;
        code = q->gate->check(q->gate->userdata, job, &detail);
        if (code != 0)
                job_set_fault(job, NULL, CONTEXT_GENERAL_QUEUE_MANAGER, code, detail);
        return code;
}

/* The only way to another state. JOB-25: no change of it without news. */
static BitsCode shift(Job *job, JobEvent event, Now now)
{
        JobState before = job->state;
        BitsCode code = job_transition(job, event, now.realtime);

        if (code == 0)
                timers_follow(job, before, now.clock);
        return code;
}

/* What the gate keeps back is a transient error like others, but not tried again by time. POL-384:
   a machine that sleeps does not wait for progress, so that nobody's patience ends by it. */
static void keep_back(Queue *q, Job *job, BitsCode code, Now now)
{
        JobEvent event = code == BG_E_NETWORK_DISCONNECTED ? EVENT_NETWORK_LOST : EVENT_BLOCKED;

        if (code == BG_E_STANDBY_MODE)
                timers_forgive(job);
        else if (!timers_fail(job, &q->limits, now.clock))
                event = EVENT_FAILED_FATAL;
        (void)shift(job, event, now);
}

/* ENG-64 */
static void follow(Queue *q, Job *job, Now now)
{
        BitsCode code = ask_gate(q, job);

        if (code != 0)
                keep_back(q, job, code, now);
        if (!may_run(q, job))
                leave_schedule(q, job);
        else if (!job->schedule.member)
                schedule_insert(&q->schedule, &job->schedule, job->priority);
        watch(q, job);
}

static bool is_promised(const Job *job, JobEvent event)
{
        return event < EVENT_PICKED || event == EVENT_FAILED_TRANSIENT ||
               event == EVENT_RANGES_FILLED || job->state == STATE_ERROR ||
               job->state == STATE_TRANSFERRED;
}

/* JOB-67: only the ends are told. */
static void tell(Queue *q, Job *job, JobState before, JobEvent event)
{
        JobState state = job->state;

        q->listener->on_changed(q->userdata, job, is_promised(job, event));
        if (state == before || state != job->state)
                return;
        if (state == STATE_ERROR)
                q->listener->on_error(q->userdata, job);
        else if (state == STATE_TRANSFERRED)
                q->listener->on_transferred(q->userdata, job);
}

/* What follows from something other than an event. */
static void settle(Queue *q, Job *job, Now now)
{
        JobState before = job->state;

        follow(q, job, now);
        if (job->state != before)
                tell(q, job, before, EVENT_BLOCKED);
}

static BitsCode begin(Job *job, JobEvent event, Now now, QueueMove *ret)
{
        JobState before = job->state;
        BitsCode code = shift(job, event, now);

        if (code != 0)
                return code;
        /* From one error into the next, by way of the queue, is news too. */
        *ret = (QueueMove){ job->state != before ? STATE_INVALID : before, event };
        return 0;
}

static BitsCode move(Queue *q, Job *job, JobEvent event, Now now)
{
        QueueMove step;
        BitsCode code = begin(job, event, now, &step);

        if (code == 0)
                queue_follow(q, job, &step, now);
        return code;
}

/* ---- members ---- */

/* JOB-52, JOB-53, DUR-18, DUR-28 */
int queue_add(Queue *q, Job *job, Now now)
{
        int r = deadlines_reserve(&q->deadlines, q->n_jobs + 1);

        if (r < 0)
                return r;
        q->n_jobs++;
        timers_restore(job, now.clock);
        if (job->state == STATE_CONNECTING || job->state == STATE_TRANSFERRING)
                (void)move(q, job, EVENT_YIELDED, now);
        else if (job->state == STATE_TRANSIENT_ERROR && job->timers.retry_at == 0)
                (void)move(q, job, EVENT_UNBLOCKED, now);
        else
                settle(q, job, now);
        return 0;
}

void queue_remove(Queue *q, Job *job)
{
        schedule_remove(&q->schedule, &job->schedule);
        deadlines_set(&q->deadlines, &job->timers, TIMERS_NEVER);
        assert(q->n_jobs > 0);
        q->n_jobs--;
}

/* ---- turns and time ---- */

static void begin_turn(Queue *q, Job *job, Now now)
{
        schedule_started(&q->schedule, &job->schedule, now.clock);
        if (job->state == STATE_QUEUED)
                (void)move(q, job, EVENT_PICKED, now);
        if (job->schedule.running)
                q->listener->on_turn(q->userdata, job);
}

static void end_turn(Queue *q, Job *job, Now now)
{
        schedule_stopped(&q->schedule, &job->schedule, now.clock);
        q->listener->on_turn_over(q->userdata, job);
        (void)move(q, job, EVENT_YIELDED, now);
}

/* ENG-221 */
static void run_out_of_time(Queue *q, Job *job, Now now)
{
        (void)queue_condemn(q, job, NULL, EVENT_OUT_OF_TIME, CONTEXT_GENERAL_QUEUE_MANAGER,
                            BG_E_MAXDOWNLOAD_TIMEOUT, NULL, now);
}

static void expire(Queue *q, Job *job, Now now)
{
        switch (timers_due(job, &q->limits, now.clock)) {
        case TIMER_RETRY:
                (void)move(q, job, EVENT_RETRY, now);
                return;
        case TIMER_NO_PROGRESS:
                (void)move(q, job, EVENT_TIMED_OUT, now);
                return;
        case TIMER_DOWNLOAD_TIME:
                run_out_of_time(q, job, now);
                return;
        case TIMER_INACTIVITY:
                timers_snooze(job, &q->limits, now.clock);
                watch(q, job);
                q->listener->on_inactive(q->userdata, job);
                return;
        case TIMER_NONE:
                watch(q, job);
                return;
        case TIMER_MAX:
        case TIMER_INVALID:
                break;
        }
        assert(false);
}

/* JOB-48, JOB-49, JOB-50: schedule.h decides who. */
void queue_run(Queue *q, Now now)
{
        ScheduleEntry *entry;
        Timers *timers;

        while ((timers = deadlines_first(&q->deadlines)) && timers->due <= now.clock)
                expire(q, job_of_timers(timers), now);
        while ((entry = schedule_next_to_stop(&q->schedule, now.clock)))
                end_turn(q, job_of(entry), now);
        while ((entry = schedule_next_to_start(&q->schedule)))
                begin_turn(q, job_of(entry), now);
}

uint64_t queue_deadline(const Queue *q)
{
        const Timers *first = deadlines_first(&q->deadlines);
        uint64_t turns = schedule_deadline(&q->schedule);

        return MIN(turns, first ? first->due : TIMERS_NEVER);
}

/* ---- calls ---- */

/* DUR-390 */
void queue_follow(Queue *q, Job *job, const QueueMove *step, Now now)
{
        follow(q, job, now);
        tell(q, job, step->before, step->event);
}

/* JOB-47, JOB-69, ENG-44, ENG-48 */
BitsCode queue_resume(Job *job, Now now, QueueMove *ret)
{
        JobState state;
        JobEvent event = job_resume_event(job);
        BitsCode code = job_state_next(job->state, event, &state);

        if (job->pending != PENDING_NONE)
                return BG_E_INVALID_STATE;
        if (code != 0)
                return code;
        timers_resume(job, now.clock);
        job->resumed = true;
        return begin(job, event, now, ret);
}

BitsCode queue_suspend(Job *job, Now now, QueueMove *ret)
{
        return job->pending != PENDING_NONE ? BG_E_INVALID_STATE
                                            : begin(job, EVENT_SUSPEND, now, ret);
}

/* RNG-197 */
BitsCode queue_invalidate(Job *job, const File *file, Now now, QueueMove *ret)
{
        JobState next;
        BitsCode code = job_state_next(job->state, EVENT_INVALIDATED, &next);

        if (code != 0)
                return code;
        job_set_fault(job, file, CONTEXT_REMOTE_FILE, BG_E_VALIDATION_FAILED,
                      "the job's owner found the content of the file wrong; resume to fetch it "
                      "anew, or cancel the job");
        return begin(job, EVENT_INVALIDATED, now, ret);
}

/* JOB-51, ENG-49 */
void queue_priority_changed(Queue *q, Job *job, Now now)
{
        timers_touch(job, now.clock);
        if (!job->schedule.member) {
                queue_reconsider(q, job, now); /* the gate may think otherwise of it */
                return;
        }
        leave_schedule(q, job);
        if (move(q, job, EVENT_YIELDED, now) != 0)
                settle(q, job, now);
}

void queue_touched(Queue *q, Job *job, Now now)
{
        timers_touch(job, now.clock);
        queue_reconsider(q, job, now);
}

/* ENG-50 */
void queue_hold(Queue *q, Job *job, Now now)
{
        job->held = true;
        settle(q, job, now);
}

void queue_unhold(Queue *q, Job *job, Now now)
{
        job->held = false;
        if (move(q, job, EVENT_YIELDED, now) == 0) /* it has to wait for its turn again */
                return;
        settle(q, job, now);
        queue_reconsider(q, job, now); /* the gate may have opened meanwhile */
}

/* ---- what happens to a job ---- */

BitsCode queue_event(Queue *q, Job *job, JobEvent event, Now now)
{
        return move(q, job, event, now);
}

/* JOB-400 */
void queue_progress(Queue *q, Job *job, Now now)
{
        (void)q;
        timers_progress(job, now.clock);
        job->modified = now.realtime;
}

/* JOB-60, JOB-61: the job keeps context, code, sentence and file. ENG-44, ENG-51 */
void queue_fail(Queue *q, Job *job, const File *file, bool transient, ErrorContext context,
                BitsCode code, const char *detail, Now now)
{
        bool steady = wait_kind_of(code) != WAIT_NOTHING;

        if (!job_state_is_runnable(job->state))
                return;
        transient = timers_fail(job, &q->limits, now.clock) && transient;
        if (!transient) {
                (void)queue_condemn(q, job, file,
                                    code == BG_E_TOKEN_REQUIRED ? EVENT_TOKEN_REQUIRED
                                                                : EVENT_FAILED_FATAL,
                                    context, code, detail, now);
                return;
        }
        job_set_fault(job, file, context, code, detail);
        timers_arm_retry(job, steady, next_random(q), now.clock);
        (void)move(q, job, EVENT_FAILED_TRANSIENT, now);
}

BitsCode queue_condemn(Queue *q, Job *job, const File *file, JobEvent event, ErrorContext context,
                       BitsCode code, const char *detail, Now now)
{
        JobState next;
        BitsCode refused = job_state_next(job->state, event, &next);

        if (refused != 0)
                return refused;
        job_set_fault(job, file, context, code, detail);
        return move(q, job, event, now);
}

/* ENG-64: waiting for somebody is no failure and costs no patience. */
void queue_owner_changed(Queue *q, Job *job, Now now)
{
        if (q->listener->signed_on(q->userdata, job)) {
                settle(q, job, now);
                return;
        }
        timers_forgive(job);
        if (job->state == STATE_TRANSIENT_ERROR)
                (void)move(q, job, EVENT_RETRY, now);
        else if (move(q, job, EVENT_YIELDED, now) != 0)
                settle(q, job, now);
}

/* POL-387: who found out by himself what the gate says by now waits for it, and not for a time. */
static bool is_explained(const Queue *q, const Job *job)
{
        const char *detail;

        return job->state == STATE_TRANSIENT_ERROR && job->timers.retry_at != 0 && q->gate &&
               wait_kind_of(job->fault.code) != WAIT_NOTHING &&
               q->gate->check(q->gate->userdata, job, &detail) == job->fault.code;
}

/* JOB-221: asked before anything moves, so that what stays as it is makes no noise. */
void queue_reconsider(Queue *q, Job *job, Now now)
{
        bool kept_back = job->state == STATE_TRANSIENT_ERROR && job->timers.retry_at == 0;
        const char *detail = NULL;
        BitsCode code;

        if (job->pending != PENDING_NONE)
                return;
        if (!kept_back) {
                if (is_explained(q, job))
                        job->timers.retry_at = 0;
                settle(q, job, now);
                return;
        }
        code = q->gate ? q->gate->check(q->gate->userdata, job, &detail) : 0;
        if (code == 0)
                (void)move(q, job, EVENT_UNBLOCKED, now);
        else if (code != job->fault.code) {
                job_set_fault(job, NULL, CONTEXT_GENERAL_QUEUE_MANAGER, code, detail);
                q->listener->on_changed(q->userdata, job, false);
        } else
                watch(q, job);
}

void queue_network_back(Queue *q, Job *job, Now now)
{
        if (job->pending == PENDING_NONE)
                (void)move(q, job, EVENT_NETWORK_BACK, now);
}

/* ---- what it waits for ---- */

/* JOB-77 */
WaitKind queue_wait_kind(const Queue *q, const Job *job)
{
        WaitKind kind = wait_kind_of(job->fault.code);

        switch (job->state) {
        case STATE_QUEUED:
                return q->listener->signed_on(q->userdata, job) ? WAIT_TURN : WAIT_SIGN_ON;
        case STATE_TRANSIENT_ERROR:
                return kind != WAIT_NOTHING ? kind : WAIT_RETRY;
        case STATE_ERROR:
                return job->fault.code == BG_E_TOKEN_REQUIRED && job_lacks_helper(job)
                               ? WAIT_TOKEN
                               : WAIT_NOTHING;
        case STATE_TRANSFERRED:
                return job_actor(job, PURPOSE_RENAME) == ACTOR_MISSING ? WAIT_TOKEN : WAIT_NOTHING;
        case STATE_CONNECTING:
        case STATE_TRANSFERRING:
        case STATE_SUSPENDED:
        case STATE_ACKNOWLEDGED:
        case STATE_CANCELLED:
        case STATE_MAX:
        case STATE_INVALID:
                break;
        }
        return WAIT_NOTHING;
}

uint64_t queue_next_attempt(const Job *job)
{
        return job->state == STATE_TRANSIENT_ERROR ? job->timers.retry_at : 0;
}
