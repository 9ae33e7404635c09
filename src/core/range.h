/*
 * Ranges of bytes: of a remote file that is wanted in parts, and of a local file that is filled in
 * no particular order. Pure arithmetic, no I/O.
 *
 * The same structure is used in two ways. A *list* keeps the order in which its ranges were given:
 * what AddFileWithRanges wants, written one behind the other into the local file. A *set* is
 * sorted, and its ranges neither overlap nor touch: what of a file is there. Functions named
 * range_list_… work on the one, range_set_… on the other; no range of either is empty.
 */
#pragma once

#include "core/error.h"

/* As a length: up to the end of the remote file (BG_LENGTH_TO_EOF). In lists only. */
#define RANGE_TO_END       UINT64_MAX
/* The length of a list with such a range while the remote file's size is not known. */
#define RANGE_UNKNOWN      UINT64_MAX
/* Positions in files are signed 64-bit numbers. */
#define RANGE_POSITION_MAX ((uint64_t)INT64_MAX)

typedef struct Range {
        uint64_t offset, length;
} Range;

typedef struct Ranges {
        Range *items; /* owned */
        size_t count, room;
} Ranges;

/* The position behind it; UINT64_MAX at most. */
static inline uint64_t range_end(Range range)
{
        return range.length > UINT64_MAX - range.offset ? UINT64_MAX : range.offset + range.length;
}

void ranges_done(Ranges *ranges);
/* Replaces what *ret holds. 0 or -ENOMEM, *ret untouched then. */
int ranges_copy(const Ranges *ranges, Ranges *ret);

/* "0+100,5000+*": the form in which the store keeps both kinds; "" for none. The caller frees it;
   NULL out of memory. */
char *ranges_format(const Ranges *ranges);
/* 0, -EINVAL for what ranges_format() does not write, -ENOMEM. Replaces what *ret holds. */
int ranges_parse(const char *text, Ranges *ret);

/* ---- lists ---- */

/* 0 or -ENOMEM. */
int range_list_append(Ranges *list, Range range);
/* Whether a download may have these ranges (reference 02 section 11): 0, or the code to answer
   with; *ret_why (may be NULL) is then a static English clause. */
BitsCode range_list_check(const Range *items, size_t count, const char **ret_why);
/* One range, from the first byte to the end: the same as no list. */
bool range_list_is_whole(const Ranges *list);
/* How long the local file gets. `size` of the remote one: RANGE_UNKNOWN if it is not known. */
uint64_t range_list_length(const Ranges *list, uint64_t size);
/* Where in the remote file the byte lies that belongs at `position` of the local one, and how many
   follow it in both: over several ranges where one begins at the end of the one before. Up to the
   end of the remote file: *ret's length is RANGE_TO_END while its `size` is not known. False: the
   list ends before. */
bool range_list_locate(const Ranges *list, uint64_t size, uint64_t position, Range *ret);

/* ---- sets ---- */

/* 0 or -ENOMEM, nothing changed then. An empty range is fine. */
int range_set_add(Ranges *set, Range range);
int range_set_add_all(Ranges *set, const Ranges *other);
int range_set_remove(Ranges *set, Range range);
int range_set_remove_all(Ranges *set, const Ranges *other);
bool range_set_contains(const Ranges *set, Range range);
uint64_t range_set_bytes(const Ranges *set);
/* The first position behind all of them, 0 for none. */
uint64_t range_set_end(const Ranges *set);
/* The first gap at or behind `from` and before `end`. False: there is none. */
bool range_set_gap(const Ranges *set, uint64_t from, uint64_t end, Range *ret);
