/*
 * Windows begin and end with full hours of local time, so the rates can change at such moments
 * only: the next change is found by walking from full hour to full hour, at most a little more than
 * a week, and asking what holds there. Nothing is computed with the length of a day, which is why a
 * day of 23 or 25 hours needs no thought.
 */
#include "core/bandwidth.h"

enum {
        SECONDS_OF_HOUR = 3600,
        HOURS_AHEAD = (DAYS_OF_WEEK + 1) * HOURS_OF_DAY + 1,
        EVERY_DAY_FIRST = 0,
        EVERY_DAY_LAST = 6,
        MONDAY = 1,
        FRIDAY = 5,
        OFFICE_FROM = 8,
        OFFICE_TO = 17,
};

static void unlimited(uint32_t rates[PRIORITY_MAX])
{
        for (int p = 0; p < PRIORITY_MAX; p++)
                rates[p] = RATE_UNLIMITED;
}

void bandwidth_init(BandwidthPolicy *policy)
{
        *policy = (BandwidthPolicy){
                .internet = RATE_UNLIMITED,
                .internet_otherwise = RATE_UNLIMITED,
                .internet_hours = { EVERY_DAY_FIRST, EVERY_DAY_LAST, OFFICE_FROM, OFFICE_TO },
                .work_hours = { MONDAY, FRIDAY, OFFICE_FROM, OFFICE_TO },
                .maintenance_hours = { MONDAY, FRIDAY, 0, OFFICE_FROM },
        };
        unlimited(policy->work);
        unlimited(policy->leisure);
        unlimited(policy->maintenance);
}

static bool has_day(const Window *w, int day)
{
        uint32_t d = (uint32_t)day;

        if (w->first_day <= w->last_day)
                return d >= w->first_day && d <= w->last_day;
        return d >= w->first_day || d <= w->last_day;
}

/* POL-203 */
static bool in_window(const Window *w, const struct tm *local)
{
        uint32_t hour = (uint32_t)local->tm_hour;
        int yesterday = (local->tm_wday + DAYS_OF_WEEK - 1) % DAYS_OF_WEEK;

        if (w->from == w->to)
                return has_day(w, local->tm_wday);
        if (w->from < w->to)
                return has_day(w, local->tm_wday) && hour >= w->from && hour < w->to;
        return (hour >= w->from && has_day(w, local->tm_wday)) ||
               (hour < w->to && has_day(w, yesterday));
}

/* A rate that would never move a byte in a person's life is not meant. */
static uint32_t sensible(uint32_t rate)
{
        return rate == 0 ? 0 : MAX(rate, (uint32_t)RATE_LEAST);
}

/* POL-204 */
static const uint32_t *scheduled(const BandwidthPolicy *policy, const struct tm *local)
{
        if (policy->maintenance_on && in_window(&policy->maintenance_hours, local))
                return policy->maintenance;
        if (!policy->schedule_on)
                return NULL;
        return in_window(&policy->work_hours, local) ? policy->work : policy->leisure;
}

void bandwidth_rates(const BandwidthPolicy *policy, time_t now, Rates *ret)
{
        struct tm local = { 0 };
        const uint32_t *of;

        (void)localtime_r(&now, &local);
        of = scheduled(policy, &local);
        ret->all =
                sensible(in_window(&policy->internet_hours, &local) ? policy->internet
                                                                    : policy->internet_otherwise);
        ret->of[PRIORITY_FOREGROUND] = RATE_UNLIMITED;
        for (int p = PRIORITY_HIGH; p < PRIORITY_MAX; p++)
                ret->of[p] = of ? sensible(of[p]) : RATE_UNLIMITED;
}

bool rates_equal(const Rates *a, const Rates *b)
{
        for (int p = 0; p < PRIORITY_MAX; p++)
                if (a->of[p] != b->of[p])
                        return false;
        return a->all == b->all;
}

uint32_t rates_for(const Rates *rates, JobPriority priority)
{
        if (priority == PRIORITY_FOREGROUND)
                return RATE_UNLIMITED;
        return MIN(rates->of[priority], rates->all);
}

/* The next moment whose local time is a full hour. */
static time_t next_hour(time_t now)
{
        struct tm local = { 0 };

        (void)localtime_r(&now, &local);
        return now + SECONDS_OF_HOUR - (local.tm_min * 60 + MIN(local.tm_sec, 59));
}

/* POL-205 */
time_t bandwidth_next_change(const BandwidthPolicy *policy, time_t now)
{
        Rates before, then;
        time_t at = now;

        bandwidth_rates(policy, now, &before);
        for (int i = 0; i < HOURS_AHEAD; i++) {
                at = next_hour(at);
                bandwidth_rates(policy, at, &then);
                if (!rates_equal(&before, &then))
                        return at;
        }
        return BANDWIDTH_STEADY;
}
