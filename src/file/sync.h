/*
 * Bringing the content of many files to the disk at once.
 */
#pragma once

#include "basic/macros.h"

/* Syncs n files; ret_errors gets an errno or 0 for each, in the same order. EINVAL: not a regular
   file. The kernel reports a lost write once per open file: after such an error the content is in
   doubt for good, and a second call that succeeds proves nothing. */
void sync_files(const int *fds, size_t n, uint32_t *ret_errors);
