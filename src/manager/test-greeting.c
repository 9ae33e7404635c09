/*
 * The authentication on a handle's socket, with real sockets, sd-bus on both ends, and a monotonic
 * clock of the test's, which sd-bus takes for the kernel's.
 */
#include "manager/greeting.h"

#include "basic/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
        DAY = 24 * 60 * 60,
        TURNS_MAX = 100,
};

static time_t ahead;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret)
{
        int r = (int)syscall(SYS_clock_gettime, clock, ret);

        ret->tv_sec += clock == CLOCK_REALTIME ? 0 : ahead;
        return r;
}

typedef struct Case {
        sd_event *event;
        sd_bus *peer;
        Greeting *greeting;
        int holder;
        unsigned over;
        int error;
} Case;

static void on_over(void *userdata, int error)
{
        Case *c = userdata;

        c->over++;
        c->error = error;
        greeting_free(TAKE_PTR(c->greeting));
        if (error == 0)
                assert_true(sd_bus_attach_event(c->peer, c->event, 0) >= 0);
}

static int setup(void **state)
{
        Case *c = calloc(1, sizeof(*c));
        int pair[2];

        assert_non_null(c);
        ahead = 0;
        assert_true(sd_event_new(&c->event) >= 0);
        assert_true(sd_bus_new(&c->peer) >= 0);
        assert_true(sd_bus_set_server(c->peer, true, (sd_id128_t){ .bytes = { 1 } }) >= 0);
        assert_true(sd_bus_set_anonymous(c->peer, true) >= 0);
        assert_true(sd_bus_negotiate_fds(c->peer, true) >= 0);
        assert_int_equal(fd_socketpair(SOCK_STREAM, true, pair), 0);
        c->holder = pair[1];
        assert_int_equal(greeting_new(c->event, c->peer, pair[0], on_over, c, &c->greeting), 0);
        *state = c;
        return 0;
}

static int teardown(void **state)
{
        Case *c = *state;

        greeting_free(c->greeting);
        sd_bus_close_unref(c->peer);
        sd_event_unref(c->event);
        fd_close(c->holder);
        free(c);
        return 0;
}

/* As far as it goes without a new byte. */
static void turn(Case *c)
{
        while (sd_event_run(c->event, 0) > 0)
                ;
}

static void say(Case *c, const char *text, size_t n)
{
        assert_int_equal(send(c->holder, text, n, MSG_NOSIGNAL), n);
}

static void expect(Case *c, const char *answer)
{
        char bytes[200] = "";

        turn(c);
        assert_true(recv(c->holder, bytes, sizeof(bytes) - 1, MSG_DONTWAIT) > 0);
        assert_int_equal(strncmp(bytes, answer, strlen(answer)), 0);
}

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        unsigned *pongs = userdata;

        (void)error;
        assert_false(sd_bus_message_is_method_error(m, NULL));
        ++*pongs;
        return 0;
}

/* HND-461 */
static void test_the_first_word_comes_a_day_later(void **state)
{
        Case *c = *state;
        sd_bus *bus = NULL;
        unsigned pongs = 0;

        turn(c);
        ahead = DAY;
        turn(c);
        assert_int_equal(c->over, 0);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, c->holder, c->holder) >= 0);
        c->holder = -EBADF;
        assert_true(sd_bus_set_anonymous(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_call_method_async(bus, NULL, NULL, "/", "org.freedesktop.DBus.Peer",
                                             "Ping", on_pong, &pongs, "") >= 0);
        for (unsigned i = 0; pongs == 0 && i < TURNS_MAX; i++) {
                turn(c);
                while (sd_bus_process(bus, NULL) > 0)
                        ;
        }
        assert_int_equal(pongs, 1);
        assert_int_equal(c->over, 1);
        assert_int_equal(c->error, 0);
        sd_bus_close_unref(bus);
}

/* HND-460: whatever the pieces are in which it arrives. */
static void test_nothing_is_taken_beyond_the_end(void **state)
{
        static const char hello[] =
                "\0AUTH ANONYMOUS 78\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nl the rest";
        const size_t n = sizeof(hello) - 1 - strlen("l the rest");
        char rest[20] = "";
        Case *c = *state;

        for (size_t i = 0; i < 5; i++) {
                say(c, hello + i, 1);
                turn(c);
        }
        say(c, hello + 5, n - 5 - strlen("BEGIN\r\n"));
        expect(c, "OK 01000000");
        assert_int_equal(c->over, 0);
        say(c, hello + n - strlen("BEGIN\r\n"), strlen("BEGIN\r\nl the rest"));
        while (c->over == 0 && sd_event_run(c->event, 0) > 0)
                ;
        assert_int_equal(c->error, 0);
        assert_int_equal(
                recv(sd_bus_get_fd(c->peer), rest, sizeof(rest) - 1, MSG_PEEK | MSG_DONTWAIT),
                strlen("l the rest"));
        assert_string_equal(rest, "l the rest");
}

static void test_who_leaves_or_never_comes_to_the_point(void **state)
{
        Case *c = *state;
        char line[] = "\0HELLO\r\n";

        say(c, line, sizeof(line) - 1);
        expect(c, "ERROR");
        assert_int_equal(c->over, 0);
        c->holder = fd_close(c->holder);
        turn(c);
        assert_int_equal(c->over, 1);
        assert_true(c->error < 0);
}

/* His answers fill the socket. */
static void test_who_does_not_listen_is_not_waited_for(void **state)
{
        Case *c = *state;

        say(c, "", 1);
        for (unsigned i = 0; c->over == 0 && i < 100000; i++) {
                say(c, "HELLO\r\n", 7);
                turn(c);
        }
        assert_int_equal(c->over, 1);
        assert_true(c->error < 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_the_first_word_comes_a_day_later, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_nothing_is_taken_beyond_the_end, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_who_leaves_or_never_comes_to_the_point, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_who_does_not_listen_is_not_waited_for, setup,
                                                teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
