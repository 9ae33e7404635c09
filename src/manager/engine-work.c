/*
 * Under whom a job's work is done, and what it means to a job that a worker did not serve. Pure.
 */
#include "manager/engine.h"

#include <stdio.h>

/* The network's worker alone needs tickets. TOK-33, TOK-34 */
static void name_cache(const char *name, Purpose purpose, WorkerIdentity *identity)
{
        if (purpose == PURPOSE_HTTP)
                snprintf(identity->ccache, sizeof(identity->ccache), "%s", name);
}

bool engine_identity(const Job *job, Purpose purpose, WorkerIdentity *ret)
{
        switch (job_actor(job, purpose)) {
        case ACTOR_OWNER:
                *ret = (WorkerIdentity){ .uid = job->owner, .token = -EBADF };
                name_cache(job->credential_cache, purpose, ret);
                return true;
        case ACTOR_HELPER:
                *ret = (WorkerIdentity){ .helper = true,
                                         .uid = job->token->uid,
                                         .cookie = job->token->cookie,
                                         .token = job->token->fd };
                name_cache(job->helper_credential_cache, purpose, ret);
                return true;
        case ACTOR_MISSING:
        case ACTOR_MAX:
        case ACTOR_INVALID:
                break;
        }
        return false;
}

BitsCode engine_work_result_code(WorkResult result, bool *ret_fatal)
{
        *ret_fatal = false;
        switch (result) {
        case WORK_UNKNOWN_OWNER:
                return BITS_E_NOT_LOGGED_ON;
        case WORK_DEAD_TOKEN:
                *ret_fatal = true;
                return BG_E_TOKEN_REQUIRED;
        case WORK_NO_PRIVILEGE:
                *ret_fatal = true;
                return BITS_E_ACCESS_DENIED;
        case WORK_DISMISSED:
                return BITS_E_NOT_LOGGED_ON;
        case WORK_DONE:
        case WORK_TOO_MANY:
        case WORK_NOT_STARTED:
        case WORK_ABORTED:
        case WORK_RESULT_MAX:
        case WORK_RESULT_INVALID:
                break;
        }
        return BITS_E_PROCESS_ABORTED;
}

const char *engine_work_result_text(WorkResult result)
{
        switch (result) {
        case WORK_UNKNOWN_OWNER:
                return "the owner is not signed on and never presented itself to the broker; let "
                       "the owner run any bits command once";
        case WORK_DEAD_TOKEN:
                return "the helper token is no longer valid; set a new one and resume, or clear "
                       "the flags and resume";
        case WORK_NO_PRIVILEGE:
                return "this service runs without root and knows one identity only";
        case WORK_TOO_MANY:
                return "too many workers at the same time";
        case WORK_NOT_STARTED:
                return "the worker process could not be started; see the log of bits-broker";
        case WORK_DISMISSED:
                return "the user signed off";
        case WORK_DONE:
        case WORK_ABORTED:
        case WORK_RESULT_MAX:
        case WORK_RESULT_INVALID:
                break;
        }
        return "the worker process ended again and again, or broke its protocol; see the log";
}
