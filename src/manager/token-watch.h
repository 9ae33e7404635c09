/*
 * Helper tokens that end by themselves: whoever holds a copy of a token may shut it down, and then
 * its identity is not to act any more, not even by a worker that runs already. The kernel says so
 * at once, by a hang-up of the socket.
 *
 * Each token is watched once, whichever jobs it serves, by a descriptor of the watch's own: that of
 * a job may be closed at any time.
 */
#pragma once

#include "core/job.h"

#include <systemd/sd-event.h>

typedef struct TokenWatches TokenWatches;

/* For each job that the token serves, once; `job->token` is still there and is to be let go. */
typedef void (*TokenEnded)(void *userdata, Job *job);

/* `event` is borrowed. 0 or -ENOMEM. */
int token_watches_new(sd_event *event, TokenEnded on_ended, void *userdata, TokenWatches **ret);
/* The jobs may be gone by then. NULL is fine. */
void token_watches_free(TokenWatches *watches);
DEFINE_CLEANUP(TokenWatches, token_watches_free);

/* The job's token is what it is now; without one the job is not watched any more. */
void token_watch_job(TokenWatches *watches, Job *job);
/* The same, when its token is gone and it may go itself. */
void token_watch_forget(Job *job);

/* Tokens that are watched. */
unsigned token_watches_count(const TokenWatches *watches);
