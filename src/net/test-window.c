/*
 * Receive buffers of real sockets: held at low rates, the kernel's at high ones, and never those of
 * another connection.
 */
#include "net/window.h"

#include "basic/fd.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
        SLOW = 8000,       /* bytes a second */
        MEDIUM = 400000,   /* half of it is granted on every machine */
        ENDLESS = INT_MAX, /* more than any machine grants */
};

static int socket_new(void)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        return fd;
}

static int option(int fd, int which)
{
        int value = 0;
        socklen_t size = sizeof(value);

        assert_int_equal(getsockopt(fd, SOL_SOCKET, which, &value, &size), 0);
        return value;
}

static bool is_held(int fd)
{
        return option(fd, SO_BUF_LOCK) & 2; /* SOCK_RCVBUF_LOCK */
}

/* POL-385 */
static void a_limit_holds_the_buffer(void **state)
{
        _cleanup_close_ int fd = socket_new();
        Window window;

        (void)state;
        window_forget(&window);
        window_opened(&window, fd);
        window_hold(&window, UINT64_MAX);
        assert_false(is_held(fd));
        window_hold(&window, SLOW);
        assert_true(is_held(fd));
        assert_int_equal(option(fd, SO_RCVBUF), 2 * 64 * 1024);
        window_hold(&window, MEDIUM);
        assert_true(is_held(fd));
        assert_int_equal(option(fd, SO_RCVBUF), MEDIUM);
}

/* POL-385 */
static void without_a_limit_it_is_the_kernels(void **state)
{
        static const uint64_t rates[] = { UINT64_MAX, UINT64_MAX - 1, ENDLESS };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rates); i++) {
                _cleanup_close_ int fd = socket_new();
                Window window;

                window_forget(&window);
                window_opened(&window, fd);
                window_hold(&window, SLOW);
                window_hold(&window, rates[i]);
                assert_false(is_held(fd));
        }
}

/* POL-385: a connection may have served who had another rate. */
static void a_kept_connection_is_sized_anew(void **state)
{
        _cleanup_close_ int fd = socket_new();
        Window first, second;

        (void)state;
        window_forget(&first);
        window_opened(&first, fd);
        window_hold(&first, SLOW);
        window_forget(&second);
        window_hold(&second, UINT64_MAX); /* of no socket yet */
        assert_true(is_held(fd));
        window_watched(&second, fd);
        window_hold(&second, UINT64_MAX);
        assert_false(is_held(fd));
        window_watched(&second, fd); /* as it was */
        assert_true(second.rate == UINT64_MAX);
}

/* POL-385: of two attempts to connect the other one may have won. */
static void another_port_is_another_connection(void **state)
{
        _cleanup_close_ int fd = socket_new();
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        Window window;

        (void)state;
        assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
        window_forget(&window);
        window_check_port(&window, 1);
        window_opened(&window, fd);
        window_check_port(&window, ntohs(address.sin_port));
        assert_int_equal(window.fd, fd);
        window_check_port(&window, ntohs(address.sin_port) ^ 1);
        assert_true(window.fd < 0);
        window_hold(&window, SLOW);
        assert_false(is_held(fd));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_limit_holds_the_buffer),
                cmocka_unit_test(without_a_limit_it_is_the_kernels),
                cmocka_unit_test(a_kept_connection_is_sized_anew),
                cmocka_unit_test(another_port_is_another_connection),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
