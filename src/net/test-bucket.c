/*
 * Rates, to the byte and the microsecond.
 */
#include "net/bucket.h"

#include "basic/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define START UINT64_C(5000000000)

/* Moves pieces of that size as soon as the bucket lets it, as a transfer does, until `end`. */
static uint64_t run(Bucket *bucket, uint64_t piece, uint64_t from, uint64_t end)
{
        uint64_t moved = 0;

        for (uint64_t now = from; now < end;) {
                if (bucket_is_open(bucket, now)) {
                        bucket_spend(bucket, piece, now);
                        moved += piece;
                        continue;
                }
                assert_true(bucket_opens_at(bucket) > now);
                now = bucket_opens_at(bucket);
        }
        return moved;
}

/* POL-213: over ten seconds the rate is met to a piece and a tenth of a second. */
static void the_rate_is_met(void **state)
{
        static const uint64_t rates[] = { 250, 12500, 1000000, 125000000, 50000000000 };
        static const uint64_t pieces[] = { 1, 1000, 16384, 524288 };

        (void)state;
        for (size_t r = 0; r < ELEMENTS(rates); r++)
                for (size_t p = 0; p < ELEMENTS(pieces); p++) {
                        Bucket bucket = { .rate = BUCKET_UNLIMITED };
                        uint64_t moved, wanted = 10 * rates[r];

                        if (rates[r] / pieces[p] > 1000000)
                                continue; /* millions of steps would show nothing else */
                        bucket_set_rate(&bucket, rates[r], START);
                        moved = run(&bucket, pieces[p], START, START + 10 * USEC_PER_SEC);
                        assert_true(moved <= wanted + rates[r] / 10 + pieces[p] + 1);
                        assert_true(moved + rates[r] / 20 + pieces[p] + 1 >= wanted);
                }
}

/* UPL-380: who sends what the bucket is worth never owes. */
static void worth_is_never_owed(void **state)
{
        Bucket bucket = { .rate = BUCKET_UNLIMITED };
        uint64_t now = START, moved = 0;

        (void)state;
        assert_true(bucket_worth(&bucket, now) == BUCKET_UNLIMITED);
        bucket_set_rate(&bucket, 250, now);
        assert_int_equal(bucket_worth(&bucket, now), 0);
        while (now < START + 10 * USEC_PER_SEC) {
                uint64_t worth;

                now = bucket_opens_at(&bucket);
                worth = bucket_worth(&bucket, now);
                assert_in_range(worth, 1, 26);
                bucket_spend(&bucket, worth, now);
                assert_true(bucket.level >= 0);
                moved += worth;
        }
        assert_in_range(moved, 2400, 2600);
        bucket_set_rate(&bucket, 0, now);
        assert_int_equal(bucket_worth(&bucket, now + USEC_PER_SEC), 0);
}

static void a_pause_buys_no_burst(void **state)
{
        Bucket bucket = { .rate = BUCKET_UNLIMITED };

        (void)state;
        bucket_set_rate(&bucket, 1000, START);
        assert_true(run(&bucket, 1, START + 3600 * USEC_PER_SEC, START + 3600 * USEC_PER_SEC + 1) <=
                    101);
}

static void limits(void **state)
{
        Bucket bucket = { .rate = BUCKET_UNLIMITED };

        (void)state;
        assert_true(bucket_is_open(&bucket, START));
        bucket_spend(&bucket, UINT32_MAX, START);
        assert_true(bucket_is_open(&bucket, START));
        bucket_set_rate(&bucket, 0, START);
        assert_false(bucket_is_open(&bucket, START + 100 * USEC_PER_SEC));
        assert_true(bucket_opens_at(&bucket) == BUCKET_NEVER);
        bucket_set_rate(&bucket, 1000, START + 100 * USEC_PER_SEC);
        assert_true(bucket_opens_at(&bucket) <= START + 101 * USEC_PER_SEC);
        bucket_set_rate(&bucket, BUCKET_UNLIMITED, START + 100 * USEC_PER_SEC);
        assert_true(bucket_is_open(&bucket, START + 100 * USEC_PER_SEC));
}

/* Of a debt made by day at night's rate, and the other way round, the shorter time. */
static void a_debt_gets_no_longer(void **state)
{
        Bucket bucket = { .rate = BUCKET_UNLIMITED };

        (void)state;
        bucket_set_rate(&bucket, 1000, START);
        bucket_spend(&bucket, 60000, START); /* a minute */
        bucket_set_rate(&bucket, 1000000, START + 1);
        assert_in_range(bucket_opens_at(&bucket) - START, 0, USEC_PER_SEC / 10);
        bucket_spend(&bucket, 1000000, START + USEC_PER_SEC); /* a second */
        bucket_set_rate(&bucket, 250, START + USEC_PER_SEC);
        assert_in_range(bucket_opens_at(&bucket) - START, USEC_PER_SEC, 3 * USEC_PER_SEC);
}

/* A clock that steps back, or calls out of order, give nothing away. */
static void time_that_does_not_move(void **state)
{
        Bucket bucket = { .rate = BUCKET_UNLIMITED };

        (void)state;
        bucket_set_rate(&bucket, 1000, START);
        bucket_spend(&bucket, 500, START);
        for (int i = 0; i < 100000; i++)
                assert_false(bucket_is_open(&bucket, START - (uint64_t)i));
        assert_true(bucket_is_open(&bucket, START + USEC_PER_SEC));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_rate_is_met),       cmocka_unit_test(worth_is_never_owed),
                cmocka_unit_test(a_pause_buys_no_burst), cmocka_unit_test(limits),
                cmocka_unit_test(a_debt_gets_no_longer), cmocka_unit_test(time_that_does_not_move),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
