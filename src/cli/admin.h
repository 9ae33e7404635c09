/*
 * bits admin: what an administrator looks at: the settings in force, and, for root alone, the
 * ledgers in the broker's state directory.
 */
#pragma once

#include "cli/base.h"

/* A folder of the state directory, and what can be done with it. */
typedef struct AdminLedger {
        const char *folder, *what; /* `what` names it to people */
        /* Exit statuses, after saying why not. */
        int (*list)(int directory);
        int (*remove)(int directory, const char *word);
} AdminLedger;

/* Lists it; or, with words, the first of which is "remove", removes what the others name. An exit
   status. */
int admin_ledger(const char *state, const AdminLedger *ledger, int argc, char **argv);

/* argv[0], if there is one, is "remove", and what follows are jobs. An exit status. */
int admin_notify(const char *state, int argc, char **argv);

/* The settings in force. An exit status. */
int admin_policy(void);
