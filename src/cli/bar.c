/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From left to right: name, percentage, bar, bytes, rate, time left. A narrow terminal loses the
 * bar first, then the time left, then the rate; the name keeps at least eight columns.
 */
#include "cli/bar.h"

#include "cli/format.h"

#include <stdio.h>
#include <wchar.h>

#define RATE_MEMORY_USEC 5e6
#define NAME_MIN         8
#define NAME_MAX_PART    3 /* at most a third of the line */
#define BAR_MIN          10
#define BAR_MAX          60

/* CLI-07 */
void rate_update(Rate *rate, uint64_t bytes, uint64_t now_usec)
{
        double elapsed, now, weight;

        if (!rate->started || bytes < rate->bytes) {
                *rate = (Rate){ .started = true, .bytes = bytes, .usec = now_usec };
                return;
        }
        /* News that come together would give absurd rates. */
        if (now_usec < rate->usec + 100000)
                return;
        elapsed = (double)(now_usec - rate->usec);
        now = (double)(bytes - rate->bytes) * 1e6 / elapsed;
        weight = elapsed / (elapsed + RATE_MEMORY_USEC);
        /* The first measure stands for itself. */
        if (rate->per_second <= 0)
                weight = 1;
        rate->per_second += (now - rate->per_second) * weight;
        rate->bytes = bytes;
        rate->usec = now_usec;
}

/* Copies as much of the text as fits into the columns, with "…" if it was cut, and fills up. */
static char *fit(const char *text, size_t columns)
{
        size_t used = 0, n, left = strlen(text), room = columns;
        bool cut = format_columns(text) > columns;
        char *out = malloc(left + columns + 4), *to = out;
        mbstate_t state = {};
        wchar_t wide;
        int width;

        if (!out)
                return NULL;
        if (cut && room > 0)
                room--;
        while (left > 0) {
                n = mbrtowc(&wide, text, left, &state);
                if (n == 0 || n > left)
                        break;
                width = wcwidth(wide);
                if (used + (width > 0 ? (size_t)width : 0) > room)
                        break;
                used += width > 0 ? (size_t)width : 0;
                to = mempcpy(to, text, n);
                text += n;
                left -= n;
        }
        if (cut && columns > 0) {
                *to++ = '~';
                used++;
        }
        while (used++ < columns)
                *to++ = ' ';
        *to = '\0';
        return out;
}

static void draw_bar(char *to, size_t columns, const BarView *view)
{
        size_t inner = columns - 2, filled = 0;

        if (view->bytes_total != BITS_SIZE_UNKNOWN)
                filled = view->bytes_transferred >= view->bytes_total
                                 ? inner
                                 : (size_t)((double)inner * (double)view->bytes_transferred /
                                            (double)view->bytes_total);
        *to++ = '[';
        for (size_t i = 0; i < inner; i++)
                *to++ = i < filled ? '=' : i == filled && filled > 0 ? '>' : ' ';
        *to++ = ']';
        *to = '\0';
}

static uint64_t time_left(const BarView *view)
{
        double seconds;

        if (view->bytes_total == BITS_SIZE_UNKNOWN || view->rate < 1 ||
            view->bytes_transferred > view->bytes_total)
                return UINT64_MAX;
        seconds = (double)(view->bytes_total - view->bytes_transferred) / view->rate;
        return seconds > 3e9 ? UINT64_MAX : (uint64_t)(seconds + 0.5);
}

/* CLI-06 */
char *bar_layout(const BarView *view, size_t width)
{
        char done[FORMAT_SIZE], total[FORMAT_SIZE], number[FORMAT_SIZE], bar[BAR_MAX + 1] = "";
        char bytes[80], rate[64] = "", eta[64] = "", percent[16];
        size_t fixed, name_columns, bar_columns = 0;
        _cleanup_free_ char *name = NULL;
        char *line;

        snprintf(percent, sizeof(percent), " %4s",
                 format_percent(view->bytes_transferred, view->bytes_total, number));
        if (view->bytes_total == BITS_SIZE_UNKNOWN)
                snprintf(bytes, sizeof(bytes), "  %s", format_size(view->bytes_transferred, done));
        else
                snprintf(bytes, sizeof(bytes), "  %s/%s",
                         format_size(view->bytes_transferred, done),
                         format_size(view->bytes_total, total));
        if (view->state) {
                snprintf(rate, sizeof(rate), "  %.40s", view->state);
        } else {
                snprintf(rate, sizeof(rate), "  %10s", format_rate(view->rate, number));
                snprintf(eta, sizeof(eta), "  ETA %s", format_duration(time_left(view), number));
        }

        fixed = strlen(percent) + strlen(bytes) + strlen(rate) + strlen(eta);
        if (fixed + NAME_MIN > width) {
                fixed -= strlen(eta);
                eta[0] = '\0';
        }
        if (fixed + NAME_MIN > width) {
                fixed -= strlen(rate);
                rate[0] = '\0';
        }
        if (fixed + NAME_MIN > width) {
                fixed -= strlen(bytes);
                bytes[0] = '\0';
        }
        if (fixed > width)
                fixed = 0, percent[0] = '\0';

        name_columns = format_columns(view->name);
        if (name_columns > width - fixed)
                name_columns = width - fixed;
        if (name_columns > width / NAME_MAX_PART && width - fixed - width / NAME_MAX_PART > BAR_MIN)
                name_columns = width / NAME_MAX_PART;
        if (fixed + name_columns + 1 + BAR_MIN <= width) {
                bar_columns = width - fixed - name_columns - 1;
                bar_columns = bar_columns > BAR_MAX ? BAR_MAX : bar_columns;
                draw_bar(bar, bar_columns, view);
        }

        name = fit(view->name, name_columns);
        if (!name || asprintf(&line, "%s%s%s%s%s%s%s", name, percent, bar_columns ? " " : "", bar,
                              bytes, rate, eta) < 0)
                return NULL;
        return line;
}
