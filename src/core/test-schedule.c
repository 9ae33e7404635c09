/*
 * Turns, with time as an argument. `settle()` does what the engine does: it stops and starts until
 * the schedule asks for nothing more.
 */
#include "core/schedule.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
        SLICE = 300,
        JOBS = 8,
};

typedef struct World {
        Schedule s;
        ScheduleEntry jobs[JOBS];
        uint64_t now;
} World;

static World world(unsigned max_background)
{
        return (World){ .s.max_background = max_background, .now = 1000 };
}

/* Queues point into themselves: the world has to be at its place first. */
static void begin(World *w)
{
        schedule_init(&w->s, w->s.max_background, SLICE);
}

static void settle(World *w)
{
        for (unsigned steps = 0;; steps++) {
                ScheduleEntry *e;

                assert_true(steps < 4 * JOBS); /* otherwise it never comes to rest */
                if ((e = schedule_next_to_stop(&w->s, w->now)))
                        schedule_stopped(&w->s, e, w->now);
                else if ((e = schedule_next_to_start(&w->s)))
                        schedule_started(&w->s, e, w->now);
                else
                        return;
        }
}

static void add(World *w, unsigned job, JobPriority priority)
{
        schedule_insert(&w->s, &w->jobs[job], priority);
        settle(w);
}

static void take(World *w, unsigned job)
{
        schedule_remove(&w->s, &w->jobs[job]);
        settle(w);
}

static void at(World *w, uint64_t now)
{
        w->now = now;
        settle(w);
}

/* Exactly the jobs named run: running(w, "02"). */
static void running(const World *w, const char *want)
{
        for (unsigned i = 0; i < JOBS; i++) {
                bool wanted = strchr(want, (int)('0' + i)) != NULL;

                if (w->jobs[i].running != wanted)
                        fail_msg("job %u %s", i, wanted ? "does not run" : "runs");
        }
}

static void empty_schedule_asks_for_nothing(void **state)
{
        World w = world(1);

        (void)state;
        begin(&w);
        assert_null(schedule_next_to_start(&w.s));
        assert_null(schedule_next_to_stop(&w.s, UINT64_MAX - 1));
        assert_int_equal(schedule_deadline(&w.s), SCHEDULE_NEVER);
}

/* ENG-01 */
static void all_foreground_jobs_run_with_one_background_job(void **state)
{
        World w = world(1);

        (void)state;
        begin(&w);
        add(&w, 0, PRIORITY_NORMAL);
        add(&w, 1, PRIORITY_FOREGROUND);
        add(&w, 2, PRIORITY_FOREGROUND);
        add(&w, 3, PRIORITY_NORMAL);
        add(&w, 4, PRIORITY_FOREGROUND);
        running(&w, "0124");
        at(&w, w.now + 100 * SLICE); /* foreground has no turns */
        running(&w, "1234");
}

/* ENG-02 */
static void higher_priority_goes_first(void **state)
{
        World w = world(1);

        (void)state;
        begin(&w);
        schedule_insert(&w.s, &w.jobs[0], PRIORITY_LOW);
        schedule_insert(&w.s, &w.jobs[1], PRIORITY_NORMAL);
        schedule_insert(&w.s, &w.jobs[2], PRIORITY_HIGH);
        settle(&w);
        running(&w, "2");
        take(&w, 2);
        running(&w, "1");
        take(&w, 1);
        running(&w, "0");
        take(&w, 0);
        running(&w, "");
}

/* ENG-03 */
static void higher_priority_takes_the_place_at_once(void **state)
{
        World w = world(1);

        (void)state;
        begin(&w);
        add(&w, 0, PRIORITY_LOW);
        running(&w, "0");
        add(&w, 1, PRIORITY_NORMAL);
        running(&w, "1");
        add(&w, 2, PRIORITY_HIGH);
        running(&w, "2");
        at(&w, w.now + 100 * SLICE); /* lower ones get nothing meanwhile */
        running(&w, "2");
        add(&w, 3, PRIORITY_LOW);
        running(&w, "2");
        take(&w, 2);
        running(&w, "1");
}

/* ENG-03: of two running jobs the lower one makes room, of equals the one that began last. */
static void the_least_entitled_makes_room(void **state)
{
        World w = world(2);

        (void)state;
        begin(&w);
        add(&w, 0, PRIORITY_NORMAL);
        at(&w, w.now + 10);
        add(&w, 1, PRIORITY_NORMAL);
        running(&w, "01");
        add(&w, 2, PRIORITY_HIGH);
        running(&w, "02");
        add(&w, 3, PRIORITY_HIGH);
        running(&w, "23");
}

/* ENG-226: pre-empted, a job goes on before the others, with the rest of its slice. */
static void who_is_preempted_loses_nothing_of_his_slice(void **state)
{
        World w = world(1);
        uint64_t began;

        (void)state;
        begin(&w);
        began = w.now;
        add(&w, 0, PRIORITY_NORMAL);
        add(&w, 1, PRIORITY_NORMAL);
        at(&w, began + 100);
        add(&w, 2, PRIORITY_HIGH);
        running(&w, "2");
        at(&w, began + 1000);
        take(&w, 2);
        running(&w, "0");
        assert_int_equal(schedule_deadline(&w.s), began + 1000 + SLICE - 100);
        at(&w, began + 1000 + SLICE - 100);
        running(&w, "1");
        at(&w, began + 1000 + 2 * SLICE - 100); /* and then he begins a new one */
        running(&w, "0");
        assert_int_equal(schedule_deadline(&w.s), w.now + SLICE);
}

/* ENG-04 */
static void turns_end_after_a_slice_not_before(void **state)
{
        World w = world(1);
        uint64_t began;

        (void)state;
        begin(&w);
        began = w.now;
        add(&w, 0, PRIORITY_NORMAL);
        assert_int_equal(schedule_deadline(&w.s), SCHEDULE_NEVER); /* nobody waits */
        add(&w, 1, PRIORITY_NORMAL);
        assert_int_equal(schedule_deadline(&w.s), began + SLICE);
        at(&w, began + SLICE - 1);
        running(&w, "0");
        at(&w, began + SLICE);
        running(&w, "1");
        assert_int_equal(schedule_deadline(&w.s), began + 2 * SLICE);
}

/* ENG-04: a job alone keeps its turn; who comes later than a slice gets his at once. */
static void alone_a_job_goes_on(void **state)
{
        World w = world(1);

        (void)state;
        begin(&w);
        add(&w, 0, PRIORITY_NORMAL);
        at(&w, w.now + 10 * SLICE);
        running(&w, "0");
        add(&w, 1, PRIORITY_LOW); /* no claim to the place of a higher one */
        at(&w, w.now + 10 * SLICE);
        running(&w, "0");
        assert_int_equal(schedule_deadline(&w.s), SCHEDULE_NEVER);
        add(&w, 2, PRIORITY_NORMAL);
        running(&w, "2");
}

/* ENG-05: over many slices everybody of a priority has the same share. */
static void equal_jobs_have_equal_shares(void **state)
{
        World w = world(1);
        unsigned turns[JOBS] = { 0 };

        (void)state;
        begin(&w);
        for (unsigned i = 0; i < JOBS; i++)
                add(&w, i, PRIORITY_NORMAL);
        for (unsigned n = 0; n < 100 * JOBS; n++) {
                uint64_t next = schedule_deadline(&w.s);

                assert_int_equal(w.s.n_running_background, 1);
                for (unsigned i = 0; i < JOBS; i++)
                        turns[i] += w.jobs[i].running;
                assert_int_equal(next, w.now + SLICE);
                at(&w, next);
        }
        for (unsigned i = 0; i < JOBS; i++)
                assert_int_equal(turns[i], 100);
}

/* ENG-06 */
static void configured_number_of_background_jobs(void **state)
{
        World w = world(3);

        (void)state;
        begin(&w);
        for (unsigned i = 0; i < 5; i++)
                add(&w, i, PRIORITY_NORMAL);
        running(&w, "012");
        at(&w, w.now + SLICE);
        running(&w, "340");
        w.s.max_background = 1; /* a new configuration */
        settle(&w);
        assert_int_equal(w.s.n_running_background, 1);
}

static void zero_background_jobs_means_one(void **state)
{
        World w = world(0);

        (void)state;
        begin(&w);
        add(&w, 0, PRIORITY_LOW);
        running(&w, "0");
}

/* With room for all, nobody is stopped when his slice is over. */
static void no_turns_while_there_is_room(void **state)
{
        World w = world(2);

        (void)state;
        begin(&w);
        add(&w, 0, PRIORITY_NORMAL);
        schedule_insert(&w.s, &w.jobs[1], PRIORITY_NORMAL);
        w.now += 2 * SLICE;
        assert_null(schedule_next_to_stop(&w.s, w.now));
        assert_int_equal(schedule_deadline(&w.s), SCHEDULE_NEVER);
        settle(&w);
        running(&w, "01");
}

/* ENG-07 */
static void removing_is_idempotent_and_frees_the_place(void **state)
{
        World w = world(1);

        (void)state;
        begin(&w);
        schedule_remove(&w.s, &w.jobs[0]); /* never a member */
        add(&w, 0, PRIORITY_NORMAL);
        add(&w, 1, PRIORITY_NORMAL);
        schedule_remove(&w.s, &w.jobs[1]); /* waiting */
        schedule_remove(&w.s, &w.jobs[1]);
        assert_int_equal(w.s.n_running_background, 1);
        schedule_remove(&w.s, &w.jobs[0]); /* running */
        assert_int_equal(w.s.n_running_background, 0);
        settle(&w);
        running(&w, "");
        add(&w, 0, PRIORITY_FOREGROUND); /* back with another priority */
        running(&w, "0");
        assert_int_equal(w.s.n_running_background, 0);
}

/* A start far in the future must not wrap into the past. */
static void late_clock_does_not_wrap(void **state)
{
        World w = world(1);

        (void)state;
        begin(&w);
        w.now = UINT64_MAX - SLICE / 2;
        add(&w, 0, PRIORITY_NORMAL);
        add(&w, 1, PRIORITY_NORMAL);
        assert_int_equal(schedule_deadline(&w.s), SCHEDULE_NEVER);
        at(&w, UINT64_MAX - 1);
        running(&w, "0");
}

/* What must hold after whatever happened. */
static void check(const World *w)
{
        unsigned n[PRIORITY_MAX] = { 0 }, waiting[PRIORITY_MAX] = { 0 }, background = 0;

        for (unsigned i = 0; i < JOBS; i++) {
                const ScheduleEntry *e = &w->jobs[i];

                assert_true(e->member || !e->running);
                n[e->priority] += e->running;
                waiting[e->priority] += e->member && !e->running;
                background += e->running && e->priority != PRIORITY_FOREGROUND;
        }
        assert_int_equal(w->s.n_running_background, background);
        assert_true(background <= w->s.max_background);
        assert_int_equal(waiting[PRIORITY_FOREGROUND], 0);
        for (int p = PRIORITY_HIGH; p < PRIORITY_MAX; p++) {
                if (waiting[p] == 0)
                        continue;
                assert_int_equal(background, w->s.max_background); /* no idle place */
                for (int lower = p + 1; lower < PRIORITY_MAX; lower++)
                        assert_int_equal(n[lower], 0); /* nobody before his betters */
        }
        assert_true(schedule_deadline(&w->s) > w->now);
}

/* ENG-01 … ENG-06 in a long random life, the same each time. */
static void invariants_hold_over_a_random_life(void **state)
{
        World w = world(2);
        unsigned seed = 1;

        (void)state;
        begin(&w);
        for (unsigned n = 0; n < 100000; n++) {
                unsigned job = (unsigned)rand_r(&seed) % JOBS, what = (unsigned)rand_r(&seed) % 4;

                if (what == 0)
                        at(&w, w.now + (unsigned)rand_r(&seed) % SLICE);
                else if (w.jobs[job].member)
                        take(&w, job);
                else
                        add(&w, job, (JobPriority)(rand_r(&seed) % PRIORITY_MAX));
                check(&w);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(empty_schedule_asks_for_nothing),
                cmocka_unit_test(all_foreground_jobs_run_with_one_background_job),
                cmocka_unit_test(higher_priority_goes_first),
                cmocka_unit_test(higher_priority_takes_the_place_at_once),
                cmocka_unit_test(the_least_entitled_makes_room),
                cmocka_unit_test(who_is_preempted_loses_nothing_of_his_slice),
                cmocka_unit_test(turns_end_after_a_slice_not_before),
                cmocka_unit_test(alone_a_job_goes_on),
                cmocka_unit_test(equal_jobs_have_equal_shares),
                cmocka_unit_test(configured_number_of_background_jobs),
                cmocka_unit_test(zero_background_jobs_means_one),
                cmocka_unit_test(no_turns_while_there_is_room),
                cmocka_unit_test(removing_is_idempotent_and_frees_the_place),
                cmocka_unit_test(late_clock_does_not_wrap),
                cmocka_unit_test(invariants_hold_over_a_random_life),
        };

        return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
