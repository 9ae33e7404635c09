/*
 * What `bits get` shows while it waits: a live bar on a terminal, two lines in a pipe, nothing for
 * JSON.
 */
#pragma once

#include "cli/bar.h"
#include "cli/base.h"

typedef struct Progress {
        bool bar;     /* standard output is a terminal */
        bool silent;  /* JSON: only remarks on standard error */
        bool drawn;   /* a bar stands on the line */
        char *name;   /* owned, safe */
        char *reason; /* owned; what was said last about waiting */
        bits_job_state state;
        uint64_t bytes_transferred, bytes_total;
        uint64_t began, began_bytes;
        bool began_known;
        Rate rate;
} Progress;

void progress_begin(Progress *progress, const char *name, bool silent);
void progress_end(Progress *progress);

/* Says once that it begins (or goes on with a job that was there). */
void progress_start(const Progress *progress, const char *short_id, const char *url,
                    const char *path, bool continued);
/* Shows where the job is; a reason to wait and a transient error are said once, in a line. */
void progress_update(Progress *progress, bits_job *job, bits_job_state state,
                     const bits_progress *now);
/* Nothing came since: the rate falls. */
void progress_redraw(Progress *progress);
/* Takes the bar away, so that a line can be printed. */
void progress_clear(Progress *progress);
/* The last line. */
void progress_done(const Progress *progress, const char *path);
/* When the bar has to be drawn again if nothing happens (µs, CLOCK_MONOTONIC; UINT64_MAX:
   never). */
uint64_t progress_tick(const Progress *progress);
