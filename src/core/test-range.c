/*
 * Ranges: what is accepted, where a byte of the concatenated file lies, and sets against a model of
 * one bit a byte, with many random operations.
 */
#include "core/range.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define END RANGE_TO_END

/* RNG-172, RNG-173, RNG-174: reference 02 section 11, one row a rule. */
static void what_may_be_asked_for(void **state)
{
        static const struct {
                Range ranges[4];
                size_t count;
                BitsCode code;
        } rows[] = {
                { { { 0, 0 } }, 0, BITS_E_INVALID_ARGUMENT },
                { { { 0, 1 } }, 1, 0 },
                { { { 0, END } }, 1, 0 },
                { { { 100, END }, { 0, 100 } }, 2, 0 },
                { { { 0, 100 }, { 100, 100 }, { 300, 1 } }, 3, 0 },
                { { { 100, 100 }, { 0, 100 } }, 2, 0 }, /* any order */
                { { { 0, 100 }, { 99, 1 } }, 2, BG_E_OVERLAPPING_RANGES },
                { { { 50, 10 }, { 0, 51 } }, 2, BG_E_OVERLAPPING_RANGES },
                { { { 50, 10 }, { 50, 10 } }, 2, BG_E_OVERLAPPING_RANGES },
                { { { 50, END }, { 60, 1 } }, 2, BG_E_OVERLAPPING_RANGES },
                { { { 50, END }, { 60, END } }, 2, BG_E_OVERLAPPING_RANGES },
                { { { UINT64_MAX, 1 } }, 1, BG_E_INVALID_RANGE },
                { { { UINT64_MAX, END } }, 1, BG_E_INVALID_RANGE },
                { { { (uint64_t)INT64_MAX + 1, 1 } }, 1, BG_E_INVALID_RANGE },
                { { { 10, INT64_MAX } }, 1, BG_E_INVALID_RANGE },
                { { { 10, UINT64_MAX - 1 } }, 1, BG_E_INVALID_RANGE },
                { { { 0, INT64_MAX } }, 1, 0 },
                { { { 7, 0 } }, 1, BG_E_INVALID_RANGE },
                { { { 7, 0 }, { 7, 5 } }, 2, BG_E_OVERLAPPING_RANGES },
                { { { 7, 0 }, { 7, 0 } }, 2, BG_E_OVERLAPPING_RANGES },
                { { { 7, 5 }, { 7, 0 } }, 2, BG_E_INVALID_RANGE },
                { { { 7, 5 }, { 9, 0 } }, 2, BG_E_OVERLAPPING_RANGES },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                const char *why = NULL;

                assert_int_equal(range_list_check(rows[i].ranges, rows[i].count, &why),
                                 rows[i].code);
                assert_int_equal(why != NULL, rows[i].code != 0);
        }
}

static Ranges list_of(const char *text)
{
        Ranges list = { 0 };

        assert_int_equal(ranges_parse(text, &list), 0);
        return list;
}

static void assert_located_in(const Ranges *list, uint64_t size, uint64_t position, uint64_t offset,
                              uint64_t length)
{
        Range found;

        assert_true(range_list_locate(list, size, position, &found));
        assert_int_equal(found.offset, offset);
        assert_int_equal(found.length, length);
}

static void assert_located(const Ranges *list, uint64_t position, uint64_t offset, uint64_t length)
{
        assert_located_in(list, RANGE_UNKNOWN, position, offset, length);
}

/* RNG-171: the example of reference 05 section 2, and neighbours that are asked for together. */
static void where_a_byte_lies(void **state)
{
        Ranges list = list_of("100+100,1000+100,200+100");
        Range found;

        (void)state;
        assert_located(&list, 0, 100, 100);
        assert_located(&list, 25, 125, 75);
        assert_located(&list, 100, 1000, 100);
        assert_located(&list, 199, 1099, 1);
        assert_located(&list, 299, 299, 1);
        assert_false(range_list_locate(&list, RANGE_UNKNOWN, 300, &found));
        assert_int_equal(range_list_length(&list, RANGE_UNKNOWN), 300);
        ranges_done(&list);

        list = list_of("100+100,200+100,300+*,0+100");
        assert_located(&list, 0, 100, END);
        assert_located(&list, 150, 250, END);
        assert_located(&list, 5000, 5100, END);
        assert_located_in(&list, 1000, 150, 250, 750);
        assert_located_in(&list, 1000, 899, 999, 1);
        assert_located_in(&list, 1000, 900, 0, 100);
        assert_false(range_list_locate(&list, 1000, 1000, &found));
        assert_int_equal(range_list_length(&list, RANGE_UNKNOWN), RANGE_UNKNOWN);
        assert_int_equal(range_list_length(&list, 1000), 1000);
        assert_int_equal(range_list_length(&list, 200), 300);
        ranges_done(&list);

        list = list_of("5000+10,5010+90,0+1");
        assert_located(&list, 3, 5003, 97);
        assert_located(&list, 100, 0, 1);
        ranges_done(&list);
}

static void the_whole_file_is_no_list(void **state)
{
        static const struct {
                const char *text;
                bool whole;
        } rows[] = { { "0+*", true },
                     { "1+*", false },
                     { "0+100", false },
                     { "", false },
                     { "5+*,0+5", false } };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Ranges list = list_of(rows[i].text);

                assert_int_equal(range_list_is_whole(&list), rows[i].whole);
                ranges_done(&list);
        }
}

static void text_goes_both_ways(void **state)
{
        static const char *const good[] = { "", "0+1", "100+100,1000+100,200+*",
                                            "0+9223372036854775807" };
        static const char *const bad[] = { ",",
                                           "0",
                                           "0+",
                                           "+1",
                                           "0+0",
                                           "0+1,",
                                           ",0+1",
                                           "0+1 ",
                                           "a+1",
                                           "0+1,2",
                                           "00+1",
                                           "1+*,x",
                                           "0+1x",
                                           "-1+1",
                                           "0+18446744073709551615",
                                           "0+01",
                                           "9223372036854775807+1" };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(good); i++) {
                Ranges list = list_of(good[i]);
                char *text = ranges_format(&list);

                assert_string_equal(text, good[i]);
                free(text);
                ranges_done(&list);
        }
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                Ranges list = list_of("7+7");

                assert_int_equal(ranges_parse(bad[i], &list), -EINVAL);
                assert_int_equal(list.count, 1); /* untouched */
                ranges_done(&list);
        }
}

/* ---- sets, against one flag for each byte ---- */

enum {
        BYTES = 200,
        ROUNDS = 400,
        STEPS = 300,
};

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed % below;
}

static Range draw_range(void)
{
        uint64_t offset = draw(BYTES), length = draw(4) == 0 ? draw(BYTES) : draw(12);

        return (Range){ offset, MIN(length, BYTES - offset) };
}

static void mark(bool *model, Range range, bool value)
{
        for (uint64_t i = range.offset; i < range.offset + range.length; i++)
                model[i] = value;
}

static void assert_set_is_sound(const Ranges *set)
{
        for (size_t i = 0; i < set->count; i++) {
                assert_true(set->items[i].length > 0);
                if (i > 0)
                        assert_true(set->items[i - 1].offset + set->items[i - 1].length <
                                    set->items[i].offset);
        }
}

static void assert_same(const Ranges *set, const bool *model)
{
        uint64_t bytes = 0, end = 0;

        for (uint64_t i = 0; i < BYTES; i++) {
                assert_int_equal(range_set_contains(set, (Range){ i, 1 }), model[i]);
                bytes += model[i];
                end = model[i] ? i + 1 : end;
        }
        assert_int_equal(range_set_bytes(set), bytes);
        assert_int_equal(range_set_end(set), end);
}

static void assert_gap(const Ranges *set, const bool *model, uint64_t from, uint64_t end)
{
        uint64_t begin = from, stop;
        Range gap;

        while (begin < end && model[begin])
                begin++;
        for (stop = begin; stop < end && !model[stop];)
                stop++;
        assert_int_equal(range_set_gap(set, from, end, &gap), begin < end);
        if (begin < end) {
                assert_int_equal(gap.offset, begin);
                assert_int_equal(gap.length, stop - begin);
        }
}

/* RNG-175 */
static void sets_do_what_flags_do(void **state)
{
        (void)state;
        for (unsigned round = 0; round < ROUNDS; round++) {
                bool model[BYTES] = { 0 }, other_model[BYTES] = { 0 };
                Ranges set = { 0 }, other = { 0 };

                seed = round + 1;
                for (unsigned step = 0; step < STEPS; step++) {
                        Range range = draw_range();
                        uint64_t from = draw(BYTES);
                        bool add = draw(2) == 0;

                        assert_int_equal(add ? range_set_add(&set, range)
                                             : range_set_remove(&set, range),
                                         0);
                        mark(model, range, add);
                        assert_set_is_sound(&set);
                        assert_gap(&set, model, from, from + draw(BYTES - from + 1));
                        range = draw_range();
                        assert_int_equal(range_set_add(&other, range), 0);
                        mark(other_model, range, true);
                }
                assert_same(&set, model);
                assert_int_equal(round % 2 == 0 ? range_set_remove_all(&set, &other)
                                                : range_set_add_all(&set, &other),
                                 0);
                for (size_t i = 0; i < BYTES; i++)
                        model[i] = round % 2 == 0 ? model[i] && !other_model[i]
                                                  : model[i] || other_model[i];
                assert_set_is_sound(&set);
                assert_same(&set, model);
                ranges_done(&set);
                ranges_done(&other);
        }
}

/* A file's last byte is far from 2^64, but nothing here may wrap on the way. */
static void the_ends_of_the_numbers(void **state)
{
        Ranges set = { 0 };
        Range gap;

        (void)state;
        assert_int_equal(range_set_add(&set, (Range){ 10, RANGE_TO_END }), 0);
        assert_int_equal(range_set_end(&set), UINT64_MAX);
        assert_true(range_set_gap(&set, 0, UINT64_MAX, &gap));
        assert_int_equal(gap.length, 10);
        assert_false(range_set_gap(&set, 10, UINT64_MAX, &gap));
        assert_int_equal(range_set_remove(&set, (Range){ 20, 10 }), 0);
        assert_int_equal(set.count, 2);
        assert_true(range_set_contains(&set, (Range){ 30, 1000 }));
        assert_false(range_set_contains(&set, (Range){ 29, 1 }));
        assert_true(range_set_contains(&set, (Range){ 25, 0 }));
        ranges_done(&set);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_may_be_asked_for),
                cmocka_unit_test(where_a_byte_lies),
                cmocka_unit_test(the_whole_file_is_no_list),
                cmocka_unit_test(text_goes_both_ways),
                cmocka_unit_test(sets_do_what_flags_do),
                cmocka_unit_test(the_ends_of_the_numbers),
        };

        return cmocka_run_group_tests_name("range", tests, NULL, NULL);
}
