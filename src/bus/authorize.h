/*
 * Administering other users' jobs: root may by himself; everybody else may if polkit says so, for
 * the action org.openbits.manage-all-jobs. polkit is asked over the bus, by the caller's unique
 * name, and the loop goes on meanwhile.
 *
 * Privacy: whoever wants to know about a job that is not his own is asked for the authorization
 * before the job is looked for, so that neither the answer nor the time it takes tells whether
 * there is one.
 */
#pragma once

#include "core/identity.h"

#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef struct Authorizer Authorizer;

typedef enum Verdict {
        VERDICT_ALLOWED,
        VERDICT_REFUSED,   /* also: nobody is there to ask */
        VERDICT_CHALLENGE, /* the caller would have to authenticate */
        VERDICT_MAX,
        VERDICT_INVALID = -1,
} Verdict;

/* A handler, or the second half of one; returns what a handler returns. */
typedef int (*AuthorizedCall)(sd_bus_message *m, void *userdata, Verdict verdict,
                              sd_bus_error *error);

/* `ask`: whether there is anybody but root to ask for (not in user mode). 0 or -ENOMEM. */
int authorizer_new(sd_bus *bus, bool ask, Authorizer **ret);
/* Calls that still wait are never answered. */
void authorizer_free(Authorizer *authorizer);
DEFINE_CLEANUP(Authorizer, authorizer_free);

/* Runs `call` with the verdict on the sender of `m`, a message of the bus from user `uid`: at
   once, or when polkit has answered, with `m` rewound to its beginning. Returns what a handler
   returns. */
int authorize(Authorizer *authorizer, sd_bus_message *m, uid_t uid, AuthorizedCall call,
              void *userdata, sd_bus_error *error);
