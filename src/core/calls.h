/*
 * Which call is possible when (reference 02 section 3.3), as one table: the states, and a condition
 * on the job where the state does not say enough. Calls that change the state are in state.h; those
 * that only read are possible always, but for the three that are here.
 */
#pragma once

#include "core/job.h"

typedef enum JobCall {
        CALL_SET,                      /* every setter that has no row of its own; TakeOwnership */
        CALL_ADD_FILES,                /* AddFile, AddFileSet, AddFileWithRanges */
        CALL_SET_REPLY_FILE_NAME,      /* until the reply begins */
        CALL_SET_FILE_ACL_FLAGS,       /* before TRANSFERRED */
        CALL_SET_HIGH_PERFORMANCE,     /* before the first file */
        CALL_SET_BEFORE_RESUME,        /* DYNAMIC_CONTENT, MAX_DOWNLOAD_SIZE, SetHttpMethod */
        CALL_SET_CERTIFICATE_CALLBACK, /* while the job is paused */
        CALL_SET_VALIDATION_STATE,     /* of a file that is whole */
        CALL_GET_REPLY_DATA,           /* when the reply is there */
        CALL_GET_ERROR,                /* while there is one */
        CALL_MAX,
        CALL_INVALID = -1,
} JobCall;

/* "SetFileACLFlags", for messages; NULL out of range. */
const char *job_call_name(JobCall call);

/* "the job is suspended", or that it is being ended. */
const char *job_state_clause(const Job *job);

/* 0, or the code that the call answers with and *ret_why, a clause about this job that lives as
   long as it does not change. `file` is the file that the call is about, NULL for the others. While
   Complete or Cancel is under way the job is as good as final. */
BitsCode job_call_check(const Job *job, const File *file, JobCall call, const char **ret_why);
