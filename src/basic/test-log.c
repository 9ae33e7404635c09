/*
 * Log lines as they arrive at standard error, which each test replaces by a pipe.
 */
#include "basic/fd.h"
#include "basic/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Capture {
        int saved, pipe[2];
        char text[8192];
} Capture;

static void begin(Capture *c, bool journal)
{
        char stream[64];
        struct stat st;

        assert_int_equal(pipe(c->pipe), 0);
        c->saved = dup(STDERR_FILENO);
        dup2(c->pipe[1], STDERR_FILENO);
        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino + !journal);
        setenv("JOURNAL_STREAM", stream, 1);
}

static const char *end(Capture *c)
{
        ssize_t n;

        dup2(c->saved, STDERR_FILENO);
        fd_close(c->saved);
        fd_close(c->pipe[1]);
        n = read(c->pipe[0], c->text, sizeof(c->text) - 1);
        fd_close(c->pipe[0]);
        unsetenv("JOURNAL_STREAM");
        assert_true(n >= 0);
        c->text[n] = 0;
        return c->text;
}

static void the_journal_gets_priorities(void **state)
{
        Capture c;

        (void)state;
        begin(&c, true);
        log_open("bitsd", LOG_INFO);
        log_warning("job %d waits", 7);
        log_debug("too much");
        assert_string_equal(end(&c), "<4>job 7 waits\n");
}

static void others_get_the_program(void **state)
{
        char want[64];
        Capture c;

        (void)state;
        begin(&c, false);
        log_open("bitsd", LOG_DEBUG);
        log_debug("ready");
        snprintf(want, sizeof(want), "bitsd[%d]: ready\n", (int)getpid());
        assert_string_equal(end(&c), want);
}

/* errno survives; the error comes back, so that a caller can end with it. */
static void an_errno_is_explained(void **state)
{
        Capture c;

        (void)state;
        begin(&c, true);
        log_open("bitsd", LOG_INFO);
        errno = EXDEV;
        log_error("x");
        assert_int_equal(errno, EXDEV);
        assert_int_equal(log_errno(LOG_ERR, -ENOSPC, "cannot store job %s", "a"), -ENOSPC);
        assert_int_equal(log_errno(LOG_DEBUG, -EIO, "hidden"), -EIO);
        assert_string_equal(end(&c), "<3>x\n<3>cannot store job a: No space left on device\n");
}

/* A very long text is cut, still one line. */
static void long_lines_are_cut(void **state)
{
        char text[5000];
        const char *got;
        Capture c;

        (void)state;
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;
        begin(&c, true);
        log_open("bitsd", LOG_INFO);
        log_info("%s", text);
        got = end(&c);
        assert_in_range(strlen(got), 1024, 4096);
        assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_journal_gets_priorities),
                cmocka_unit_test(others_get_the_program),
                cmocka_unit_test(an_errno_is_explained),
                cmocka_unit_test(long_lines_are_cut),
        };

        return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
