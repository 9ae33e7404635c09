/* The bar fits any terminal and says the truth about the rate. */
#include "cli/bar.h"

#include "cli/format.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND 1000000ull
#define MIB    1048576ull

static BarView view = {
        .name = "a-rather-long-name-of-a-file.tar.gz",
        .bytes_transferred = 50 * MIB,
        .bytes_total = 100 * MIB,
        .rate = 5.0 * MIB,
};

/* CLI-06 */
static void test_never_too_wide(void **state _unused_)
{
        static const char *const names[] = { "", "x", "a-rather-long-name-of-a-file.tar.gz",
                                             "größenwahn-日本語-日本語-日本語.iso" };
        static const uint64_t totals[] = { 0, 1, 100 * MIB, UINT64_MAX - 1, BITS_SIZE_UNKNOWN };

        for (size_t n = 0; n < ELEMENTS(names); n++)
                for (size_t t = 0; t < ELEMENTS(totals); t++)
                        for (size_t width = 0; width < 250; width++) {
                                BarView v = { .name = names[n],
                                              .bytes_transferred = MIB,
                                              .bytes_total = totals[t],
                                              .state = width % 2 ? "transient-error" : NULL,
                                              .rate = 1e9 };
                                _cleanup_free_ char *line = bar_layout(&v, width);

                                assert_non_null(line);
                                assert_true(format_columns(line) <= width);
                        }
}

static void test_wide(void **state _unused_)
{
        _cleanup_free_ char *line = bar_layout(&view, 120);

        assert_non_null(strstr(line, "a-rather-long-name"));
        assert_non_null(strstr(line, "50%"));
        assert_non_null(strstr(line, "50.0 MiB/100.0 MiB"));
        assert_non_null(strstr(line, "5.0 MiB/s"));
        assert_non_null(strstr(line, "ETA 0:10"));
        assert_non_null(strstr(line, "=>"));
}

static void test_narrow_keeps_the_number(void **state _unused_)
{
        _cleanup_free_ char *line = bar_layout(&view, 20);

        assert_non_null(strstr(line, "50%"));
        assert_null(strstr(line, "ETA"));
        assert_non_null(strstr(line, "a-rather"));
}

static void test_state_instead_of_rate(void **state _unused_)
{
        BarView v = view;
        _cleanup_free_ char *line = NULL;

        v.state = "queued";
        line = bar_layout(&v, 100);
        assert_non_null(strstr(line, "queued"));
        assert_null(strstr(line, "ETA"));
}

static void test_unknown_size(void **state _unused_)
{
        BarView v = view;
        _cleanup_free_ char *line = NULL;

        v.bytes_total = BITS_SIZE_UNKNOWN;
        line = bar_layout(&v, 100);
        assert_null(strchr(line, '%'));
        assert_non_null(strstr(line, "50.0 MiB"));
        assert_non_null(strstr(line, "ETA -:--"));
}

/* CLI-07 */
static void test_rate_ignores_earlier_bytes(void **state _unused_)
{
        Rate rate = {};

        rate_update(&rate, 900 * MIB, 10 * SECOND);
        assert_true(rate.per_second <= 0);
        rate_update(&rate, 902 * MIB, 11 * SECOND);
        assert_true(rate.per_second > 1.9 * MIB && rate.per_second < 2.1 * MIB);
}

static void test_rate_falls_when_nothing_comes(void **state _unused_)
{
        Rate rate = {};
        double before;

        rate_update(&rate, 0, 0);
        rate_update(&rate, 10 * MIB, SECOND);
        before = rate.per_second;
        for (unsigned i = 2; i < 60; i++)
                rate_update(&rate, 10 * MIB, i * SECOND);
        assert_true(rate.per_second < before / 100);
}

static void test_rate_of_a_restarted_file(void **state _unused_)
{
        Rate rate = {};

        rate_update(&rate, 10 * MIB, 0);
        rate_update(&rate, 20 * MIB, SECOND);
        rate_update(&rate, 0, 2 * SECOND);
        assert_true(rate.per_second >= 0);
        rate_update(&rate, MIB, 3 * SECOND);
        assert_true(rate.per_second > 0.9 * MIB && rate.per_second < 1.1 * MIB);
}

static void test_rate_of_a_burst(void **state _unused_)
{
        Rate rate = {};

        rate_update(&rate, 0, 0);
        rate_update(&rate, MIB, 1);
        assert_true(rate.per_second <= 0);
        rate_update(&rate, 2 * MIB, SECOND);
        assert_true(rate.per_second < 2.1 * MIB);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_never_too_wide),
                cmocka_unit_test(test_wide),
                cmocka_unit_test(test_narrow_keeps_the_number),
                cmocka_unit_test(test_state_instead_of_rate),
                cmocka_unit_test(test_unknown_size),
                cmocka_unit_test(test_rate_ignores_earlier_bytes),
                cmocka_unit_test(test_rate_falls_when_nothing_comes),
                cmocka_unit_test(test_rate_of_a_restarted_file),
                cmocka_unit_test(test_rate_of_a_burst),
        };

        if (!setlocale(LC_ALL, "C.UTF-8"))
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
