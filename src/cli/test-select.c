/* Which job a word means, which file an address means, which user a word means. */
#include "cli/paths.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static const SelectEntry jobs[] = {
        { "aaaa1111-0000-4000-8000-000000000001", "nightly" },
        { "aaaa2222-0000-4000-8000-000000000002", "iso" },
        { "bbbb3333-0000-4000-8000-000000000003", "iso" },
        { "cccc4444-0000-4000-8000-000000000004", "aaaa1" },
        { "dddd5555-0000-4000-8000-000000000005", "" },
};

static size_t found[ELEMENTS(jobs)];

static size_t match(const char *wanted)
{
        return select_match(jobs, ELEMENTS(jobs), wanted, found);
}

/* CLI-01 */
static void test_ids(void **state _unused_)
{
        assert_int_equal(match("bbbb3333-0000-4000-8000-000000000003"), 1);
        assert_int_equal(found[0], 2);
        assert_int_equal(match("{BBBB3333-0000-4000-8000-000000000003}"), 1);
        assert_int_equal(found[0], 2);
        assert_int_equal(match("bb"), 1);
        assert_int_equal(found[0], 2);
        assert_int_equal(match("AAAA2"), 1);
        assert_int_equal(found[0], 1);
        assert_int_equal(match("aaaa"), 2);
        assert_int_equal(match("bbbb3333-0000-4000-8000-000000000004"), 0);
        assert_int_equal(match("bbbb3333-0000-4000-8000-000000000003-and-more"), 0);
}

static void test_names(void **state _unused_)
{
        assert_int_equal(match("nightly"), 1);
        assert_int_equal(found[0], 0);
        assert_int_equal(match("iso"), 2);
        assert_int_equal(found[0], 1);
        assert_int_equal(found[1], 2);
        /* A name comes before the beginning of an id. */
        assert_int_equal(match("aaaa1"), 1);
        assert_int_equal(found[0], 3);
        assert_int_equal(match("night"), 0);
        /* Nothing is not the beginning of everything. */
        assert_int_equal(match("{}"), 0);
        assert_int_equal(match(""), 1);
        assert_int_equal(found[0], 4);
        assert_int_equal(select_match(NULL, 0, "x", found), 0);
}

/* CLI-05 */
static void test_url_file_name(void **state _unused_)
{
        static const struct {
                const char *url, *name;
        } cases[] = {
                { "http://h/a.tar", "a.tar" },
                { "https://h:8080/x/y/b.iso?version=1/2#top", "b.iso" },
                { "http://h/a%20b.txt", "a b.txt" },
                { "http://h/100%", "100%" },
                { "http://h/%zz", "%zz" },
                { "http://h", NULL },
                { "http://h/", NULL },
                { "http://h/x/", NULL },
                { "http://h/?name=x", NULL },
                { "http://h/..", NULL },
                { "http://h/%2e%2e", NULL },
                { "http://h/.", NULL },
                { "http://h/a%2Fb", NULL },
                { "http://h/a%00b", NULL },
                { "http://h/a%0Ab", NULL },
                { "http://h/%7F", NULL },
                { "", NULL },
                { "file:///srv/a%20b", "a b" },
                { "/srv/a%20b?c#d", "a%20b?c#d" },
                { "/srv/", NULL },
                { "/srv/..", NULL },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_free_ char *name = url_file_name(cases[i].url);

                if (cases[i].name)
                        assert_string_equal(name, cases[i].name);
                else
                        assert_null(name);
        }
}

static char *resolve(const char *url, const char *file)
{
        char *path = NULL;

        return local_path(url, file, &path) == EXIT_OK ? path : NULL;
}

static void test_local_path(void **state _unused_)
{
        char directory[] = "/tmp/bits-test-XXXXXX", expected[64];
        _cleanup_free_ char *one = NULL, *two = NULL, *three = NULL, *four = NULL, *five = NULL;

        assert_non_null(mkdtemp(directory));
        assert_int_equal(chdir(directory), 0);
        assert_int_equal(symlink("/etc/passwd", "link"), 0);

        one = resolve("http://h/a", NULL);
        snprintf(expected, sizeof(expected), "%s/a", directory);
        assert_string_equal(one, expected);
        two = resolve("http://h/a", "../");
        assert_string_equal(two, "/tmp/a");
        three = resolve("http://h/a", directory);
        assert_string_equal(three, expected);
        /* The last component is replaced, not followed. */
        four = resolve("http://h/a", "./link");
        snprintf(expected, sizeof(expected), "%s/link", directory);
        assert_string_equal(four, expected);
        five = resolve("http://h/", "/x");
        assert_string_equal(five, "/x");

        assert_null(resolve("http://h/a", ""));
        assert_null(resolve("http://h/a", "missing/"));
        assert_null(resolve("http://h/a", "missing/file"));
        assert_null(resolve("http://h/", NULL));
        assert_null(resolve("http://h/", directory));

        unlink("link");
        assert_int_equal(chdir("/"), 0);
        rmdir(directory);
}

/* CLI-12 */
static void test_users(void **state _unused_)
{
        User user;

        assert_int_equal(user_parse("root", &user), EXIT_OK);
        assert_int_equal(user.uid, 0);
        assert_true(user.n_groups >= 1);
        user_done(&user);
        assert_int_equal(user_parse("0", &user), EXIT_OK);
        assert_true(user.n_groups >= 1);
        user_done(&user);
        /* A number that nobody has. */
        assert_int_equal(user_parse("3999999999", &user), EXIT_OK);
        assert_int_equal(user.uid, 3999999999u);
        assert_int_equal(user.gid, 3999999999u);
        assert_int_equal(user.n_groups, 0);
        user_done(&user);

        assert_int_equal(user_parse("no-such-user-here", &user), EXIT_FAILED);
        assert_int_equal(user_parse("4294967295", &user), EXIT_FAILED);
        assert_int_equal(user_parse("4294967296", &user), EXIT_FAILED);
        assert_int_equal(user_parse("-1", &user), EXIT_FAILED);
        assert_int_equal(user_parse("", &user), EXIT_FAILED);
}

static void test_become_and_revert(void **state _unused_)
{
        User nobody = { .uid = 65534, .gid = 65534 }, saved;
        gid_t before[1024], after[1024];
        int n;

        if (geteuid() != 0)
                skip();
        n = getgroups(1024, before);
        assert_int_equal(user_become(&nobody, &saved), EXIT_OK);
        assert_int_equal(geteuid(), 65534);
        assert_int_equal(getegid(), 65534);
        assert_int_equal(getgroups(0, NULL), 0);
        user_revert(&saved);
        assert_int_equal(geteuid(), 0);
        assert_int_equal(getegid(), 0);
        assert_int_equal(getgroups(1024, after), n);
        assert_memory_equal(before, after, (size_t)n * sizeof(gid_t));
}

static void test_advice(void **state _unused_)
{
        char b[256];

        assert_string_equal(advice_for(0x80200003, "0123abcd", b, sizeof(b)),
                            "add a file first: bits add 0123abcd URL FILE");
        assert_non_null(strstr(advice_for(0x80200056, "0123abcd", b, sizeof(b)),
                               "then: bits resume 0123abcd"));
        assert_null(advice_for(0x12345678, NULL, b, sizeof(b)));
        assert_true(strlen(advice_for(0x80200056, "0123abcd", b, 20)) < 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids),           cmocka_unit_test(test_names),
                cmocka_unit_test(test_url_file_name), cmocka_unit_test(test_local_path),
                cmocka_unit_test(test_users),         cmocka_unit_test(test_become_and_revert),
                cmocka_unit_test(test_advice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
