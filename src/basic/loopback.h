/*
 * Which servers are this very machine, whatever the network: localhost (RFC 6761) and the addresses
 * that go over lo.
 */
#pragma once

#include "basic/macros.h"

enum {
        LOOPBACK_HOST_MAX = 256, /* bytes of a host's name, with its NUL */
};

/* The host of a URL, of "HOST" or of "HOST:PORT", without the brackets of an IPv6 address. False:
   there is none, or it is longer than any name. */
bool loopback_host(const char *url, char ret[LOOPBACK_HOST_MAX]);
/* NET-380: an address as people and libcurl write it, 127.1 too. */
bool loopback_is_address(const char *host);
/* The same, and localhost with all names below it. */
bool loopback_is_host(const char *host);
