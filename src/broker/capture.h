/*
 * Who is at the other end of a stream socket, as the kernel froze it at connect(): effective user,
 * group and supplementary groups of the connecting thread, and the login session of its process.
 * Not one byte is read from the peer.
 */
#pragma once

#include "core/identity.h"

/* 0, or -errno: -ESRCH when the peer's process has ended already, so that its session could be
   that of a stranger with the same process number. */
int capture_peer(int socket, Identity *ret);
