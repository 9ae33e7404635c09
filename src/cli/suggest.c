/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The distance of two words by letters, a swap of two neighbours counted as one: the slip of fast
 * fingers. Three rows of the usual table are enough for it. CLI-497
 */
#include "cli/suggest.h"

#include <stdio.h>

enum {
        WORD_MAX = 40, /* no word of ours is longer */
};

static size_t least(size_t a, size_t b, size_t c)
{
        return a < b ? (a < c ? a : c) : b < c ? b : c;
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
        size_t rows[3][WORD_MAX + 1];

        for (size_t j = 0; j <= b_length; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= a_length; i++) {
                size_t *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

                row[0] = i;
                for (size_t j = 1; j <= b_length; j++) {
                        row[j] = least(row[j - 1] + 1, last[j] + 1,
                                       last[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                            before[j - 2] + 1 < row[j])
                                row[j] = before[j - 2] + 1;
                }
        }
        return rows[a_length % 3][b_length];
}

void suggest_consider(Suggestion *suggestion, const char *word)
{
        size_t typed = strlen(suggestion->typed), length = strlen(word), d;

        if (typed > WORD_MAX || length > WORD_MAX)
                return;
        d = distance(suggestion->typed, typed, word, length);
        if (d > (typed + 2) / 3 || d >= length || (suggestion->word && d >= suggestion->distance))
                return;
        suggestion->word = word;
        suggestion->distance = d;
}

const char *suggest_text(const Suggestion *suggestion, const char *before, char *buffer,
                         size_t size)
{
        if (suggestion->word)
                snprintf(buffer, size, " (did you mean '%s%s'?)", before, suggestion->word);
        return suggestion->word ? buffer : "";
}
