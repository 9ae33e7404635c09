/*
 * Uploads as a model: which step comes next, what counts for the job, the reply and its name.
 */
#include "core/job.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t random_bytes[JOB_ID_BYTES] = { 1, 2, 3, 4, 5, 6 };

static Job *make_job(JobType type, const char *local_name)
{
        File *file;
        Job *job;

        assert_int_equal(job_new(random_bytes, 1000, type, "name", 5, &job), 0);
        if (!local_name)
                return job;
        assert_int_equal(
                file_new("https://h.example:8443/in/x?a=1", local_name, random_bytes, &file), 0);
        assert_int_equal(job_append_file(job, file), 0);
        return job;
}

static void set_session(Job *job, const char *session, const char *host, const char *reply)
{
        assert_int_equal(upload_set_session(job, session, host, 7, reply, false), 0);
}

/* UPL-120 */
static void test_steps_of_an_upload(void **state)
{
        Job *job = make_job(JOB_UPLOAD, "/a");

        (void)state;
        set_session(job, "{s}", "", "");
        assert_int_equal(upload_step(job), UPLOAD_SEND);
        assert_false(job_is_transferred(job));
        assert_int_equal(job_resume_event(job), EVENT_RESUME);
        file_set_transferred(job->files[0], true);
        assert_int_equal(upload_step(job), UPLOAD_CLOSE);
        assert_false(job_is_transferred(job));
        upload_forget_session(job);
        assert_int_equal(upload_step(job), UPLOAD_OVER);
        assert_true(job_is_transferred(job));
        assert_int_equal(job_resume_event(job), EVENT_RESUME_TRANSFERRED);
        assert_false(file_is_fetched(job->files[0]));
        job_free(job);
}

/* UPL-120, UPL-122: the reply counts for nothing, and the session stays until it is there. */
static void test_steps_of_an_upload_reply(void **state)
{
        Job *job = make_job(JOB_UPLOAD_REPLY, "/dir/a");

        (void)state;
        assert_int_equal(upload_set_reply_name(job, "/other/reply", random_bytes), 0);
        set_session(job, "{s}", "", "https://h.example:8443/r");
        file_set_total(job->files[0], 10);
        file_set_kept(job->files[0], 10);
        file_set_transferred(job->files[0], true);
        assert_int_equal(upload_step(job), UPLOAD_FETCH_REPLY);
        assert_int_equal(upload_make_reply(job, random_bytes), 0);
        assert_ptr_equal(job_file(job, 0), job->files[0]);
        assert_ptr_equal(job_file(job, 1), job->reply);
        assert_null(job_file(job, 2));
        assert_string_equal(job->reply->local_name, "/other/reply");
        assert_string_equal(job->reply->remote_name, "https://h.example:8443/r");
        assert_true(file_is_fetched(job->reply));
        file_set_total(job->reply, 99);
        file_set_kept(job->reply, 99);
        file_set_transferred(job->reply, true);
        assert_int_equal(job->n_files, 1);
        assert_int_equal(job->n_transferred, 1);
        assert_int_equal(job_bytes_total(job), 10);
        assert_int_equal(job->bytes_written, 10);
        assert_int_equal(upload_step(job), UPLOAD_CLOSE);
        upload_forget_session(job);
        assert_true(job_is_transferred(job));
        job_free(job);
}

/* UPL-122: as the store reads it back. */
static void test_second_file_is_the_reply(void **state)
{
        Job *job = make_job(JOB_UPLOAD_REPLY, "/a");
        File *file;

        (void)state;
        assert_int_equal(file_new("http://h/r", "/r", random_bytes, &file), 0);
        assert_int_equal(job_append_file(job, file), 0);
        assert_int_equal(job->n_files, 1);
        assert_ptr_equal(job->reply, file);
        assert_int_equal(file->index, 1);
        job_forget_files(job);
        assert_null(job_file(job, 0));
        assert_null(job->reply);
        job_free(job);
}

/* UPL-121 */
static void test_reply_name(void **state)
{
        char longest[NAME_MAX + 2];
        Job *job = make_job(JOB_UPLOAD_REPLY, NULL);
        const char *name;

        (void)state;
        assert_int_equal(upload_set_reply_name(job, "", random_bytes), 0);
        assert_string_equal(job->upload.reply_name, "");
        job_free(job);

        job = make_job(JOB_UPLOAD_REPLY, "/some dir/a");
        assert_int_equal(upload_set_reply_name(job, NULL, random_bytes), 0);
        assert_string_equal(job->upload.reply_name, "/some dir/a.reply-01020304");
        assert_int_equal(upload_set_reply_name(job, "/x/y", random_bytes), 0);
        set_session(job, "{s}", "", "http://h/r");
        assert_int_equal(upload_make_reply(job, random_bytes), 0);
        /* Not begun: it follows. */
        assert_int_equal(upload_set_reply_name(job, "/x/z", random_bytes), 0);
        assert_string_equal(job->reply->local_name, "/x/z");
        assert_string_equal(job->reply->temporary_name, ".z.bits-010203040506");
        job->reply->inode = 1;
        assert_int_equal(upload_set_reply_name(job, "/x/w", random_bytes), BG_E_INVALID_STATE);
        assert_string_equal(job->upload.reply_name, "/x/z");
        job_free(job);

        memset(longest, 'n', sizeof(longest));
        longest[0] = '/';
        longest[NAME_MAX + 1] = 0;
        job = make_job(JOB_UPLOAD_REPLY, longest);
        assert_int_equal(upload_set_reply_name(job, NULL, random_bytes), 0);
        name = strrchr(job->upload.reply_name, '/') + 1;
        assert_true(strlen(name) <= NAME_MAX);
        assert_non_null(strstr(name, ".reply-01020304"));
        job_free(job);
}

/* UPL-134 */
static void test_host(void **state)
{
        enum { SECOND = 1000000 };
        Job *job = make_job(JOB_UPLOAD, "/a");

        (void)state;
        upload_host_failed(job, 5); /* none was named */
        assert_int_equal(job->upload.host_failed_at, 0);
        set_session(job, "{s}", "node7", "");
        assert_string_equal(upload_host(job, 0), "node7");
        upload_host_failed(job, 100 * SECOND);
        upload_host_failed(job, 103 * SECOND); /* counts from the first */
        assert_string_equal(upload_host(job, 107 * SECOND - 1), "node7");
        assert_string_equal(upload_host(job, 107 * SECOND), "");
        upload_host_served(job);
        assert_string_equal(upload_host(job, 200 * SECOND), "node7");
        upload_host_failed(job, 200 * SECOND);
        job->upload.host_fallback = UPLOAD_NO_FALLBACK;
        assert_string_equal(upload_host(job, UINT64_MAX), "node7");
        upload_forget_session(job);
        assert_string_equal(upload_host(job, 0), "");
        job_free(job);
}

/* SEC-120 */
static void test_whose_reply_it_is(void **state)
{
        static const struct {
                const char *host, *reply;
                bool trusted;
                const char *remote; /* NULL: the ordinary one */
        } cases[] = {
                { "", "https://h.example:8443/in/r", true },
                { "", "HTTPS://H.Example:8443/r", true },
                { "", "https://h.example/r", false },
                { "", "http://h.example:8443/r", false },
                { "", "https://h.example:8443.evil/r", false },
                { "", "https://h.example:8443@evil/r", false },
                { "", "https://evil/https://h.example:8443/", false },
                { "", "", false },
                { "node7", "https://node7:8443/r", true },
                { "node7", "https://node8:8443/r", false },
                { "node7", "https://node7/r", false },
                { "node7", "https://h.example:8443/r", true },
                { "", "https://u:p@h.example:8443/r", true },
                { "", "https://h.example:8443/r", true, "https://u:p@h.example:8443/x" },
                { "", "https://h.example/r", false, "https://h.example:8443@evil/x" },
                { "node7", "https://node7:8443/r", true, "https://u:p@h.example:8443/x" },
                { "node7", "https://node7/r", true, "https://u:p@h.example/x" },
                { "node7", "https://node7/r", true, "https://[::1]/x" },
                { "node7", "https://node7:1]/r", false, "https://[::1]/x" },
                { "[::2]", "https://[::2]:81/r", true, "https://[::1]:81/x" },
                { "[::2]", "https://[::2]/r", false, "https://[::1]:81/x" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Job *job = make_job(JOB_UPLOAD_REPLY, "/a");

                set_session(job, "{s}", cases[i].host, cases[i].reply);
                if (cases[i].remote) {
                        free(job->files[0]->remote_name);
                        job->files[0]->remote_name = strdup(cases[i].remote);
                }
                if (upload_reply_is_trusted(job) != cases[i].trusted)
                        fail_msg("%s for %s", cases[i].reply, cases[i].host);
                job_free(job);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_steps_of_an_upload),
                cmocka_unit_test(test_steps_of_an_upload_reply),
                cmocka_unit_test(test_second_file_is_the_reply),
                cmocka_unit_test(test_reply_name),
                cmocka_unit_test(test_host),
                cmocka_unit_test(test_whose_reply_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
