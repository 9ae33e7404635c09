/*
 * The kernel's word on ways to other machines, for bitsd: it has no network of its own in which it
 * could ask (the service unit gives it an empty one), and makes no socket but UNIX ones.
 */
#pragma once

#include "basic/macros.h"

/* Two netlink sockets of this process's network: `events` becomes readable when links, addresses or
   routes change; `questions` answers questions about routes and no others. Whoever holds them can
   read what every program of the machine can, and change nothing. 0 or -errno. */
int routes_open(int *ret_events, int *ret_questions);

/* Whether the environment that workers get names a proxy on this machine. */
bool routes_local_proxy(void);
