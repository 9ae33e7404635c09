/*
 * File descriptors: closing, and passing over UNIX sockets. A descriptor variable that holds
 * nothing is -EBADF. All descriptors are close-on-exec.
 */
#pragma once

#include "basic/macros.h"

/* Closes fd if it is one, keeps errno, returns -EBADF: `fd = fd_close(fd);`. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
        *fd = fd_close(*fd);
}

#define _cleanup_close_ _cleanup_(fd_closep)

/* A pair of connected SOCK_SEQPACKET or SOCK_STREAM sockets, non-blocking if asked. 0 or -errno. */
int fd_socketpair(int type, bool nonblocking, int ret_pair[2]);

/* The socket's kernel-wide unique number (SO_COOKIE): the same for every copy of the descriptor,
   never used twice while the machine is up. 0 or -errno (-ENOTSOCK, -EBADF). */
int fd_socket_cookie(int fd, uint64_t *ret_cookie);
