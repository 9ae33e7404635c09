/*
 * The short life between fork() and the worker's program: the child takes its identity, leaves
 * everything of the broker behind, and executes. It reports a failure as one errno over the status
 * pipe; the pipe closing without a word means that the program runs.
 */
#pragma once

#include "core/identity.h"
#include "wire/protocol.h"

#include <sys/resource.h>

typedef struct WorkerPlan {
        WorkerKind kind;
        const char *program;   /* absolute path */
        bool switch_identity;  /* false: stay who we are */
        uid_t uid;             /* of the owner, unless there is a token */
        bool has_fallback_gid; /* the ledger's group, for an owner without an account */
        gid_t fallback_gid;
        const Identity *token; /* becomes exactly this; NULL for an owner */
        const char *ccache;    /* KRB5CCNAME; "" or NULL: the default */
        int command;           /* for WORKER_COMMAND, to stand at WORKER_COMMAND_FD */
        int channel;           /* the worker's end */
        int status;            /* write end of the status pipe, above 3 */
        struct rlimit files;   /* RLIMIT_NOFILE for the worker */
} WorkerPlan;

/* In the child only. */
_noreturn_ void worker_child(const WorkerPlan *plan);
