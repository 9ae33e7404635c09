/*
 * For tests of the manager's lower half: a broker and workers that are played by the test, over
 * real SOCK_SEQPACKET sockets, on a real event loop. The test reads what the manager asks, in the
 * order it asks, and answers what it likes.
 */
#pragma once

#include "basic/fd.h"
#include "workers/broker-link.h"
#include "workers/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum {
        WORLD_PATIENCE = 500, /* rounds of at most 10 ms, then the test fails */
        WORLD_OWNER = 1000,
};

typedef struct World {
        sd_event *event;
        char directory[64];
        int listener;
        int broker; /* the test's end of the link, once accepted */
        BrokerLink *link;
        WorkerPool *pool;
        Message in, out;
} World;

/* Everything that can happen without waiting. */
static inline void world_run(World *w)
{
        for (unsigned i = 0; i < 10000 && sd_event_run(w->event, 0) > 0; i++)
                ;
}

static inline void world_wait(World *w)
{
        (void)sd_event_run(w->event, 10 * 1000);
}

static inline void world_listen(World *w)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/manager", w->directory);
        (void)unlink(address.sun_path);
        w->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(w->listener >= 0);
        assert_int_equal(bind(w->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(w->listener, 8), 0);
}

static inline void world_accept(World *w)
{
        for (unsigned i = 0; i < WORLD_PATIENCE; i++) {
                w->broker = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (w->broker >= 0)
                        return;
                world_wait(w);
        }
        fail_msg("nobody connects to the broker");
}

static inline void world_send(World *w, int fd)
{
        assert_int_equal(message_send(&w->out, fd), 0);
}

static inline void world_broker_hello(World *w)
{
        broker_hello_write(&w->out, 0, &(BrokerHello){ PROTOCOL_VERSION, 1, 0, 0 });
        world_send(w, w->broker);
}

/* The next message on fd; it has to be of that type. */
static inline void world_expect(World *w, int fd, uint16_t type)
{
        for (unsigned i = 0; i < WORLD_PATIENCE; i++) {
                int r = message_receive(&w->in, fd);

                if (r > 0) {
                        assert_string_equal(message_type_name(w->in.type), message_type_name(type));
                        return;
                }
                assert_int_equal(r, -EAGAIN);
                world_wait(w);
        }
        fail_msg("no %s came", message_type_name(type));
}

static inline void world_expect_nothing(World *w, int fd)
{
        world_run(w);
        assert_int_equal(message_receive(&w->in, fd), -EAGAIN);
}

/* The manager has closed its end of fd. */
static inline void world_expect_end(World *w, int fd)
{
        for (unsigned i = 0; i < WORLD_PATIENCE; i++) {
                int r = message_receive(&w->in, fd);

                if (r == 0 || r == -ECONNRESET)
                        return;
                world_wait(w);
        }
        fail_msg("the channel was not closed");
}

#define world_wait_for(w, condition)                                             \
        do {                                                                     \
                for (unsigned _i = 0; _i < WORLD_PATIENCE && !(condition); _i++) \
                        world_wait(w);                                           \
                assert_true(condition);                                          \
        } while (0)

/* Answers the START request in w->in with a worker; the worker's end, which has not said hello. */
static inline int world_give_worker(World *w)
{
        uint32_t serial = w->in.serial;
        int pair[2];

        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
        broker_worker_write(&w->out, serial,
                            &(BrokerWorker){ .pid = (uint32_t)getpid(), .channel = pair[1] });
        world_send(w, w->broker);
        fd_close(pair[1]);
        return pair[0];
}

static inline void world_worker_hello(World *w, int worker, WorkerKind kind, uid_t uid)
{
        worker_hello_write(&w->out, 0,
                           &(WorkerHello){ PROTOCOL_VERSION, (uint32_t)kind, (uint32_t)uid, 0, 0 });
        world_send(w, worker);
}

/* The manager asks for an owner's worker of that kind and gets one that is ready. */
static inline int world_start_worker(World *w, WorkerKind kind)
{
        BrokerStartOwner start;
        int worker;

        world_expect(w, w->broker, MESSAGE_BROKER_START_OWNER);
        assert_int_equal(broker_start_owner_read(&w->in, &start), 0);
        assert_int_equal(start.kind, kind);
        assert_int_equal(start.uid, WORLD_OWNER);
        worker = world_give_worker(w);
        world_worker_hello(w, worker, kind, WORLD_OWNER);
        return worker;
}

static inline void world_refuse(World *w, Refusal reason)
{
        uint32_t serial = w->in.serial;

        broker_refused_write(&w->out, serial, &(BrokerRefused){ .reason = (uint32_t)reason });
        world_send(w, w->broker);
}

static inline void world_open(World *w)
{
        char path[128];

        *w = (World){ .listener = -EBADF, .broker = -EBADF };
        strcpy(w->directory, "/tmp/openbits-test-XXXXXX");
        assert_non_null(mkdtemp(w->directory));
        assert_int_equal(sd_event_new(&w->event), 0);
        assert_int_equal(message_init(&w->in), 0);
        assert_int_equal(message_init(&w->out), 0);
        world_listen(w);
        snprintf(path, sizeof(path), "%s/manager", w->directory);
        assert_int_equal(broker_link_new(w->event, path, &w->link), 0);
        assert_int_equal(worker_pool_new(w->event, w->link, &w->pool), 0);
        world_accept(w);
        world_broker_hello(w);
        world_run(w);
}

static inline void world_close(World *w)
{
        static const char *const names[] = { "manager", "jobs.sqlite", "jobs.sqlite-wal", "file" };

        worker_pool_free(w->pool);
        broker_link_free(w->link);
        sd_event_unref(w->event);
        message_done(&w->in);
        message_done(&w->out);
        fd_close(w->broker);
        fd_close(w->listener);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                char path[128];

                snprintf(path, sizeof(path), "%s/%s", w->directory, names[i]);
                (void)unlink(path);
        }
        assert_int_equal(rmdir(w->directory), 0);
}
