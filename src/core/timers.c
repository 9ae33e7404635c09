/*
 * Nothing is stopped or started here by itself: each function is told what happened, and each
 * deadline follows from the numbers. A deadline that was computed too early does no harm, because
 * whoever is woken asks again; so progress, which comes often, moves nothing in the heap.
 */
#include "core/timers.h"

#include "core/job.h"

#define RETRY_LIMIT (60 * 60 * TIMERS_USEC_PER_SEC)

static uint64_t later(uint64_t point, uint64_t span)
{
        return point > TIMERS_NEVER - span ? TIMERS_NEVER : point + span;
}

static uint64_t seconds(uint32_t s)
{
        return s * TIMERS_USEC_PER_SEC;
}

static bool is_busy(JobState state)
{
        return state == STATE_CONNECTING || state == STATE_TRANSFERRING;
}

uint32_t timers_download_time(const Job *job, const TimerLimits *limits)
{
        return job->maximum_download_time != 0 ? job->maximum_download_time : limits->download_time;
}

/* JOB-66, JOB-471: who may not be tried again before his patience is over has none. */
static uint64_t patience_of(const Job *job, const TimerLimits *limits)
{
        if (job->minimum_retry_delay > job->no_progress_timeout)
                return 0;
        return MIN(seconds(job->no_progress_timeout), limits->inactivity);
}

/* The points at which each becomes due. */

static uint64_t no_progress_end(const Job *job, const TimerLimits *limits)
{
        if (job->state != STATE_TRANSIENT_ERROR || job->timers.failing_since == 0)
                return TIMERS_NEVER;
        return later(job->timers.failing_since, patience_of(job, limits));
}

static uint64_t download_end(const Job *job, const TimerLimits *limits)
{
        uint64_t limit = seconds(timers_download_time(job, limits));

        if (job->timers.busy_since == 0)
                return TIMERS_NEVER;
        return later(job->timers.busy_since, limit - MIN(limit, job->timers.busy));
}

static uint64_t retry_end(const Job *job)
{
        bool waits = job->state == STATE_TRANSIENT_ERROR && job->timers.retry_at != 0;

        return waits ? job->timers.retry_at : TIMERS_NEVER;
}

/* A job that runs is not inactive, even if the network gives it nothing for a while. */
static uint64_t inactivity_end(const Job *job, const TimerLimits *limits)
{
        if (job_state_is_final(job->state) || is_busy(job->state) || job->timers.active_at == 0)
                return TIMERS_NEVER;
        return later(job->timers.active_at, limits->inactivity);
}

/* ENG-220, ENG-221, ENG-222 */
TimerKind timers_due(const Job *job, const TimerLimits *limits, uint64_t now)
{
        if (inactivity_end(job, limits) <= now)
                return TIMER_INACTIVITY;
        if (download_end(job, limits) <= now)
                return TIMER_DOWNLOAD_TIME;
        if (no_progress_end(job, limits) <= now)
                return TIMER_NO_PROGRESS;
        return retry_end(job) <= now ? TIMER_RETRY : TIMER_NONE;
}

uint64_t timers_next(const Job *job, const TimerLimits *limits)
{
        const uint64_t ends[] = { retry_end(job), no_progress_end(job, limits),
                                  download_end(job, limits), inactivity_end(job, limits) };
        uint64_t next = TIMERS_NEVER;

        for (size_t i = 0; i < ELEMENTS(ends); i++)
                next = MIN(next, ends[i]);
        return next;
}

static void not_after(uint64_t *point, uint64_t now)
{
        *point = MIN(*point, now);
}

void timers_restore(Job *job, uint64_t now)
{
        Timers *t = &job->timers;
        uint64_t longest = MAX(seconds(job->minimum_retry_delay), RETRY_LIMIT);

        not_after(&t->failing_since, now);
        not_after(&t->busy_since, now);
        not_after(&t->active_at, now);
        t->retry_at = MIN(t->retry_at, later(now, longest + longest / 10));
        if (t->active_at == 0)
                t->active_at = now;
        t->place = 0;
}

void timers_follow(Job *job, JobState before, uint64_t now)
{
        Timers *t = &job->timers;

        if (is_busy(job->state) && t->busy_since == 0)
                t->busy_since = now;
        else if (!is_busy(job->state) && t->busy_since != 0) {
                t->busy += now - MIN(now, t->busy_since);
                t->busy_since = 0;
        }
        /* Who was only kept back, and is no longer, has not failed to make progress. */
        if (before == STATE_TRANSIENT_ERROR && t->retry_at == 0 && t->failures == 0)
                t->failing_since = 0;
        if (job->state != STATE_TRANSIENT_ERROR)
                t->retry_at = 0;
        if (before != job->state)
                t->active_at = now;
}

void timers_progress(Job *job, uint64_t now)
{
        timers_forgive(job);
        job->timers.active_at = now;
}

void timers_touch(Job *job, uint64_t now)
{
        job->timers.active_at = now;
}

void timers_snooze(Job *job, const TimerLimits *limits, uint64_t now)
{
        uint64_t again = later(now, TIMERS_DAY);

        job->timers.active_at = again > limits->inactivity ? again - limits->inactivity : 1;
}

void timers_forgive(Job *job)
{
        job->timers.failures = 0;
        job->timers.failing_since = 0;
}

void timers_resume(Job *job, uint64_t now)
{
        if (job->state == STATE_TRANSIENT_ERROR || job->state == STATE_ERROR)
                timers_forgive(job);
        job->timers.busy = 0;
        if (job->timers.busy_since != 0)
                job->timers.busy_since = now;
        job->timers.active_at = now;
}

/* ENG-45 */
bool timers_fail(Job *job, const TimerLimits *limits, uint64_t now)
{
        Timers *t = &job->timers;

        if (t->failing_since == 0)
                t->failing_since = now;
        return now < later(t->failing_since, patience_of(job, limits));
}

/* JOB-62, BUS-08 */
void timers_arm_retry(Job *job, bool steady, uint64_t random, uint64_t now)
{
        uint64_t least = seconds(job->minimum_retry_delay), delay = least;

        if (!steady && job->timers.failures < UINT32_MAX)
                job->timers.failures++;
        for (uint32_t i = 1; !steady && i < job->timers.failures && delay < RETRY_LIMIT; i++)
                delay *= 2;
        delay = MAX(MIN(delay, RETRY_LIMIT), least);
        job->timers.retry_at = later(now, delay + random % (delay / 10 + 1));
}

/* ---- the heap: a parent is due before its children; places count from 1 ---- */

void deadlines_done(Deadlines *d)
{
        free(d->heap);
        *d = (Deadlines){ 0 };
}

int deadlines_reserve(Deadlines *d, size_t members)
{
        size_t room = MAX(d->room * 2, (size_t)64);
        Timers **heap;

        if (members <= d->room)
                return 0;
        room = MAX(room, members);
        heap = reallocarray(d->heap, room, sizeof(*heap));
        if (!heap)
                return -ENOMEM;
        d->heap = heap;
        d->room = room;
        return 0;
}

static void put(Deadlines *d, size_t place, Timers *t)
{
        d->heap[place - 1] = t;
        t->place = place;
}

static void sift_up(Deadlines *d, Timers *t)
{
        size_t place = t->place;

        while (place > 1 && d->heap[place / 2 - 1]->due > t->due) {
                put(d, place, d->heap[place / 2 - 1]);
                place /= 2;
        }
        put(d, place, t);
}

static void sift_down(Deadlines *d, Timers *t)
{
        size_t place = t->place, child;

        while ((child = 2 * place) <= d->n) {
                if (child < d->n && d->heap[child]->due < d->heap[child - 1]->due)
                        child++;
                if (d->heap[child - 1]->due >= t->due)
                        break;
                put(d, place, d->heap[child - 1]);
                place = child;
        }
        put(d, place, t);
}

static void take_out(Deadlines *d, Timers *t)
{
        Timers *last = d->heap[d->n - 1];
        size_t place = t->place;

        d->n--;
        t->place = 0;
        if (last == t)
                return;
        put(d, place, last);
        sift_up(d, last);
        sift_down(d, last);
}

void deadlines_set(Deadlines *d, Timers *t, uint64_t due)
{
        if (due == TIMERS_NEVER) {
                if (t->place != 0)
                        take_out(d, t);
                return;
        }
        t->due = due;
        if (t->place == 0) {
                assert(d->n < d->room);
                put(d, ++d->n, t);
        }
        sift_up(d, t);
        sift_down(d, t);
}

void deadlines_reorder(Deadlines *d)
{
        for (size_t place = d->n / 2; place > 0; place--)
                sift_down(d, d->heap[place - 1]);
}

Timers *deadlines_first(const Deadlines *d)
{
        return d->n > 0 ? d->heap[0] : NULL;
}
