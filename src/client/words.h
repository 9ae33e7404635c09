/*
 * The words by which enumerations travel on the bus, both ways. The public functions
 * bits_job_…_name() live here too.
 */
#pragma once

#include "basic/macros.h"
#include "openbits.h"

/* False for a word that this library does not know; *ret untouched. */
bool word_to_type(const char *word, bits_job_type *ret);
bool word_to_state(const char *word, bits_job_state *ret);
bool word_to_priority(const char *word, bits_job_priority *ret);
