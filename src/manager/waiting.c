#include "manager/waiting.h"

#include "basic/clock.h"

#include <inttypes.h>
#include <stdio.h>

/* CLI-65: by number, because names are not known in here. TOK-463 */
static char *helper_needed(const Job *job, bool helper_known)
{
        const char *next = job->state == STATE_TRANSFERRED ? "complete" : "resume";
        char user[16] = "USER", *text;

        if (helper_known && job->last_helper != JOB_NO_HELPER)
                snprintf(user, sizeof(user), "%u", (unsigned)job->last_helper);
        if (asprintf(&text,
                     "helper token needed: run bits token set %.8s --as %s, then bits %s %.8s",
                     job->id, user, next, job->id) < 0)
                return NULL;
        return text;
}

static char *owner_needed(const Engine *engine, const Job *job)
{
        const Presence *presence = engine_presence(engine);
        char *text;

        if (asprintf(&text, "waits until %s signs on",
                     presence->user_name(presence->userdata, job->owner)) < 0)
                return NULL;
        return text;
}

static char *delayed(const char *why, uint64_t next)
{
        uint64_t now = clock_usec(CLOCK_REALTIME), left = next > now ? next - now : 0;
        char *text;

        if (asprintf(&text, "%s%swill be tried again in %" PRIu64 " s", why, *why ? "; " : "",
                     (left + USEC_PER_SEC - 1) / USEC_PER_SEC) < 0)
                return NULL;
        return text;
}

/* What the gate said is more than the kind. */
static char *explained(WaitKind kind, const Job *job)
{
        bool kept_back =
                job->state == STATE_TRANSIENT_ERROR && wait_kind_of(job->fault.code) == kind;
        const char *detail = kept_back && job->fault.detail ? job->fault.detail : "";
        char *text;

        if (asprintf(&text, "%s%s%s", wait_kind_text(kind), *detail ? ": " : "", detail) < 0)
                return NULL;
        return text;
}

/* JOB-77 */
char *waiting_sentence(const Engine *engine, const Job *job, bool helper_known)
{
        WaitKind kind = engine_wait_kind(engine, job);
        uint64_t next = engine_next_attempt(engine, job);

        if (kind == WAIT_SIGN_ON)
                return owner_needed(engine, job);
        if (kind == WAIT_TOKEN)
                return helper_needed(job, helper_known);
        if (next != 0)
                return delayed(kind == WAIT_RETRY ? "" : wait_kind_text(kind), next);
        return explained(kind, job);
}
