/*
 * What a path means: a directory, resolved once, and a name in it. All further work is done
 * relative to the directory, so that it cannot be split over two places when somebody renames on
 * the way.
 */
#pragma once

#include "basic/macros.h"

typedef struct Target {
        int directory;    /* O_PATH */
        const char *name; /* last component, borrowed from the path */
        bool shared;      /* with others: the directory is not the target's to close */
} Target;

/* From here on names in one directory may share what its path meant for the first of them: all of
   them were asked for before this moment. Until then, and in a program that never calls it, each
   name is resolved by itself. FIL-361 */
void target_together(void);

/* The path is absolute. Symbolic links are followed in its directory part, except the kernel's
   magic ones (/proc/self/fd/3). 0 or -errno: -EINVAL not absolute, -EISDIR it ends in "/", "/." or
   "/..", -ENAMETOOLONG, or what the directory says (-ENOENT, -ENOTDIR, -EACCES). */
int target_open(const char *path, Target *ret);
void target_done(Target *target);

#define _cleanup_target_ _cleanup_(target_done)
