/*
 * Threads for calls that may hang: nobody waits for their end.
 */
#pragma once

/* Signals are not for it: they are the loop's. 0 or -errno. */
int thread_start(void *(*run)(void *userdata), void *userdata);
