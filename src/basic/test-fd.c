/*
 * Descriptors: closing keeps errno, pairs do not leak over exec, a socket's number identifies it.
 */
#include "basic/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_open(int fd)
{
        return fcntl(fd, F_GETFD) >= 0;
}

static void close_keeps_errno_and_takes_anything(void **state)
{
        int fd = dup(STDERR_FILENO);

        (void)state;
        errno = EXDEV;
        assert_int_equal(fd_close(fd), -EBADF);
        assert_int_equal(fd_close(fd), -EBADF); /* closed already */
        assert_int_equal(fd_close(-EBADF), -EBADF);
        assert_int_equal(errno, EXDEV);
        assert_false(is_open(fd));
}

static void scope_closes_and_take_keeps(void **state)
{
        int kept, closed;

        (void)state;
        {
                _cleanup_close_ int a = dup(STDERR_FILENO), b = dup(STDERR_FILENO);

                closed = a;
                kept = TAKE_FD(b);
                assert_int_equal(b, -EBADF);
        }
        assert_false(is_open(closed));
        assert_true(is_open(kept));
        fd_close(kept);
}

/* Nothing is inherited by a program that is started. */
static void pairs_are_close_on_exec(void **state)
{
        int pair[2];

        (void)state;
        for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
                assert_int_equal(fd_socketpair(SOCK_SEQPACKET, nonblocking, pair), 0);
                for (int i = 0; i < 2; i++) {
                        assert_int_equal(fcntl(pair[i], F_GETFD), FD_CLOEXEC);
                        assert_int_equal((fcntl(pair[i], F_GETFL) & O_NONBLOCK) != 0, nonblocking);
                        fd_close(pair[i]);
                }
        }
}

/* The cookie is the token's identity: equal for copies, different for everything else. */
static void cookies_identify_sockets(void **state)
{
        uint64_t first, copy, second;
        int pair[2], duplicate;

        (void)state;
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, false, pair), 0);
        duplicate = dup(pair[0]);
        assert_int_equal(fd_socket_cookie(pair[0], &first), 0);
        assert_int_equal(fd_socket_cookie(duplicate, &copy), 0);
        assert_int_equal(fd_socket_cookie(pair[1], &second), 0);
        assert_true(first == copy && first != second && first != 0);
        fd_close(duplicate);
        fd_close(pair[0]);
        fd_close(pair[1]);
}

static void what_is_no_socket_has_no_cookie(void **state)
{
        uint64_t cookie = 7;
        int pipes[2];

        (void)state;
        assert_int_equal(pipe(pipes), 0);
        assert_int_equal(fd_socket_cookie(pipes[0], &cookie), -ENOTSOCK);
        fd_close(pipes[0]);
        fd_close(pipes[1]);
        assert_int_equal(fd_socket_cookie(pipes[0], &cookie), -EBADF);
        assert_int_equal(cookie, 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(close_keeps_errno_and_takes_anything),
                cmocka_unit_test(scope_closes_and_take_keeps),
                cmocka_unit_test(pairs_are_close_on_exec),
                cmocka_unit_test(cookies_identify_sockets),
                cmocka_unit_test(what_is_no_socket_has_no_cookie),
        };

        return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
