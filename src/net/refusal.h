/*
 * What it means for a job that a server does not take a packet of an upload: the status of its
 * answer, or the error of its own that it names, where that says more. Pure.
 */
#pragma once

#include "net/ack.h"
#include "net/net-error.h"

/* `packet`: its name on the wire; `creating`: it was to begin a session; `url`: where it went. */
void refusal_set(NetFailure *failure, const Ack *ack, const char *packet, bool creating,
                 const char *url);
