/*
 * A remote file that is a file of this machine: opened for reading with the rights of this process,
 * a regular file and nothing else, and the text that tells one version of it from another.
 */
#pragma once

#include "basic/macros.h"

#include <sys/stat.h>

enum {
        ORIGIN_VERSION_MAX = 80,
};

typedef struct Origin {
        int fd;
        struct stat st; /* as it was last looked at */
        char version[ORIGIN_VERSION_MAX];
} Origin;

/* Symbolic links as with local files: followed on the way, not as the last component. 0 or -errno
   with a clause for people in *ret_why: -ENOTDIR a directory of the path is missing, -ENOENT the
   file, -EISDIR, -ELOOP a symbolic link, -EINVAL a device, FIFO or socket, or a file that the
   kernel makes up (proc, sysfs). Nothing but a regular file is ever opened. */
int origin_open(const char *path, Origin *ret, const char **ret_why);
/* Of a file that another identity opened; takes the descriptor. 0 or -errno: -EINVAL it is no
   regular file. */
int origin_of(int fd, Origin *ret);
void origin_done(Origin *origin);

/* 1 still the version that was opened, 0 another one, or -errno. */
int origin_unchanged(Origin *origin);
