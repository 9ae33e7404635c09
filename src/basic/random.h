/*
 * Bytes that nobody can foretell, from the kernel.
 */
#pragma once

#include "basic/macros.h"

#include <errno.h>
#include <sys/random.h>

/* At most 256, of which the kernel never gives a part. 0 or -errno. */
static inline int random_bytes(void *to, size_t n)
{
        ssize_t r = getrandom(to, n, 0);

        return r < 0 ? -errno : r == (ssize_t)n ? 0 : -EIO;
}
