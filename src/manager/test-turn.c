/*
 * Promises wait for the disk: replies, signals and callbacks against the commit, with a real store
 * and two ends of a D-Bus connection.
 */
#include "manager/turn.h"

#include "basic/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Case {
        sd_event *event;
        char directory[64];
        Store *store;
        Turn *turn;
        Job *job;
        sd_bus *server, *client;
        unsigned n_calls, n_callbacks, n_replies, n_reads, n_signals;
        uint64_t last_id;
        bool failed;
        sd_event_source *busy;
} Case;

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Case *c = userdata;
        sd_bus_message *reply = NULL;

        (void)error;
        if (sd_bus_message_is_method_call(m, "x.Y", "GetState")) {
                c->n_reads++;
                assert_false(store_is_dirty(c->store));
        }
        if (!sd_bus_message_is_method_call(m, "x.Y", "Promise"))
                return 0;
        c->n_calls++;
        store_mark_job(c->store, c->job, STORE_PROMISED);
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_int_equal(turn_reply(c->turn, m, reply), 0);
        sd_bus_message_unref(reply);
        return 1;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Case *c = userdata;

        (void)error;
        c->n_replies++;
        c->failed = sd_bus_message_is_method_error(m, "org.openbits.BITS1.Error.WriteFault");
        /* DUR-40: what is promised is on disk by now. */
        if (!c->failed)
                assert_false(store_is_dirty(c->store));
        return 1;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Case *c = userdata;

        (void)error;
        if (sd_bus_message_is_signal(m, "x.Y", "News"))
                c->n_signals++;
        return 0;
}

static void on_committed(void *userdata, uint64_t id)
{
        Case *c = userdata;

        assert_false(store_is_dirty(c->store));
        c->n_callbacks++;
        c->last_id = id;
}

static sd_bus *make_bus(Case *c, int fd, bool server)
{
        sd_bus *bus;
        sd_id128_t id;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_id128_randomize(&id) >= 0);
        if (server)
                assert_true(sd_bus_set_server(bus, true, id) >= 0);
        assert_true(sd_bus_set_anonymous(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_attach_event(bus, c->event, LOOP_BUS) >= 0);
        return bus;
}

static void open_case(Case *c)
{
        static const uint8_t random[JOB_ID_BYTES] = { 3 };
        int pair[2];

        *c = (Case){ 0 };
        strcpy(c->directory, "/tmp/openbits-test-XXXXXX");
        assert_non_null(mkdtemp(c->directory));
        assert_int_equal(sd_event_new(&c->event), 0);
        assert_int_equal(store_open(c->directory, &c->store), 0);
        assert_int_equal(turn_new(c->event, c->store, &c->turn), 0);
        assert_int_equal(job_new(random, 1, JOB_DOWNLOAD, "j", 1, &c->job), 0);
        assert_int_equal(fd_socketpair(SOCK_STREAM, true, pair), 0);
        c->server = make_bus(c, pair[0], true);
        c->client = make_bus(c, pair[1], false);
        assert_true(sd_bus_add_filter(c->server, NULL, on_call, c) >= 0);
        assert_true(sd_bus_add_filter(c->client, NULL, on_signal, c) >= 0);
}

static void close_case(Case *c)
{
        static const char *const names[] = { "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm" };

        sd_event_source_disable_unref(c->busy);
        turn_free(c->turn);
        sd_bus_close_unref(c->client);
        sd_bus_close_unref(c->server);
        store_remove_job(c->store, c->job);
        store_close(c->store);
        job_free(c->job);
        sd_event_unref(c->event);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                char path[128];

                snprintf(path, sizeof(path), "%s/%s", c->directory, names[i]);
                (void)unlink(path);
        }
        assert_int_equal(rmdir(c->directory), 0);
}

static void call(Case *c)
{
        assert_true(sd_bus_call_method_async(c->client, NULL, NULL, "/", "x.Y", "Promise", on_reply,
                                             c, NULL) >= 0);
}

static void run_until(Case *c, const unsigned *counter, unsigned value)
{
        for (unsigned i = 0; i < 500 && *counter < value; i++)
                (void)sd_event_run(c->event, 10 * 1000);
        assert_int_equal(*counter, value);
}

static uint64_t now_usec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A job whose row breaks a rule of the schema cannot be written. */
static char *spoil(Case *c)
{
        return TAKE_PTR(c->job->display_name);
}

static void test_reply_after_commit(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        call(&c);
        call(&c);
        run_until(&c, &c.n_replies, 2);
        assert_int_equal(c.n_calls, 2);
        assert_false(c.failed);
        assert_int_not_equal(c.job->row, 0);
        close_case(&c);
}

/* DUR-41: a commit that fails turns replies into errors; callbacks and signals wait for one that
   works, and what was marked is not forgotten. */
static void test_failed_commit(void **state)
{
        sd_bus_message *signal = NULL;
        Case c;
        char *name;

        (void)state;
        open_case(&c);
        name = spoil(&c);
        call(&c);
        run_until(&c, &c.n_calls, 1);
        assert_int_equal(turn_after_commit(c.turn, on_committed, &c, 42), 0);
        assert_true(sd_bus_message_new_signal(c.server, &signal, "/", "x.Y", "News") >= 0);
        assert_int_equal(turn_send(c.turn, signal), 0);
        sd_bus_message_unref(signal);
        run_until(&c, &c.n_replies, 1);
        assert_true(c.failed);
        assert_int_equal(c.n_callbacks, 0);
        assert_int_equal(c.n_signals, 0);
        assert_true(store_is_dirty(c.store));
        c.job->display_name = name;
        run_until(&c, &c.n_signals, 1);
        assert_int_equal(c.n_callbacks, 1);
        assert_int_equal(c.last_id, 42);
        assert_int_not_equal(c.job->row, 0);
        close_case(&c);
}

/* DUR-42: progress waits for company, but not longer than about a second. */
static void test_lazy(void **state)
{
        uint64_t began = now_usec();
        Case c;

        (void)state;
        open_case(&c);
        store_mark_job(c.store, c.job, STORE_LAZY);
        turn_schedule(c.turn);
        while (store_is_dirty(c.store) && now_usec() - began < 30000000) /* a machine may be slow */
                (void)sd_event_run(c.event, 10 * 1000);
        assert_false(store_is_dirty(c.store));
        assert_true(now_usec() - began >= 900000);
        close_case(&c);
}

/* A signal that tells nothing unstored does not wait. */
static void test_signal_at_once(void **state)
{
        sd_bus_message *signal = NULL;
        Case c;

        (void)state;
        open_case(&c);
        call(&c);
        run_until(&c, &c.n_replies, 1);
        assert_true(sd_bus_message_new_signal(c.server, &signal, "/", "x.Y", "News") >= 0);
        assert_true(turn_send(c.turn, signal) >= 0);
        sd_bus_message_unref(signal);
        run_until(&c, &c.n_signals, 1);
        close_case(&c);
}

/* DUR-430: who reads is told what is stored, also before the turn has ended; progress is no
   promise. */
static void test_reads_see_what_is_stored(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        assert_true(turn_guard_reads(c.turn, c.server) >= 0);
        store_mark_job(c.store, c.job, STORE_PROMISED);
        assert_true(sd_bus_call_method_async(c.client, NULL, NULL, "/", "x.Y", "GetState", on_reply,
                                             &c, NULL) >= 0);
        run_until(&c, &c.n_reads, 1);
        assert_int_not_equal(c.job->row, 0);
        close_case(&c);
}

static int on_busy(sd_event_source *source, void *userdata)
{
        (void)source;
        (void)userdata;
        return 0;
}

/* LIM-30: somebody who keeps the loop busy for ever does not keep others from their answers. */
static void test_not_starved(void **state)
{
        Case c;
        unsigned i;

        (void)state;
        open_case(&c);
        assert_true(sd_event_add_defer(c.event, &c.busy, on_busy, NULL) >= 0);
        assert_true(sd_event_source_set_enabled(c.busy, SD_EVENT_ON) >= 0);
        assert_true(sd_event_source_set_priority(c.busy, LOOP_WORKERS) >= 0);
        store_mark_job(c.store, c.job, STORE_PROMISED);
        assert_int_equal(turn_after_commit(c.turn, on_committed, &c, 1), 0);
        for (i = 0; i < 10000 && c.n_callbacks == 0; i++)
                assert_true(sd_event_run(c.event, 0) >= 0);
        assert_int_equal(c.n_callbacks, 1);
        assert_true(i < 1000);
        close_case(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reply_after_commit),
                cmocka_unit_test(test_failed_commit),
                cmocka_unit_test(test_lazy),
                cmocka_unit_test(test_signal_at_once),
                cmocka_unit_test(test_reads_see_what_is_stored),
                cmocka_unit_test(test_not_starved),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
