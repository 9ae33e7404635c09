/*
 * What a job waits for, as a word and as the code of its transient error. Some causes are no
 * failure of the job but a state of the machine: they end by themselves, and whoever watches them
 * says so (reference 02 sections 3.2 and 7).
 */
#pragma once

#include "core/error.h"

typedef struct Job Job;

typedef enum WaitKind {
        WAIT_NOTHING,
        WAIT_TURN,
        WAIT_SIGN_ON, /* of the owner */
        WAIT_NETWORK,
        WAIT_POLICY, /* bandwidth of 0 now */
        WAIT_COST,   /* of the network at hand */
        WAIT_POWER,
        WAIT_STANDBY, /* the machine sleeps */
        WAIT_VOLUME,  /* of the destination */
        WAIT_RETRY,   /* the delay after a failure */
        WAIT_TOKEN,   /* of the helper */
        WAIT_MAX,
        WAIT_INVALID = -1,
} WaitKind;

/* "", "turn", "sign-on", "network", …; NULL out of range. */
const char *wait_kind_name(WaitKind kind);
/* "waits for a network"; "" for WAIT_NOTHING; NULL out of range. */
const char *wait_kind_text(WaitKind kind);

/* The state of the machine that this code stands for; WAIT_NOTHING if it is a failure. */
WaitKind wait_kind_of(BitsCode code);
/* Whether a job's failure with this code goes into its error count. */
bool wait_is_counted(BitsCode code);

/* Whoever watches the machine, asked before a job enters its queue. 0, or the code that keeps the
   job from running now; *ret_detail is then a sentence that lives until the next question, or
   NULL. Jobs of an owner who is not signed on are not asked for. */
typedef struct Gate {
        BitsCode (*check)(void *userdata, const Job *job, const char **ret_detail);
        void *userdata;
} Gate;
