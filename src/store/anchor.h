/*
 * Whether the database still lies where it was opened. SQLite writes by descriptors: into a folder
 * that was moved away, or a log that was removed, it goes on writing without a word, and the next
 * start reads something else. Asked for before each commit: two system calls, no waiting.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

typedef struct Anchor {
        struct {
                char *path;
                dev_t device;
                ino_t inode;
        } database, log;
        bool told; /* that something is wrong */
} Anchor;

/* Of an opened database, whose log exists by then. 0 or -errno. */
int anchor_set(const char *path, Anchor *ret);
void anchor_done(Anchor *anchor);

/* 0, or -ESTALE after a line in the log, the first time. It may be all right again later. */
int anchor_check(Anchor *anchor);
/* Closing a database removes the log of its name, whosever that is. */
bool anchor_holds_log(const Anchor *anchor);
