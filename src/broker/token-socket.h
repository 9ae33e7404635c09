/*
 * The door that everybody may knock at: accept, read what the kernel says, hand out a token, close.
 * Nothing is read from a client and no client is waited for.
 */
#pragma once

#include "broker/owners.h"
#include "broker/token.h"

typedef struct TokenSocket TokenSocket;

typedef struct TokenSocketConfig {
        Tokens *tokens; /* borrowed */
        Owners *owners; /* borrowed; NULL: presentations are not recorded */
        bool any_user;  /* false: tokens for own_uid only */
        uid_t own_uid;
        uid_t manager_uid; /* never gets a token, unless it is own_uid */
} TokenSocketConfig;

/* Serves the listening SOCK_STREAM socket `listener` (borrowed). 0 or -errno. */
int token_socket_new(sd_event *event, int listener, const TokenSocketConfig *config,
                     TokenSocket **ret);
void token_socket_free(TokenSocket *socket);
DEFINE_CLEANUP(TokenSocket, token_socket_free);
