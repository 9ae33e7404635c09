/*
 * What whoever gets the two sockets can do with them, on a real kernel: hear that something
 * changed, ask for routes, and no more.
 */
#include "broker/routes.h"

#include "basic/fd.h"

#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
        NOBODY = 65534,
        SERIAL = 5,
        LO = 1,
};

typedef struct Sockets {
        int events, questions;
} Sockets;

static int open_both(void **state)
{
        static Sockets s;

        assert_int_equal(routes_open(&s.events, &s.questions), 0);
        *state = &s;
        return 0;
}

static int close_both(void **state)
{
        Sockets *s = *state;

        fd_close(s->events);
        fd_close(s->questions);
        return 0;
}

/* 0 or -errno: asks for a whole table. */
static int ask(int fd, uint16_t type)
{
        struct {
                struct nlmsghdr header;
                struct rtmsg body; /* as long as that of each table */
        } question = { .header = { .nlmsg_type = type,
                                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                                   .nlmsg_len = sizeof(question),
                                   .nlmsg_seq = SERIAL } };

        return send(fd, &question, sizeof(question), 0) < 0 ? -errno : 0;
}

/* How many messages of that type there are to read; none may be of a type but it or the end. */
static unsigned count(int fd, uint16_t type)
{
        _Alignas(struct nlmsghdr) uint8_t bytes[65536];
        const struct nlmsghdr *header = (const struct nlmsghdr *)bytes;
        unsigned n = 0;
        ssize_t size;

        while ((size = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
                assert_true((size_t)size >= sizeof(*header));
                if (header->nlmsg_type == type)
                        n++;
                else
                        assert_true(header->nlmsg_type == NLMSG_DONE ||
                                    header->nlmsg_type == NLMSG_ERROR);
        }
        return n;
}

/* SEC-380 */
static void test_questions(void **state)
{
        const Sockets *s = *state;

        assert_int_equal(ask(s->questions, RTM_GETROUTE), 0);
        assert_int_not_equal(count(s->questions, RTM_NEWROUTE), 0); /* those of lo, at least */
        assert_int_equal(ask(s->questions, RTM_GETLINK), 0);
        assert_int_equal(count(s->questions, RTM_NEWLINK), 0);
        (void)ask(s->questions, RTM_GETADDR);
        assert_int_equal(count(s->questions, RTM_NEWADDR), 0);
        (void)ask(s->questions, RTM_GETNEIGH);
        assert_int_equal(count(s->questions, RTM_NEWNEIGH), 0);
}

/* SEC-380: cut to a byte, whoever sends it. */
static void test_events(void **state)
{
        const Sockets *s = *state;
        uint8_t bytes[64];

        assert_int_equal(ask(s->events, RTM_GETROUTE), 0);
        assert_int_equal(recv(s->events, bytes, sizeof(bytes), 0), 1);
}

/* SEC-380 */
static void test_filters_stay(void **state)
{
        const Sockets *s = *state;
        struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
        const struct sock_fprog program = { 1, &all };
        const int no = 0;

        for (unsigned i = 0; i < 2; i++) {
                int fd = i == 0 ? s->events : s->questions;

                assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &no, sizeof(no)), -1);
                assert_int_equal(errno, EPERM);
                assert_int_equal(
                        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
                        -1);
                assert_int_equal(errno, EPERM);
                assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &no, sizeof(no)), -1);
        }
}

/* SEC-380: as in the broker, without CAP_NET_ADMIN. The kernel says no by a message. */
static void test_nothing_can_be_changed(void **state)
{
        _Alignas(struct nlmsghdr) struct {
                struct nlmsghdr header;
                struct nlmsgerr error;
                uint8_t rest[256];
        } answer;
        struct {
                struct nlmsghdr header;
                struct ifinfomsg link;
        } down = { .header = { .nlmsg_type = RTM_SETLINK,
                               .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                               .nlmsg_len = sizeof(down) },
                   .link = { .ifi_index = LO, .ifi_change = IFF_UP, .ifi_flags = IFF_UP } };
        bool root = geteuid() == 0;
        int events = -EBADF, questions = -EBADF;

        (void)state;
        if (root)
                assert_int_equal(seteuid(NOBODY), 0);
        assert_int_equal(routes_open(&events, &questions), 0);
        assert_true(send(questions, &down, sizeof(down), 0) > 0);
        assert_true(recv(questions, &answer, sizeof(answer), 0) >=
                    (ssize_t)NLMSG_LENGTH(sizeof(answer.error)));
        assert_int_equal(answer.header.nlmsg_type, NLMSG_ERROR);
        assert_int_equal(answer.error.error, -EPERM);
        if (root)
                assert_int_equal(seteuid(0), 0);
        fd_close(events);
        fd_close(questions);
}

/* NET-381 */
static void test_proxy_of_the_environment(void **state)
{
        (void)state;
        static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
                                             "all_proxy", "ALL_PROXY" };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                unsetenv(names[i]);
        assert_false(routes_local_proxy());
        setenv("http_proxy", "http://proxy.example.org:3128", 1);
        assert_false(routes_local_proxy());
        setenv("ALL_PROXY", "u:p@127.0.0.1:3128", 1);
        assert_true(routes_local_proxy());
        setenv("ALL_PROXY", "socks5://[::1]:1080/", 1);
        assert_true(routes_local_proxy());
        setenv("ALL_PROXY", "", 1);
        assert_false(routes_local_proxy());
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_questions, open_both, close_both),
                cmocka_unit_test_setup_teardown(test_events, open_both, close_both),
                cmocka_unit_test_setup_teardown(test_filters_stay, open_both, close_both),
                cmocka_unit_test(test_nothing_can_be_changed),
                cmocka_unit_test(test_proxy_of_the_environment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
