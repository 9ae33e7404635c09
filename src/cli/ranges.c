/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/ranges.h"

#include "cli/report.h"
#include "cli/verbs.h"

void ranges_done(RangeArgument *ranges)
{
        free(ranges->items);
        *ranges = (RangeArgument){};
}

/* From *text on, which moves behind it. */
static bool read_bytes(const char **text, uint64_t *ret)
{
        static const char units[] = "KMGT";
        unsigned long long value;
        const char *unit;
        unsigned shift = 0;
        char *end;

        if (**text < '0' || **text > '9')
                return false;
        errno = 0;
        value = strtoull(*text, &end, 10);
        unit = *end ? strchr(units, *end) : NULL;
        if (unit) {
                shift = 10 * (unsigned)(unit - units + 1);
                end++;
        }
        if (errno != 0 || value > UINT64_MAX >> shift)
                return false;
        *ret = value << shift;
        *text = end;
        return true;
}

bool bytes_parse(const char *text, uint64_t *ret_bytes)
{
        return read_bytes(&text, ret_bytes) && !*text;
}

static bool read_range(const char **text, bits_range *ret)
{
        if (!read_bytes(text, &ret->offset) || **text != ':')
                return false;
        (*text)++;
        if (**text == ',' || !**text) {
                ret->length = BITS_LENGTH_TO_EOF;
                return true;
        }
        return read_bytes(text, &ret->length);
}

/* CLI-170 */
int ranges_parse(const char *text, RangeArgument *ranges)
{
        const char *p = text;

        do {
                bits_range *larger, range;

                if (!read_range(&p, &range) || (*p && *p != ','))
                        return usage_error("'%s' is no list of ranges: OFFSET:LENGTH[,…], an empty "
                                           "length for \"to the end\"",
                                           text);
                larger = reallocarray(ranges->items, ranges->n + 1, sizeof(*larger));
                if (!larger)
                        return report_error("out of memory");
                ranges->items = larger;
                ranges->items[ranges->n++] = range;
        } while (*p++ == ',');
        return EXIT_OK;
}
