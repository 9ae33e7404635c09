/*
 * Seats of workers: what is asked survives the death of a process, what a process broke does not
 * break the daemon, and nothing is forgotten.
 */
#include "workers/test-world.h"

enum {
        CLIENTS = 3,
        DEATHS = 10, /* as in worker.c */
};

typedef struct Answer {
        unsigned n;
        WorkResult result;
        int error;
} Answer;

typedef struct Client {
        NetClient client;
        unsigned n_starts, n_lost, n_failed, n_done;
        WorkResult result;
        uint64_t written;
        struct Client *partner; /* stopped when this one is told bad news */
} Client;

static const WorkerIdentity owner = { .uid = WORLD_OWNER, .token = -EBADF };

static void on_answer(void *userdata, FileAnswer *answer)
{
        Answer *a = userdata;

        a->n++;
        a->result = answer->result;
        a->error = answer->error;
}

static void write_start(void *userdata, Message *m)
{
        Client *c = userdata;

        c->n_starts++;
        net_start_write(m, 0,
                        &(NetStart){ .transfer = c->client.id, .url = "http://h/", .file = 0 });
}

/* What an engine does when one file of a job fails: the others have to go. */
static void give_up_partner(Client *c)
{
        Client *partner = TAKE_PTR(c->partner);

        if (!partner || !partner->client.worker)
                return;
        partner->partner = NULL;
        if (!worker_net_stop(&partner->client)) {
                worker_net_detach(&partner->client);
                memset(partner, 0xEE, sizeof(*partner)); /* freed, in real life */
        }
}

static void on_started(void *userdata, const NetStarted *started)
{
        (void)userdata;
        (void)started;
}

static void on_progress(void *userdata, uint64_t written)
{
        ((Client *)userdata)->written = written;
}

static void on_done(void *userdata, const NetDone *done)
{
        (void)done;
        ((Client *)userdata)->n_done++;
}

static void on_lost(void *userdata)
{
        Client *c = userdata;

        c->n_lost++;
        give_up_partner(c);
}

static void on_failed(void *userdata, WorkResult result)
{
        Client *c = userdata;

        c->n_failed++;
        c->result = result;
        give_up_partner(c);
}

static const NetListener net_listener = { write_start, on_started, on_progress,
                                          on_done,     on_lost,    on_failed };

static void attach(Worker *worker, Client *c)
{
        *c = (Client){ .client = { .listener = &net_listener, .userdata = c } };
        assert_int_equal(worker_net_attach(worker, &c->client), 0);
}

static void check(Worker *worker, Answer *answer)
{
        *answer = (Answer){ 0 };
        assert_int_equal(worker_check(worker, &(FileCheck){ "/srv/x", 0 }, on_answer, answer), 0);
}

/* A worker that was asked, and has not answered yet; its end of the channel. */
static int open_asked(World *w, Worker **ret_worker, Answer *answer)
{
        int fd;

        world_open(w);
        *ret_worker = worker_acquire(w->pool, WORKER_FILE, &owner);
        check(*ret_worker, answer);
        fd = world_start_worker(w, WORKER_FILE);
        world_expect(w, fd, MESSAGE_FILE_CHECK);
        return fd;
}

static void answer_result(World *w, int fd, uint32_t error)
{
        file_result_write(&w->out, w->in.serial, &(FileResult){ .error = error });
        world_send(w, fd);
}

/* ENG-30: a request survives the death of the process that had it, and is answered once. */
static void test_repeated_after_death(void **state)
{
        World w;
        Worker *worker;
        Answer a;
        int fd;

        (void)state;
        fd = open_asked(&w, &worker, &a);
        fd_close(fd);
        fd = world_start_worker(&w, WORKER_FILE);
        world_expect(&w, fd, MESSAGE_FILE_CHECK);
        assert_int_equal(a.n, 0);
        answer_result(&w, fd, EACCES);
        world_wait_for(&w, a.n > 0);
        assert_int_equal(a.result, WORK_DONE);
        assert_int_equal(a.error, EACCES);
        world_run(&w);
        assert_int_equal(a.n, 1);
        worker_release(worker);
        fd_close(fd);
        world_close(&w);
}

/* ENG-31: nonsense ends the process and fails what it worked on; the next request gets a new one.
   */
static void test_breach(void **state)
{
        World w;
        Worker *worker;
        Answer a, b;
        BrokerEndWorker end;
        int fd;

        (void)state;
        fd = open_asked(&w, &worker, &a);
        file_result_write(&w.out, w.in.serial + 7, &(FileResult){ 0 });
        world_send(&w, fd);
        world_expect(&w, w.broker, MESSAGE_BROKER_END_WORKER);
        assert_int_equal(broker_end_worker_read(&w.in, &end), 0);
        assert_int_equal(end.pid, getpid());
        world_wait_for(&w, a.n > 0);
        assert_int_equal(a.result, WORK_ABORTED);
        world_expect_end(&w, fd);
        fd_close(fd);
        check(worker, &b);
        fd = world_start_worker(&w, WORKER_FILE);
        world_expect(&w, fd, MESSAGE_FILE_CHECK);
        answer_result(&w, fd, 0);
        world_wait_for(&w, b.n > 0);
        assert_int_equal(b.result, WORK_DONE);
        worker_release(worker);
        fd_close(fd);
        world_close(&w);
}

/* ENG-32: ten processes die, then the work fails; "aborted" when they had begun. */
static void die_ten_times(bool hello, WorkResult expected)
{
        World w;
        Worker *worker;
        Answer a;

        world_open(&w);
        worker = worker_acquire(w.pool, WORKER_FILE, &owner);
        check(worker, &a);
        for (unsigned i = 0; i < DEATHS; i++) {
                int fd;

                assert_int_equal(a.n, 0);
                world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
                fd = world_give_worker(&w);
                if (hello) {
                        world_worker_hello(&w, fd, WORKER_FILE, WORLD_OWNER);
                        world_expect(&w, fd, MESSAGE_FILE_CHECK);
                }
                fd_close(fd);
                world_run(&w);
        }
        world_wait_for(&w, a.n > 0);
        assert_int_equal(a.n, 1);
        assert_int_equal(a.result, expected);
        world_expect_nothing(&w, w.broker);
        worker_release(worker);
        world_close(&w);
}

static void test_ten_deaths_at_once(void **state)
{
        (void)state;
        die_ten_times(false, WORK_NOT_STARTED);
}

static void test_ten_deaths_at_work(void **state)
{
        (void)state;
        die_ten_times(true, WORK_ABORTED);
}

/* ENG-33: each refusal of the broker has its result. */
static void test_refusals(void **state)
{
        static const WorkResult results[] = {
                [REFUSED_UNKNOWN_OWNER] = WORK_UNKNOWN_OWNER,
                [REFUSED_DEAD_TOKEN] = WORK_DEAD_TOKEN,
                [REFUSED_NO_PRIVILEGE] = WORK_NO_PRIVILEGE,
                [REFUSED_TOO_MANY] = WORK_TOO_MANY,
                [REFUSED_START_FAILED] = WORK_NOT_STARTED,
                [REFUSED_NO_COMMAND] = WORK_NOT_STARTED,
        };
        World w;
        Worker *worker;

        (void)state;
        static_assert_table(results, REFUSAL_MAX);
        world_open(&w);
        worker = worker_acquire(w.pool, WORKER_FILE, &owner);
        for (int i = 0; i < REFUSAL_MAX; i++) {
                Answer a;

                check(worker, &a);
                world_expect(&w, w.broker, MESSAGE_BROKER_START_OWNER);
                world_refuse(&w, (Refusal)i);
                world_wait_for(&w, a.n > 0);
                assert_int_equal(a.result, results[i]);
        }
        worker_release(worker);
        world_close(&w);
}

/* DUR-30: syncs that come while one is on its way go together in the next message, each with its
   own answer. */
static void test_sync_batches(void **state)
{
        enum { SYNCS = 5 };
        World w;
        Worker *worker;
        Answer a[SYNCS] = { 0 };
        FileSync sync;
        FileSynced synced = { .errors = { .count = SYNCS - 1 } };
        int fd;

        (void)state;
        world_open(&w);
        worker = worker_acquire(w.pool, WORKER_FILE, &owner);
        for (unsigned i = 0; i < SYNCS; i++)
                assert_int_equal(worker_sync(worker, STDERR_FILENO, on_answer, &a[i]), 0);
        fd = world_start_worker(&w, WORKER_FILE);
        world_expect(&w, fd, MESSAGE_FILE_SYNC);
        assert_int_equal(file_sync_read(&w.in, &sync), 0);
        assert_int_equal(sync.files.count, 1);
        fd_close(sync.files.items[0]);
        world_expect_nothing(&w, fd);
        file_synced_write(&w.out, w.in.serial, &(FileSynced){ .errors = { { 0 }, 1 } });
        world_send(&w, fd);
        world_expect(&w, fd, MESSAGE_FILE_SYNC);
        assert_int_equal(file_sync_read(&w.in, &sync), 0);
        assert_int_equal(sync.files.count, SYNCS - 1);
        for (unsigned i = 0; i < sync.files.count; i++)
                fd_close(sync.files.items[i]);
        synced.errors.items[2] = EIO;
        file_synced_write(&w.out, w.in.serial, &synced);
        world_send(&w, fd);
        world_wait_for(&w, a[SYNCS - 1].n > 0);
        for (unsigned i = 0; i < SYNCS; i++) {
                assert_int_equal(a[i].n, 1);
                assert_int_equal(a[i].error, i == 3 ? EIO : 0);
        }
        worker_release(worker);
        fd_close(fd);
        world_close(&w);
}

/* ENG-34: a transfer lives over the death of the process, and is ended by stop and done. */
static void test_net_life(void **state)
{
        World w;
        Worker *worker;
        Client c;
        NetStart start;
        NetStop stop;
        int fd;

        (void)state;
        world_open(&w);
        worker = worker_acquire(w.pool, WORKER_NET, &owner);
        attach(worker, &c);
        assert_false(worker_net_stop(&c.client));
        fd = world_start_worker(&w, WORKER_NET);
        world_expect(&w, fd, MESSAGE_NET_START);
        fd_close(fd);
        fd = world_start_worker(&w, WORKER_NET);
        world_expect(&w, fd, MESSAGE_NET_START);
        assert_int_equal(net_start_read(&w.in, &start), 0);
        fd_close(start.file);
        assert_int_equal(c.n_lost, 1);
        assert_int_equal(c.n_starts, 2);
        net_progress_write(&w.out, 0, &(NetProgress){ start.transfer, 77, 0 });
        world_send(&w, fd);
        world_wait_for(&w, c.written == 77);
        assert_true(worker_net_stop(&c.client));
        world_expect(&w, fd, MESSAGE_NET_STOP);
        assert_int_equal(net_stop_read(&w.in, &stop), 0);
        assert_int_equal(stop.transfer, start.transfer);
        net_done_write(&w.out, 0, &(NetDone){ .transfer = stop.transfer, .outcome = NET_STOPPED });
        world_send(&w, fd);
        world_wait_for(&w, c.n_done == 1);
        assert_null(c.client.worker);
        worker_release(worker);
        fd_close(fd);
        world_close(&w);
}

/* ENG-35: a process that breaks the protocol with several transfers on it, of which one's end ends
   another: each hears once, nobody touches what is gone. */
static void lose_partners(bool breach)
{
        World w;
        Worker *worker;
        Client *c[CLIENTS];
        NetStart start;
        int fd;

        world_open(&w);
        worker = worker_acquire(w.pool, WORKER_NET, &owner);
        for (unsigned i = 0; i < CLIENTS; i++) {
                c[i] = malloc(sizeof(*c[i]));
                attach(worker, c[i]);
        }
        fd = world_start_worker(&w, WORKER_NET);
        for (unsigned i = 0; i < CLIENTS; i++) {
                world_expect(&w, fd, MESSAGE_NET_START);
                assert_int_equal(net_start_read(&w.in, &start), 0);
                fd_close(start.file);
        }
        c[0]->partner = c[1];
        c[1]->partner = c[0];
        if (breach) {
                net_progress_write(&w.out, 0, &(NetProgress){ 123456, 1, 0 });
                world_send(&w, fd);
                world_wait_for(&w, c[2]->n_failed > 0);
                assert_int_equal(c[0]->n_failed, 1);
                assert_int_equal(c[0]->result, WORK_ABORTED);
        } else {
                fd_close(TAKE_FD(fd));
                world_wait_for(&w, c[2]->n_lost > 0);
                assert_int_equal(c[0]->n_lost, 1);
                fd = world_start_worker(&w, WORKER_NET);
                world_expect(&w, fd, MESSAGE_NET_START);
                world_expect(&w, fd, MESSAGE_NET_START);
                world_expect_nothing(&w, fd);
        }
        worker_release(worker);
        fd_close(fd);
        world_close(&w);
        for (unsigned i = 0; i < CLIENTS; i++)
                free(c[i]);
}

static void test_breach_with_partners(void **state)
{
        (void)state;
        lose_partners(true);
}

static void test_death_with_partners(void **state)
{
        (void)state;
        lose_partners(false);
}

/* ENG-36: more requests than the channel holds: none is forgotten. */
static void test_more_than_the_channel_holds(void **state)
{
        enum { MANY = 6000, NAME = 4000 };
        World w;
        Worker *worker;
        Answer a = { 0 };
        char *name = malloc(NAME + 1);
        int fd;

        (void)state;
        memset(name, 'x', NAME);
        name[0] = '/';
        name[NAME] = 0;
        world_open(&w);
        worker = worker_acquire(w.pool, WORKER_FILE, &owner);
        for (unsigned i = 0; i < MANY; i++)
                assert_int_equal(worker_check(worker, &(FileCheck){ name, 0 }, on_answer, &a), 0);
        fd = world_start_worker(&w, WORKER_FILE);
        for (unsigned i = 0; i < MANY; i++) {
                world_expect(&w, fd, MESSAGE_FILE_CHECK);
                answer_result(&w, fd, 0);
                if (i % 16 == 0)
                        world_run(&w);
        }
        world_wait_for(&w, a.n == MANY);
        assert_int_equal(a.result, WORK_DONE);
        worker_release(worker);
        fd_close(fd);
        free(name);
        world_close(&w);
}

/* ENG-37: a helper's process ends as soon as nobody uses it; an owner's stays for a while. */
static void test_release(void **state)
{
        World w;
        Worker *worker;
        Answer a;
        int token[2], fd;

        (void)state;
        fd = open_asked(&w, &worker, &a);
        answer_result(&w, fd, 0);
        world_wait_for(&w, a.n > 0);
        worker_release(worker);
        world_expect_nothing(&w, fd);
        fd_close(fd);

        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, token), 0);
        worker = worker_acquire(
                w.pool, WORKER_FILE,
                &(WorkerIdentity){ .helper = true, .uid = 7, .cookie = 9, .token = token[0] });
        check(worker, &a);
        world_expect(&w, w.broker, MESSAGE_BROKER_START_TOKEN);
        fd = world_give_worker(&w);
        world_worker_hello(&w, fd, WORKER_FILE, 7);
        world_expect(&w, fd, MESSAGE_FILE_CHECK);
        answer_result(&w, fd, 0);
        world_wait_for(&w, a.n > 0);
        worker_release(worker);
        world_expect_end(&w, fd);
        fd_close(fd);
        fd_close(token[0]);
        fd_close(token[1]);
        world_close(&w);
}

/* POL-215: a worker that copies files is no part of what the network's workers share. */
static void test_copies_leave_the_rate_alone(void **state)
{
        Client copy = { .client = { &net_listener, &copy, NET_NORMAL } };
        Client fetch = { .client = { &net_listener, &fetch, NET_NORMAL } };
        Rates rates = { .all = RATE_UNLIMITED };
        World w;
        Worker *file, *net;
        NetRates told;
        int file_fd, net_fd;

        (void)state;
        for (int p = 0; p < PRIORITY_MAX; p++)
                rates.of[p] = RATE_UNLIMITED;
        rates.of[PRIORITY_NORMAL] = 800;
        world_open(&w);
        worker_pool_set_rates(w.pool, &rates);
        file = worker_acquire(w.pool, WORKER_FILE, &owner);
        assert_int_equal(worker_net_attach(file, &copy.client), 0);
        file_fd = world_start_worker(&w, WORKER_FILE);
        net = worker_acquire(w.pool, WORKER_NET, &owner);
        assert_int_equal(worker_net_attach(net, &fetch.client), 0);
        net_fd = world_start_worker(&w, WORKER_NET);
        world_expect(&w, net_fd, MESSAGE_NET_RATES);
        assert_int_equal(net_rates_read(&w.in, &told), 0);
        assert_int_equal(told.normal, 800 * 125);
        worker_net_detach(&copy.client);
        worker_net_detach(&fetch.client);
        worker_release(file);
        worker_release(net);
        fd_close(file_fd);
        fd_close(net_fd);
        world_close(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_repeated_after_death),
                cmocka_unit_test(test_breach),
                cmocka_unit_test(test_ten_deaths_at_once),
                cmocka_unit_test(test_ten_deaths_at_work),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_sync_batches),
                cmocka_unit_test(test_net_life),
                cmocka_unit_test(test_breach_with_partners),
                cmocka_unit_test(test_death_with_partners),
                cmocka_unit_test(test_more_than_the_channel_holds),
                cmocka_unit_test(test_release),
                cmocka_unit_test(test_copies_leave_the_rate_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
