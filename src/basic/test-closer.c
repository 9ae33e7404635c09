/*
 * Closing by a thread: everything is closed, once; what is known to answer, on the spot. Files that
 * hang: test/test_shares.py.
 */
#include "basic/closer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
        MANY = 200,
        PATIENCE_MSEC = 10 * 1000,
};

static void wait_until_all_are_closed(void)
{
        for (int i = 0; i < PATIENCE_MSEC && closer_waiting() > 0; i++)
                nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        assert_int_equal(closer_waiting(), 0);
}

static bool is_open(int fd)
{
        return fcntl(fd, F_GETFD) >= 0;
}

/* SEC-370 */
static void descriptors_of_every_kind_are_closed(void **state)
{
        int pair[2], fds[MANY];

        (void)state;
        assert_int_equal(closer_close(-EBADF), -EBADF);
        for (int i = 0; i < MANY; i++) {
                if (i % 3 == 0)
                        fds[i] = memfd_create("x", MFD_CLOEXEC);
                else if (i % 3 == 1)
                        fds[i] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
                else
                        fds[i] = open("/", O_PATH | O_CLOEXEC);
                assert_true(fds[i] >= 0);
        }
        errno = ENOTTY;
        for (int i = 0; i < MANY; i++)
                assert_int_equal(closer_close(fds[i]), -EBADF);
        assert_int_equal(errno, ENOTTY);
        wait_until_all_are_closed();
        for (int i = 0; i < MANY; i++)
                assert_false(is_open(fds[i]));
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        (void)closer_close(pair[0]);
        assert_int_equal(read(pair[1], fds, 1), 0); /* waits for the end */
        close(pair[1]);
}

static void what_answers_is_closed_on_the_spot(void **state)
{
        int fd = memfd_create("x", MFD_CLOEXEC);

        (void)state;
        (void)closer_close(fd);
        wait_until_all_are_closed();
        for (int i = 0; i < MANY; i++) {
                fd = memfd_create("x", MFD_CLOEXEC);
                (void)closer_close(fd);
                assert_false(is_open(fd));
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(descriptors_of_every_kind_are_closed),
                cmocka_unit_test(what_answers_is_closed_on_the_spot),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
