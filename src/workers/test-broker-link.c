/*
 * The link to the broker, which the test plays: what is not answered is asked again, of the next
 * broker too; what was cancelled is heard no more.
 */
#include "workers/test-world.h"

typedef struct Answer {
        unsigned n;
        bool refused;
        Refusal reason;
        uint32_t pid;
        uint64_t cookie;
        int channel;
} Answer;

static void on_answer(void *userdata, BrokerAnswer *answer)
{
        Answer *a = userdata;

        a->n++;
        a->refused = answer->refused;
        a->reason = answer->reason;
        a->pid = answer->worker.pid;
        a->cookie = answer->token.cookie;
        a->channel = answer->worker.channel;
}

static void broker_restarts(World *w)
{
        w->broker = fd_close(w->broker);
        world_accept(w);
        world_broker_hello(w);
}

/* ENG-55: questions outlive the broker, in their order, and get one answer each. */
static void test_restart(void **state)
{
        World w;
        Answer a = { 0 }, b = { 0 };
        BrokerDescribeToken describe;
        uint64_t cookie;
        int token[2];

        (void)state;
        world_open(&w);
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, token), 0);
        assert_int_equal(fd_socket_cookie(token[0], &cookie), 0);
        assert_int_not_equal(broker_start_owner(w.link, WORKER_FILE, 5, "", on_answer, &a), 0);
        assert_int_not_equal(broker_describe_token(w.link, token[0], on_answer, &b), 0);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        broker_restarts(&w);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        fd_close(world_give_worker(&w));
        world_expect(&w, w.broker, MESSAGE_BROKER_DESCRIBE_TOKEN);
        assert_int_equal(broker_describe_token_read(&w.in, &describe), 0);
        fd_close(describe.token);
        broker_token_write(&w.out, w.in.serial,
                           &(BrokerToken){ .cookie = cookie, .uid = 3, .session = "" });
        world_send(&w, w.broker);
        world_wait_for(&w, b.n == 1);
        assert_int_equal(a.n, 1);
        assert_int_equal(a.pid, getpid());
        assert_int_equal(b.cookie, cookie);
        /* what the callback did not take was closed */
        assert_int_equal(fcntl(a.channel, F_GETFD), -1);
        fd_close(token[0]);
        fd_close(token[1]);
        world_close(&w);
}

static void test_cancel(void **state)
{
        World w;
        Answer a = { 0 }, b = { 0 };
        uint64_t ticket;

        (void)state;
        world_open(&w);
        ticket = broker_start_owner(w.link, WORKER_FILE, 5, "", on_answer, &a);
        broker_start_owner(w.link, WORKER_NET, 6, "", on_answer, &b);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        broker_cancel(w.link, ticket);
        broker_cancel(w.link, ticket);
        broker_cancel(w.link, 0);
        fd_close(world_give_worker(&w));
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        world_refuse(&w, REFUSED_TOO_MANY);
        world_wait_for(&w, b.n == 1);
        assert_true(b.refused);
        assert_int_equal(b.reason, REFUSED_TOO_MANY);
        assert_int_equal(a.n, 0);
        world_close(&w);
}

/* ENG-56: an answer of the wrong kind, or a message out of phase, ends the link; the question is
   asked again of the next one. */
static void test_nonsense(void **state)
{
        World w;
        Answer a = { 0 };

        (void)state;
        world_open(&w);
        broker_start_owner(w.link, WORKER_FILE, 5, "", on_answer, &a);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        broker_token_write(&w.out, w.in.serial, &(BrokerToken){ .session = "" });
        world_send(&w, w.broker);
        world_expect_end(&w, w.broker);
        broker_restarts(&w);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        world_broker_hello(&w);
        world_expect_end(&w, w.broker);
        assert_int_equal(a.n, 0);
        broker_restarts(&w);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        world_refuse(&w, REFUSED_UNKNOWN_OWNER);
        world_wait_for(&w, a.n == 1);
        world_close(&w);
}

/* ENG-57: a broker that is not there yet is waited for. */
static void test_late_broker(void **state)
{
        World w;
        Answer a = { 0 };

        (void)state;
        world_open(&w);
        w.listener = fd_close(w.listener);
        w.broker = fd_close(w.broker);
        broker_start_owner(w.link, WORKER_FILE, 5, "", on_answer, &a);
        for (unsigned i = 0; i < 5; i++)
                world_wait(&w);
        world_listen(&w);
        world_accept(&w);
        world_broker_hello(&w);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
        world_refuse(&w, REFUSED_TOO_MANY);
        world_wait_for(&w, a.n == 1);
        world_close(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_restart),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_nonsense),
                cmocka_unit_test(test_late_broker),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
