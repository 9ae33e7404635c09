/*
 * Which names /etc/hosts gives to this machine.
 */
#include "core/hosts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* NET-380 */
static void test_names(void **state)
{
        static const char text[] = "# 127.0.0.1 commented\n"
                                   "127.0.0.1\tlocalhost web.test\tAPP.test # other.test\r\n"
                                   "  127.0.1.1   debian\n"
                                   "::1 ip6-localhost six.test\n"
                                   "10.0.0.1 far.test both.test\n"
                                   "127.0.0.2 both.test\n"
                                   "localhost wrong.test\n"
                                   "127.0.0.1\n"
                                   "127.0.0.300 wrong.test\n"
                                   "127.3 last.test";
        static const char *const here[] = { "localhost", "web.test", "app.test",  "App.Test",
                                            "debian",    "six.test", "both.test", "last.test" };
        static const char *const elsewhere[] = { "far.test",   "commented", "other.test",
                                                 "wrong.test", "web",       "web.test.",
                                                 "",           "#" };
        Hosts hosts;

        (void)state;
        assert_int_equal(hosts_parse(text, &hosts), 0);
        for (size_t i = 0; i < ELEMENTS(here); i++)
                assert_true(hosts_has(&hosts, here[i]));
        for (size_t i = 0; i < ELEMENTS(elsewhere); i++)
                assert_false(hosts_has(&hosts, elsewhere[i]));
        hosts_done(&hosts);
        assert_false(hosts_has(&hosts, "localhost"));
}

static void test_nothing_in_it(void **state)
{
        static const char *const texts[] = { "", "\n\n", "#", "127.0.0.1", "\t \r\n" };
        Hosts hosts;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                assert_int_equal(hosts_parse(texts[i], &hosts), 0);
                assert_int_equal(hosts.count, 0);
                assert_false(hosts_has(&hosts, "x"));
                hosts_done(&hosts);
        }
}

static void test_many(void **state)
{
        enum { NAMES = 5000, LINE = 32 };
        char *text = calloc(NAMES, LINE), *end = text, name[LINE];
        Hosts hosts;

        (void)state;
        for (int i = 0; i < NAMES; i++)
                end += sprintf(end, "127.0.0.1 n%d.test\n", i);
        assert_int_equal(hosts_parse(text, &hosts), 0);
        assert_int_equal(hosts.count, NAMES);
        for (int i = 0; i < NAMES; i += 7) {
                snprintf(name, sizeof(name), "N%d.test", i);
                assert_true(hosts_has(&hosts, name));
        }
        hosts_done(&hosts);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_nothing_in_it),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
