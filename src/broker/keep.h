/*
 * Tokens that outlive the broker: the end that was kept of a token lies in the service manager's fd
 * store, together with a sealed record of the identity. Both are found again at the next start.
 *
 * Nobody else can put anything there: the service manager takes descriptors from the main process
 * of this service only. And a record counts only if it can no longer be changed and names the very
 * end that it lies beside.
 */
#pragma once

#include "core/identity.h"

/* Puts both into the store. Without one nothing happens. 0, or -errno: there is no record. */
int keep_token(uint64_t cookie, int kept, const Identity *identity);
/* Takes them out. */
void keep_forget(uint64_t cookie);

/* The name of a token in the store begins so. */
#define KEEP_NAME "token-"

/* The record that `record` holds, if it is whole, sealed and about the token whose kept end is
   `kept`. 0; -EBADMSG otherwise. */
int keep_read(int record, int kept, uint64_t *ret_cookie, Identity *ret);
/* A sealed record. 0 or -errno. */
int keep_write(uint64_t cookie, int kept, const Identity *identity, int *ret);
