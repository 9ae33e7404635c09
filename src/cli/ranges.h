/*
 * Ranges of a file as people write them: OFFSET:LENGTH[,OFFSET:LENGTH…], an empty length for "to
 * the end".
 */
#pragma once

#include "cli/base.h"

typedef struct RangeArgument {
        bits_range *items; /* owned */
        size_t n;
} RangeArgument;

void ranges_done(RangeArgument *ranges);
/* EXIT_OK, or a usage error that is told. Adds to what is there. */
int ranges_parse(const char *text, RangeArgument *ranges);
/* A number of bytes, with K, M, G or T (powers of 1024) behind it if one likes. */
bool bytes_parse(const char *text, uint64_t *ret_bytes);
