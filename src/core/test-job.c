/*
 * The model of a job: ids, temporary names, the counters under everything that can happen to a
 * file, the life of a fault.
 */
#include "core/job.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
        ROUNDS = 20000,
        FILES = 12,
};

static const uint8_t random_bytes[JOB_ID_BYTES] = { 0xff, 1, 2, 3, 4, 5, 0xff, 7, 0xff, 9, 10 };

static Job *make_job(void)
{
        Job *job;

        assert_int_equal(job_new(random_bytes, 1000, JOB_DOWNLOAD, "name", 5, &job), 0);
        return job;
}

static File *add_file(Job *job, const char *local_name)
{
        File *file;

        assert_int_equal(file_new("http://h/", local_name, random_bytes, &file), 0);
        assert_int_equal(job_append_file(job, file), 0);
        return file;
}

/* a new id is a version 4 UUID in lower case. */
static void test_new_id(void **state)
{
        Job *job = make_job();

        (void)state;
        assert_string_equal(job->id, "ff010203-0405-4f07-bf09-0a0000000000");
        assert_int_equal(job->state, STATE_SUSPENDED);
        assert_int_equal(job->minimum_retry_delay, 600);
        assert_int_equal(job->no_progress_timeout, 1209600);
        job_free(job);
}

static void test_parse_id(void **state)
{
        static const char id[] = "ff010203-0405-4f07-bf09-0a0000000000";
        static const char *const good[] = {
                "ff010203-0405-4f07-bf09-0a0000000000",
                "{FF010203-0405-4F07-BF09-0A0000000000}",
                "ff01020304054f07bf090a0000000000",
                "{ff01020304054F07bf090a0000000000}",
        };
        static const char *const bad[] = {
                "",
                "{}",
                "ff010203-0405-4f07-bf09-0a000000000",
                "ff010203-0405-4f07-bf09-0a00000000000",
                "ff010203-0405-4f07-bf09-0a000000000g",
                "ff010203-0405-4f07-bf0-90a0000000000",
                "ff01020-30405-4f07-bf09-0a0000000000",
                "ff01020304054f07bf090a000000000-",
                "{ff010203-0405-4f07-bf09-0a0000000000",
                "ff010203 0405 4f07 bf09 0a0000000000",
        };
        char parsed[JOB_ID_CHARACTERS + 1] = "unchanged", compact[2 * JOB_ID_BYTES + 1];

        (void)state;
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                assert_false(job_id_parse(bad[i], parsed));
        assert_false(job_id_parse(NULL, parsed));
        assert_string_equal(parsed, "unchanged");
        for (size_t i = 0; i < ELEMENTS(good); i++) {
                assert_true(job_id_parse(good[i], parsed));
                assert_string_equal(parsed, id);
        }
        job_id_compact(id, compact);
        assert_string_equal(compact, "ff01020304054f07bf090a0000000000");
        assert_true(job_id_parse(compact, parsed));
        assert_string_equal(parsed, id);
}

static bool ends_inside_a_character(const char *name, size_t length)
{
        size_t start = length;

        while (start > 0 && ((unsigned char)name[start - 1] & 0xc0) == 0x80)
                start--;
        if (start == 0)
                return false;
        return (unsigned char)name[start - 1] >= 0xc0 && length - start < 2;
}

/* one legal component for every legal name; no character is cut in two. */
static void test_temporary_names(void **state)
{
        (void)state;
        for (size_t length = 1; length <= NAME_MAX; length++) {
                char local[NAME_MAX + 2] = "/", euro[NAME_MAX + 8] = "/";
                File *file;

                memset(local + 1, 'x', length);
                assert_int_equal(file_new("http://h/", local, random_bytes, &file), 0);
                assert_true(strlen(file->temporary_name) <= NAME_MAX);
                assert_null(strchr(file->temporary_name, '/'));
                assert_memory_equal(file->temporary_name, ".x", 2);
                assert_non_null(strstr(file->temporary_name, ".bits-ff0102030405"));
                file_free(file);

                for (size_t i = 0; i < length; i++)
                        euro[1 + i] = "\xe2\x82\xac"[i % 3];
                if (length % 3 != 0)
                        continue;
                assert_int_equal(file_new("http://h/", euro, random_bytes, &file), 0);
                assert_true(strlen(file->temporary_name) <= NAME_MAX);
                assert_false(ends_inside_a_character(
                        file->temporary_name,
                        (size_t)(strstr(file->temporary_name, ".bits-") - file->temporary_name)));
                file_free(file);
        }
}

static void assert_counters(const Job *job)
{
        uint64_t written = 0, total = 0;
        size_t unknown = 0, transferred = 0;

        for (size_t i = 0; i < job->n_files; i++) {
                const File *file = job->files[i];

                assert_int_equal(file->index, i);
                assert_true(file->kept <= file->written);
                written += file->written;
                transferred += file->transferred;
                if (file->total == JOB_SIZE_UNKNOWN)
                        unknown++;
                else
                        total += file->total;
        }
        assert_int_equal(job->bytes_written, written);
        assert_int_equal(job->bytes_total, total);
        assert_int_equal(job->n_unknown, unknown);
        assert_int_equal(job->n_transferred, transferred);
        assert_int_equal(job_bytes_total(job), unknown > 0 ? JOB_SIZE_UNKNOWN : total);
}

static unsigned next_random(unsigned *seed)
{
        *seed = *seed * 1103515245u + 12345u;
        return *seed >> 8;
}

static void do_something(File *file, unsigned action, uint64_t value)
{
        switch (action % 6) {
        case 0:
                file_set_written(file, value);
                break;
        case 1:
                file_set_kept(file, value);
                break;
        case 2:
                file_set_total(file, value % 3 == 0 ? JOB_SIZE_UNKNOWN : value);
                break;
        case 3:
                file_set_transferred(file, value % 2);
                break;
        case 4:
                assert_int_equal(file_set_version(file, value % 2 ? "\"e\"" : NULL, "", value % 3),
                                 0);
                break;
        case 5:
                if (value % 8 == 0)
                        file_reset(file);
                break;
        }
}

/* the counters of the job are the sums over its files, whatever happens. */
static void test_counters(void **state)
{
        Job *job = make_job();
        unsigned seed = 20;

        (void)state;
        for (unsigned i = 0; i < ROUNDS; i++) {
                unsigned action = next_random(&seed);

                if (job->n_files < FILES && action % 16 == 0)
                        add_file(job, "/a");
                if (job->n_files == 0)
                        continue;
                do_something(job->files[next_random(&seed) % job->n_files], action,
                             next_random(&seed) % 100000);
                assert_counters(job);
        }
        assert_int_equal(job->n_files, FILES);
        job_free(job);
}

/* A file that comes with progress, from the store, counts from the start. */
static void test_append_with_progress(void **state)
{
        Job *job = make_job();
        File *file;

        (void)state;
        assert_int_equal(file_new("http://h/", "/a", random_bytes, &file), 0);
        file_set_total(file, 100);
        file_set_kept(file, 60);
        file_set_transferred(file, true);
        assert_int_equal(job_append_file(job, file), 0);
        assert_counters(job);
        job_free(job);
}

/* a fault is there as long as its error is the last word, and is counted. */
static void test_fault_life(void **state)
{
        Job *job = make_job();
        File *file = add_file(job, "/a");

        (void)state;
        assert_int_equal(job_transition(job, EVENT_RESUME, 10), 0);
        assert_int_equal(job_transition(job, EVENT_PICKED, 11), 0);
        job_set_fault(job, file, CONTEXT_REMOTE_FILE, BITS_E_HTTP(503), "busy");
        assert_int_equal(job_transition(job, EVENT_FAILED_TRANSIENT, 12), 0);
        assert_int_equal(job->error_count, 1);
        assert_int_equal(job->fault_file, 0);
        assert_int_equal(job->modified, 12);
        assert_int_equal(job_transition(job, EVENT_TIMED_OUT, 13), 0);
        assert_int_equal(job->state, STATE_ERROR);
        assert_int_equal(job->fault.code, BITS_E_HTTP(503));
        assert_int_equal(job_transition(job, EVENT_SUSPEND, 14), 0);
        assert_int_equal(job_transition(job, EVENT_RESUME, 14), 0);
        assert_int_equal(job_transition(job, EVENT_PICKED, 15), 0);
        assert_int_equal(job->fault.code, BITS_E_HTTP(503)); /* JOB-470 */
        assert_int_equal(job_transition(job, EVENT_CONNECTED, 16), 0);
        assert_int_equal(job->fault.code, 0);
        assert_null(job->fault.detail);
        assert_int_equal(job->fault_file, NO_FILE);
        assert_int_equal(job_transition(job, EVENT_FINISHED, 17), 0);
        assert_int_equal(job->transfer_completed, 17);
        job_free(job);
}

/* JOB-403 */
static void test_fault_of_the_service_has_no_file(void **state)
{
        Job *job = make_job();
        File *file = add_file(job, "/a");

        (void)state;
        for (ErrorContext context = CONTEXT_UNKNOWN; context < CONTEXT_MAX; context++) {
                job_set_fault(job, file, context, BITS_E_OUT_OF_MEMORY, NULL);
                assert_int_equal(job->fault_file,
                                 context == CONTEXT_GENERAL_QUEUE_MANAGER ? NO_FILE : 0);
        }
        job_free(job);
}

static void test_transitions_refuse(void **state)
{
        Job *job = make_job();

        (void)state;
        assert_int_equal(job_resume_event(job), EVENT_RESUME_EMPTY);
        assert_int_equal(job_transition(job, EVENT_RESUME_EMPTY, 10), BG_E_EMPTY);
        assert_int_equal(job_transition(job, EVENT_PICKED, 10), BG_E_INVALID_STATE);
        assert_int_equal(job->state, STATE_SUSPENDED);
        assert_int_equal(job->modified, 5);
        assert_int_equal(job_transition(job, EVENT_CANCEL, 10), 0);
        assert_int_equal(job_transition(job, EVENT_CANCEL, 11), BG_E_INVALID_STATE);
        assert_int_equal(job->modified, 10);
        job_free(job);
}

/* What can be continued: the same version, in a file that exists. */
static void test_resumable(void **state)
{
        Job *job = make_job();
        File *file = add_file(job, "/a");

        (void)state;
        assert_int_equal(job_resume_event(job), EVENT_RESUME);
        assert_int_equal(file_set_version(file, "\"e\"", "Mon", true), 0);
        assert_false(file_can_resume(file));
        file->inode = 4;
        assert_true(file_can_resume(file));
        file_reset(file);
        assert_false(file_can_resume(file));
        assert_int_equal(file->inode, 4); /* FIL-48 */
        assert_null(file->etag);
        assert_null(file->last_modified);
        file_set_transferred(file, true);
        assert_int_equal(job_resume_event(job), EVENT_RESUME_TRANSFERRED);
        job_free(job);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_new_id),
                cmocka_unit_test(test_parse_id),
                cmocka_unit_test(test_temporary_names),
                cmocka_unit_test(test_counters),
                cmocka_unit_test(test_append_with_progress),
                cmocka_unit_test(test_fault_life),
                cmocka_unit_test(test_fault_of_the_service_has_no_file),
                cmocka_unit_test(test_transitions_refuse),
                cmocka_unit_test(test_resumable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
