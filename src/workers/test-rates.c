/*
 * How one rate is divided among several workers, and who has to be told of his part.
 */
#include "workers/rates.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static Rates rates(uint32_t high, uint32_t normal, uint32_t low, uint32_t all)
{
        return (Rates){ .of = { RATE_UNLIMITED, high, normal, low }, .all = all };
}

static NetRates told(const Sharing *sharing, Share *share)
{
        NetRates ret;

        assert_true(share_news(sharing, share, &ret));
        share_told(share, &ret);
        assert_false(share_news(sharing, share, &ret));
        return ret;
}

static void nobody_is_told_of_no_limit(void **state)
{
        Sharing sharing;
        Share share = { 0 };
        NetRates ret;

        (void)state;
        sharing_init(&sharing);
        sharing_join(&sharing, &share, NET_NORMAL);
        assert_false(share_news(&sharing, &share, &ret));
}

/* POL-215 */
static void equal_parts(void **state)
{
        Sharing sharing;
        Share a = { 0 }, b = { 0 };
        Rates r = rates(RATE_UNLIMITED, 800, 0, 1000);
        NetRates n;

        (void)state;
        sharing_init(&sharing);
        assert_true(sharing_join(&sharing, &a, NET_NORMAL));
        assert_true(sharing_set(&sharing, &r));
        assert_false(sharing_set(&sharing, &r));
        n = told(&sharing, &a);
        assert_true(n.high == RATE_NONE && n.normal == 100000 && n.low == 0 && n.all == 125000);

        /* Another transfer of the same worker changes nothing, one of another worker does. */
        assert_false(sharing_join(&sharing, &a, NET_NORMAL));
        assert_true(sharing_join(&sharing, &b, NET_NORMAL));
        n = told(&sharing, &a);
        assert_true(n.normal == 50000 && n.all == 62500);
        n = told(&sharing, &b);
        assert_true(n.normal == 50000 && n.all == 62500);

        /* Of another class: the part of its own rate is whole, that of all is not. */
        assert_false(sharing_join(&sharing, &b, NET_FOREGROUND));
        assert_true(sharing_leave(&sharing, &b, NET_NORMAL));
        assert_true(sharing_join(&sharing, &b, NET_HIGH));
        n = told(&sharing, &a);
        assert_true(n.normal == 100000 && n.all == 62500);
        assert_true(sharing_leave(&sharing, &b, NET_HIGH));
        n = told(&sharing, &a);
        assert_true(n.all == 125000);
        assert_false(sharing_leave(&sharing, &a, NET_NORMAL));
        assert_true(sharing_leave(&sharing, &a, NET_NORMAL));
        assert_true(LIST_EMPTY(&sharing.members));
}

/* The next process of a worker has heard nothing; a limit that is lifted is told as well. */
static void a_new_process_and_the_end_of_a_limit(void **state)
{
        Sharing sharing;
        Share a = { 0 };
        Rates r = rates(1, 1, 1, 1),
              none = rates(RATE_UNLIMITED, RATE_UNLIMITED, RATE_UNLIMITED, RATE_UNLIMITED);
        NetRates n;

        (void)state;
        sharing_init(&sharing);
        sharing_set(&sharing, &r);
        sharing_join(&sharing, &a, NET_LOW);
        n = told(&sharing, &a);
        assert_true(n.low == 125);
        share_forget(&a);
        n = told(&sharing, &a);
        assert_true(n.low == 125);
        sharing_set(&sharing, &none);
        n = told(&sharing, &a);
        assert_true(n.low == RATE_NONE && n.all == RATE_NONE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nobody_is_told_of_no_limit),
                cmocka_unit_test(equal_parts),
                cmocka_unit_test(a_new_process_and_the_end_of_a_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
