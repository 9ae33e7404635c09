/*
 * A row says in which states its call is possible and what it answers in the others. A condition is
 * asked where the state permits it. Whoever is final answers BG_E_INVALID_STATE to every change.
 */
#include "core/calls.h"

#define IN(state) (1u << STATE_##state)
#define RUNNING   (IN(QUEUED) | IN(CONNECTING) | IN(TRANSFERRING) | IN(TRANSIENT_ERROR))
#define PAUSED    (IN(SUSPENDED) | IN(ERROR))
#define UNDONE    (RUNNING | PAUSED)
#define LIVE      (UNDONE | IN(TRANSFERRED))
#define FINAL     (IN(ACKNOWLEDGED) | IN(CANCELLED))

/* A clause why not, or NULL. */
typedef const char *(*Condition)(const Job *job, const File *file);

static const char *reply_has_not_begun(const Job *job, const File *file)
{
        (void)file;
        return job->reply && job->reply->inode != 0 ? "the reply is being fetched" : NULL;
}

static const char *has_no_file(const Job *job, const File *file)
{
        (void)file;
        return job->n_files > 0 ? "the job has a file: it is too late for this" : NULL;
}

static const char *was_never_resumed(const Job *job, const File *file)
{
        (void)file;
        return job->resumed ? "the job has been resumed: it is too late for this" : NULL;
}

static const char *file_is_whole(const Job *job, const File *file)
{
        (void)job;
        return file && file->transferred ? NULL : "the file is not transferred yet";
}

static const char *has_error(const Job *job, const File *file)
{
        (void)file;
        return job->fault.code != 0 ? NULL : "the job has no error";
}

static const struct Rule {
        const char *name;
        unsigned states;
        BitsCode otherwise; /* in other states that are not final */
        Condition condition;
        BitsCode unless; /* the condition does not hold */
} rules[] = {
        [CALL_SET] = { "the setter", LIVE, BG_E_INVALID_STATE, NULL, 0 },
        [CALL_ADD_FILES] = { "AddFile", LIVE, BG_E_INVALID_STATE, NULL, 0 },
        [CALL_SET_REPLY_FILE_NAME] = { "SetReplyFileName", UNDONE, BG_E_INVALID_STATE,
                                       reply_has_not_begun, BG_E_INVALID_STATE },
        [CALL_SET_FILE_ACL_FLAGS] = { "SetFileACLFlags", UNDONE, BG_E_INVALID_STATE, NULL, 0 },
        [CALL_SET_HIGH_PERFORMANCE] = { "HIGH_PERFORMANCE", LIVE, BG_E_INVALID_STATE, has_no_file,
                                        BG_E_READ_ONLY_PROPERTY_AFTER_ADDFILE },
        [CALL_SET_BEFORE_RESUME] = { "the setter", LIVE, BG_E_INVALID_STATE, was_never_resumed,
                                     BG_E_READ_ONLY_PROPERTY_AFTER_RESUME },
        [CALL_SET_CERTIFICATE_CALLBACK] = { "SetServerCertificateValidationInterface",
                                            PAUSED | IN(TRANSFERRED),
                                            BG_E_READ_ONLY_WHEN_JOB_ACTIVE, NULL, 0 },
        [CALL_SET_VALIDATION_STATE] = { "SetValidationState", LIVE, BG_E_INVALID_STATE,
                                        file_is_whole, BITS_E_PENDING },
        [CALL_GET_REPLY_DATA] = { "GetReplyData", IN(TRANSFERRED) | IN(ACKNOWLEDGED),
                                  BG_E_INVALID_STATE, NULL, 0 },
        /* JOB-470: the fault stays when the job leaves its state of error, until bytes come. */
        [CALL_GET_ERROR] = { "GetError", UNDONE, BG_E_ERROR_INFORMATION_UNAVAILABLE, has_error,
                             BG_E_ERROR_INFORMATION_UNAVAILABLE },
};
static_assert_table(rules, CALL_MAX);

const char *job_call_name(JobCall call)
{
        return call >= 0 && call < CALL_MAX ? rules[call].name : NULL;
}

static const char *const clauses[] = {
        [STATE_QUEUED] = "the job is queued",
        [STATE_CONNECTING] = "the job is connecting",
        [STATE_TRANSFERRING] = "the job is transferring",
        [STATE_SUSPENDED] = "the job is suspended",
        [STATE_ERROR] = "the job is in the state error",
        [STATE_TRANSIENT_ERROR] = "the job waits after a transient error",
        [STATE_TRANSFERRED] = "the job is transferred",
        [STATE_ACKNOWLEDGED] = "the job is acknowledged",
        [STATE_CANCELLED] = "the job is cancelled",
};
static_assert_table(clauses, STATE_MAX);

const char *job_state_clause(const Job *job)
{
        return job->pending != PENDING_NONE ? "the job is being completed or cancelled"
                                            : clauses[job->state];
}

static bool only_reads(JobCall call)
{
        return call == CALL_GET_REPLY_DATA || call == CALL_GET_ERROR;
}

/* JOB-57, JOB-227, JOB-330, JOB-331 */
BitsCode job_call_check(const Job *job, const File *file, JobCall call, const char **ret_why)
{
        const struct Rule *rule = &rules[call];
        const char *why;

        assert(call >= 0 && call < CALL_MAX);
        if (job->pending != PENDING_NONE && !only_reads(call)) {
                *ret_why = job_state_clause(job);
                return BG_E_INVALID_STATE;
        }
        if ((rule->states & 1u << job->state) == 0) {
                *ret_why = clauses[job->state];
                return (FINAL & 1u << job->state) != 0 && !only_reads(call) ? BG_E_INVALID_STATE
                                                                            : rule->otherwise;
        }
        why = rule->condition ? rule->condition(job, file) : NULL;
        if (!why)
                return 0;
        *ret_why = why;
        return rule->unless;
}
