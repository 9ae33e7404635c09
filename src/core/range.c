#include "core/range.h"

#include <inttypes.h>
#include <stdio.h>

void ranges_done(Ranges *ranges)
{
        free(ranges->items);
        *ranges = (Ranges){ 0 };
}

static int reserve(Ranges *ranges, size_t count)
{
        size_t room = MAX(ranges->room * 2, (size_t)4);
        Range *items;

        if (count <= ranges->room)
                return 0;
        room = MAX(room, count);
        items = reallocarray(ranges->items, room, sizeof(*items));
        if (!items)
                return -ENOMEM;
        ranges->items = items;
        ranges->room = room;
        return 0;
}

int ranges_copy(const Ranges *ranges, Ranges *ret)
{
        int r = reserve(ret, ranges->count);

        if (r < 0)
                return r;
        if (ranges->count > 0)
                memcpy(ret->items, ranges->items, ranges->count * sizeof(*ranges->items));
        ret->count = ranges->count;
        return 0;
}

/* ---- as text ---- */

char *ranges_format(const Ranges *ranges)
{
        enum { LONGEST = 20 + 1 + 20 + 1 };
        char *text = malloc(ranges->count * LONGEST + 1), *p = text;

        if (!text)
                return NULL;
        *p = '\0';
        for (size_t i = 0; i < ranges->count; i++) {
                const Range *r = &ranges->items[i];

                p += sprintf(p, "%s%" PRIu64 "+", i > 0 ? "," : "", r->offset);
                p += range_end(*r) == UINT64_MAX ? sprintf(p, "*")
                                                 : sprintf(p, "%" PRIu64, r->length);
        }
        return text;
}

/* Digits and nothing else, in the form in which they are written. */
static bool read_number(const char **text, uint64_t *ret)
{
        const char *p = *text;
        uint64_t value = 0;

        if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9'))
                return false;
        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return false;
        *text = p;
        *ret = value;
        return value <= RANGE_POSITION_MAX;
}

static bool read_range(const char **text, Range *ret)
{
        if (!read_number(text, &ret->offset) || **text != '+')
                return false;
        (*text)++;
        if (**text == '*') {
                (*text)++;
                ret->length = RANGE_TO_END;
                return true;
        }
        return read_number(text, &ret->length) && ret->length > 0 &&
               ret->length <= RANGE_POSITION_MAX - ret->offset;
}

int ranges_parse(const char *text, Ranges *ret)
{
        Ranges ranges = { 0 };
        Range range;
        int r = 0;

        while (r >= 0 && *text) {
                if (!read_range(&text, &range) || (*text == ',' && !text[1]) ||
                    (*text && *text != ','))
                        r = -EINVAL;
                else
                        r = range_list_append(&ranges, range);
                text += *text == ',';
        }
        if (r < 0) {
                ranges_done(&ranges);
                return r;
        }
        ranges_done(ret);
        *ret = ranges;
        return 0;
}

/* ---- lists ---- */

int range_list_append(Ranges *list, Range range)
{
        int r = reserve(list, list->count + 1);

        if (r >= 0)
                list->items[list->count++] = range;
        return r;
}

typedef struct Given {
        Range range;
        size_t place; /* in the order given */
} Given;

static int compare_given(const void *a, const void *b)
{
        const Given *x = a, *y = b;

        if (x->range.offset != y->range.offset)
                return x->range.offset < y->range.offset ? -1 : 1;
        return x->place < y->place ? -1 : x->place > y->place;
}

static BitsCode refuse(BitsCode code, const char *why, const char **ret_why)
{
        if (ret_why)
                *ret_why = why;
        return code;
}

/* RNG-173, RNG-174: an empty range that is listed before another one at its offset overlaps it, as
   BITS has it. */
static BitsCode check_sorted(const Given *sorted, size_t count, const char **ret_why)
{
        for (size_t i = 0; i + 1 < count; i++)
                if (range_end(sorted[i].range) > sorted[i + 1].range.offset ||
                    sorted[i].range.offset == sorted[i + 1].range.offset)
                        return sorted[i].range.offset == sorted[i + 1].range.offset &&
                                               sorted[i].range.length > 0 &&
                                               sorted[i + 1].range.length == 0
                                       ? refuse(BG_E_INVALID_RANGE, "a range is empty", ret_why)
                                       : refuse(BG_E_OVERLAPPING_RANGES, "two ranges overlap",
                                                ret_why);
        return 0;
}

static BitsCode check_each(const Range *items, size_t count, const char **ret_why)
{
        for (size_t i = 0; i < count; i++) {
                Range r = items[i];

                if (r.offset > RANGE_POSITION_MAX)
                        return refuse(BG_E_INVALID_RANGE, "a range begins where no file has a byte",
                                      ret_why);
                if (r.length != RANGE_TO_END && r.length > RANGE_POSITION_MAX - r.offset)
                        return refuse(BG_E_INVALID_RANGE, "a range ends where no file has a byte",
                                      ret_why);
        }
        return 0;
}

/* RNG-172 */
BitsCode range_list_check(const Range *items, size_t count, const char **ret_why)
{
        _cleanup_free_ Given *sorted = NULL;
        BitsCode code;

        if (count == 0)
                return refuse(BITS_E_INVALID_ARGUMENT, "there is no range", ret_why);
        code = check_each(items, count, ret_why);
        if (code != 0)
                return code;
        sorted = reallocarray(NULL, count, sizeof(*sorted));
        if (!sorted)
                return refuse(BITS_E_OUT_OF_MEMORY, "out of memory", ret_why);
        for (size_t i = 0; i < count; i++)
                sorted[i] = (Given){ items[i], i };
        qsort(sorted, count, sizeof(*sorted), compare_given);
        code = check_sorted(sorted, count, ret_why);
        for (size_t i = 0; code == 0 && i < count; i++)
                if (items[i].length == 0)
                        code = refuse(BG_E_INVALID_RANGE, "a range is empty", ret_why);
        return code;
}

bool range_list_is_whole(const Ranges *list)
{
        return list->count == 1 && list->items[0].offset == 0 &&
               list->items[0].length == RANGE_TO_END;
}

/* RANGE_UNKNOWN for one to an end that is not known. */
static uint64_t length_of(Range range, uint64_t size)
{
        if (range.length != RANGE_TO_END || size == RANGE_UNKNOWN)
                return range.length;
        return size > range.offset ? size - range.offset : 0;
}

uint64_t range_list_length(const Ranges *list, uint64_t size)
{
        uint64_t length = 0;

        for (size_t i = 0; i < list->count; i++) {
                uint64_t more = length_of(list->items[i], size);

                if (more == RANGE_UNKNOWN)
                        return RANGE_UNKNOWN;
                length = more > RANGE_POSITION_MAX - length ? RANGE_POSITION_MAX : length + more;
        }
        return length;
}

/* RNG-171 */
bool range_list_locate(const Ranges *list, uint64_t size, uint64_t position, Range *ret)
{
        uint64_t length = 0;
        size_t i;

        for (i = 0; i < list->count; i++) {
                length = length_of(list->items[i], size);
                if (position < length)
                        break;
                position -= length;
        }
        if (i == list->count)
                return false;
        *ret = (Range){ list->items[i].offset + position,
                        length == RANGE_UNKNOWN ? RANGE_TO_END : length - position };
        while (ret->length != RANGE_TO_END && ++i < list->count &&
               list->items[i].offset == range_end(*ret)) {
                length = length_of(list->items[i], size);
                ret->length = length == RANGE_UNKNOWN ? RANGE_TO_END : ret->length + length;
        }
        return true;
}

/* ---- sets ---- */

/* RNG-175. The first item that ends behind `position`; its place may be the count. */
static size_t first_ending_behind(const Ranges *set, uint64_t position)
{
        size_t low = 0, high = set->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (range_end(set->items[middle]) > position)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

/* Puts `n` items in the place of [from, to). There is room. */
static void replace(Ranges *set, size_t from, size_t to, const Range *items, size_t n)
{
        memmove(set->items + from + n, set->items + to, (set->count - to) * sizeof(*items));
        for (size_t i = 0; i < n; i++)
                set->items[from + i] = items[i];
        set->count = set->count - (to - from) + n;
}

int range_set_add(Ranges *set, Range range)
{
        uint64_t begin = range.offset, end = range_end(range);
        size_t from, to;

        if (begin == end)
                return 0;
        if (reserve(set, set->count + 1) < 0)
                return -ENOMEM;
        /* Those that only touch it become one with it, too. */
        from = to = begin > 0 ? first_ending_behind(set, begin - 1) : 0;
        while (to < set->count && set->items[to].offset <= end) {
                begin = MIN(begin, set->items[to].offset);
                end = MAX(end, range_end(set->items[to]));
                to++;
        }
        replace(set, from, to, &(Range){ begin, end - begin }, 1);
        return 0;
}

int range_set_remove(Ranges *set, Range range)
{
        uint64_t begin = range.offset, end = range_end(range);
        size_t from = first_ending_behind(set, begin), to = from, n = 0;
        Range left[2];

        while (to < set->count && set->items[to].offset < end)
                to++;
        if (from == to || begin == end)
                return 0;
        if (reserve(set, set->count + 1) < 0)
                return -ENOMEM;
        if (set->items[from].offset < begin)
                left[n++] = (Range){ set->items[from].offset, begin - set->items[from].offset };
        if (range_end(set->items[to - 1]) > end)
                left[n++] = (Range){ end, range_end(set->items[to - 1]) - end };
        replace(set, from, to, left, n);
        return 0;
}

/* All or nothing, so that what is not there can never count. */
static int for_all(Ranges *set, const Ranges *other, int (*change)(Ranges *, Range))
{
        Ranges changed = { 0 };
        int r = ranges_copy(set, &changed);

        for (size_t i = 0; r >= 0 && i < other->count; i++)
                r = change(&changed, other->items[i]);
        ranges_done(r >= 0 ? set : &changed);
        if (r >= 0)
                *set = changed;
        return r;
}

int range_set_add_all(Ranges *set, const Ranges *other)
{
        return for_all(set, other, range_set_add);
}

int range_set_remove_all(Ranges *set, const Ranges *other)
{
        return for_all(set, other, range_set_remove);
}

bool range_set_contains(const Ranges *set, Range range)
{
        Range gap;

        return !range_set_gap(set, range.offset, range_end(range), &gap);
}

uint64_t range_set_bytes(const Ranges *set)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < set->count; i++)
                bytes += set->items[i].length;
        return bytes;
}

uint64_t range_set_end(const Ranges *set)
{
        return set->count > 0 ? range_end(set->items[set->count - 1]) : 0;
}

bool range_set_gap(const Ranges *set, uint64_t from, uint64_t end, Range *ret)
{
        size_t i = first_ending_behind(set, from);

        /* The items do not touch: behind one that covers `from` there is a gap. */
        if (i < set->count && set->items[i].offset <= from)
                from = range_end(set->items[i++]);
        if (from >= end)
                return false;
        if (i < set->count)
                end = MIN(end, set->items[i].offset);
        *ret = (Range){ from, end - from };
        return true;
}
