/*
 * The life of a job as data: states, the calls and events that move it, and the table of what
 * happens (reference 02 sections 2 and 3). job_transition() in job.c is the only user that changes
 * a job's state by it.
 */
#pragma once

#include "core/error.h"

typedef enum JobType {
        JOB_DOWNLOAD,
        JOB_UPLOAD,
        JOB_UPLOAD_REPLY,
        JOB_TYPE_MAX,
        JOB_TYPE_INVALID = -1,
} JobType;

typedef enum JobPriority {
        PRIORITY_FOREGROUND,
        PRIORITY_HIGH,
        PRIORITY_NORMAL,
        PRIORITY_LOW,
        PRIORITY_MAX,
        PRIORITY_INVALID = -1,
} JobPriority;

typedef enum JobState {
        STATE_QUEUED,
        STATE_CONNECTING,
        STATE_TRANSFERRING,
        STATE_SUSPENDED,
        STATE_ERROR,
        STATE_TRANSIENT_ERROR,
        STATE_TRANSFERRED,
        STATE_ACKNOWLEDGED,
        STATE_CANCELLED,
        STATE_MAX,
        STATE_INVALID = -1,
} JobState;

typedef enum JobEvent {
        /* calls */
        EVENT_RESUME,             /* with files still to transfer */
        EVENT_RESUME_EMPTY,       /* a job without any file */
        EVENT_RESUME_TRANSFERRED, /* every file is there already */
        EVENT_SUSPEND,
        EVENT_CANCEL,
        EVENT_COMPLETE,        /* a download */
        EVENT_COMPLETE_UPLOAD, /* an upload or upload-reply */
        EVENT_INVALIDATED, /* SetValidationState: a file that arrived is not what it should be */
        /* of the service */
        EVENT_PICKED,           /* the scheduler gives the job its turn */
        EVENT_CONNECTED,        /* first answer of a server */
        EVENT_YIELDED,          /* time slice over, pre-empted, or the owner signed off */
        EVENT_FINISHED,         /* every file is transferred, and the reply of an upload-reply */
        EVENT_RANGES_FILLED,    /* on demand: what was asked for is there, the file is not whole */
        EVENT_FAILED_TRANSIENT, /* will be tried again */
        EVENT_FAILED_FATAL,
        EVENT_RETRY,          /* the delay has passed */
        EVENT_NETWORK_LOST,   /* there is no network any more */
        EVENT_NETWORK_BACK,   /* whatever the transient error was */
        EVENT_BLOCKED,        /* policy, cost, power or the volume do not permit a transfer now */
        EVENT_UNBLOCKED,      /* they permit it again */
        EVENT_TIMED_OUT,      /* no progress for too long: a transient error becomes fatal */
        EVENT_OUT_OF_TIME,    /* the maximum download time is used up */
        EVENT_TOKEN_REQUIRED, /* the helper token is gone and the flags need it */
        EVENT_EXPIRED,        /* the service cancels an inactive job */
        EVENT_MAX,
        EVENT_INVALID = -1,
} JobEvent;

/* The field's lower-case words: "download", "upload-reply"; "foreground"; "transient-error"; NULL
   out of range. The parsers give …_INVALID for anything else, NULL included. */
const char *job_type_name(JobType type);
JobType job_type_parse(const char *name);
const char *job_priority_name(JobPriority priority);
JobPriority job_priority_parse(const char *name);
const char *job_state_name(JobState state);
JobState job_state_parse(const char *name);
const char *job_event_name(JobEvent event);

/* CANCELLED or ACKNOWLEDGED. */
bool job_state_is_final(JobState state);
/* QUEUED, CONNECTING or TRANSFERRING: the scheduler looks after the job. */
bool job_state_is_runnable(JobState state);

/* What the event does in that state. 0 and *ret the next state (may be the same); or the BITS code
   that the call answers with, *ret untouched. An event of the service that cannot happen in that
   state answers BG_E_INVALID_STATE: the caller ignores it. */
BitsCode job_state_next(JobState from, JobEvent event, JobState *ret);
