/*
 * Whose turn it is (reference 02 section 6). All foreground jobs run at once; of the background
 * jobs a few (one, unless configured) run, the higher priority first, within a priority in turns of
 * one time slice. Pure: time is an argument, nothing is started here, every operation is O(1) or
 * O(log n).
 *
 * A job is a member while its state is runnable. The engine asks which member to start and which to
 * stop until there is none, and says what it did.
 */
#pragma once

#include "core/state.h"

#include <sys/queue.h>

#define SCHEDULE_NEVER UINT64_MAX

typedef struct ScheduleEntry {
        TAILQ_ENTRY(ScheduleEntry) entries;
        JobPriority priority;
        bool member;
        bool running;
        uint64_t slice_began; /* µs, while running; earlier by what it had of it before */
        uint64_t used;        /* µs of its slice, while waiting: it was stopped before its end */
} ScheduleEntry;

typedef struct Schedule {
        TAILQ_HEAD(ScheduleQueue, ScheduleEntry) waiting[PRIORITY_MAX], running[PRIORITY_MAX];
        unsigned n_running_background;
        unsigned max_background; /* at least 1 */
        uint64_t slice;          /* µs */
} Schedule;

void schedule_init(Schedule *s, unsigned max_background, uint64_t slice_usec);

/* The job became runnable: it waits behind the others of its priority. Not yet a member. */
void schedule_insert(Schedule *s, ScheduleEntry *e, JobPriority priority);
/* The job is no longer runnable (running or waiting); not a member: nothing happens. */
void schedule_remove(Schedule *s, ScheduleEntry *e);

/* The next waiting member that should run now, NULL if none. After a start call schedule_started.
   */
ScheduleEntry *schedule_next_to_start(const Schedule *s);
/* A running member that has to make room: pre-empted by a higher background priority, or its slice
   is over and another of its priority waits. NULL if none. After a stop call schedule_stopped. */
ScheduleEntry *schedule_next_to_stop(const Schedule *s, uint64_t now_usec);

void schedule_started(Schedule *s, ScheduleEntry *e, uint64_t now_usec);
/* Back to the end of its priority's queue; or to its beginning, with the rest of its slice, when
   that is not over. */
void schedule_stopped(Schedule *s, ScheduleEntry *e, uint64_t now_usec);

/* When schedule_next_to_stop() has to be asked again if nothing else happens, or SCHEDULE_NEVER. */
uint64_t schedule_deadline(const Schedule *s);
