/*
 * Signals as a program finds them that nobody has prepared anything for: what a child owes to the
 * program that it is about to become.
 */
#pragma once

/* Every signal does what it does by itself, and none is blocked. Async-signal-safe. */
void signals_reset(void);
