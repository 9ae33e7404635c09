/*
 * At the start: the helper tokens that the former process kept are given back to their jobs, after
 * the broker has said anew whom each of them names. Runs the loop until it has, for some seconds
 * at most; no job is under the engine's care yet and nobody can call.
 */
#pragma once

#include "manager/jobs.h"
#include "manager/keeper.h"
#include "workers/broker-link.h"

#include <systemd/sd-event.h>

/* 0, or -errno when the daemon is to end. */
int recall_tokens(sd_event *event, Keeper *keeper, BrokerLink *broker, JobTable *jobs);

/* A token of that description; takes *fd. NULL out of memory. */
Token *token_from_description(const BrokerToken *described, int *fd);
