/*
 * Nothing is remembered here: a token says of itself what its life hangs on, and presence says how
 * things are. So the same question is asked at an event, at a start, and when a token is set.
 *
 * The workers of an owner are dismissed when he signs off. Those of a token are dismissed with its
 * end in one job only if no other job has the same token: each of them loses it in the same pass.
 */
#include "manager/life.h"

#include "basic/log.h"
#include "manager/farewell.h"

#include <stdio.h>

static bool signed_on(const Life *life, uid_t uid)
{
        return life->presence->signed_on(life->presence->userdata, uid);
}

static const char *name_of(const Life *life, uid_t uid)
{
        return life->presence->user_name(life->presence->userdata, uid);
}

/* TOK-63, TOK-64 */
char *life_ended(const Life *life, const Token *token)
{
        const Presence *presence = life->presence;
        char *why = NULL;
        int r = 0;

        if (!string_empty(token->session) &&
            !presence->session_lives(presence->userdata, token->session))
                r = asprintf(&why, "the session %s of its capture has ended", token->session);
        else if (token->signed_on && !signed_on(life, token->uid))
                r = asprintf(&why, "its user %s signed off", name_of(life, token->uid));
        return r < 0 ? strdup("its session has ended") : why;
}

static void dismiss_token(Life *life, const Token *token)
{
        worker_pool_dismiss(life->workers, &(WorkerIdentity){ .helper = true,
                                                              .uid = token->uid,
                                                              .cookie = token->cookie,
                                                              .token = -EBADF });
}

static bool serves_elsewhere(const Life *life, const Job *job)
{
        Job *other;

        TAILQ_FOREACH (other, job_table_list(life->jobs), table_entries)
                if (other != job && other->token && other->token->cookie == job->token->cookie)
                        return true;
        return false;
}

/* The transfers are told to stop before their workers are: they have half a second. */
static void owner_left(Life *life, Job *job)
{
        Token seat = { .fd = -EBADF };
        bool dismiss = job->token && !serves_elsewhere(life, job);

        if (job->token)
                seat = *job->token;
        engine_signed_off(life->engine, job);
        if (dismiss)
                dismiss_token(life, &seat);
}

static void end_token(Life *life, Job *job, const char *why)
{
        Token seat = *job->token;

        log_info("job %s loses its helper token: %s", job->id, why);
        engine_token_ended(life->engine, job, why);
        dismiss_token(life, &seat);
}

static void check_token(Life *life, Job *job)
{
        _cleanup_free_ char *why = job->token ? life_ended(life, job->token) : NULL;

        if (why)
                end_token(life, job, why);
}

/* UPL-136: a cancelled upload keeps its token until its server knows, but no longer than that. */
static void end_cancelled(Life *life, Job *job)
{
        Token seat = *job->token;

        farewell_token_ended(job);
        dismiss_token(life, &seat);
}

static void check_cancelled(Life *life, Job *job)
{
        _cleanup_free_ char *why = NULL;

        if (!job->farewell || !job->token)
                return;
        why = signed_on(life, job->owner) ? life_ended(life, job->token) : strdup("");
        if (why)
                end_cancelled(life, job);
}

static void check_tokens(Life *life)
{
        Job *job;

        TAILQ_FOREACH (job, job_table_list(life->jobs), table_entries)
                check_token(life, job);
        TAILQ_FOREACH (job, job_table_retired(life->jobs), table_entries)
                check_cancelled(life, job);
}

/* TOK-62, TOK-65, ENG-63, ENG-64 */
void life_signed_off(Life *life, uid_t uid)
{
        Job *job;

        log_info("%s signed off", name_of(life, uid));
        TAILQ_FOREACH (job, job_table_list(life->jobs), table_entries)
                if (job->owner == uid)
                        owner_left(life, job);
        worker_pool_dismiss(life->workers, &(WorkerIdentity){ .uid = uid, .token = -EBADF });
        check_tokens(life);
}

/* ENG-65 */
void life_signed_on(Life *life, uid_t uid)
{
        Job *job;

        log_info("%s signed on", name_of(life, uid));
        TAILQ_FOREACH (job, job_table_list(life->jobs), table_entries)
                if (job->owner == uid)
                        engine_signed_on(life->engine, job);
}

void life_session_ended(Life *life, const char *session)
{
        log_debug("session %s ended", session);
        check_tokens(life);
}

/* TOK-370 */
void life_token_ended(Life *life, Job *job)
{
        if (job->farewell)
                end_cancelled(life, job);
        else
                end_token(life, job, "its socket was shut down, or the broker has ended");
}

/* ENG-66 */
void life_catch_up(Life *life)
{
        Job *job;

        TAILQ_FOREACH (job, job_table_list(life->jobs), table_entries)
                if (!signed_on(life, job->owner))
                        owner_left(life, job);
        check_tokens(life);
}
