/*
 * The process that starts the command and sees it to its end: bounds its time, reads its output
 * into the log, says how it ended. It is never in a sandbox, since the command would inherit it.
 */
#pragma once

#include "basic/macros.h"

/* Reads the command from `command`, waits for the order on `speaker`, does it, exits. When the
   speaker dies, so does the command. */
_noreturn_ void runner(int speaker, int command);
