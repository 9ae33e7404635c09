/*
 * What the broker may still do after its start: become other users and end their processes. Every
 * other capability is given up for good, for itself and for whatever it executes.
 */
#pragma once

#include "basic/macros.h"

/* True when this process can become any user and group. */
bool privilege_may_switch(void);

/* Gives up everything but CAP_SETUID, CAP_SETGID and CAP_KILL, or everything when `keep_switch` is
   false, sets no_new_privs, and proves it. 0 or -errno; after an error the process must end. */
int privilege_drop(bool keep_switch);

/* For the child that has taken its final identity: no capability in any set. 0 or -errno. */
int privilege_drop_all(void);
