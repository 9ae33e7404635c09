/*
 * Under whom a job's work is done, and what it means to a job that a worker did not serve.
 */
#include "manager/engine.h"

#include "core/remote-name.h"

#include <stdio.h>

/* The network's worker alone needs tickets, and remote files have a worker of their own. TOK-33,
   TOK-34, ENG-101 */
static void fit_to_purpose(const char *name, Purpose purpose, WorkerIdentity *identity)
{
        identity->remote = purpose == PURPOSE_REMOTE_FILE;
        if (purpose == PURPOSE_HTTP)
                snprintf(identity->ccache, sizeof(identity->ccache), "%s", name);
}

static void fill(const Job *job, bool helper, Purpose purpose, WorkerIdentity *ret)
{
        if (helper)
                *ret = (WorkerIdentity){ .helper = true,
                                         .uid = job->token->uid,
                                         .cookie = job->token->cookie,
                                         .token = job->token->fd };
        else
                *ret = (WorkerIdentity){ .uid = job->owner, .token = -EBADF };
        fit_to_purpose(helper ? job->helper_credential_cache : job->credential_cache, purpose, ret);
}

bool engine_identity(const Job *job, Purpose purpose, WorkerIdentity *ret)
{
        Actor actor = job_actor(job, purpose);

        if (actor == ACTOR_MISSING)
                return false;
        fill(job, actor == ACTOR_HELPER, purpose, ret);
        return true;
}

bool engine_other_identity(const Job *job, Purpose purpose, WorkerIdentity *ret)
{
        bool helper = job_actor(job, purpose) == ACTOR_OWNER;

        if (helper && !job->token)
                return false;
        fill(job, helper, purpose, ret);
        return true;
}

Worker *engine_acquire(WorkerPool *pool, const Job *job, WorkerKind kind, Purpose purpose)
{
        WorkerIdentity identity;

        return engine_identity(job, purpose, &identity) ? worker_acquire(pool, kind, &identity)
                                                        : NULL;
}

/* TOK-100, ENG-101: whoever has no files of this machine needs no worker for them. */
Worker *engine_fetcher(WorkerPool *pool, const File *file, Worker *net, Worker **remote)
{
        if (!remote_name_is_file(file->remote_name))
                return net;
        if (!*remote)
                *remote = engine_acquire(pool, file->job, WORKER_FILE, PURPOSE_REMOTE_FILE);
        return *remote;
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
        case WORK_SILENT:
                return BITS_E_TIMEOUT;
        case WORK_TOO_MANY:
                return BITS_E_TOO_MANY_OPEN_FILES;
        case WORK_DONE:
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
                return "this user has as many worker processes as are permitted; it goes on when "
                       "one of them has ended";
        case WORK_NOT_STARTED:
                return "the worker process could not be started; see the log of bits-broker";
        case WORK_DISMISSED:
                return "the user signed off";
        case WORK_SILENT:
                return "the file system of a remote file does not answer";
        case WORK_DONE:
        case WORK_ABORTED:
        case WORK_RESULT_MAX:
        case WORK_RESULT_INVALID:
                break;
        }
        return "the worker process ended again and again, or broke its protocol; see the log";
}
