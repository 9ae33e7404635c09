/*
 * The addresses of names, by the machine's own resolver, without keeping the event loop waiting: a
 * thread for each name that is asked for.
 */
#pragma once

#include "basic/macros.h"

#include <systemd/sd-event.h>

enum {
        RESOLVER_ADDRESSES_MAX = 2048,
};

typedef struct Resolver Resolver;
typedef struct Lookup Lookup;

/* `addresses`: divided by blanks, "" if there are none; borrowed. */
typedef void (*OnAddresses)(void *userdata, const char *addresses);

/* 0 or -errno. */
int resolver_new(sd_event *event, int64_t priority, Resolver **ret);
/* Every lookup must have been dropped or answered. NULL is fine. */
void resolver_free(Resolver *resolver);
DEFINE_CLEANUP(Resolver, resolver_free);

/* 0: `on_addresses` follows from the loop, unless the lookup is dropped before. -EAGAIN: too many
   are under way. */
int resolver_ask(Resolver *resolver, const char *host, OnAddresses on_addresses, void *userdata,
                 Lookup **ret);
/* NULL is fine. */
void resolver_drop(Lookup *lookup);

/* The addresses from which this machine would speak to others, divided by blanks. */
void resolver_own_addresses(char ret[RESOLVER_ADDRESSES_MAX]);
