/*
 * Where a network may say which proxies it has (WPAD by DNS): a well-known host in each of the
 * machine's domains. Pure, but for reading which domains these are.
 */
#pragma once

#include "basic/macros.h"

enum {
        WPAD_PLACES_MAX = 12,
        WPAD_URL_MAX = 300,
};

typedef struct WpadPlaces {
        char urls[WPAD_PLACES_MAX][WPAD_URL_MAX];
        size_t count;
} WpadPlaces;

/* The places for a list of domains divided by white space, nearest first. */
void wpad_places(const char *domains, WpadPlaces *ret);

/* The machine's domains: those that its resolver tries (`resolver_conf` is the text of resolv.conf,
   `local` the value of LOCALDOMAIN or NULL), and that of its own name. Free it; NULL without
   memory. */
char *wpad_domains(const char *resolver_conf, const char *local, const char *host_name);

/* The same of this machine, now. */
char *wpad_own_domains(void);
