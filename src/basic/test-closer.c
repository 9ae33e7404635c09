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

/* SEC-481: an empty one on the spot; one that holds something by a thread. */
static void end_of_a_connection_is_closed(void **state)
{
        int pair[2];

        (void)state;
        assert_int_equal(closer_close_socket(-EBADF), -EBADF);
        for (int unread = 0; unread < 2; unread++) {
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                assert_int_equal(write(pair[1], "x", (size_t)unread), unread);
                assert_int_equal(closer_close_socket(pair[0]), -EBADF);
                assert_true(unread || !is_open(pair[0]));
                wait_until_all_are_closed();
                assert_false(is_open(pair[0]));
                close(pair[1]);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(descriptors_of_every_kind_are_closed),
                cmocka_unit_test(what_answers_is_closed_on_the_spot),
                cmocka_unit_test(end_of_a_connection_is_closed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
