/*
 * A process that copies remote files and says nothing: its copies fail, or go on in the next
 * process if it was only one of them that did not stop.
 */
#include "workers/test-world.h"

#include "basic/clock.h"

enum {
        PATIENCE_USEC = 400 * 1000,
        QUIET_ROUNDS = 4,
        TRIES = 4,
};

typedef struct Copy {
        NetClient client;
        unsigned n_starts, n_lost, n_failed, n_copied;
        uint64_t written;
        WorkResult result;
        bool stopping;
} Copy;

static const WorkerIdentity remote = { .uid = WORLD_OWNER, .token = -EBADF, .remote = true };

static void write_start(void *userdata, Message *m)
{
        Copy *c = userdata;

        c->n_starts++;
        copy_start_write(m, 0,
                         &(CopyStart){ .transfer = c->client.id, .path = "/srv/a", .file = 0 });
}

static void on_progress(void *userdata, uint64_t written)
{
        ((Copy *)userdata)->written = written;
}

static void on_lost(void *userdata)
{
        Copy *c = userdata;

        c->n_lost++;
        if (c->stopping)
                worker_net_detach(&c->client);
}

static void on_failed(void *userdata, WorkResult result)
{
        Copy *c = userdata;

        c->n_failed++;
        c->result = result;
}

static void on_copied(void *userdata, const CopyDone *done)
{
        Copy *c = userdata;

        c->n_copied++;
        c->written = done->written;
}

static const NetListener listener = { .write_start = write_start,
                                      .on_progress = on_progress,
                                      .on_lost = on_lost,
                                      .on_failed = on_failed,
                                      .on_copied = on_copied };

static void let_pass(World *w, uint64_t usec)
{
        uint64_t until = clock_usec(CLOCK_MONOTONIC) + usec;

        while (clock_usec(CLOCK_MONOTONIC) < until)
                world_wait(w);
}

static void attach(Worker *worker, Copy *c)
{
        *c = (Copy){ .client = { .listener = &listener, .userdata = c } };
        assert_int_equal(worker_net_attach(worker, &c->client), 0);
}

static void expect_start(World *w, int fd, const Copy *c)
{
        CopyStart start;

        world_expect(w, fd, MESSAGE_COPY_START);
        assert_int_equal(copy_start_read(&w->in, &start), 0);
        assert_int_equal(start.transfer, c->client.id);
        fd_close(start.file);
}

static void send_progress(World *w, int fd, const Copy *c, uint64_t written)
{
        net_progress_write(&w->out, 0, &(NetProgress){ c->client.id, written, 0 });
        world_send(w, fd);
}

static Worker *start_copies(World *w, uint64_t patience, Copy *a, Copy *b, int *fd)
{
        Worker *worker;

        world_open(w);
        worker_pool_set_patience(w->pool, patience);
        worker = worker_acquire(w->pool, WORKER_FILE, &remote);
        attach(worker, a);
        attach(worker, b);
        *fd = world_start_worker(w, WORKER_FILE);
        expect_start(w, *fd, a);
        expect_start(w, *fd, b);
        return worker;
}

static void end_copies(World *w, Worker *worker, int fd)
{
        worker_release(worker);
        fd_close(fd);
        world_close(w);
}

/* News before the patience ends, for longer than it lasts. False: the machine stood still for so
   long meanwhile that silence was to be called silence. */
static bool talk(World *w, int fd, uint64_t patience, const Copy *a, const Copy *b)
{
        uint64_t began = clock_usec(CLOCK_MONOTONIC);

        for (unsigned i = 1; i <= QUIET_ROUNDS; i++) {
                let_pass(w, patience * 3 / 8);
                if (a->n_failed + b->n_failed == 0) {
                        send_progress(w, fd, a, i);
                        world_wait_for(w, a->written == i || a->n_failed > 0);
                }
                if (clock_usec(CLOCK_MONOTONIC) - began >= patience)
                        return false;
                assert_int_equal(a->n_failed + b->n_failed, 0);
                began = clock_usec(CLOCK_MONOTONIC);
        }
        return true;
}

/* ENG-102: silence fails the copies, each once; news of one is news of all. */
static void test_silence(void **state)
{
        uint64_t patience = PATIENCE_USEC;
        World w;
        Worker *worker;
        Copy a, b;
        int fd;

        (void)state;
        worker = start_copies(&w, patience, &a, &b, &fd);
        for (unsigned i = 1; !talk(&w, fd, patience, &a, &b); i++) {
                assert_true(i < TRIES);
                end_copies(&w, worker, fd);
                patience *= 4;
                worker = start_copies(&w, patience, &a, &b, &fd);
        }
        for (uint64_t until = clock_usec(CLOCK_MONOTONIC) + 10 * patience;
             a.n_failed == 0 && clock_usec(CLOCK_MONOTONIC) < until;)
                world_wait(&w);
        world_run(&w);
        assert_int_equal(a.n_failed, 1);
        assert_int_equal(b.n_failed, 1);
        assert_int_equal(a.result, WORK_SILENT);
        assert_int_equal(a.n_lost + b.n_lost, 0);
        world_expect_end(&w, fd);
        world_expect(&w, w.broker, MESSAGE_BROKER_END_WORKER);
        end_copies(&w, worker, fd);
}

/* ENG-440: what was said in time is no silence, however late it is listened to. */
static void test_said_before_it_was_heard(void **state)
{
        World w;
        Worker *worker;
        Copy a, b;
        int fd;

        (void)state;
        worker = start_copies(&w, 3600 * USEC_PER_SEC, &a, &b, &fd);
        worker_net_detach(&b.client);
        worker_pool_set_patience(w.pool, PATIENCE_USEC);
        attach(worker, &b); /* from now on */
        for (unsigned i = 1; i <= QUIET_ROUNDS; i++) {
                send_progress(&w, fd, &a, i);
                nanosleep(&(struct timespec){ .tv_nsec = PATIENCE_USEC * 1100 }, NULL);
                assert_true(sd_event_run(w.event, 0) > 0); /* one of those that wait */
                assert_int_equal(a.written, i);
                assert_int_equal(a.n_failed + b.n_failed, 0);
        }
        worker_net_detach(&a.client);
        worker_net_detach(&b.client);
        end_copies(&w, worker, fd);
}

/* The copy is done after a while, and the process rests longer than the patience; twice. False: as
   of talk(). */
static bool work_and_rest(World *w, int fd, uint64_t patience, Worker *worker, Copy *c)
{
        for (unsigned i = 0; i < 2; i++) {
                uint64_t began = clock_usec(CLOCK_MONOTONIC);

                attach(worker, c);
                world_run(w);
                if (clock_usec(CLOCK_MONOTONIC) - began >= patience)
                        return false;
                assert_int_equal(c->n_failed, 0);
                expect_start(w, fd, c);
                copy_done_write(&w->out, 0,
                                &(CopyDone){ .transfer = c->client.id, .written = 5, .acl = "" });
                world_send(w, fd);
                world_wait_for(w, c->n_copied == 1); /* ENG-440 */
                assert_null(c->client.worker);
                let_pass(w, patience * 3 / 2);
        }
        return true;
}

/* ENG-102: a process that has nothing to do may be silent, and what comes then has all the time. */
static void test_rest_is_no_silence(void **state)
{
        uint64_t patience = PATIENCE_USEC;
        bool rested = false;

        (void)state;
        for (unsigned i = 0; i < TRIES && !rested; i++, patience *= 4) {
                World w;
                Worker *worker;
                Copy a, b, c;
                int fd;

                worker = start_copies(&w, 3600 * USEC_PER_SEC, &a, &b, &fd);
                worker_net_detach(&a.client);
                worker_net_detach(&b.client);
                worker_pool_set_patience(w.pool, patience);
                rested = work_and_rest(&w, fd, patience, worker, &c);
                if (c.client.worker)
                        worker_net_detach(&c.client);
                end_copies(&w, worker, fd);
        }
        assert_true(rested);
}

/* FIL-107: what bits-net says is not for a process of files, and the other way round. */
static void test_each_speaks_its_own(void **state)
{
        World w;
        Worker *worker;
        Copy c;
        int fd;

        (void)state;
        world_open(&w);
        worker = worker_acquire(w.pool, WORKER_FILE, &remote);
        attach(worker, &c);
        fd = world_start_worker(&w, WORKER_FILE);
        expect_start(&w, fd, &c);
        net_done_write(
                &w.out, 0,
                &(NetDone){ .transfer = c.client.id, .outcome = NET_COMPLETE, .detail = "" });
        world_send(&w, fd);
        world_wait_for(&w, c.n_failed == 1);
        assert_int_equal(c.result, WORK_ABORTED);
        worker_release(worker);
        fd_close(fd);

        worker = worker_acquire(w.pool, WORKER_FILE,
                                &(WorkerIdentity){ .uid = WORLD_OWNER, .token = -EBADF });
        attach(worker, &c);
        world_expect(&w, w.broker, MESSAGE_BROKER_END_WORKER);
        fd = world_start_worker(&w, WORKER_FILE);
        expect_start(&w, fd, &c);
        copy_done_write(&w.out, 0, &(CopyDone){ .transfer = c.client.id, .acl = "" });
        world_send(&w, fd);
        world_wait_for(&w, c.n_failed == 1);
        worker_release(worker);
        fd_close(fd);
        world_close(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_said_before_it_was_heard),
                cmocka_unit_test(test_rest_is_no_silence),
                cmocka_unit_test(test_each_speaks_its_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
