/*
 * A job is named by its id, an unambiguous beginning of it, or its display name if that is unique.
 */
#pragma once

#include "cli/base.h"

typedef struct SelectEntry {
        const char *id;
        const char *name;
} SelectEntry;

/* The entries that `wanted` can mean: the id itself, else all with that display name, else all
   whose id begins so (case and braces do not matter). Writes their indices, returns their
   number. Pure. */
size_t select_match(const SelectEntry *entries, size_t n, const char *wanted, size_t *ret_indices);

/* Finds and opens the job; administrators find everybody's. 0, or an exit status after saying why
   not. */
int open_job(bits_manager *manager, const char *wanted, bits_job **ret_job);
