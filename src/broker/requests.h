/*
 * The manager's connection: the table of what bitsd may ask, and nothing else. One connection at a
 * time; a connection that breaks the protocol is cut, the broker lives on for the next one.
 */
#pragma once

#include "broker/commands.h"
#include "broker/owners.h"
#include "broker/spawn.h"
#include "broker/token.h"

typedef struct Requests Requests;

typedef struct RequestsConfig {
        SpawnerConfig spawner; /* .switch_identity: may start workers under other identities */
        uid_t own_uid;
        uid_t manager_uid;  /* the only user who may connect */
        Tokens *tokens;     /* borrowed */
        Owners *owners;     /* borrowed; NULL when there is one identity only */
        Commands *commands; /* borrowed; NULL: none are kept */
} RequestsConfig;

/* Serves the listening SOCK_SEQPACKET socket `listener` (borrowed). 0 or -errno. */
int requests_new(sd_event *event, int listener, const RequestsConfig *config, Requests **ret);
void requests_free(Requests *requests);
DEFINE_CLEANUP(Requests, requests_free);
