/*
 * The tally is held against a plain array while random users take and give back.
 */
#include "basic/tally.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
        USERS = 50,
        ROUNDS = 20000,
};

static void test_counts(void **state)
{
        Tally tally = { 0 };
        size_t expected[USERS] = { 0 };
        unsigned seed = 1;

        (void)state;
        for (unsigned i = 0; i < ROUNDS; i++) {
                uid_t uid;

                seed = seed * 1103515245u + 12345u;
                uid = (seed >> 8) % USERS;
                if (seed >> 31) {
                        assert_int_equal(tally_up(&tally, uid), 0);
                        expected[uid]++;
                } else if (expected[uid] > 0) {
                        tally_down(&tally, uid);
                        expected[uid]--;
                }
                assert_int_equal(tally_get(&tally, uid), expected[uid]);
        }
        for (uid_t uid = 0; uid < USERS; uid++)
                assert_int_equal(tally_get(&tally, uid), expected[uid]);
        tally_done(&tally);
        assert_int_equal(tally_get(&tally, 1), 0);
}

/* Who holds nothing costs nothing, and cannot go below it. */
static void test_empty(void **state)
{
        Tally tally = { 0 };

        (void)state;
        tally_down(&tally, 7);
        assert_int_equal(tally_get(&tally, 7), 0);
        assert_int_equal(tally_up(&tally, (uid_t)-2), 0);
        assert_int_equal(tally_get(&tally, (uid_t)-2), 1);
        tally_down(&tally, (uid_t)-2);
        assert_null(tally.root);
        tally_done(&tally);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
