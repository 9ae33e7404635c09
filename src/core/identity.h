/*
 * An identity is what the kernel checks when a process touches a file or a peer asks who called:
 * user, group and supplementary groups, together with the login session it was captured in.
 * Pure data: capturing is the broker's work, becoming is the broker's child's.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

enum {
        IDENTITY_SID_MAX = 32,        /* "S-1-22-1-4294967295" and its NUL */
        IDENTITY_GROUPS_MAX = 65536,  /* the kernel's NGROUPS_MAX */
        IDENTITY_PEOPLE_FIRST = 1000, /* uid, Debian's UID_MIN in /etc/login.defs */
};

typedef struct Identity {
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* owned; may be NULL when n_groups is 0 */
        size_t n_groups;
        char *session;  /* owned; login session at the capture, NULL outside any */
        bool signed_on; /* the user was, at the capture */
} Identity;

void identity_done(Identity *identity);

/* The SID string of a user by Samba's mapping, S-1-22-1-<uid>. ret_sid has IDENTITY_SID_MAX bytes.
   */
void identity_sid(uid_t uid, char *ret_sid);

/* Administrator in the sense of BITS: the effective user is root. */
static inline bool identity_is_administrator(uid_t uid)
{
        return uid == 0;
}

/* Those who are neither people nor root. */
static inline bool identity_is_service_account(uid_t uid)
{
        return uid != 0 && uid < IDENTITY_PEOPLE_FIRST;
}
