/*
 * What the parts of the broker share: the order in which the loop serves them.
 *
 * News of ended processes and tokens comes first, so that no request is answered from a record that
 * is out of date; strangers come last, so that a flood of them cannot keep the manager waiting.
 */
#pragma once

enum {
        LOOP_SIGNAL = -30,
        LOOP_TOKEN_ENDS = -20,
        LOOP_WORKER = -10,
        LOOP_MANAGER = 0,
        LOOP_MANAGER_SOCKET = 10,
        LOOP_TOKEN_SOCKET = 20,
};
