/*
 * Copies the beginning of a file, as cheaply as the file system can: shared blocks where it has
 * them, else inside the kernel, else by hand.
 */
#pragma once

#include "basic/macros.h"

/* The next n bytes of `from` to the end of `to`'s, both at their positions. 1; 0 when `from` ended
   before; or -errno, with any part of them written. */
int copy_bytes(int from, int to, uint64_t n);
