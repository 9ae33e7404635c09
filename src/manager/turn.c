#include "manager/turn.h"

#include "basic/log.h"
#include "manager/bus-names.h"
#include "manager/late.h"

#include <time.h>

enum {
        LAZY_USEC = 1000 * 1000,
        GATHER_USEC = 100 * 1000,
        RETRY_USEC = 2 * 1000 * 1000, /* after a commit that failed */
};

typedef struct Waiting {
        STAILQ_ENTRY(Waiting) entries;
        sd_bus_message *call;    /* NULL for a signal */
        sd_bus_message *message; /* NULL for a callback */
        TurnCallback callback;
        TurnOutcome outcome; /* in place of it */
        void *userdata;
        uint64_t id;
} Waiting;

struct Turn {
        Store *store;
        sd_event *event;
        Late now;              /* at the end of this iteration */
        sd_event_source *lazy; /* within a second */
        STAILQ_HEAD(WaitingList, Waiting) waiting;
        bool pressing; /* one of them waits for no timer */
        int failure;   /* of the last commit; 0: there was none */
};

static void waiting_free(Waiting *w)
{
        sd_bus_message_unref(w->call);
        sd_bus_message_unref(w->message);
        free(w);
}

/* BUS-14: sd-bus queues what a peer does not take; nobody waits for it. */
static void deliver(Waiting *w)
{
        int r = 0;

        if (w->message)
                r = sd_bus_send(NULL, w->message, NULL);
        else if (w->outcome)
                w->outcome(w->userdata, w->id, true);
        else
                w->callback(w->userdata, w->id);
        if (r < 0 && r != -ENOTCONN && r != -ECONNRESET && r != -EPIPE)
                log_errno(LOG_DEBUG, r, "a reply or signal was not delivered");
}

/* JOB-260: BITS's code for a store that is damaged, else the environment's. */
int turn_failure(int r, sd_bus_error *error)
{
        bool full = r == -ENOSPC || r == -EDQUOT;

        assert(r < 0);
        if (r == -ESTALE) /* DUR-481 */
                return bus_fail(error, BITS_E_WRITE_FAULT,
                                "the change could not be stored: the job store was moved or "
                                "replaced; put it back, or restart the service, then call again");
        return bus_fail(error, r == -EBADMSG ? BG_E_DATABASE_CORRUPT : code_from_errno(-r),
                        "the change could not be stored (%s): %s, then call again", strerror(-r),
                        full ? "free space for the job store"
                             : "look at the file system of the job store");
}

/* The change is in memory but not on disk: the caller must not believe in it. */
static void deliver_failure(Waiting *w, int r)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        (void)turn_failure(r, &error);
        (void)sd_bus_reply_method_error(w->call, &error);
        sd_bus_error_free(&error);
}

/* Callbacks may queue more: they see the next turn. */
static void deliver_all(Turn *turn)
{
        struct WaitingList list = STAILQ_HEAD_INITIALIZER(list);
        Waiting *w;

        STAILQ_CONCAT(&list, &turn->waiting);
        while ((w = STAILQ_FIRST(&list))) {
                STAILQ_REMOVE_HEAD(&list, entries);
                deliver(w);
                waiting_free(w);
        }
}

/* Replies become errors; signals and callbacks wait for a commit that works. DUR-41 */
static void fail_replies(Turn *turn, int error)
{
        struct WaitingList kept = STAILQ_HEAD_INITIALIZER(kept);
        Waiting *w;

        while ((w = STAILQ_FIRST(&turn->waiting))) {
                STAILQ_REMOVE_HEAD(&turn->waiting, entries);
                if (w->call) {
                        deliver_failure(w, error);
                        waiting_free(w);
                } else if (w->outcome) {
                        w->outcome(w->userdata, w->id, false);
                        waiting_free(w);
                } else
                        STAILQ_INSERT_TAIL(&kept, w, entries);
        }
        STAILQ_CONCAT(&turn->waiting, &kept);
}

/* DUR-392: told once, not with each attempt. */
static void note_failure(Turn *turn, int r)
{
        if (r < 0 && r != turn->failure)
                log_errno(LOG_ERR, r, "cannot write the job store: nothing new is accepted");
        else if (r >= 0 && turn->failure < 0)
                log_notice("the job store can be written again");
        turn->failure = MIN(r, 0);
}

/* DUR-15 … DUR-19, DUR-21, DUR-40, DUR-260: nothing that promises leaves before this. */
int turn_commit(Turn *turn)
{
        int r = store_commit(turn->store);

        (void)sd_event_source_set_enabled(turn->lazy, SD_EVENT_OFF);
        turn->pressing = false;
        note_failure(turn, r);
        if (r < 0) {
                fail_replies(turn, r);
                (void)sd_event_source_set_time_relative(turn->lazy, RETRY_USEC);
                (void)sd_event_source_set_enabled(turn->lazy, SD_EVENT_ONESHOT);
                return r;
        }
        deliver_all(turn);
        return 0;
}

static bool is_read(sd_bus_message *m)
{
        const char *member = sd_bus_message_get_member(m);

        return sd_bus_message_is_method_call(m, NULL, NULL) > 0 && member &&
               (strncmp(member, "Get", 3) == 0 || strncmp(member, "List", 4) == 0);
}

/* DUR-430: a state that was seen is not taken back by a crash. */
static int on_read(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Turn *turn = userdata;

        (void)error;
        if (turn->failure == 0 && store_has_promises(turn->store) && is_read(m))
                (void)turn_commit(turn);
        return 0;
}

int turn_guard_reads(Turn *turn, sd_bus *bus)
{
        return sd_bus_add_filter(bus, NULL, on_read, turn);
}

static void on_now(void *userdata)
{
        (void)turn_commit(userdata);
}

static int on_lazy(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        (void)turn_commit(userdata);
        return 0;
}

int turn_new(sd_event *event, Store *store, Turn **ret)
{
        _cleanup_(turn_freep) Turn *turn = calloc(1, sizeof(*turn));
        int r;

        if (!turn)
                return -ENOMEM;
        turn->store = store;
        turn->event = event;
        STAILQ_INIT(&turn->waiting);
        r = late_init(&turn->now, event, LOOP_TURN, on_now, turn);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &turn->lazy, CLOCK_MONOTONIC, LAZY_USEC, 0,
                                               on_lazy, turn);
        if (r >= 0)
                r = sd_event_source_set_enabled(turn->lazy, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(turn);
        return 0;
}

void turn_free(Turn *turn)
{
        Waiting *w;

        if (!turn)
                return;
        if (turn->lazy)
                (void)turn_commit(turn);
        late_done(&turn->now);
        sd_event_source_disable_unref(turn->lazy);
        while ((w = STAILQ_FIRST(&turn->waiting))) {
                STAILQ_REMOVE_HEAD(&turn->waiting, entries);
                waiting_free(w);
        }
        free(turn);
}

/* Unless the turn ends sooner anyway. */
static void arm_lazy(Turn *turn, uint64_t usec)
{
        uint64_t now = 0, due = UINT64_MAX;
        int enabled = SD_EVENT_OFF;

        (void)sd_event_source_get_enabled(turn->lazy, &enabled);
        if (enabled != SD_EVENT_OFF) {
                (void)sd_event_now(turn->event, CLOCK_MONOTONIC, &now);
                (void)sd_event_source_get_time(turn->lazy, &due);
                if (due <= now + usec)
                        return;
        }
        (void)sd_event_source_set_time_relative(turn->lazy, usec);
        (void)sd_event_source_set_enabled(turn->lazy, SD_EVENT_ONESHOT);
}

/* DUR-42. After a failure the next attempt has its time; only who calls comes before. */
void turn_schedule(Turn *turn)
{
        if (turn->failure < 0 && !turn->pressing)
                return;
        if (store_has_promises(turn->store) || turn->pressing)
                late_want(&turn->now);
        else if (store_is_dirty(turn->store))
                arm_lazy(turn, LAZY_USEC);
}

static int keep(Turn *turn, Waiting prototype, bool pressing)
{
        Waiting *w = malloc(sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = prototype;
        sd_bus_message_ref(w->call);
        sd_bus_message_ref(w->message);
        STAILQ_INSERT_TAIL(&turn->waiting, w, entries);
        if (!pressing) {
                arm_lazy(turn, GATHER_USEC);
                return 0;
        }
        turn->pressing = true;
        late_want(&turn->now);
        return 0;
}

int turn_reply(Turn *turn, sd_bus_message *call, sd_bus_message *reply)
{
        return keep(turn, (Waiting){ .call = call, .message = reply }, true);
}

int turn_send(Turn *turn, sd_bus_message *signal)
{
        /* Nothing to wait for: out with it. */
        if (!store_is_dirty(turn->store) && STAILQ_EMPTY(&turn->waiting))
                return sd_bus_send(NULL, signal, NULL);
        return keep(turn, (Waiting){ .message = signal }, true);
}

int turn_send_gathered(Turn *turn, sd_bus_message *signal)
{
        return keep(turn, (Waiting){ .message = signal }, false);
}

int turn_after_commit(Turn *turn, TurnCallback callback, void *userdata, uint64_t id)
{
        return keep(turn, (Waiting){ .callback = callback, .userdata = userdata, .id = id }, true);
}

int turn_on_outcome(Turn *turn, TurnOutcome outcome, void *userdata, uint64_t id)
{
        return keep(turn, (Waiting){ .outcome = outcome, .userdata = userdata, .id = id }, true);
}
