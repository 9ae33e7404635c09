/*
 * Answering a challenge: which of the job's credentials is used for which target. Nothing is
 * offered unasked: the first request of a transfer shows nobody, and only to a 401 or 407 the
 * strongest scheme follows that the challenge names and the job has an entry for.
 */
#pragma once

#include "net/pool.h"

typedef struct Auth {
        const Credential *entry; /* of the pool or the URL; NULL: none chosen yet */
        AuthScheme scheme;
} Auth;

typedef enum AuthStep {
        AUTH_AGAIN,   /* ask again: an entry was chosen */
        AUTH_REFUSED, /* there is none that fits, or it was not accepted; `failure` says so */
        AUTH_STALE,   /* a fresh worker has to take over */
        AUTH_STEP_MAX,
        AUTH_STEP_INVALID = -1,
} AuthStep;

/* `of_url` is the user of the URL, NULL if it names none. `offered` are libcurl's CURLAUTH_… of the
   challenge, `status` 401 or 407. `permitted`: the job's credentials may be shown there at all. */
AuthStep auth_answer(Auth *auth, Pool *pool, const Credential *of_url, AuthTarget target,
                     bool permitted, long offered, unsigned status, const char *url,
                     NetFailure *failure);

/* Sets the chosen entries on a request. */
void auth_apply(const Auth auth[AUTH_TARGET_MAX], CURL *easy);
