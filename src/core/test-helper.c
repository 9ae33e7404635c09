/*
 * Who acts: every purpose with every combination of flags, with and without a token, against the
 * rows of reference 01 section 3 written out as words.
 */
#include "core/helper.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Every set of flags. The rows below have one letter for each, in this order. */
static const uint32_t sets[] = {
        0,
        TOKEN_LOCAL_FILE,
        TOKEN_NETWORK,
        TOKEN_LOCAL_FILE | TOKEN_NETWORK,
        TOKEN_CLIENT_CERTIFICATE,
        TOKEN_CLIENT_CERTIFICATE | TOKEN_LOCAL_FILE,
        TOKEN_CLIENT_CERTIFICATE | TOKEN_NETWORK,
        TOKEN_FLAGS_ALL,
};

/* O the owner, H the helper: without our flag, and with it. */
static const struct {
        Purpose purpose;
        const char *actors;
} rows[] = {
        { PURPOSE_CHECK_LOCAL_FILE, "OHOH"
                                    "OHOH" }, /* silent; decided: who will do the work */
        { PURPOSE_TEMPORARY_FILE, "OHOH"
                                  "OHOH" },
        { PURPOSE_RENAME, "OHOH"
                          "OHOH" },
        { PURPOSE_DELETE_TEMPORARY, "OHOH"
                                    "OHOH" }, /* silent; decided: who made it */
        { PURPOSE_READ_SOURCE, "OHOH"
                               "OHOH" },
        { PURPOSE_REPLY_FILE, "OHOH"
                              "OHOH" },
        { PURPOSE_REMOTE_FILE, "OOHH"
                               "OOHH" },
        { PURPOSE_HTTP, "OOHH"
                        "OOHH" },
        { PURPOSE_CLIENT_CERTIFICATE, "OOOO"
                                      "HHHH" },
        { PURPOSE_NOTIFY_COMMAND, "OOOO"
                                  "OOOO" },
        { PURPOSE_SIGN_ON, "OOOO"
                           "OOOO" },
        { PURPOSE_QUOTA, "OOOO"
                         "OOOO" },
};
static_assert_table(rows, PURPOSE_MAX);

static void expect(bool has_token, Actor instead_of_helper)
{
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                for (size_t f = 0; f < ELEMENTS(sets); f++) {
                        Actor want = rows[i].actors[f] == 'H' ? instead_of_helper : ACTOR_OWNER;

                        if (identity_for(sets[f], has_token, rows[i].purpose) != want)
                                fail_msg("%s, flags 0x%x", purpose_name(rows[i].purpose), sets[f]);
                }
}

/* TOK-01 … TOK-05, TOK-80 */
static void with_a_token_the_flags_decide(void **state)
{
        (void)state;
        expect(true, ACTOR_HELPER);
}

/* TOK-06: never the owner in the helper's place. */
static void without_a_token_nobody_stands_in(void **state)
{
        (void)state;
        expect(false, ACTOR_MISSING);
}

static void flag_values_are_those_of_bits(void **state)
{
        (void)state;
        assert_int_equal(TOKEN_LOCAL_FILE, 1);
        assert_int_equal(TOKEN_NETWORK, 2);
        assert_int_equal(TOKEN_CLIENT_CERTIFICATE, 0x10000); /* ours, far from theirs */
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
