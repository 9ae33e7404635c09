/*
 * Who acts: every purpose with every combination of flags, with and without a token, against the
 * rows of reference 01 section 3 written out as words.
 */
#include "core/helper.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Under flags 0, LOCAL_FILE, NETWORK, both: O the owner, H the helper. */
static const struct {
        Purpose purpose;
        const char *actors;
} rows[] = {
        { PURPOSE_CHECK_LOCAL_FILE, "OHOH" }, /* silent; decided: who will do the work */
        { PURPOSE_TEMPORARY_FILE, "OHOH" },
        { PURPOSE_RENAME, "OHOH" },
        { PURPOSE_DELETE_TEMPORARY, "OHOH" }, /* silent; decided: who made it */
        { PURPOSE_READ_SOURCE, "OHOH" },
        { PURPOSE_REPLY_FILE, "OHOH" },
        { PURPOSE_REMOTE_FILE, "OOHH" },
        { PURPOSE_HTTP, "OOHH" },
        { PURPOSE_CLIENT_CERTIFICATE, "OOOO" },
        { PURPOSE_NOTIFY_COMMAND, "OOOO" },
        { PURPOSE_SIGN_ON, "OOOO" },
        { PURPOSE_QUOTA, "OOOO" },
};
static_assert_table(rows, PURPOSE_MAX);

static bool expected_helper(size_t row, uint32_t flags)
{
        return rows[row].actors[flags] == 'H';
}

/* TOK-01 … TOK-05 */
static void with_a_token_the_flags_decide(void **state)
{
        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                for (uint32_t flags = 0; flags <= TOKEN_FLAGS_ALL; flags++) {
                        Actor want = expected_helper(i, flags) ? ACTOR_HELPER : ACTOR_OWNER;

                        if (identity_for(flags, true, rows[i].purpose) != want)
                                fail_msg("%s, flags %u", purpose_name(rows[i].purpose), flags);
                }
}

/* TOK-06: never the owner in the helper's place. */
static void without_a_token_nobody_stands_in(void **state)
{
        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                for (uint32_t flags = 0; flags <= TOKEN_FLAGS_ALL; flags++) {
                        Actor want = expected_helper(i, flags) ? ACTOR_MISSING : ACTOR_OWNER;

                        if (identity_for(flags, false, rows[i].purpose) != want)
                                fail_msg("%s, flags %u", purpose_name(rows[i].purpose), flags);
                }
}

static void flag_values_are_those_of_bits(void **state)
{
        (void)state;
        assert_int_equal(TOKEN_LOCAL_FILE, 1);
        assert_int_equal(TOKEN_NETWORK, 2);
}

static void every_purpose_has_a_name(void **state)
{
        (void)state;
        for (Purpose p = 0; p < PURPOSE_MAX; p++) {
                assert_non_null(purpose_name(p));
                for (Purpose q = 0; q < p; q++)
                        assert_string_not_equal(purpose_name(p), purpose_name(q));
        }
        assert_null(purpose_name(PURPOSE_MAX));
        assert_null(purpose_name(PURPOSE_INVALID));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(with_a_token_the_flags_decide),
                cmocka_unit_test(without_a_token_nobody_stands_in),
                cmocka_unit_test(flag_values_are_those_of_bits),
                cmocka_unit_test(every_purpose_has_a_name),
        };

        return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
