/*
 * The whole content of a small file (a certificate, a key), for somebody who may not open it: a
 * copy in a sealed anonymous file, so that what is handed on is what was read, whatever happens to
 * the file later.
 */
#pragma once

#include "basic/macros.h"

/* Symbolic links are followed, the kernel's magic ones are not. The descriptor is the caller's.
   -EISDIR, -EINVAL: not a regular file. -EFBIG: longer than `size_max`. Else 0 or -errno. */
int content_copy(const char *path, uint64_t size_max, int *ret_fd, uint64_t *ret_size);
