/*
 * The lock is a descriptor: closing it says that we are ready. It is taken anew after each sleep.
 * The answer to the wish for one may come when the machine goes to sleep already; then it is given
 * back like any other.
 */
#include "manager/standby.h"

#include "basic/fd.h"
#include "basic/log.h"

#include <fcntl.h>
#include <time.h>

enum {
        PATIENCE_USEC = 4 * 1000 * 1000, /* the login manager's own ends after five seconds */
};

struct Standby {
        sd_bus *bus;
        Engine *engine;
        Turn *turn;
        int lock;
        bool asleep;
        sd_bus_slot *wish;
        sd_event_source *patience;
};

static void give_back(Standby *s)
{
        (void)sd_event_source_set_enabled(s->patience, SD_EVENT_OFF);
        s->lock = fd_close(s->lock);
}

/* ---- before sleep ---- */

static void on_committed(void *userdata, uint64_t id)
{
        Standby *s = userdata;

        (void)id;
        if (s->asleep && engine_is_at_rest(s->engine))
                give_back(s);
}

/* POL-383 */
void standby_at_rest(Standby *s)
{
        if (!s || s->lock < 0 || !s->asleep || !engine_is_at_rest(s->engine))
                return;
        if (turn_after_commit(s->turn, on_committed, s, 0) < 0)
                give_back(s);
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        Standby *s = userdata;

        (void)source;
        (void)usec;
        log_notice("the machine goes to sleep while transfers are not at rest yet");
        give_back(s);
        return 0;
}

/* ---- the lock ---- */

static int on_lock(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Standby *s = userdata;
        int fd;

        (void)error;
        s->wish = sd_bus_slot_unref(s->wish);
        if (sd_bus_message_is_method_error(m, NULL)) {
                log_info("sleep will not wait for transfers: %s",
                         sd_bus_message_get_error(m)->message);
                return 0;
        }
        if (sd_bus_message_read(m, "h", &fd) < 0) /* the message's */
                return 0;
        fd_close(s->lock);
        s->lock = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        standby_at_rest(s);
        return 0;
}

static int wish_for_lock(Standby *s)
{
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(s->bus, &m, "org.freedesktop.login1",
                                               "/org/freedesktop/login1",
                                               "org.freedesktop.login1.Manager", "Inhibit");

        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_append(m, "ssss", "sleep", "OpenBITS", "Transfers come to rest",
                                          "delay");
        if (r >= 0)
                r = sd_bus_call_async(s->bus, &s->wish, m, on_lock, s, 0);
        sd_bus_message_unref(m);
        return r;
}

void standby_appeared(Standby *s)
{
        int r;

        if (!s || !s->bus || s->lock >= 0 || s->wish)
                return;
        r = wish_for_lock(s);
        if (r < 0)
                log_errno(LOG_NOTICE, r, "sleep will not wait for transfers");
}

void standby_set(Standby *s, bool asleep)
{
        if (!s)
                return;
        s->asleep = asleep;
        if (!asleep) {
                give_back(s);
                standby_appeared(s);
                return;
        }
        (void)sd_event_source_set_time_relative(s->patience, PATIENCE_USEC);
        (void)sd_event_source_set_enabled(s->patience, SD_EVENT_ONESHOT);
        standby_at_rest(s);
}

/* ---- life ---- */

int standby_new(sd_event *event, sd_bus *bus, Engine *engine, Turn *turn, Standby **ret)
{
        _cleanup_(standby_freep) Standby *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->bus = sd_bus_ref(bus);
        s->engine = engine;
        s->turn = turn;
        s->lock = -EBADF;
        r = sd_event_add_time(event, &s->patience, CLOCK_MONOTONIC, 0, 0, on_patience, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->patience, SD_EVENT_OFF);
        if (r < 0)
                return r;
        standby_appeared(s);
        *ret = TAKE_PTR(s);
        return 0;
}

void standby_free(Standby *s)
{
        if (!s)
                return;
        sd_bus_slot_unref(s->wish);
        sd_event_source_disable_unref(s->patience);
        fd_close(s->lock);
        sd_bus_unref(s->bus);
        free(s);
}
