/*
 * The channel to bitsd from the side of a worker that serves one message after the other.
 */
#pragma once

#include "wire/message.h"

typedef struct Talk {
        int channel; /* non-blocking */
        Message in, out;
} Talk;

/* Sends `out`, and waits for room if there is none. 0 or -errno: the peer is gone, or the message
   cannot be sent. */
int talk_send(Talk *talk);
