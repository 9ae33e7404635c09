/*
 * bits admin: what only root may look at, the ledgers in the broker's state directory.
 */
#pragma once

#include "cli/base.h"

/* Opens a folder of the state directory; `what` names it to people. 0, or an exit status after
   saying why not. */
int admin_open(const char *state, const char *folder, const char *what, int *ret_directory);

/* argv[0], if there is one, is "remove", and what follows are jobs. An exit status. */
int admin_notify(const char *state, int argc, char **argv);
