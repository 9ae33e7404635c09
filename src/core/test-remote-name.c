/*
 * Which remote names are files of this machine, what path each means, and which are refused with
 * which reason.
 */
#include "core/policy.h"
#include "core/remote-name.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* FIL-100, FIL-102 */
static void names_and_their_paths(void **state)
{
        static const struct {
                const char *name, *path;
        } good[] = {
                { "/srv/a", "/srv/a" },
                { "/srv/a b?c#d%20", "/srv/a b?c#d%20" }, /* a path stands for itself */
                { "/srv/\xc3\xa4", "/srv/\xc3\xa4" },
                { "file:///srv/a", "/srv/a" },
                { "FILE://LocalHost/srv/a", "/srv/a" },
                { "file:///srv/a%20b%3f%23%25", "/srv/a b?#%" },
                { "file:///srv/%C3%a4%FF", "/srv/\xc3\xa4\xff" },
                { "file:////srv//a", "//srv//a" },
                { "file:///srv/...", "/srv/..." },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(good); i++) {
                char path[REMOTE_PATH_MAX];

                assert_true(remote_name_is_file(good[i].name));
                assert_null(remote_name_path(good[i].name, path));
                assert_string_equal(path, good[i].path);
                assert_int_equal(policy_check_remote_name(good[i].name, NULL), 0);
        }
}

static void other_names_are_for_the_network(void **state)
{
        static const char *const others[] = { "http://h/a", "https://h/a", "smb://h/a",
                                              "srv/a",      "file:/srv/a", "",
                                              "file",       "files:///a" };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(others); i++)
                assert_false(remote_name_is_file(others[i]));
        assert_false(remote_name_is_file(NULL));
}

/* FIL-101, FIL-102, FIL-103 */
static void bad_names_are_refused_with_a_reason(void **state)
{
        static const struct {
                const char *name, *says;
        } bad[] = {
                { "file://server/share/a", "mount the share" },
                { "file://localhost.example.org/a", "mount the share" },
                { "file://localhost:80/a", "mount the share" },
                { "file://user@localhost/a", "mount the share" },
                { "file://127.0.0.1/a", "mount the share" },
                { "\\\\server\\share\\a", "UNC" },
                { "file://", "names no path" },
                { "file://localhost", "names no path" },
                { "file://?a", "names no path" },
                { "file:/srv/a", "not absolute" },
                { "file:///srv/a?b", "%3F" },
                { "file:///srv/a#b", "%23" },
                { "file:///srv/a%", "two hexadecimal digits" },
                { "file:///srv/a%2", "two hexadecimal digits" },
                { "file:///srv/%zz", "two hexadecimal digits" },
                { "file:///srv/a%00.txt", "control character" },
                { "file:///srv/a%0a", "control character" },
                { "file:///srv/a%7F", "control character" },
                { "file:///srv%2Fa", "escaped slash" },
                { "file:///srv/a b", "%20" },
                { "file:///srv/\xc3\xa4", "percent-encode" },
                { "file:///srv/../etc/shadow", "\"..\"" },
                { "file:///srv/%2e%2E/etc/shadow", "\"..\"" },
                { "file:///srv/%2e/a", "\"..\"" },
                { "file:///", "name a file" },
                { "file:///srv/", "name a file" },
                { "file:///proc/self/environ", "/proc" },
                { "file:///%70roc/self/environ", "/proc" },
                { "file:////dev/sda", "/proc" },
                { "/dev/sda", "/proc" },
                { "/srv/../etc/shadow", "\"..\"" },
                { "/srv/a\nb", "control character" },
                { "/", "name a file" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                const char *why = NULL;

                if (policy_check_remote_name(bad[i].name, &why) != BITS_E_INVALID_ARGUMENT)
                        fail_msg("\"%s\" is accepted", bad[i].name);
                if (!strstr(why, bad[i].says))
                        fail_msg("\"%s\": \"%s\" does not say \"%s\"", bad[i].name, why,
                                 bad[i].says);
        }
}

/* FIL-103 */
static void lengths(void **state)
{
        char name[REMOTE_PATH_MAX + 1], path[REMOTE_PATH_MAX];

        (void)state;
        for (size_t i = 0; i < sizeof(name); i++)
                name[i] = i % 2 ? 'a' : '/';
        name[REMOTE_PATH_MAX] = 0;
        assert_non_null(remote_name_path(name, path));
        assert_int_equal(policy_check_remote_name(name, NULL), BITS_E_INVALID_ARGUMENT);
        name[REMOTE_PATH_MAX - 2] = 0;
        assert_null(remote_name_path(name, path));
        assert_int_equal(policy_check_remote_name(name, NULL), 0);
        memcpy(name, "file://", 7);
        assert_int_equal(policy_check_remote_name(name, NULL), BITS_E_INVALID_ARGUMENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_and_their_paths),
                cmocka_unit_test(other_names_are_for_the_network),
                cmocka_unit_test(bad_names_are_refused_with_a_reason),
                cmocka_unit_test(lengths),
        };

        return cmocka_run_group_tests_name("remote-name", tests, NULL, NULL);
}
