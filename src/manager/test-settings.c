/*
 * Files with settings: their order, wrong lines with their places, and that a wrong file changes
 * nothing.
 */
#include "manager/settings.h"

#include "basic/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test-settings-XXXXXX";
static int standard_error;

static void put(const char *name, const char *text)
{
        char path[256];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static void drop(const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        assert_int_equal(unlink(path), 0);
}

/* Everything that is logged from now on goes into a file of the folder. */
static void listen_to_the_log(void)
{
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/log", folder);
        fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND, 0600);
        assert_true(fd >= 0);
        standard_error = dup(STDERR_FILENO);
        assert_true(dup2(fd, STDERR_FILENO) >= 0);
        close(fd);
}

static void stop_listening(char *ret, size_t size)
{
        char path[256];
        ssize_t n;
        int fd;

        assert_true(dup2(standard_error, STDERR_FILENO) >= 0);
        close(standard_error);
        snprintf(path, sizeof(path), "%s/log", folder);
        fd = open(path, O_RDONLY);
        n = read(fd, ret, size - 1);
        assert_true(n >= 0);
        ret[n] = 0;
        close(fd);
        drop("log");
}

static void said(const char *log, const char *what)
{
        if (!strstr(log, what))
                fail_msg("the log does not say '%s':\n%s", what, log);
}

/* The files change nothing in what is in force, and the log says why. */
static void refused(Settings *settings, const char *what)
{
        Config before = *settings_config(settings);
        char log[8192];
        int r;

        listen_to_the_log();
        r = settings_reload(settings);
        stop_listening(log, sizeof(log));
        assert_true(r < 0);
        said(log, what);
        assert_memory_equal(&before, settings_config(settings), sizeof(before));
}

static void no_file_is_fine(void **state)
{
        _cleanup_(settings_freep) Settings *settings = NULL;

        (void)state;
        assert_int_equal(settings_new("/nonexistent", &settings), 0);
        assert_int_equal(settings_config(settings)->max_jobs_per_user, 60);
        assert_null(settings_file(settings, 0));
        assert_null(settings_file(settings, 1));
}

/* The last word holds, in the order of the names; only *.conf counts. */
static void files_in_order(void **state)
{
        _cleanup_(settings_freep) Settings *settings = NULL;
        const Config *config;

        (void)state;
        put("bitsd.conf", "# of this machine\n\n[Limits]\nMaxJobsPerUser=5\nMaxFilesPerJob = 50\n"
                          "[Timeouts] ; days\nJobInactivityTimeout: 30\n");
        put("bitsd.conf.d/20-b.conf", "[Limits]\n  MaxJobsPerUser=7\n");
        put("bitsd.conf.d/10-a.conf", "\xEF\xBB\xBF[Limits]\nMaxJobsPerUser=6\n");
        put("bitsd.conf.d/30.conf~", "[Limits]\nMaxJobsPerUser=8\n");
        put("bitsd.conf.d/.40.conf", "[Limits]\nMaxJobsPerUser=9\n");
        assert_int_equal(settings_new(folder, &settings), 0);
        config = settings_config(settings);
        assert_int_equal(config->max_jobs_per_user, 7);
        assert_int_equal(config->max_files_per_job, 50);
        assert_int_equal(config->job_inactivity_timeout, 30);
        assert_string_equal(
                settings_file(settings, config->origins[CONFIG_MAX_JOBS_PER_USER].file) +
                        sizeof(folder),
                "bitsd.conf.d/20-b.conf");
        assert_int_equal(config->origins[CONFIG_MAX_JOBS_PER_USER].line, 2);
        assert_int_equal(config->origins[CONFIG_MAX_FILES_PER_JOB].line, 5);
        assert_int_equal(config->origins[CONFIG_MAX_RANGES_PER_FILE].file, 0);

        /* A line that is gone is a default again. */
        drop("bitsd.conf.d/20-b.conf");
        drop("bitsd.conf.d/10-a.conf");
        put("bitsd.conf", "");
        assert_int_equal(settings_reload(settings), 0);
        assert_int_equal(config->max_jobs_per_user, 60);
        drop("bitsd.conf.d/30.conf~");
        drop("bitsd.conf.d/.40.conf");
        drop("bitsd.conf");
}

/* POL-202, POL-209 */
static void wrong_lines(void **state)
{
        _cleanup_(settings_freep) Settings *settings = NULL;
        char many[600];

        (void)state;
        put("bitsd.conf", "[Limits]\nMaxJobsPerUser=5\n");
        assert_int_equal(settings_new(folder, &settings), 0);

        put("bitsd.conf", "[Limits]\nMaxJobsPerUser=6\nMaxFilesPerJob=many\n");
        refused(settings, "bitsd.conf:3: 'many' is no value of MaxFilesPerJob; allowed are the");
        put("bitsd.conf", "[Limits]\nMaxJobsPerUser=6\nMaxJobs=3\n");
        refused(settings, "bitsd.conf:3: there is no setting 'MaxJobs' in [Limits]");
        put("bitsd.conf", "[Limits]\nMaxJobsPerUser=6\n\nwhat is this\n");
        refused(settings, "bitsd.conf:4: the line is neither");
        put("bitsd.conf", "[Limits\nMaxJobsPerUser=6\n");
        refused(settings, "bitsd.conf:1: the line is neither");
        memset(many, 'x', sizeof(many) - 1);
        many[sizeof(many) - 1] = 0;
        put("bitsd.conf", many);
        refused(settings, "bitsd.conf:1: the line is too long");
        put("bitsd.conf", "[Limits]\nMaxJobsPerUser=6\n");
        put("bitsd.conf.d/1.conf", "[Limits]\nMaxJobsPerUser=7\nMaxJobsPerMachine=0\n");
        refused(settings, "bitsd.conf.d/1.conf:3: '0' is no value");

        /* Every wrong line of every file, at one go. */
        put("bitsd.conf", "[Limits]\nMaxJobsPerUser=x\nMaxJobsPerMachine=y\n");
        refused(settings, "bitsd.conf:3: 'y'");
        refused(settings, "1.conf:3: '0'");
        drop("bitsd.conf.d/1.conf");
        put("bitsd.conf", "[Limits]\nMaxJobsPerUser=6\n");
        assert_int_equal(settings_reload(settings), 0);
        assert_int_equal(settings_config(settings)->max_jobs_per_user, 6);
        drop("bitsd.conf");
}

static void what_is_no_file(void **state)
{
        _cleanup_(settings_freep) Settings *settings = NULL;
        char path[256];

        (void)state;
        assert_int_equal(settings_new(folder, &settings), 0);
        snprintf(path, sizeof(path), "%s/bitsd.conf", folder);
        assert_int_equal(mkdir(path, 0700), 0);
        refused(settings, "cannot read");
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(symlink("/dev/zero", path), 0); /* without an end */
        refused(settings, "cannot read");
        assert_int_equal(unlink(path), 0);
}

static int make_folder(void **state)
{
        char path[256];

        (void)state;
        log_open("test", LOG_INFO);
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/bitsd.conf.d", folder);
        return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
        char path[256];

        (void)state;
        snprintf(path, sizeof(path), "%s/bitsd.conf.d", folder);
        return rmdir(path) < 0 ? -1 : rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_file_is_fine),
                cmocka_unit_test(files_in_order),
                cmocka_unit_test(wrong_lines),
                cmocka_unit_test(what_is_no_file),
        };

        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
