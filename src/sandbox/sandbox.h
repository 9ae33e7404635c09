/*
 * The cage of a program: what it gives up for good, before it reads the first byte of a stranger.
 *
 * Each profile is a promise of the kind "may not", and every promise stands on two feet where the
 * kernel has two to offer: seccomp (by system call) and Landlock (by path and port).
 *
 *      profile    may not                                             may
 *      FILE       make, connect or accept a socket                    files, as its identity may
 *      NET        create, open for writing or change any path;        connect out; read what TLS,
 *                 listen; see files outside of a short list           resolver and NSS read
 *      MANAGER    use another socket family than AF_UNIX; write       D-Bus, its database
 *                 outside of its own directories; read user files
 *      SPEAKER    make a socket; open, make or change any path        talk over what it has
 *      SCRIPT     the same; any call but some thirty; map code        compute, and talk
 *      all        exec, fork, change identity, hold a capability, trace, signal another process,
 *                 mount, load code into the kernel, io_uring, dump core
 *
 * Under uid 0 NET is narrower: no UNIX sockets but pairs, and of /etc only what a client needs.
 *
 * Threads are permitted, descriptors that were inherited or received keep working. Order in a
 * program: sandbox_enter(), sandbox_prove(), then WORKER_HELLO or READY=1; a negative answer of
 * either is the end of the program (exit 70).
 */
#pragma once

#include "basic/macros.h"

typedef enum SandboxProfile {
        SANDBOX_FILE,
        SANDBOX_NET,
        SANDBOX_MANAGER,
        SANDBOX_SPEAKER,
        SANDBOX_SCRIPT,
        SANDBOX_PROFILE_MAX,
        SANDBOX_PROFILE_INVALID = -1,
} SandboxProfile;

/* What holds after sandbox_enter(). The first three always do, the rest as the kernel can. */
enum {
        SANDBOX_LAYER_NO_NEW_PRIVS = 1u << 0,
        SANDBOX_LAYER_NO_CAPABILITIES = 1u << 1,
        SANDBOX_LAYER_SECCOMP = 1u << 2,
        SANDBOX_LAYER_BOUNDING_SET = 1u << 3,     /* emptied; needs CAP_SETPCAP at entry */
        SANDBOX_LAYER_LANDLOCK_FILES = 1u << 4,   /* ABI 1; Linux 5.13. Not used by FILE */
        SANDBOX_LAYER_LANDLOCK_NETWORK = 1u << 5, /* ABI 4; Linux 6.7 */
        SANDBOX_LAYER_LANDLOCK_SCOPES = 1u << 6,  /* ABI 6; Linux 6.12 */
};

/* Additions to the profile's own list: each a NULL-terminated array, or NULL. Paths that do not
   exist, and empty strings, are passed over; a directory stands for all beneath it, a file for the
   file that has the name now (if it is replaced by rename, the new one is not in the list). */
typedef struct SandboxPaths {
        const char *const *readable; /* NET, MANAGER: e.g. the value of SSL_CERT_FILE */
        const char *const *writable; /* MANAGER only: read, write, create, rename, remove */
} SandboxPaths;

/* Enters, for good. Call while the process has one thread (-EBUSY otherwise). `paths` may be NULL
   (the profile's own list only); nothing of it is kept. `ret_layers` may be NULL. A missing
   Landlock layer is a notice in the log; -errno when a layer that must hold does not. After a
   failure the process may be half in its cage: end it. */
int sandbox_enter(SandboxProfile profile, const SandboxPaths *paths, uint32_t *ret_layers);

/* Tries what the profile must refuse. 0 when each attempt was refused, and by the sandbox; else
   -errno (-EPROTO when an attempt succeeded) after a line in the log that names each breach. Leaves
   nothing behind, also when an attempt succeeds. Does not rely on sandbox_enter() having been
   called or on what it reported. */
int sandbox_prove(SandboxProfile profile);

/* "file", "net", "manager", "speaker", "script". */
const char *sandbox_profile_to_string(SandboxProfile profile);
