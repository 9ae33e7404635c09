/*
 * Who starts bits-pac for this worker: a process that was forked before the sandbox, as nobody in
 * it can start another program. It reads nothing: whoever hands it a socket gets a new bits-pac at
 * the other end, which the kernel bounds and which ends by itself. It ends with the worker.
 */
#pragma once

#include "basic/macros.h"

/* Before anything else is done: what the keeper has, every bits-pac could be said to have had. The
   descriptor to ask over, or -errno. */
int keeper_start(void);

/* One end of a new socket pair, at whose other end a bits-pac will be, if it can be started; else
   that end is closed. -errno. */
int keeper_ask(int keeper);
