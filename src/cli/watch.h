/*
 * Waiting for jobs from the command line: news of the service, signals and the clock in one poll,
 * and finding a job again after the service was restarted.
 */
#pragma once

#include "cli/terminal.h"

typedef struct Watch {
        bits_manager *manager; /* replaced when the service comes back */
        int signal_fd;
        bool news;
        bool gone;   /* a handle was closed: watch_reopen(); or the service left the bus */
        bool lost;   /* the bus itself is gone */
        bool screen; /* watch_screen() */
        Keys keys;
        int signal; /* that ended the waiting */
} Watch;

/* Blocks SIGINT, SIGTERM and SIGHUP from now on: they are answers of watch_wait(). 0, or an exit
   status. */
int watch_begin(Watch *watch, bits_manager *manager);
void watch_end(Watch *watch);

/* From now on the job's news wake watch_wait(). */
void watch_job(Watch *watch, bits_job *job);

/* News of all jobs, instead of one; and whether the service is there. 0, or an exit status. */
int watch_queue(Watch *watch);
/* Somebody looks: another size of the terminal and the key q are answers of watch_wait(), too, and
   so is that nobody reads the output any more. 0, or an exit status. */
int watch_screen(Watch *watch, bool live);

typedef enum WatchResult {
        WATCH_NEWS,
        WATCH_TIME,
        WATCH_SIGNAL,
        WATCH_GONE,
        WATCH_REDRAW, /* of watch_screen() alone */
        WATCH_QUIT,   /* of watch_screen() alone */
} WatchResult;

/* Until something happened, at most until `until_usec` (CLOCK_MONOTONIC, UINT64_MAX: no limit). */
WatchResult watch_wait(Watch *watch, uint64_t until_usec);

/* Frees *job and opens the same job again, for as long as half a minute if the service is not
   there. 0 and a new *job; an exit status after saying why not (*job is NULL then);
   EXIT_INTERRUPTED with watch->signal set. */
int watch_reopen(Watch *watch, bits_job **job);

uint64_t now_usec(void);
