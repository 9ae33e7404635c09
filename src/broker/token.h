/*
 * Tokens: identities that were captured, each behind one end of a socket pair. Holding a copy of
 * that end is having the token; the kernel number of the socket (SO_COOKIE), which no one can make
 * or repeat, finds the record. The record lives as long as any copy of the end is open anywhere.
 */
#pragma once

#include "core/identity.h"

#include <systemd/sd-event.h>

enum {
        TOKENS_MAX = 16384,
        TOKENS_PER_USER = 256,
        TOKENS_ROOT = 4096, /* services capture for many users, but some capture themselves */
};

typedef struct Tokens Tokens;

typedef struct TokenInfo {
        uint64_t cookie;
        const Identity *identity; /* the table's; valid until the loop turns */
} TokenInfo;

/* `max` of all users together, at most TOKENS_MAX. `event` is borrowed. 0 or -errno. */
int tokens_new(sd_event *event, unsigned max, Tokens **ret);
/* Ends every token. NULL is fine. */
void tokens_free(Tokens *tokens);
DEFINE_CLEANUP(Tokens, tokens_free);

/* Moves the identity into a new token and gives its one descriptor away. 0 or -errno, identity
   untouched: -EUSERS when this user has too many, -ENFILE when all together have. */
int tokens_mint(Tokens *tokens, Identity *identity, int *ret_fd);

/* The token that `fd` (borrowed, anything at all) is a copy of. 0, or -ENOENT: none of ours. */
int tokens_find(Tokens *tokens, int fd, TokenInfo *ret);

/* The token serves a job: from now on it outlives this broker, if the service manager helps. */
void tokens_keep(Tokens *tokens, uint64_t cookie);
/* A token of a former broker: the two descriptors that the store gave back under one name, in any
   order; both taken. 0, or -EBADMSG: they are no token. */
int tokens_restore(Tokens *tokens, int a, int b);

/* Tokens alive. */
unsigned tokens_count(const Tokens *tokens);
