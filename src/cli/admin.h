/*
 * bits admin: what an administrator looks at: the settings in force, and, for root alone, the
 * ledgers in the broker's state directory.
 */
#pragma once

#include "cli/base.h"

/* Opens a folder of the state directory; `what` names it to people. 0, or an exit status after
   saying why not. */
int admin_open(const char *state, const char *folder, const char *what, int *ret_directory);

/* argv[0], if there is one, is "remove", and what follows are jobs. An exit status. */
int admin_notify(const char *state, int argc, char **argv);

/* The settings in force. An exit status. */
int admin_policy(void);
