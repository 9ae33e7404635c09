/*
 * The clock of the service: µs that count while bitsd runs, whatever happens to the wall clock, and
 * also while the machine sleeps. A restart continues it where it was, as the store tells; time
 * without the service is no time. It never shows 0. Timers of jobs are points on it
 * (core/timers.h).
 */
#pragma once

#include "basic/macros.h"

#include <sqlite3.h>

typedef struct ServiceClock {
        sqlite3_stmt *write;
        uint64_t ahead; /* of CLOCK_BOOTTIME; modulo 2^64 */
        uint64_t written;
} ServiceClock;

/* Reads where it was. `clock` has to be closed before `db` is, also after a failure. 0 or -errno.
   */
int service_clock_open(ServiceClock *clock, sqlite3 *db);
void service_clock_close(ServiceClock *clock);

uint64_t service_clock_now(const ServiceClock *clock);
/* A point of it on CLOCK_BOOTTIME, for a timer of the kernel. */
uint64_t service_clock_to_boottime(const ServiceClock *clock, uint64_t point);

/* Notes where it is, if that is more than a second after the last note; what is not noted when the
   machine dies is counted again. Within any transaction, or alone. SQLite's result. */
int service_clock_note(ServiceClock *clock);
