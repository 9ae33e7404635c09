/*
 * The channel to bitsd from the side of a worker that serves one message after the other. Answers
 * to quick questions wait for each other and leave together, so that bitsd wakes up once for many.
 */
#pragma once

#include "wire/message.h"

typedef struct Talk {
        int channel; /* non-blocking */
        Inbox inbox;
        Message *in; /* of the inbox */
        Message out;
        Message gathered[MESSAGES_AT_ONCE]; /* [0, n_gathered) wait */
        unsigned n_gathered;
} Talk;

/* 0 or -ENOMEM. */
int talk_init(Talk *talk, int channel);
/* Forgets what waits. Accepts a zeroed one. */
void talk_done(Talk *talk);

/* Whether talk_receive() will have to ask the socket. */
bool talk_is_read(const Talk *talk);
/* The next message into `in`, without waiting. As message_receive(). */
int talk_receive(Talk *talk);

/* Sends `out`, after what waits. Waits for room if there is none. Its descriptors stay the
   caller's. 0 or -errno: the peer is gone, or the message cannot be sent. */
int talk_send(Talk *talk);
/* `out` may wait; talk_flush() is to follow soon. Its descriptors are taken. As talk_send(). */
int talk_send_soon(Talk *talk);
int talk_flush(Talk *talk);
