/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/suggest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *nearest(const char *typed)
{
        static const char *const words[] = { "get",    "put",      "list",
                                             "resume", "priority", "minimum-retry-delay" };
        Suggestion suggestion = { .typed = typed };

        for (size_t i = 0; i < ELEMENTS(words); i++)
                suggest_consider(&suggestion, words[i]);
        return suggestion.word ? suggestion.word : "";
}

/* CLI-497 */
static void test_slips(void **state)
{
        (void)state;
        assert_string_equal(nearest("gte"), "get");
        assert_string_equal(nearest("lst"), "list");
        assert_string_equal(nearest("resmue"), "resume");
        assert_string_equal(nearest("prority"), "priority");
        assert_string_equal(nearest("minimum-rety-dealy"), "minimum-retry-delay");
        assert_string_equal(nearest("rsume"), "resume");
}

/* CLI-497 */
static void test_what_is_near_nothing(void **state)
{
        (void)state;
        assert_string_equal(nearest(""), "");
        assert_string_equal(nearest("x"), "");
        assert_string_equal(nearest("frobnicate"), "");
        assert_string_equal(nearest("a-word-that-is-much-longer-than-any-of-these-are"), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_slips),
                cmocka_unit_test(test_what_is_near_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
