/*
 * Starting the command: a process of its own session with nothing of ours in it but the standard
 * descriptors, and the right to no more than its user has.
 */
#pragma once

#include "basic/command-file.h"
#include "command/orders.h"

#include <sys/types.h>

/* Both outputs of the command are the pipe whose end is *ret_output. 0 when the program runs, or
   -errno of what kept it from running. */
int run_command(const CommandFile *file, const Order *order, pid_t *ret_pid, int *ret_output);
