/*
 * A turn of the event loop ends with a commit. Whatever goes out and promises something (replies,
 * signals of a state) waits here until the transaction is on disk; several changes of one turn
 * share one transaction.
 *
 * Lazy changes (progress) are committed with the next promise, or a second later.
 */
#pragma once

#include "store/store.h"
#include "workers/loop.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Turn Turn;

typedef void (*TurnCallback)(void *userdata, uint64_t id);
typedef void (*TurnOutcome)(void *userdata, uint64_t id, bool stored);

int turn_new(sd_event *event, Store *store, Turn **ret);
/* Commits what is left and sends what waits. */
void turn_free(Turn *turn);
DEFINE_CLEANUP(Turn, turn_free);

/* Something was marked in the store: see that it is committed, soon or within a second. */
void turn_schedule(Turn *turn);

/* Commits now and sends what waits: for an answer that cannot wait for the end of the turn. 0 or
   -errno. */
int turn_commit(Turn *turn);

/* From now on, who reads over this bus is told only what is stored: a call that reads commits
   first. 0 or -errno. */
int turn_guard_reads(Turn *turn, sd_bus *bus);

/* What a caller is told when a commit failed: sets the error, returns what a handler returns. */
int turn_failure(int r, sd_bus_error *error);

/* Sends the reply to `call` after the commit; when the commit fails, an error instead. Takes its
   own references. */
int turn_reply(Turn *turn, sd_bus_message *call, sd_bus_message *reply);
/* Sends a signal after the commit, in order with the replies. */
int turn_send(Turn *turn, sd_bus_message *signal);
/* The same, but it may take a tenth of a second, so that many such signals share one commit. */
int turn_send_gathered(Turn *turn, sd_bus_message *signal);
/* Calls back after the commit, from the loop. `id` is the caller's, so that a callback can look
   up what may be gone by then. Kept over a failed commit. 0 or -ENOMEM. */
int turn_after_commit(Turn *turn, TurnCallback callback, void *userdata, uint64_t id);
/* Calls back once, whether the next commit works or not: for what is announced, or taken back and
   the caller told that it did not happen. */
int turn_on_outcome(Turn *turn, TurnOutcome outcome, void *userdata, uint64_t id);
