/*
 * The names that /etc/hosts gives to this very machine. Pure: whoever reads the file brings its
 * text.
 *
 * Lists of many thousand names that are sent nowhere are such files, too: finding one is cheap.
 */
#pragma once

#include "basic/macros.h"

typedef struct Hosts {
        char *text;   /* owned; the names lie in it */
        char **names; /* sorted, without regard to case */
        size_t count;
} Hosts;

/* NET-380: every name that has a loopback address, maybe among others. What makes no sense is
   passed over, as the C library does. 0 or -ENOMEM. */
int hosts_parse(const char *text, Hosts *ret);
void hosts_done(Hosts *hosts);

bool hosts_has(const Hosts *hosts, const char *name);
