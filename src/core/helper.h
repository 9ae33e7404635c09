/*
 * The two identities of a job and the one decision which of them does what (reference 01 section 3,
 * DESIGN decisions where it is silent).
 */
#pragma once

#include "basic/macros.h"

/* Usage flags of a helper token: what it takes over from the owner. */
enum {
        TOKEN_LOCAL_FILE = 0x1,
        TOKEN_NETWORK = 0x2,
        TOKEN_FLAGS_ALL = 0x3,
};

typedef enum Purpose {
        PURPOSE_CHECK_LOCAL_FILE, /* AddFile's access check */
        PURPOSE_TEMPORARY_FILE,   /* create and write the temporary file */
        PURPOSE_RENAME,           /* give it its final name */
        PURPOSE_DELETE_TEMPORARY,
        PURPOSE_READ_SOURCE, /* an upload's local file */
        PURPOSE_REPLY_FILE,
        PURPOSE_REMOTE_FILE, /* file:// and SMB */
        PURPOSE_HTTP,        /* the connection and its implicit credentials, server and proxy */
        PURPOSE_CLIENT_CERTIFICATE,
        PURPOSE_NOTIFY_COMMAND,
        PURPOSE_SIGN_ON, /* may the job run at all */
        PURPOSE_QUOTA,
        PURPOSE_MAX,
        PURPOSE_INVALID = -1,
} Purpose;

typedef enum Actor {
        ACTOR_OWNER,
        ACTOR_HELPER,
        ACTOR_MISSING, /* the flags ask for the helper, but the job holds no token */
        ACTOR_MAX,
        ACTOR_INVALID = -1,
} Actor;

const char *purpose_name(Purpose purpose);

/* Who acts for `purpose` in a job with these flags and, or not, a token. */
Actor identity_for(uint32_t flags, bool has_token, Purpose purpose);
