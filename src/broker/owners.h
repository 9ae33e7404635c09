/*
 * The owners whom the broker knows: for them, and no others, it starts workers without a token.
 * Known is who is signed on, by the login manager's word, and who once presented himself by
 * connecting to the token socket: the ledger, one small file per user in a directory of the broker.
 */
#pragma once

#include "wire/protocol.h"

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

/* In the ledger, on disk too: an entry that somebody removed is forgotten. *ret_gid (may be
   NULL) is the group of the first presentation; it counts only for users without an account. */
bool owners_recorded(Owners *owners, uid_t uid, gid_t *ret_gid);

/* May a worker of that kind be started for him, without a token? Signed on now: yes. In the
   ledger: yes for service accounts, and for everybody where there is no login manager to ask. A
   person who has left keeps his files' worker, so that what was transferred can be completed or
   removed; the network is not used in his name. */
bool owner_known(Owners *owners, uid_t uid, WorkerKind kind);
/* The decision alone. */
bool owner_may(uid_t uid, WorkerKind kind, bool recorded, bool login_manager, bool signed_on);
