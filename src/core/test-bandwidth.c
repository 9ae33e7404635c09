/*
 * Rates by the hour: windows, weeks, midnights and the two odd days of a year.
 */
#include "core/bandwidth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
        SUNDAY,
        MONDAY,
        FRIDAY = 5,
        SATURDAY,
};

/* Central Europe, without asking the machine's zone files. */
static int set_zone(void **state)
{
        (void)state;
        assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
        tzset();
        return 0;
}

/* "2026-11-25 08:00:00" of local time. `summer`: of the hour that comes twice, the first. */
static time_t at(const char *text, bool summer)
{
        struct tm tm = { .tm_isdst = -1 };

        assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                                &tm.tm_hour, &tm.tm_min, &tm.tm_sec),
                         6);
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        if (summer)
                tm.tm_isdst = 1;
        return mktime(&tm);
}

static uint32_t all_at(const BandwidthPolicy *policy, const char *text)
{
        Rates rates;

        bandwidth_rates(policy, at(text, false), &rates);
        return rates.all;
}

static uint32_t rate_at(const BandwidthPolicy *policy, JobPriority priority, const char *text)
{
        Rates rates;

        bandwidth_rates(policy, at(text, false), &rates);
        return rates_for(&rates, priority);
}

/* Nothing is limited unless somebody says so, and then nothing ever changes. */
static void unlimited_by_default(void **state)
{
        BandwidthPolicy policy;
        Rates rates;

        (void)state;
        bandwidth_init(&policy);
        bandwidth_rates(&policy, at("2026-11-25 12:00:00", false), &rates);
        for (int p = 0; p < PRIORITY_MAX; p++)
                assert_int_equal(rates_for(&rates, (JobPriority)p), RATE_UNLIMITED);
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-25 12:00:00", false)),
                         BANDWIDTH_STEADY);
}

/* POL-203, POL-205: MaxInternetBandwidth with BITS's hours, to the second. */
static void internet_hours(void **state)
{
        BandwidthPolicy policy;

        (void)state;
        bandwidth_init(&policy);
        policy.internet = 1000;
        assert_int_equal(all_at(&policy, "2026-11-25 07:59:59"), RATE_UNLIMITED);
        assert_int_equal(all_at(&policy, "2026-11-25 08:00:00"), 1000);
        assert_int_equal(all_at(&policy, "2026-11-28 16:59:59"), 1000); /* a Saturday */
        assert_int_equal(all_at(&policy, "2026-11-25 17:00:00"), RATE_UNLIMITED);
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-25 07:12:34", false)),
                         at("2026-11-25 08:00:00", false));
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-25 08:00:00", false)),
                         at("2026-11-25 17:00:00", false));
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-25 17:00:00", false)),
                         at("2026-11-26 08:00:00", false));
        policy.internet_otherwise = 0;
        assert_int_equal(all_at(&policy, "2026-11-25 17:00:00"), 0);
        policy.internet_otherwise = 1000;
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-25 12:00:00", false)),
                         BANDWIDTH_STEADY);
}

static void over_midnight(void **state)
{
        BandwidthPolicy policy;

        (void)state;
        bandwidth_init(&policy);
        policy.internet = 0;
        policy.internet_hours.from = 22;
        policy.internet_hours.to = 6;
        assert_int_equal(all_at(&policy, "2026-11-25 21:59:59"), RATE_UNLIMITED);
        assert_int_equal(all_at(&policy, "2026-11-25 23:59:59"), 0);
        assert_int_equal(all_at(&policy, "2026-11-26 00:00:00"), 0);
        assert_int_equal(all_at(&policy, "2026-11-26 06:00:00"), RATE_UNLIMITED);
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-25 23:30:00", false)),
                         at("2026-11-26 06:00:00", false));
        policy.internet_hours.to = 22; /* the whole day */
        assert_int_equal(all_at(&policy, "2026-11-26 12:00:00"), 0);
        policy.internet_hours = (Window){ SUNDAY, SATURDAY, 0, 24 };
        assert_int_equal(all_at(&policy, "2026-11-26 23:59:59"), 0);
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-25 23:30:00", false)),
                         BANDWIDTH_STEADY);
}

/* A night that began on a Friday is Friday's until its morning. */
static void the_night_of_a_day(void **state)
{
        BandwidthPolicy policy;

        (void)state;
        bandwidth_init(&policy);
        policy.maintenance_on = true;
        policy.maintenance_hours = (Window){ FRIDAY, FRIDAY, 22, 6 };
        policy.maintenance[PRIORITY_LOW] = 7;
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-27 23:00:00"), 7);
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-28 05:00:00"), 7);
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-27 05:00:00"), RATE_UNLIMITED);
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-28 23:00:00"), RATE_UNLIMITED);
        assert_int_equal(rate_at(&policy, PRIORITY_HIGH, "2026-11-27 23:00:00"), RATE_UNLIMITED);
}

/* POL-204: maintenance over work over leisure, the Internet's rate under all of them. */
static void schedules(void **state)
{
        BandwidthPolicy policy;

        (void)state;
        bandwidth_init(&policy);
        policy.schedule_on = true;
        policy.work[PRIORITY_HIGH] = 800;
        policy.work[PRIORITY_LOW] = 0;
        policy.leisure[PRIORITY_LOW] = 300;
        policy.maintenance[PRIORITY_LOW] = 5000;
        policy.maintenance_hours = (Window){ MONDAY, FRIDAY, 12, 13 };
        assert_int_equal(rate_at(&policy, PRIORITY_HIGH, "2026-11-25 09:00:00"), 800);
        assert_int_equal(rate_at(&policy, PRIORITY_NORMAL, "2026-11-25 09:00:00"), RATE_UNLIMITED);
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-25 12:30:00"), 0);
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-28 09:00:00"), 300);
        assert_int_equal(rate_at(&policy, PRIORITY_FOREGROUND, "2026-11-25 09:00:00"),
                         RATE_UNLIMITED);
        policy.maintenance_on = true;
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-25 12:30:00"), 5000);
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-25 13:00:00"), 0);
        policy.internet = 500;
        assert_int_equal(rate_at(&policy, PRIORITY_HIGH, "2026-11-25 09:00:00"), 500);
        assert_int_equal(rate_at(&policy, PRIORITY_LOW, "2026-11-25 12:30:00"), 500);
        assert_int_equal(rate_at(&policy, PRIORITY_FOREGROUND, "2026-11-25 12:30:00"),
                         RATE_UNLIMITED);
}

/* From Saturday to Monday is three days. */
static void days_over_the_end_of_the_week(void **state)
{
        BandwidthPolicy policy;

        (void)state;
        bandwidth_init(&policy);
        policy.schedule_on = true;
        policy.work_hours = (Window){ SATURDAY, MONDAY, 0, 24 };
        policy.work[PRIORITY_NORMAL] = 10;
        assert_int_equal(rate_at(&policy, PRIORITY_NORMAL, "2026-11-27 12:00:00"), RATE_UNLIMITED);
        assert_int_equal(rate_at(&policy, PRIORITY_NORMAL, "2026-11-28 00:00:00"), 10);
        assert_int_equal(rate_at(&policy, PRIORITY_NORMAL, "2026-11-29 12:00:00"), 10);
        assert_int_equal(rate_at(&policy, PRIORITY_NORMAL, "2026-11-30 23:00:00"), 10);
        assert_int_equal(rate_at(&policy, PRIORITY_NORMAL, "2026-12-01 00:00:00"), RATE_UNLIMITED);
        assert_int_equal(bandwidth_next_change(&policy, at("2026-12-01 00:00:00", false)),
                         at("2026-12-05 00:00:00", false));
        assert_int_equal(bandwidth_next_change(&policy, at("2026-11-28 00:00:00", false)),
                         at("2026-12-01 00:00:00", false));
}

/* POL-205: 25 October 2026 has 25 hours, 29 March 23, one of which is missing. */
static void odd_days(void **state)
{
        BandwidthPolicy policy;
        time_t evening, second;

        (void)state;
        bandwidth_init(&policy);
        policy.internet = 100;
        policy.internet_hours.from = 8;
        evening = at("2026-10-24 20:00:00", false);
        assert_int_equal(bandwidth_next_change(&policy, evening), at("2026-10-25 08:00:00", false));
        assert_int_equal(bandwidth_next_change(&policy, evening) - evening, 13 * 3600);
        evening = at("2026-03-28 20:00:00", false);
        assert_int_equal(bandwidth_next_change(&policy, evening) - evening, 11 * 3600);

        /* A window that ends at the missing hour ends with the one before it. */
        policy.internet_hours.from = 1;
        policy.internet_hours.to = 2;
        assert_int_equal(bandwidth_next_change(&policy, at("2026-03-29 01:00:00", false)),
                         at("2026-03-29 03:00:00", false));
        /* The hour that comes twice is in the window twice. */
        policy.internet_hours.from = 2;
        policy.internet_hours.to = 3;
        second = at("2026-10-25 02:00:00", true);
        assert_int_equal(bandwidth_next_change(&policy, second) - second, 2 * 3600);
}

/* Below 2 kbit/s about 2 are used (reference 05 section 8.1); 0 is 0. */
static void a_rate_that_would_never_move(void **state)
{
        BandwidthPolicy policy;

        (void)state;
        bandwidth_init(&policy);
        policy.internet = 1;
        assert_int_equal(all_at(&policy, "2026-11-25 12:00:00"), 2);
        policy.internet = 0;
        assert_int_equal(all_at(&policy, "2026-11-25 12:00:00"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(unlimited_by_default),
                cmocka_unit_test(internet_hours),
                cmocka_unit_test(over_midnight),
                cmocka_unit_test(the_night_of_a_day),
                cmocka_unit_test(schedules),
                cmocka_unit_test(days_over_the_end_of_the_week),
                cmocka_unit_test(odd_days),
                cmocka_unit_test(a_rate_that_would_never_move),
        };

        return cmocka_run_group_tests(tests, set_zone, NULL);
}
