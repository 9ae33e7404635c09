/*
 * The other end of an upload to a place on this machine: a temporary file beside the remote name,
 * which takes its place when every byte is there and on the disk.
 */
#pragma once

#include "file/attributes.h"
#include "file/place.h"
#include "wire/protocol.h"

#include <sys/stat.h>

typedef struct Put {
        char *path, *temporary_name; /* owned */
        Mark mark;                   /* of the temporary file */
        uint32_t flags;              /* ATTRIBUTE_… */
} Put;

/* Opens the recorded temporary file, or makes one. 0 with its descriptor in *ret_fd (the caller's)
   and the bytes that it has of those that were there, or -errno. */
int put_open(Changed *changed, const CopyPut *q, Put *ret, int *ret_fd, uint64_t *ret_offset);
void put_done(Put *put);

/* Everything is written: time and attributes of the source, then the disk, then the name, then the
   disk. 0 or -errno; again is fine. */
int put_finish(Changed *changed, const Put *put, int target, int source, const struct stat *st);
