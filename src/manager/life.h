/*
 * The life of helper tokens (reference 01 section 4): what signing on and off, and the end of
 * sessions, does to the jobs. Flags always stay.
 *
 *      the owner signs off          all helper tokens of his jobs go, his jobs leave their turn
 *      a session ends               tokens captured in it go, wherever they serve
 *      a token's user signs off     it goes, if he was signed on when it was captured
 *      a token is shut down         it goes, wherever it serves
 *
 * Processes of an identity that is not to act any more are gone within a second.
 */
#pragma once

#include "manager/engine.h"
#include "manager/jobs.h"

typedef struct Life {
        JobTable *jobs;
        Engine *engine;
        WorkerPool *workers;
        const Presence *presence;
} Life;

/* NULL, or why a token that the broker describes so has no life (any more): an English clause that
   the caller frees. */
char *life_ended(const Life *life, const Token *token);

void life_signed_off(Life *life, uid_t uid);
void life_signed_on(Life *life, uid_t uid);
void life_session_ended(Life *life, const char *session);
/* The token of this job was shut down, or its broker has ended. */
void life_token_ended(Life *life, Job *job);
/* Nobody looked for a while: whatever ended meanwhile has its effect now. */
void life_catch_up(Life *life);
