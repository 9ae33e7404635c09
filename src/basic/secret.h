/*
 * Bytes that must not outlive their use: wiped when freed, handed to another process in an
 * anonymous file, so that they never lie in a buffer of messages.
 */
#pragma once

#include "basic/macros.h"

/* Overwrites and frees; NULL is fine. */
void secret_free(void *bytes, size_t size);

/* A sealed anonymous file with these bytes, or -errno. The caller closes it. */
int secret_to_fd(const void *bytes, size_t size);
/* All bytes of such a file, at most `max` (-EMSGSIZE beyond). `fd` stays the caller's; the bytes,
   with a NUL behind them, are released with secret_free(). 0 or -errno. */
int secret_from_fd(int fd, size_t max, uint8_t **ret, size_t *ret_size);
