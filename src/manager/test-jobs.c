/*
 * The table of jobs: found by id, listed in order, counted per user, and there as long as somebody
 * holds them.
 */
#include "manager/jobs.h"

#include "manager/handle.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
        JOBS = 100,
};

static Job *add_job(JobTable *table, uint8_t number, uid_t owner)
{
        uint8_t random[JOB_ID_BYTES] = { (uint8_t)(number * 37u) };
        Job *job;

        assert_int_equal(job_new(random, owner, JOB_DOWNLOAD, "j", number, &job), 0);
        assert_int_equal(job_table_add(table, job), 0);
        return job;
}

static void test_find_list_count(void **state)
{
        JobTable *table;
        Job *jobs[JOBS], *job;
        unsigned i = 0;

        (void)state;
        assert_int_equal(job_table_new(&table), 0);
        for (uint8_t n = 0; n < JOBS; n++)
                jobs[n] = add_job(table, n, n % 3u);
        assert_int_equal(job_table_count(table), JOBS);
        assert_int_equal(job_table_count_of(table, 0), 34);
        assert_int_equal(job_table_count_of(table, 2), 33);
        assert_int_equal(job_table_count_of(table, 3), 0);
        TAILQ_FOREACH (job, job_table_list(table), table_entries) {
                assert_ptr_equal(job, jobs[i++]);
                assert_ptr_equal(job_table_find(table, job->id), job);
        }
        assert_int_equal(i, JOBS);
        assert_null(job_table_find(table, "no such id"));
        job_table_free(table);
}

/* LIM-33: an ordinary user's finished jobs keep their files up to a number, then only the counters.
   */
static void test_finished_jobs_are_bounded(void **state)
{
        static const uint8_t random[NAME_RANDOM_BYTES];
        Handle handles[JOBS] = { 0 };
        JobTable *table;
        File *file;
        size_t with_files = 0;

        (void)state;
        assert_int_equal(job_table_new(&table), 0);
        for (uint8_t n = 0; n < JOBS; n++) {
                Job *job = add_job(table, n, 1000);

                assert_int_equal(file_new("http://h/x", "/a", random, &file), 0);
                assert_int_equal(job_append_file(job, file), 0);
                TAILQ_INSERT_TAIL(&job->handles, &handles[n], entries);
                assert_int_equal(job_transition(job, EVENT_CANCEL, 1), 0);
                job_table_retire(table, job);
                assert_int_equal(job->n_files, 1);
                with_files += job->files != NULL;
        }
        assert_int_equal(with_files, policy_limit(LIMIT_FINISHED_PER_USER, 1000));
        job_table_free(table);
}

/* A retired job is not found and not counted, but there for those who hold it. */
static void test_retire(void **state)
{
        Handle handle = { 0 };
        JobTable *table;
        Job *job, *other;
        char id[JOB_ID_CHARACTERS + 1];

        (void)state;
        assert_int_equal(job_table_new(&table), 0);
        job = add_job(table, 1, 7);
        other = add_job(table, 2, 7);
        memcpy(id, job->id, sizeof(id));
        TAILQ_INSERT_TAIL(&job->handles, &handle, entries);
        job_table_release(table, job);
        assert_ptr_equal(job_table_find(table, id), job);
        assert_int_equal(job_transition(job, EVENT_CANCEL, 1), 0);
        job_table_retire(table, job);
        assert_null(job_table_find(table, id));
        assert_int_equal(job_table_count(table), 1);
        assert_int_equal(job_table_count_of(table, 7), 1);
        assert_ptr_equal(TAILQ_FIRST(job_table_list(table)), other);
        job_table_release(table, job);
        assert_ptr_equal(job_table_find_any(table, id), job);
        assert_ptr_equal(TAILQ_FIRST(job_table_retired(table)), job);
        TAILQ_REMOVE(&job->handles, &handle, entries);
        job_table_release(table, job);
        assert_null(job_table_find_any(table, id));
        assert_null(TAILQ_FIRST(job_table_retired(table)));
        job_table_free(table);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find_list_count),
                cmocka_unit_test(test_retire),
                cmocka_unit_test(test_finished_jobs_are_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
