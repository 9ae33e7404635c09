/*
 * Uploads that were cancelled while their server holds a session: the server is asked to forget
 * it, again and again, for as long as upload.cancel_until says, also by the next daemon. The job is
 * over for everybody else: it stays in the table, unlisted, and its row in the store.
 */
#pragma once

#include "login/presence.h"
#include "manager/jobs.h"
#include "manager/turn.h"
#include "store/store.h"
#include "workers/worker.h"

typedef struct Farewells Farewells;

int farewells_new(sd_event *event, WorkerPool *pool, Store *store, Turn *turn, JobTable *jobs,
                  Farewells **ret);
/* What is not over is gone on with by the next daemon. NULL is fine. */
void farewells_free(Farewells *all);
DEFINE_CLEANUP(Farewells, farewells_free);
/* Whose worker may connect: not that of who is away. It has to outlive this. */
void farewells_set_presence(Farewells *all, const Presence *presence);

/* Whether the job, about to be cancelled, leaves a session behind. Sets upload.cancel_until. */
bool farewell_is_due(const Farewells *all, Job *job, uint64_t now_realtime);
/* For a cancelled job, retired or loaded as such, whose row is still in the store: until it is over
   the table keeps it, then its row goes. */
void farewell_begin(Farewells *all, Job *job);
/* The job's token is gone. */
void farewell_token_ended(Job *job);
