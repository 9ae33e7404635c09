/* Sizes, rates, durations, flags and names as people read and type them. */
#include "cli/format.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_size(void **state _unused_)
{
        char b[FORMAT_SIZE];

        assert_string_equal(format_size(0, b), "0 B");
        assert_string_equal(format_size(1023, b), "1023 B");
        assert_string_equal(format_size(1024, b), "1.0 KiB");
        assert_string_equal(format_size(1536, b), "1.5 KiB");
        /* Never "1024.0 KiB". */
        assert_string_equal(format_size(1024 * 1024 - 1, b), "1.0 MiB");
        assert_string_equal(format_size(5ull << 30, b), "5.0 GiB");
        assert_string_equal(format_size(UINT64_MAX - 1, b), "16.0 EiB");
        assert_string_equal(format_size(BITS_SIZE_UNKNOWN, b), "?");
}

static void test_rate(void **state _unused_)
{
        char b[FORMAT_SIZE];

        assert_string_equal(format_rate(0, b), "0 B/s");
        assert_string_equal(format_rate(-3, b), "0 B/s");
        assert_string_equal(format_rate(1.5 * 1024 * 1024, b), "1.5 MiB/s");
        assert_string_equal(format_rate(1e30, b), "888.2 PiB/s");
}

static void test_duration(void **state _unused_)
{
        char b[FORMAT_SIZE];

        assert_string_equal(format_duration(7, b), "0:07");
        assert_string_equal(format_duration(723, b), "12:03");
        assert_string_equal(format_duration(11045, b), "3:04:05");
        assert_string_equal(format_duration(8 * 86400 + 3 * 3600 + 59, b), "8 d 03 h");
        assert_string_equal(format_duration(UINT64_MAX, b), "-:--");
}

static void test_percent(void **state _unused_)
{
        char b[FORMAT_SIZE];

        assert_string_equal(format_percent(0, 10, b), "0%");
        assert_string_equal(format_percent(999, 1000, b), "99%");
        assert_string_equal(format_percent(10, 10, b), "100%");
        assert_string_equal(format_percent(0, 0, b), "100%");
        assert_string_equal(format_percent(3, BITS_SIZE_UNKNOWN, b), "-");
        assert_string_equal(format_percent(UINT64_MAX / 2, UINT64_MAX - 1, b), "50%");
}

/* CLI-31 */
static void test_safe(void **state _unused_)
{
        _cleanup_free_ char *escape = format_safe("a\033[2Jb\n\tc");
        _cleanup_free_ char *utf8 = format_safe("größe €");
        _cleanup_free_ char *broken = format_safe("x\xff\xfey");
        _cleanup_free_ char *cut = format_safe("x\xe2\x82");

        assert_string_equal(escape, "a?[2Jb??c");
        assert_string_equal(utf8, "größe €");
        assert_string_equal(broken, "x??y");
        assert_string_equal(cut, "x??");
}

/* CLI-420 */
static void test_passwords(void **state _unused_)
{
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "http://u:secret@h/x", "http://u:***@h/x" },
                { "u: 'http://u:s@h', https://v:t@i?a:b@c",
                  "u: 'http://u:***@h', https://v:***@i?a:b@c" },
                { "http://u:a:b@c@h", "http://u:***@h" },
                { "http://u:\001s@h", "http://u:***@h" },
                { "http://u@h/", "http://u@h/" },
                { "http://h:80/a:b@c", "http://h:80/a:b@c" },
                { "http://h: mail@x", "http://h: mail@x" },
                { "://:@", "://:***@" },
                { "http://", "http://" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_free_ char *safe = format_safe(cases[i].text);

                assert_string_equal(safe, cases[i].expected);
        }
}

static void test_columns(void **state _unused_)
{
        assert_int_equal(format_columns("abc"), 3);
        assert_int_equal(format_columns("größe"), 5);
        assert_int_equal(format_columns("日本"), 4);
}

static void test_code(void **state _unused_)
{
        char b[FORMAT_SIZE], id[SHORT_ID_SIZE];

        /* CLI-04 */
        assert_string_equal(format_code(0x80200056, b), "0x80200056");
        format_short_id("0123abcd-0000-0000-0000-000000000000", id);
        assert_string_equal(id, "0123abcd");
        assert_non_null(strstr(format_context(5), "remote"));
        assert_non_null(format_context(12345));
}

static void test_numbers(void **state _unused_)
{
        static const char *const wrong[] = { "",    "-1",         "+1",
                                             " 1",  "1 ",         "0x1",
                                             "1.5", "4294967296", "99999999999999999999999",
                                             "eins" };
        uint32_t value = 7;

        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                assert_false(parse_uint32(wrong[i], &value));
        assert_int_equal(value, 7);
        assert_true(parse_uint32("4294967295", &value));
        assert_int_equal(value, UINT32_MAX);
        assert_true(parse_uint32("0", &value));
        assert_int_equal(value, 0);
}

static void test_sid(void **state _unused_)
{
        uint32_t uid = 1;

        assert_true(parse_user_sid("S-1-22-1-1000", &uid));
        assert_int_equal(uid, 1000);
        assert_false(parse_user_sid("S-1-22-2-1000", &uid));
        assert_false(parse_user_sid("S-1-5-32-544", &uid));
        assert_false(parse_user_sid("S-1-22-1-", &uid));
        assert_false(parse_user_sid(NULL, &uid));
}

/* CLI-24 */
static void test_flags(void **state _unused_)
{
        static const char *const wrong[] = {
                "",    ",",       "network,",     ",network", "networks",
                "net", "NETWORK", "none,network", "local",    "local-file network"
        };
        char b[FORMAT_SIZE];
        uint32_t flags = 9;

        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                assert_false(parse_token_flags(wrong[i], &flags));
        assert_int_equal(flags, 9);
        assert_true(parse_token_flags("none", &flags));
        assert_int_equal(flags, 0);
        assert_true(parse_token_flags("network,local-file", &flags));
        assert_int_equal(flags, 3);

        assert_string_equal(token_flags_text(0, b), "none");
        assert_string_equal(token_flags_text(1, b), "local-file");
        assert_string_equal(token_flags_text(2, b), "network");
        assert_string_equal(token_flags_text(3, b), "local-file,network");
}

static void test_words(void **state _unused_)
{
        bits_job_priority priority;
        bits_job_type type;

        assert_true(parse_priority("foreground", &priority));
        assert_int_equal(priority, BITS_PRIORITY_FOREGROUND);
        assert_true(parse_priority("low", &priority));
        assert_int_equal(priority, BITS_PRIORITY_LOW);
        assert_false(parse_priority("urgent", &priority));
        assert_true(parse_type("upload-reply", &type));
        assert_int_equal(type, BITS_JOB_UPLOAD_REPLY);
        assert_false(parse_type("", &type));
}

static void test_times(void **state _unused_)
{
        char b[FORMAT_SIZE];

        setenv("TZ", "UTC", 1);
        assert_string_equal(format_time(0, b), "-");
        assert_string_equal(format_time(1000000000000000, b), "2001-09-09 01:46:40 +0000");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_size),     cmocka_unit_test(test_rate),
                cmocka_unit_test(test_duration), cmocka_unit_test(test_percent),
                cmocka_unit_test(test_safe),     cmocka_unit_test(test_passwords),
                cmocka_unit_test(test_columns),  cmocka_unit_test(test_code),
                cmocka_unit_test(test_numbers),  cmocka_unit_test(test_sid),
                cmocka_unit_test(test_flags),    cmocka_unit_test(test_words),
                cmocka_unit_test(test_times),
        };

        if (!setlocale(LC_ALL, "C.UTF-8"))
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
