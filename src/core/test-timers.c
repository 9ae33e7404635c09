/*
 * Clocks of a job, with the time as an argument, and the heap of all of them.
 */
#include "core/job.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND TIMERS_USEC_PER_SEC
#define DAY    (24 * 3600 * SECOND)

static const TimerLimits limits = { .inactivity = 90 * DAY, .download_time = 1000 };

static Job *new_job(JobState state)
{
        static const uint8_t random[JOB_ID_BYTES];
        Job *job;

        assert_int_equal(job_new(random, 1000, JOB_DOWNLOAD, "j", 1, &job), 0);
        job->state = state;
        job->timers.active_at = SECOND;
        return job;
}

static void enter(Job *job, JobState state, uint64_t now)
{
        JobState before = job->state;

        job->state = state;
        timers_follow(job, before, now);
}

/* Fails and waits; the delay in seconds. */
static uint64_t fail_once(Job *job, uint64_t random, uint64_t now)
{
        enter(job, STATE_CONNECTING, now);
        assert_true(timers_fail(job, &limits, now));
        timers_arm_retry(job, false, random, now);
        enter(job, STATE_TRANSIENT_ERROR, now);
        return (job->timers.retry_at - now) / SECOND;
}

/* JOB-62, BUS-08 */
static void delays_double_up_to_an_hour_with_a_tenth_of_jitter(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_QUEUED);
        uint64_t now = 100 * SECOND;

        (void)state;
        assert_int_equal(fail_once(job, 0, now), 600);
        assert_int_equal(timers_due(job, &limits, now + 600 * SECOND - 1), TIMER_NONE);
        assert_int_equal(timers_due(job, &limits, now + 600 * SECOND), TIMER_RETRY);
        assert_int_equal(timers_next(job, &limits), now + 600 * SECOND);
        assert_int_equal(fail_once(job, 0, now), 1200);
        assert_in_range(fail_once(job, 60 * 60 * SECOND, now), 2400, 2640);
        assert_int_equal(fail_once(job, 0, now), 3600);
        for (unsigned i = 0; i < 100; i++)
                assert_in_range(fail_once(job, i * 7777777777, now), 3600, 3960);
        job->minimum_retry_delay = 100000; /* more than an hour is what was asked for */
        assert_int_equal(fail_once(job, 0, now), 100000);
        timers_progress(job, now);
        job->minimum_retry_delay = 5;
        assert_int_equal(fail_once(job, 0, now), 5);
}

/* JOB-221: a state of the machine is looked at at the same pace, and is no failure. */
static void what_is_no_failure_does_not_slow_retries(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_CONNECTING);

        (void)state;
        for (unsigned i = 0; i < 10; i++) {
                timers_arm_retry(job, true, 0, SECOND);
                assert_int_equal(job->timers.retry_at, 601 * SECOND);
        }
        assert_int_equal(job->timers.failures, 0);
}

/* JOB-66, ENG-45: from the first failure on, and anew after progress. */
static void patience_ends(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_QUEUED);
        uint64_t first = 100 * SECOND;

        (void)state;
        job->no_progress_timeout = 1000;
        (void)fail_once(job, 0, first);
        (void)fail_once(job, 0, first + 900 * SECOND);
        assert_int_equal(timers_next(job, &limits), first + 1000 * SECOND);
        assert_int_equal(timers_due(job, &limits, first + 1000 * SECOND), TIMER_NO_PROGRESS);
        assert_false(timers_fail(job, &limits, first + 1000 * SECOND));
        timers_progress(job, first + 1000 * SECOND);
        assert_true(timers_fail(job, &limits, first + 1001 * SECOND));
        job->minimum_retry_delay = 1001;
        assert_false(timers_fail(job, &limits, first + 1001 * SECOND));
        job->minimum_retry_delay = 5;
        job->no_progress_timeout = 0;
        assert_false(timers_fail(job, &limits, first + 1001 * SECOND));
}

/* JOB-471: also of who waits already. */
static void patience_shorter_than_the_delay_is_none(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_QUEUED);
        uint64_t first = 100 * SECOND;

        (void)state;
        job->minimum_retry_delay = 60;
        (void)fail_once(job, 0, first);
        job->no_progress_timeout = 60;
        assert_int_equal(timers_due(job, &limits, first + SECOND), TIMER_NONE);
        job->no_progress_timeout = 59;
        assert_int_equal(timers_due(job, &limits, first + SECOND), TIMER_NO_PROGRESS);
        job->no_progress_timeout = 100;
        job->minimum_retry_delay = 101;
        assert_int_equal(timers_due(job, &limits, first + SECOND), TIMER_NO_PROGRESS);
}

/* ENG-222: the shorter of the two. */
static void inactivity_caps_patience(void **state)
{
        const TimerLimits short_limits = { .inactivity = DAY, .download_time = 1000 };
        _cleanup_(job_freep) Job *job = new_job(STATE_QUEUED);

        (void)state;
        (void)fail_once(job, 0, SECOND);
        job->timers.active_at = DAY / 2; /* somebody called */
        assert_int_equal(timers_due(job, &short_limits, SECOND + DAY), TIMER_NO_PROGRESS);
}

/* Being kept back and let go again is no lack of progress; failing before is. */
static void who_was_only_kept_back_keeps_his_patience(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_QUEUED);

        (void)state;
        assert_true(timers_fail(job, &limits, SECOND));
        enter(job, STATE_TRANSIENT_ERROR, SECOND);
        enter(job, STATE_QUEUED, DAY);
        assert_int_equal(job->timers.failing_since, 0);
        (void)fail_once(job, 0, DAY);
        enter(job, STATE_QUEUED, DAY);
        assert_int_equal(job->timers.failing_since, DAY);
}

/* ENG-221, JOB-223: only CONNECTING and TRANSFERRING count, in as many pieces as there are. */
static void download_time_adds_up(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_QUEUED);

        (void)state;
        enter(job, STATE_CONNECTING, 100 * SECOND);
        enter(job, STATE_TRANSFERRING, 300 * SECOND);
        enter(job, STATE_QUEUED, 500 * SECOND);
        assert_int_equal(timers_due(job, &limits, 5000 * SECOND), TIMER_NONE);
        enter(job, STATE_CONNECTING, 5000 * SECOND);
        assert_int_equal(timers_next(job, &limits), 5600 * SECOND);
        job->maximum_download_time = 401;
        assert_int_equal(timers_due(job, &limits, 5001 * SECOND), TIMER_DOWNLOAD_TIME);
        timers_resume(job, 5001 * SECOND); /* anew, also in the middle */
        assert_int_equal(timers_next(job, &limits), 5402 * SECOND);
        job->maximum_download_time = UINT32_MAX;
        assert_int_equal(timers_due(job, &limits, 4000 * DAY), TIMER_NONE);
        assert_int_equal(timers_due(job, &limits, TIMERS_NEVER - 1), TIMER_DOWNLOAD_TIME);
}

/* ENG-222 */
static void inactivity_is_without_progress_call_or_change(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_SUSPENDED);

        (void)state;
        assert_int_equal(timers_next(job, &limits), SECOND + 90 * DAY);
        timers_touch(job, 80 * DAY);
        assert_int_equal(timers_due(job, &limits, 169 * DAY), TIMER_NONE);
        assert_int_equal(timers_due(job, &limits, 170 * DAY), TIMER_INACTIVITY);
        enter(job, STATE_QUEUED, 169 * DAY);
        assert_int_equal(timers_due(job, &limits, 170 * DAY), TIMER_NONE);
        enter(job, STATE_CANCELLED, 170 * DAY);
        assert_int_equal(timers_next(job, &limits), TIMERS_NEVER);
}

/* Whoever is told of an inactive job and leaves it alone is told again, but not at once. */
static void inactivity_is_told_once_a_day(void **state)
{
        static const uint64_t inactivities[] = { 0, 1, DAY, 90 * DAY, TIMERS_NEVER };
        _cleanup_(job_freep) Job *job = new_job(STATE_SUSPENDED);

        (void)state;
        for (size_t i = 0; i < ELEMENTS(inactivities); i++) {
                TimerLimits these = { .inactivity = inactivities[i] };

                timers_snooze(job, &these, 500 * DAY);
                assert_true(timers_next(job, &these) >= 501 * DAY);
                assert_int_equal(timers_due(job, &these, 500 * DAY), TIMER_NONE);
        }
}

/* ENG-220: points that cannot be are set right, whatever the store says. */
static void points_from_another_clock_are_set_right(void **state)
{
        _cleanup_(job_freep) Job *job = new_job(STATE_TRANSIENT_ERROR);

        (void)state;
        job->timers = (Timers){ UINT64_MAX - 1, 99 * DAY, 3, 99 * DAY, 0, 99 * DAY, 7, 7 };
        timers_restore(job, DAY);
        assert_in_range(job->timers.retry_at, DAY, DAY + 3960 * SECOND);
        assert_int_equal(job->timers.failing_since, DAY);
        assert_int_equal(job->timers.busy_since, DAY);
        assert_int_equal(job->timers.active_at, DAY);
        assert_int_equal(job->timers.place, 0);
}

enum {
        MEMBERS = 500,
};

static uint64_t least(const Timers *members)
{
        uint64_t due = TIMERS_NEVER;

        for (size_t i = 0; i < MEMBERS; i++)
                if (members[i].place != 0)
                        due = MIN(due, members[i].due);
        return due;
}

/* Takes all out. */
static void assert_in_order(Deadlines *d)
{
        uint64_t before = 0;
        Timers *first;

        while ((first = deadlines_first(d))) {
                assert_true(first->due >= before);
                before = first->due;
                deadlines_set(d, first, TIMERS_NEVER);
        }
}

/* ENG-224 */
static void heap_knows_the_first_whatever_moves(void **state)
{
        static Timers members[MEMBERS];
        Deadlines d = { 0 };
        unsigned seed = 1;

        (void)state;
        assert_null(deadlines_first(&d));
        assert_int_equal(deadlines_reserve(&d, MEMBERS), 0);
        for (unsigned n = 0; n < 20000; n++) {
                Timers *t = &members[(unsigned)rand_r(&seed) % MEMBERS];
                const Timers *first;

                deadlines_set(&d, t,
                              rand_r(&seed) % 3 ? (uint64_t)rand_r(&seed) % 1000 : TIMERS_NEVER);
                first = deadlines_first(&d);
                assert_int_equal(first ? first->due : TIMERS_NEVER, least(members));
                if (n % 1000 == 999)
                        assert_in_order(&d);
        }
        for (size_t i = 0; i < MEMBERS; i++)
                deadlines_set(&d, &members[i], i);
        for (size_t i = 0; i < d.n; i++)
                d.heap[i]->due = (uint64_t)rand_r(&seed) % 1000;
        deadlines_reorder(&d);
        assert_int_equal(deadlines_first(&d)->due, least(members));
        assert_in_order(&d);
        assert_null(deadlines_first(&d));
        deadlines_done(&d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(delays_double_up_to_an_hour_with_a_tenth_of_jitter),
                cmocka_unit_test(what_is_no_failure_does_not_slow_retries),
                cmocka_unit_test(patience_ends),
                cmocka_unit_test(patience_shorter_than_the_delay_is_none),
                cmocka_unit_test(inactivity_caps_patience),
                cmocka_unit_test(who_was_only_kept_back_keeps_his_patience),
                cmocka_unit_test(download_time_adds_up),
                cmocka_unit_test(inactivity_is_without_progress_call_or_change),
                cmocka_unit_test(inactivity_is_told_once_a_day),
                cmocka_unit_test(points_from_another_clock_are_set_right),
                cmocka_unit_test(heap_knows_the_first_whatever_moves),
        };

        return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
