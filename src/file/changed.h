/*
 * The directories whose entries changed and are not yet on the disk. A name that was made, renamed
 * or removed survives a power cut only after its directory is synced; doing that once per directory
 * instead of once per file is what makes thousands of small files cheap.
 */
#pragma once

#include "basic/macros.h"

enum {
        CHANGED_MAX = 64, /* each one holds a descriptor */
};

typedef struct ChangedDirectory {
        int fd;
        uint64_t device, inode;
        bool whole; /* fd is not the directory but a file beside it: sync the file system */
} ChangedDirectory;

typedef struct Changed {
        ChangedDirectory items[CHANGED_MAX]; /* in the order in which they first changed */
        size_t count;
        int error; /* the first failure of those that had to leave early, 0 or -errno */
} Changed;

/* Forgets everything, syncing nothing. Accepts a zeroed set. */
void changed_done(Changed *changed);

/* Call it before the change: it fails when the directory could not be synced afterwards. directory
   is a descriptor, O_PATH will do; it stays the caller's. A full set syncs its oldest member to
   make room. 0 or -errno. */
int changed_add(Changed *changed, int directory);

/* Adds it, and syncs it now: for a change that others are about to rely on. 0 or -errno. */
int changed_sync_one(Changed *changed, int directory);

/* Syncs and forgets all of them, whatever fails. 0, or the first -errno since the last call. */
int changed_sync(Changed *changed);
