/*
 * What a command finds around it: the variables and the directory of its user, as at a login, and
 * which event of which job it is run for. Nothing of the service's own environment but the
 * language.
 */
#pragma once

#include "command/orders.h"

enum {
        ENVIRONMENT_MAX = 16,
};

typedef struct Environment {
        char *variables[ENVIRONMENT_MAX]; /* owned, the last NULL */
        unsigned n;
        char *home; /* owned: the account's directory, "/" without one */
} Environment;

/* For the user that this process runs as. `job` is the id that he sealed with the command. 0 or
   -ENOMEM. */
int environment_make(const char *job, const Order *order, Environment *ret);
void environment_done(Environment *environment);
