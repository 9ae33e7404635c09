/*
 * What a file is, whatever its name: its kind, its owner, and the mark by which the manager finds
 * it again. A number of an inode comes back after the file is gone, and the number of a device may
 * be another one after a boot; the time of birth comes with the inode and does neither. Where the
 * file system knows none, the device has to do.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

typedef struct Mark {
        uint64_t device, inode; /* 0 and 0: of no file */
        uint64_t birth;         /* ns since 1970, 0: the file system does not know */
} Mark;

typedef struct Inode {
        Mark mark;
        mode_t mode;
        uid_t owner;
        uint32_t names;
        uint64_t size;
} Inode;

/* 1 with what has the name in the directory (a link itself, not where it leads), 0 when nothing
   has it, or -errno. */
int inode_look(int directory, const char *name, Inode *ret);

/* Of an open file, O_PATH will do. 0 or -errno. */
int inode_of(int fd, Inode *ret);

bool mark_is_set(const Mark *mark);
/* The same file, as far as marks can tell. */
bool mark_equal(const Mark *a, const Mark *b);
