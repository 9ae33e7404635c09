/*
 * What a mistyped word was meant to be. Pure.
 */
#pragma once

#include "cli/base.h"

typedef struct Suggestion {
        const char *typed;
        const char *word; /* the nearest of those that were considered; NULL: none is near */
        size_t distance;
} Suggestion;

/* Letters left out, added, changed or swapped: one of three letters at most. */
void suggest_consider(Suggestion *suggestion, const char *word);

/* " (did you mean 'WORD'?)", or "". before: of the word, "--" or "". */
const char *suggest_text(const Suggestion *suggestion, const char *before, char *buffer,
                         size_t size);
