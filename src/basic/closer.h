/*
 * Closing files of file systems that may hang. close() of a file on a share whose server is away,
 * or of a FUSE mount whose program does not answer, waits for them, and not even SIGKILL ends that.
 * Whoever holds files of several users must not stand still for one of them.
 *
 * State of the process, as its table of descriptors is.
 */
#pragma once

#include "basic/macros.h"

/* Closes fd, if it is one, without ever waiting for its file system: at once where that is known to
   answer, else by a thread. Keeps errno, returns -EBADF: `fd = closer_close(fd);`. From one thread
   only. */
int closer_close(int fd);

/* Closes this process's end of a connection with strangers, in which they may have left descriptors
   that nobody read: the kernel drops them with the socket, in whoever closes it, and that may wait
   as well. From now on nothing more is received. As closer_close() in all else. */
int closer_close_socket(int fd);

/* Descriptors that wait to be closed. */
unsigned closer_waiting(void);
