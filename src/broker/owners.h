/*
 * The owners whom the broker knows: for them, and no others, it starts workers without a token.
 * Known is who is signed on, by the login manager's word, and who once presented himself by
 * connecting to the token socket: the ledger, one small file per user in a directory of the broker.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

enum {
        OWNERS_MAX = 65536, /* entries of the ledger */
};

typedef struct Owners Owners;

/* Opens, or makes, the ledger in `state_directory` and reads it. 0 or -errno. */
int owners_open(const char *state_directory, Owners **ret);
void owners_free(Owners *owners);
DEFINE_CLEANUP(Owners, owners_free);

/* This user has presented himself: recorded on disk before the return, unless he is known already,
   which costs nothing. 1: new, 0: known, or -errno (-ENOSPC also when the ledger is full). */
int owners_present(Owners *owners, uid_t uid, gid_t gid);

/* In the ledger. *ret_gid (may be NULL) is the group of the first presentation; it counts only for
   users without an account. */
bool owners_recorded(const Owners *owners, uid_t uid, gid_t *ret_gid);

/* Signed on now, or in the ledger. */
bool owner_known(const Owners *owners, uid_t uid);
