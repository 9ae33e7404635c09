/*
 * Reading local files: what an upload sends, and a small reply that is given by value. Everything
 * happens with the rights of the calling process, symbolic links as in place.h.
 */
#pragma once

#include "file/inode.h"

typedef struct Source {
        int fd; /* the caller's, open for reading; -EBADF: none */
        uint64_t size;
        uint64_t modification_time; /* ns since 1970 */
} Source;

/* A regular file, for reading. 0 or -errno; -EISDIR a directory, -EINVAL another thing that is no
   regular file, or no absolute path, -ELOOP a symbolic link. */
int source_open(const char *local_name, Source *ret);

/* A copy of the file with that mark, under its temporary or its local name, in sealed memory. With
   more bytes than `limit` only the size is given, and no descriptor. -ESTALE: neither name holds
   it. */
int source_read_reply(const char *local_name, const char *temporary_name, const Mark *mark,
                      uint64_t limit, Source *ret);
