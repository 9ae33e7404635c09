/*
 * A ledger: a folder in the broker's state directory that is the broker's alone, with one small
 * file for each entry. An entry is written aside, synced and renamed, so that a name that exists
 * is whole; it may be removed by an administrator while the broker runs.
 */
#pragma once

#include "basic/macros.h"

/* Opens, or makes, the folder `name` in `state_directory`. 0 or -errno: -EPERM when it belongs to
   somebody else. */
int ledger_open(const char *state_directory, const char *name, int *ret_directory);
/* On the disk before the return, in place of an older one. 0 or -errno. */
int ledger_write(int directory, const char *name, const void *bytes, size_t size);
/* Removes it, if it is there. */
void ledger_remove(int directory, const char *name);

/* Calls for each name; what a crash left half-written is removed. The callback's negative return
   ends it. 0 or -errno. */
typedef int (*LedgerCallback)(void *userdata, const char *name);
int ledger_read(int directory, LedgerCallback callback, void *userdata);
