/*
 * What may come in with a message of D-Bus. A message carries descriptors of its sender's choice,
 * asked for or not, and libsystemd closes in bitsd's only thread what nobody takes: a file of a
 * file system that hangs would stand for everybody's standstill. So what it is given is screened:
 * what bitsd has a use for passes (tokens, sealed memory, pipes), and in the place of anything else
 * libsystemd finds -1. The descriptor itself is closed by basic/closer.h.
 *
 * State of the process, as its table of descriptors is.
 */
#pragma once

#include "basic/macros.h"

/* Descriptors that were not let in. Called while libsystemd reads: only to take note of it. */
typedef void (*IntakeRefused)(void *userdata, unsigned count);

/* From now on what libsystemd receives on this socket is screened. `refused` may be NULL. 0 or
   -errno. */
int intake_watch(int socket, IntakeRefused refused, void *userdata);
/* By then libsystemd may have closed the socket, and its number may be watched for another. */
void intake_forget(int socket, const void *userdata);

/* How often something was received on a socket that is watched: 0 after libsystemd has spoken with
   somebody means that it reads past this module. */
uint64_t intake_count(int socket);
