/*
 * The life of a job, as one table: rows are calls and events, columns are states. The table holds
 * no exceptions elsewhere: whoever wants to know what Suspend does to a transferred job reads it
 * here, and the test reads every cell.
 *
 * Where BITS is silent: Suspend and an idle Resume of a TRANSFERRED job succeed and change nothing;
 * a Resume that finds every file there makes the job TRANSFERRED without a turn of the scheduler.
 */
#include "core/state.h"

/* What a cell may hold besides the next state. */
enum {
        NO = -1,    /* BG_E_INVALID_STATE */
        EMPTY = -2, /* BG_E_EMPTY */
};

/* Short names, so that a row fits on a line. */
enum {
        QU = STATE_QUEUED,
        CO = STATE_CONNECTING,
        TR = STATE_TRANSFERRING,
        SU = STATE_SUSPENDED,
        ER = STATE_ERROR,
        TE = STATE_TRANSIENT_ERROR,
        DO = STATE_TRANSFERRED,
        AC = STATE_ACKNOWLEDGED,
        CA = STATE_CANCELLED,
};

/* clang-format off */
/* JOB-01: calls. JOB-02: events of the service. JOB-300. JOB-220: the man page has the same. */
static const int8_t transitions[][STATE_MAX] = {
        /*                            QU     CO     TR     SU     ER     TE     DO     AC  CA */
        [EVENT_RESUME]             = {QU,    CO,    TR,    QU,    QU,    QU,    QU,    NO, NO},
        [EVENT_RESUME_EMPTY]       = {EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, NO, NO},
        [EVENT_RESUME_TRANSFERRED] = {QU,    CO,    TR,    DO,    DO,    DO,    DO,    NO, NO},
        [EVENT_SUSPEND]            = {SU,    SU,    SU,    SU,    SU,    SU,    DO,    NO, NO},
        [EVENT_CANCEL]             = {CA,    CA,    CA,    CA,    CA,    CA,    CA,    NO, NO},
        [EVENT_COMPLETE]           = {AC,    AC,    AC,    AC,    AC,    AC,    AC,    NO, NO},
        [EVENT_COMPLETE_UPLOAD]    = {NO,    NO,    NO,    NO,    NO,    NO,    AC,    NO, NO},
        [EVENT_INVALIDATED]        = {ER,    ER,    ER,    ER,    ER,    ER,    ER,    NO, NO},

        [EVENT_PICKED]             = {CO,    NO,    NO,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_CONNECTED]          = {NO,    TR,    TR,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_YIELDED]            = {NO,    QU,    QU,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_FINISHED]           = {NO,    DO,    DO,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_RANGES_FILLED]      = {SU,    SU,    SU,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_FAILED_TRANSIENT]   = {TE,    TE,    TE,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_FAILED_FATAL]       = {ER,    ER,    ER,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_RETRY]              = {NO,    NO,    NO,    NO,    NO,    QU,    NO,    NO, NO},
        [EVENT_NETWORK_LOST]       = {TE,    TE,    TE,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_NETWORK_BACK]       = {NO,    NO,    NO,    NO,    NO,    QU,    NO,    NO, NO},
        [EVENT_BLOCKED]            = {TE,    TE,    TE,    NO,    NO,    NO,    NO,    NO, NO},
        [EVENT_UNBLOCKED]          = {NO,    NO,    NO,    NO,    NO,    QU,    NO,    NO, NO},
        [EVENT_TIMED_OUT]          = {NO,    NO,    NO,    NO,    NO,    ER,    NO,    NO, NO},
        [EVENT_OUT_OF_TIME]        = {NO,    ER,    ER,    NO,    NO,    ER,    NO,    NO, NO},
        [EVENT_TOKEN_REQUIRED]     = {ER,    ER,    ER,    NO,    NO,    ER,    NO,    NO, NO},
        [EVENT_EXPIRED]            = {CA,    CA,    CA,    CA,    CA,    CA,    CA,    NO, NO},
};
/* clang-format on */
static_assert_table(transitions, EVENT_MAX);

BitsCode job_state_next(JobState from, JobEvent event, JobState *ret)
{
        int8_t next;

        assert(from >= 0 && from < STATE_MAX);
        assert(event >= 0 && event < EVENT_MAX);
        next = transitions[event][from];
        if (next == NO)
                return BG_E_INVALID_STATE;
        if (next == EMPTY)
                return BG_E_EMPTY;
        *ret = (JobState)next;
        return 0;
}

/* JOB-03 */
bool job_state_is_final(JobState state)
{
        return state == STATE_ACKNOWLEDGED || state == STATE_CANCELLED;
}

bool job_state_is_runnable(JobState state)
{
        return state == STATE_QUEUED || state == STATE_CONNECTING || state == STATE_TRANSFERRING;
}

/* JOB-04, JOB-05: the words; their order is BITS's numbers. */
static const char *const type_names[] = {
        [JOB_DOWNLOAD] = "download",
        [JOB_UPLOAD] = "upload",
        [JOB_UPLOAD_REPLY] = "upload-reply",
};
static_assert_table(type_names, JOB_TYPE_MAX);

static const char *const priority_names[] = {
        [PRIORITY_FOREGROUND] = "foreground",
        [PRIORITY_HIGH] = "high",
        [PRIORITY_NORMAL] = "normal",
        [PRIORITY_LOW] = "low",
};
static_assert_table(priority_names, PRIORITY_MAX);

static const char *const state_names[] = {
        [STATE_QUEUED] = "queued",
        [STATE_CONNECTING] = "connecting",
        [STATE_TRANSFERRING] = "transferring",
        [STATE_SUSPENDED] = "suspended",
        [STATE_ERROR] = "error",
        [STATE_TRANSIENT_ERROR] = "transient-error",
        [STATE_TRANSFERRED] = "transferred",
        [STATE_ACKNOWLEDGED] = "acknowledged",
        [STATE_CANCELLED] = "cancelled",
};
static_assert_table(state_names, STATE_MAX);

static const char *const event_names[] = {
        [EVENT_RESUME] = "resume",
        [EVENT_RESUME_EMPTY] = "resume-empty",
        [EVENT_RESUME_TRANSFERRED] = "resume-transferred",
        [EVENT_SUSPEND] = "suspend",
        [EVENT_CANCEL] = "cancel",
        [EVENT_COMPLETE] = "complete",
        [EVENT_COMPLETE_UPLOAD] = "complete-upload",
        [EVENT_INVALIDATED] = "invalidated",
        [EVENT_PICKED] = "picked",
        [EVENT_CONNECTED] = "connected",
        [EVENT_YIELDED] = "yielded",
        [EVENT_FINISHED] = "finished",
        [EVENT_RANGES_FILLED] = "ranges-filled",
        [EVENT_FAILED_TRANSIENT] = "failed-transient",
        [EVENT_FAILED_FATAL] = "failed-fatal",
        [EVENT_RETRY] = "retry",
        [EVENT_NETWORK_LOST] = "network-lost",
        [EVENT_NETWORK_BACK] = "network-back",
        [EVENT_BLOCKED] = "blocked",
        [EVENT_UNBLOCKED] = "unblocked",
        [EVENT_TIMED_OUT] = "timed-out",
        [EVENT_OUT_OF_TIME] = "out-of-time",
        [EVENT_TOKEN_REQUIRED] = "token-required",
        [EVENT_EXPIRED] = "expired",
};
static_assert_table(event_names, EVENT_MAX);

static const char *name_of(const char *const names[], size_t n, int value)
{
        return value >= 0 && (size_t)value < n ? names[value] : NULL;
}

static int value_of(const char *const names[], size_t n, const char *name)
{
        for (size_t i = 0; name && i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return (int)i;
        return -1;
}

const char *job_type_name(JobType type)
{
        return name_of(type_names, ELEMENTS(type_names), type);
}

JobType job_type_parse(const char *name)
{
        return (JobType)value_of(type_names, ELEMENTS(type_names), name);
}

const char *job_priority_name(JobPriority priority)
{
        return name_of(priority_names, ELEMENTS(priority_names), priority);
}

JobPriority job_priority_parse(const char *name)
{
        return (JobPriority)value_of(priority_names, ELEMENTS(priority_names), name);
}

const char *job_state_name(JobState state)
{
        return name_of(state_names, ELEMENTS(state_names), state);
}

JobState job_state_parse(const char *name)
{
        return (JobState)value_of(state_names, ELEMENTS(state_names), name);
}

const char *job_event_name(JobEvent event)
{
        return name_of(event_names, ELEMENTS(event_names), event);
}
