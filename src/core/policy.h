/*
 * Who may do what, and how much. The only place for access rules and limits: the bus layer asks,
 * it does not decide.
 */
#pragma once

#include "core/config.h"
#include "core/error.h"

#include <sys/types.h>

/* Rights that a handle carries, fixed when the handle is made. */
enum {
        RIGHT_READ = 1u << 0,       /* properties, files, progress */
        RIGHT_MODIFY = 1u << 1,     /* setters, suspend, resume, cancel, complete */
        RIGHT_OWNER = 1u << 2,      /* what only the owner may: his secrets */
        RIGHT_HELPER = 1u << 3,     /* the helper token and its flags */
        RIGHT_FILES = 1u << 4,      /* to say what the owner's identity reads, writes and shows */
        RIGHT_ADMINISTER = 1u << 5, /* TakeOwnership */
};

/* Rights of a caller on a job at the moment the handle is made; 0: the job does not exist for
   him. */
unsigned policy_rights(uid_t caller, uid_t owner);
/* Rights of a caller without administrator rights whom the administrator lets manage all jobs
   (polkit), on somebody else's job, or on his own in addition. */
unsigned policy_rights_authorized(bool owner_elevated);
/* What a handle keeps when the job gets another owner; `opener` made it. 0: it ends. */
unsigned policy_rights_kept(unsigned rights, uid_t opener, uid_t new_owner);

/* The helper's rule (reference 01 section 2.3). `opener` made the handle; `entitled`: he owned
   the job at that moment, or was let manage all jobs. 0, or BITS_E_ACCESS_DENIED.
   SetHelperToken: `token_uid` is whom the token names. */
BitsCode policy_set_helper_token(uid_t opener, bool entitled, uid_t token_uid);
/* SetHelperTokenFlags: as above, `token_uid` of the token that is set now, if has_token. */
BitsCode policy_set_helper_flags(uid_t opener, bool entitled, bool has_token, uid_t token_uid);
/* ClearHelperToken, GetHelperTokenFlags, GetHelperTokenSid. */
BitsCode policy_use_helper(uid_t opener, bool entitled);
/* Whatever needs RIGHT_FILES: it says what the helper reads, writes and shows, too. */
BitsCode policy_name_files(uid_t opener, bool has_token, uid_t token_uid);

/* The integrity level that a job has from its owner, when it is made or taken over (reference 01
   section 7.3). */
enum {
        INTEGRITY_MEDIUM = 0x2000, /* people */
        INTEGRITY_HIGH = 0x3000,   /* service accounts */
        INTEGRITY_SYSTEM = 0x4000, /* root */
};
uint32_t policy_integrity(uid_t owner);

/* The settings that the limits below come from. `config` has to live as long as anybody asks; what
   is in it may change. Without this call BITS's defaults hold. */
void policy_use(const Config *config);

typedef enum Limit {
        LIMIT_JOBS_PER_MACHINE,
        LIMIT_JOBS_PER_USER,
        LIMIT_FILES_PER_JOB,
        LIMIT_RANGES_PER_FILE,
        LIMIT_HANDLES_PER_USER,
        LIMIT_CONNECTIONS_PER_USER, /* peer-to-peer handle connections */
        LIMIT_STRAYS_PER_USER,      /* what was sent on these, not let in, and cannot be closed */
        LIMIT_QUESTIONS_PER_USER,   /* calls that wait for polkit */
        LIMIT_CALLS_PER_USER,       /* that wait for a worker or the broker */
        LIMIT_JOBS_PER_CALL,        /* that one CreateJobs makes */
        LIMIT_FINISHED_PER_USER,    /* completed or cancelled jobs that are held with their files */
        LIMIT_DISPLAY_NAME_CHARACTERS,
        LIMIT_DESCRIPTION_CHARACTERS,
        LIMIT_REMOTE_NAME_CHARACTERS,
        LIMIT_LOCAL_NAME_BYTES,
        LIMIT_MAX,
        LIMIT_INVALID = -1,
} Limit;

/* The number in force for this user. Administrators, and service accounts and others as bitsd.conf
   has it, are exempt from the limits of reference 02 section 12 that say so: UINT32_MAX. */
uint32_t policy_limit(Limit limit, uid_t uid);
/* The BITS code for being over it. */
BitsCode policy_limit_code(Limit limit);

/* Whether somebody should be told that the limit will be reached soon: when nine tenths of it are
   passed, and not at every one beyond. */
bool policy_limit_is_near(uint32_t limit, size_t before, size_t after);

/* Names (reference 02 section 9), JOB-412: 0, BITS_E_INVALID_ARGUMENT or BG_E_STRING_TOO_LONG. On
   failure *ret_why (may be NULL) is a static English sentence. */
BitsCode policy_check_remote_name(const char *url, const char **ret_why);
BitsCode policy_check_local_name(const char *path, const char **ret_why);
BitsCode policy_check_display_name(const char *name, const char **ret_why);
BitsCode policy_check_description(const char *text, const char **ret_why);
