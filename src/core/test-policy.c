/*
 * Rights, limits and names, as a caller meets them.
 */
#include "core/policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
        ROOT = 0,
        SERVICE = 999,
        ALICE = 1000,
        BOB = 1001,
        OWN = RIGHT_READ | RIGHT_MODIFY | RIGHT_OWNER | RIGHT_HELPER | RIGHT_FILES,
        MANAGE = RIGHT_READ | RIGHT_MODIFY | RIGHT_HELPER | RIGHT_FILES | RIGHT_ADMINISTER,
        KEPT = RIGHT_READ | RIGHT_MODIFY | RIGHT_HELPER,
};

/* JOB-10: a stranger's job does not exist; an administrator may manage, but not use the secrets. */
static void rights(void **state)
{
        (void)state;
        assert_int_equal(policy_rights(ALICE, ALICE), OWN);
        assert_int_equal(policy_rights(ROOT, ROOT), OWN | MANAGE);
        assert_int_equal(policy_rights(ROOT, ALICE), MANAGE);
        assert_int_equal(policy_rights(BOB, ALICE), 0);
        assert_int_equal(policy_rights(SERVICE, ALICE), 0);
        assert_int_equal(policy_rights(ALICE, ROOT), 0);
}

/* SEC-92: never the secrets, and of an elevated owner's job no more than a look. */
static void rights_by_authorization(void **state)
{
        (void)state;
        assert_int_equal(policy_rights_authorized(false), MANAGE);
        assert_int_equal(policy_rights_authorized(true), RIGHT_READ);
}

/* HND-35, HND-36 */
static void rights_kept_over_a_change_of_the_owner(void **state)
{
        (void)state;
        assert_int_equal(policy_rights_kept(OWN, ALICE, ROOT), KEPT);
        assert_int_equal(policy_rights_kept(OWN, ALICE, BOB), KEPT);
        assert_int_equal(policy_rights_kept(MANAGE, BOB, BOB), MANAGE);
        assert_int_equal(policy_rights_kept(MANAGE, BOB, ROOT), KEPT);
        assert_int_equal(policy_rights_kept(RIGHT_READ, BOB, ALICE), RIGHT_READ);
        assert_int_equal(policy_rights_kept(MANAGE, ROOT, BOB), MANAGE);
        assert_int_equal(policy_rights_kept(OWN | MANAGE, ROOT, ROOT), OWN | MANAGE);
        assert_int_equal(policy_rights_kept(OWN | MANAGE, ROOT, BOB), MANAGE);
}

/* HND-43 */
static void integrity_follows_the_owner(void **state)
{
        (void)state;
        assert_int_equal(policy_integrity(ROOT), 0x4000);
        assert_int_equal(policy_integrity(SERVICE), 0x3000);
        assert_int_equal(policy_integrity(ALICE), 0x2000);
}

/* TOK-07, TOK-81: every combination. */
static void who_may_set_a_token(void **state)
{
        static const struct {
                uid_t opener;
                bool owned;
                uid_t token;
                BitsCode want;
        } cases[] = {
                { ALICE, true, ALICE, 0 },
                { ALICE, true, BOB, 0 },
                { ALICE, true, SERVICE, 0 },
                { ALICE, true, ROOT, BITS_E_ACCESS_DENIED },
                { ALICE, false, ALICE, BITS_E_ACCESS_DENIED },
                { ALICE, false, BOB, BITS_E_ACCESS_DENIED },
                { ALICE, false, ROOT, BITS_E_ACCESS_DENIED },
                { ROOT, true, ROOT, 0 },
                { ROOT, true, BOB, 0 },
                { ROOT, false, BOB, 0 },
                { ROOT, false, ROOT, 0 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(
                        policy_set_helper_token(cases[i].opener, cases[i].owned, cases[i].token),
                        cases[i].want);
}

/* TOK-08: flags must not switch on an administrator's token for somebody else. */
static void who_may_set_the_flags(void **state)
{
        (void)state;
        assert_int_equal(policy_set_helper_flags(ALICE, true, false, ROOT), 0);
        assert_int_equal(policy_set_helper_flags(ALICE, true, true, BOB), 0);
        assert_int_equal(policy_set_helper_flags(ALICE, true, true, ROOT), BITS_E_ACCESS_DENIED);
        assert_int_equal(policy_set_helper_flags(ALICE, false, false, BOB), BITS_E_ACCESS_DENIED);
        assert_int_equal(policy_set_helper_flags(ALICE, false, true, BOB), BITS_E_ACCESS_DENIED);
        assert_int_equal(policy_set_helper_flags(ROOT, false, true, ROOT), 0);
        assert_int_equal(policy_set_helper_flags(ROOT, false, false, BOB), 0);
}

/* TOK-09 */
static void who_may_clear_and_read(void **state)
{
        (void)state;
        assert_int_equal(policy_use_helper(ALICE, true), 0);
        assert_int_equal(policy_use_helper(ALICE, false), BITS_E_ACCESS_DENIED);
        assert_int_equal(policy_use_helper(ROOT, true), 0);
        assert_int_equal(policy_use_helper(ROOT, false), 0);
}

/* TOK-373 */
static void who_may_name_files_for_a_helper(void **state)
{
        (void)state;
        assert_int_equal(policy_name_files(ALICE, false, ROOT), 0);
        assert_int_equal(policy_name_files(ALICE, true, BOB), 0);
        assert_int_equal(policy_name_files(ALICE, true, ROOT), BITS_E_ACCESS_DENIED);
        assert_int_equal(policy_name_files(ROOT, true, ROOT), 0);
}

/* LIM-01 … LIM-04 */
static void limits_of_people_services_and_root(void **state)
{
        static const struct {
                Limit limit;
                uint32_t people, service, root;
        } want[] = {
                { LIMIT_JOBS_PER_MACHINE, 300, UINT32_MAX, UINT32_MAX },
                { LIMIT_JOBS_PER_USER, 60, UINT32_MAX, UINT32_MAX },
                { LIMIT_FILES_PER_JOB, 200, UINT32_MAX, UINT32_MAX },
                { LIMIT_RANGES_PER_FILE, 500, UINT32_MAX, UINT32_MAX },
                { LIMIT_HANDLES_PER_USER, 4096, 4096, 65536 },
                { LIMIT_CONNECTIONS_PER_USER, 256, 256, 4096 },
                { LIMIT_STRAYS_PER_USER, 256, 256, 256 },
                { LIMIT_QUESTIONS_PER_USER, 32, 32, 32 },
                { LIMIT_CALLS_PER_USER, 256, 256, 4096 },
                { LIMIT_JOBS_PER_CALL, 1000, 1000, 1000 },
                { LIMIT_FINISHED_PER_USER, 64, 1024, 1024 },
                { LIMIT_DISPLAY_NAME_CHARACTERS, 256, 256, 256 },
                { LIMIT_DESCRIPTION_CHARACTERS, 1024, 1024, 1024 },
                { LIMIT_REMOTE_NAME_CHARACTERS, 2200, 2200, 2200 },
                { LIMIT_LOCAL_NAME_BYTES, 4095, 4095, 4095 },
        };

        static_assert_table(want, LIMIT_MAX);
        (void)state;
        for (size_t i = 0; i < ELEMENTS(want); i++) {
                assert_int_equal(policy_limit(want[i].limit, ALICE), want[i].people);
                assert_int_equal(policy_limit(want[i].limit, SERVICE), want[i].service);
                assert_int_equal(policy_limit(want[i].limit, ROOT), want[i].root);
                assert_true(BITS_FAILED(policy_limit_code(want[i].limit)));
        }
        assert_int_equal(policy_limit_code(LIMIT_JOBS_PER_USER), BG_E_TOO_MANY_JOBS_PER_USER);
        assert_int_equal(policy_limit_code(LIMIT_JOBS_PER_MACHINE), BG_E_TOO_MANY_JOBS_PER_MACHINE);
        assert_int_equal(policy_limit_code(LIMIT_FILES_PER_JOB), BG_E_TOO_MANY_FILES_IN_JOB);
        assert_int_equal(policy_limit_code(LIMIT_DESCRIPTION_CHARACTERS), BG_E_STRING_TOO_LONG);
}

/* A text of n times a unit behind a beginning. */
static char *repeat(const char *beginning, const char *unit, size_t n)
{
        size_t step = strlen(unit), head = strlen(beginning);
        char *text = calloc(1, head + n * step + 1);

        assert_non_null(text);
        memcpy(text, beginning, head);
        for (size_t i = 0; i < n; i++)
                memcpy(text + head + i * step, unit, step);
        return text;
}

typedef BitsCode (*Check)(const char *text, const char **ret_why);

static void accepts(Check check, const char *text)
{
        const char *why = NULL;
        BitsCode code = check(text, &why);

        if (code != 0 || why)
                fail_msg("\"%.80s\" is refused: %s", text, why ? why : "without a reason");
        assert_int_equal(check(text, NULL), 0);
}

/* `says` is a part of the reason that the user has to see. */
static void refuses(Check check, const char *text, BitsCode code, const char *says)
{
        const char *why = NULL;

        if (check(text, &why) != code)
                fail_msg("\"%.80s\" is not refused with 0x%08X", text ? text : "(null)", code);
        assert_non_null(why);
        if (!strstr(why, says))
                fail_msg("\"%.80s\": \"%s\" does not say \"%s\"", text ? text : "", why, says);
        assert_int_equal(check(text, NULL), code);
}

/* LIM-06, LIM-420 */
static void remote_names(void **state)
{
        static const char *const good[] = {
                "http://example.org/",
                "https://example.org/a.tar?x=1&y=%20#part",
                "HTTP://EXAMPLE.ORG",
                "hTTps://user:p%40ss@example.org:8443/a",
                "http://[2001:db8::1]:8080/",
                "http://[::1]",
                "http://127.0.0.1:1/a%zz",
                "http://example.org:/",
                "http://example.org?@:x",
                "http://[fe80::1%eth0]/",
                "http://u:p@[::ffff:1.2.3.4]:1/",
        };
        static const struct {
                const char *url, *says;
        } bad[] = {
                { NULL, "missing" },
                { "", "missing" },
                { "ftp://example.org/a", "http, https or file" },
                { "httpx://example.org/", "http, https or file" },
                { "example.org/a", "not absolute" },
                { "http:/example.org", "not absolute" },
                { "http://", "no host" },
                { "http:///a", "no host" },
                { "https://?q", "no host" },
                { "http://:80/", "no host" },
                { "http://user@/", "no host" },
                { "http://user:pw@:80/", "no host" },
                { "http://[::1/", "IPv6" },
                { "http://host\\path", "no name of a host" },
                { "http://host<x>/", "no name of a host" },
                { "http://a,b/", "no name of a host" },
                { "http://[]/", "IPv6" },
                { "http://[::g]/", "IPv6" },
                { "http://[1.2.3.4]/", "IPv6" },
                { "http://[::1%]/", "IPv6" },
                { "http://[%eth0]/", "IPv6" },
                { "http://[1:2:3:4:5:6:7:8:9]/", "IPv6" },
                { "http://example.org:0/", "port is 0" },
                { "http://[::1]:00/", "port is 0" },
                { "http://[::1]x/", "no port" },
                { "http://example.org:8o/", "no number" },
                { "http://example.org:65536/", "65535" },
                { "http://example.org:99999999999999999999999/", "65535" },
                { "http://example.org/a b", "space" },
                { "http://example.org/a\nHost: evil", "control character" },
                { "http://example.org/\x7f", "control character" },
                { "http://example.org/\xc3\xa4", "percent-encode" },
                { "http://ex\xc3\xa4mple.org/", "xn--" },
        };
        static const char beginning[] = "http://example.org/";
        _cleanup_free_ char *longest = repeat(beginning, "a", 2200 - strlen(beginning)),
                            *longer = repeat(beginning, "a", 2201 - strlen(beginning));

        (void)state;
        for (size_t i = 0; i < ELEMENTS(good); i++)
                accepts(policy_check_remote_name, good[i]);
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                refuses(policy_check_remote_name, bad[i].url, BITS_E_INVALID_ARGUMENT, bad[i].says);
        accepts(policy_check_remote_name, longest);
        refuses(policy_check_remote_name, longer, BITS_E_INVALID_ARGUMENT, "2200");
}

/* LIM-07 */
static void local_names(void **state)
{
        static const char *const good[] = {
                "/a",           "/srv/vault/a.tar", "/srv//vault/a", "/srv/\xc3\xa4/\xff",
                "/srv/...",     "/srv/.hidden",     "/srv/a b",      "/srv/proc/a",
                "/procedure/a", "/device",
        };
        static const struct {
                const char *path, *says;
        } bad[] = {
                { NULL, "missing" },
                { "", "missing" },
                { "a", "not absolute" },
                { "./a", "not absolute" },
                { "~/a", "not absolute" },
                { "/", "name a file" },
                { "/srv/", "name a file" },
                { "/srv/.", "\"..\"" },
                { "/srv/..", "\"..\"" },
                { "/srv/../etc/shadow", "\"..\"" },
                { "/./srv/a", "\"..\"" },
                { "/srv/a\nb", "control character" },
                { "/srv/\x1b[2J", "control character" },
                { "/srv/\x7f", "control character" },
                { "/proc/self/fd/3", "/proc" },
                { "//proc/self/mem", "/proc" },
                { "/sys/a", "/proc" },
                { "/dev/sda", "/proc" },
                { "/dev", "/proc" },
        };
        _cleanup_free_ char *component = repeat("/", "a", 255), *too_wide = repeat("/", "a", 256),
                            *longest = repeat("/abcd", "/a", 2045),
                            *longer = repeat("/abcde", "/a", 2045);

        (void)state;
        for (size_t i = 0; i < ELEMENTS(good); i++)
                accepts(policy_check_local_name, good[i]);
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                refuses(policy_check_local_name, bad[i].path, BITS_E_INVALID_ARGUMENT, bad[i].says);
        accepts(policy_check_local_name, component);
        refuses(policy_check_local_name, too_wide, BITS_E_INVALID_ARGUMENT, "255");
        assert_int_equal(strlen(longest), 4095);
        accepts(policy_check_local_name, longest);
        refuses(policy_check_local_name, longer, BITS_E_INVALID_ARGUMENT, "4095");
}

/* LIM-08: counted in characters, not in bytes. */
static void texts(void **state)
{
        static const char *const invalid[] = {
                "\x80",             /* continuation without a beginning */
                "\xc3",             /* cut off */
                "\xe2\x82",         /* cut off */
                "\xf0\x9f\x92",     /* cut off */
                "a\xff",            /* never */
                "\xc0\xaf",         /* overlong */
                "\xe0\x80\xaf",     /* overlong */
                "\xf0\x80\x80\xaf", /* overlong */
                "\xed\xa0\x80",     /* surrogate */
                "\xf4\x90\x80\x80", /* above U+10FFFF */
                "\xc3\xa4\xc3(",
        };
        static const char *const valid[] = {
                "",
                "nightly",
                "\xc3\xa4",
                "\xe2\x82\xac",
                "\xed\x9f\xbf",
                "\xf0\x9f\x92\xa9",
                "\xf4\x8f\xbf\xbf",
        };
        _cleanup_free_ char *name = repeat("", "\xf0\x9f\x92\xa9", 256),
                            *long_name = repeat("", "a", 257), *text = repeat("", "\xc3\xa4", 1024),
                            *long_text = repeat("", "\xc3\xa4", 1025);

        (void)state;
        for (size_t i = 0; i < ELEMENTS(valid); i++) {
                accepts(policy_check_display_name, valid[i]);
                accepts(policy_check_description, valid[i]);
        }
        for (size_t i = 0; i < ELEMENTS(invalid); i++) {
                refuses(policy_check_display_name, invalid[i], BITS_E_INVALID_ARGUMENT, "UTF-8");
                refuses(policy_check_description, invalid[i], BITS_E_INVALID_ARGUMENT, "UTF-8");
        }
        refuses(policy_check_display_name, NULL, BITS_E_INVALID_ARGUMENT, "missing");
        accepts(policy_check_display_name, name);
        refuses(policy_check_display_name, long_name, BG_E_STRING_TOO_LONG, "256");
        accepts(policy_check_description, text);
        refuses(policy_check_description, long_text, BG_E_STRING_TOO_LONG, "1024");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rights),
                cmocka_unit_test(rights_by_authorization),
                cmocka_unit_test(rights_kept_over_a_change_of_the_owner),
                cmocka_unit_test(integrity_follows_the_owner),
                cmocka_unit_test(who_may_set_a_token),
                cmocka_unit_test(who_may_set_the_flags),
                cmocka_unit_test(who_may_clear_and_read),
                cmocka_unit_test(who_may_name_files_for_a_helper),
                cmocka_unit_test(limits_of_people_services_and_root),
                cmocka_unit_test(remote_names),
                cmocka_unit_test(local_names),
                cmocka_unit_test(texts),
        };

        return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
