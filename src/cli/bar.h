/*
 * The progress bar: one line, as wide as asked, and the rate behind it. Pure: time and width are
 * arguments.
 */
#pragma once

#include "cli/base.h"

/* A rate that forgets: about the last five seconds count. */
typedef struct Rate {
        bool started;
        uint64_t bytes;
        uint64_t usec;
        double per_second;
} Rate;

/* The first call only remembers where the transfer stood: bytes from an earlier run are no speed. A
   count that went down (the file starts again) does the same. */
void rate_update(Rate *rate, uint64_t bytes, uint64_t now_usec);

typedef struct BarView {
        const char *name;  /* safe text */
        const char *state; /* shown instead of a rate when not NULL: "queued" */
        uint64_t bytes_transferred;
        uint64_t bytes_total; /* BITS_SIZE_UNKNOWN */
        double rate;
} BarView;

/* A line of at most `width` columns without a newline; what does not fit is left out, the name
   is cut first. The caller frees it; NULL without memory. */
char *bar_layout(const BarView *view, size_t width);
