/*
 * How fast background jobs may be, hour by hour (reference 05 section 8.1): a rate for the Internet
 * with its hours, a work schedule with rates for each priority inside and outside of it, and a
 * maintenance schedule that overrides it. Foreground jobs are never limited.
 *
 * Pure: time is an argument; what local time is, the C library says (TZ).
 */
#pragma once

#include "core/state.h"

#include <time.h>

#define RATE_UNLIMITED   UINT32_MAX
#define BANDWIDTH_STEADY ((time_t)-1) /* the rates never change */

enum {
        RATE_LEAST = 2, /* kbit/s; what is less, but not 0, counts as this */
        HOURS_OF_DAY = 24,
        DAYS_OF_WEEK = 7,
};

/* Hours of some days of the week. A window that goes over midnight belongs to the day on which it
   began. */
typedef struct Window {
        uint32_t first_day, last_day; /* 0 is Sunday, both included; the last may be before the
                                         first: over the end of the week */
        uint32_t from, to;            /* hours 0 … 24, `to` excluded; equal: the whole day */
} Window;

/* kbit/s, 0: nothing may run, RATE_UNLIMITED. */
typedef struct Rates {
        uint32_t of[PRIORITY_MAX]; /* all jobs of that priority together; FOREGROUND: unlimited */
        uint32_t all;              /* all background jobs together */
} Rates;

typedef struct BandwidthPolicy {
        uint32_t internet;              /* within `internet_hours`; RATE_UNLIMITED: no such limit */
        uint32_t internet_otherwise;    /* at all other times */
        Window internet_hours;          /* on every day */
        uint32_t schedule_on;           /* EnableBandwidthLimits */
        uint32_t maintenance_on;        /* EnableMaintenanceLimits */
        Window work_hours;              /* of the work schedule */
        Window maintenance_hours;       /* of the maintenance schedule */
        uint32_t work[PRIORITY_MAX];    /* rates, FOREGROUND unused */
        uint32_t leisure[PRIORITY_MAX]; /* outside of the work schedule */
        uint32_t maintenance[PRIORITY_MAX];
} BandwidthPolicy;

/* No limit at any time; the hours are BITS's defaults. */
void bandwidth_init(BandwidthPolicy *policy);

/* What holds at that moment: for each priority the lower of what schedule and Internet say. */
void bandwidth_rates(const BandwidthPolicy *policy, time_t now, Rates *ret);
bool rates_equal(const Rates *a, const Rates *b);
/* The rate that a job of that priority cannot pass: 0 means that it may not run. */
uint32_t rates_for(const Rates *rates, JobPriority priority);

/* The next moment at which the rates are other ones, by the clock and the time zone as they are
   now; BANDWIDTH_STEADY if there is none. */
time_t bandwidth_next_change(const BandwidthPolicy *policy, time_t now);
