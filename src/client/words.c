/*
 * Three tables. A word from a newer service that is not in them is refused by the caller as an
 * answer that is not understood: a guess would show a wrong state.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/words.h"

static const char *const types[] = {
        [BITS_JOB_DOWNLOAD] = "download",
        [BITS_JOB_UPLOAD] = "upload",
        [BITS_JOB_UPLOAD_REPLY] = "upload-reply",
};
static_assert_table(types, BITS_JOB_UPLOAD_REPLY + 1);

static const char *const states[] = {
        [BITS_STATE_QUEUED] = "queued",
        [BITS_STATE_CONNECTING] = "connecting",
        [BITS_STATE_TRANSFERRING] = "transferring",
        [BITS_STATE_SUSPENDED] = "suspended",
        [BITS_STATE_ERROR] = "error",
        [BITS_STATE_TRANSIENT_ERROR] = "transient-error",
        [BITS_STATE_TRANSFERRED] = "transferred",
        [BITS_STATE_ACKNOWLEDGED] = "acknowledged",
        [BITS_STATE_CANCELLED] = "cancelled",
};
static_assert_table(states, BITS_STATE_CANCELLED + 1);

static const char *const priorities[] = {
        [BITS_PRIORITY_FOREGROUND] = "foreground",
        [BITS_PRIORITY_HIGH] = "high",
        [BITS_PRIORITY_NORMAL] = "normal",
        [BITS_PRIORITY_LOW] = "low",
};
static_assert_table(priorities, BITS_PRIORITY_LOW + 1);

static bool find(const char *const *words, size_t n, const char *word, unsigned *ret)
{
        for (size_t i = 0; i < n; i++)
                if (string_equal(words[i], word)) {
                        *ret = (unsigned)i;
                        return true;
                }
        return false;
}

bool word_to_type(const char *word, bits_job_type *ret)
{
        return find(types, ELEMENTS(types), word, ret);
}

bool word_to_state(const char *word, bits_job_state *ret)
{
        return find(states, ELEMENTS(states), word, ret);
}

bool word_to_priority(const char *word, bits_job_priority *ret)
{
        return find(priorities, ELEMENTS(priorities), word, ret);
}

const char *bits_job_type_name(bits_job_type type)
{
        return (size_t)type < ELEMENTS(types) ? types[type] : NULL;
}

const char *bits_job_state_name(bits_job_state state)
{
        return (size_t)state < ELEMENTS(states) ? states[state] : NULL;
}

const char *bits_job_priority_name(bits_job_priority priority)
{
        return (size_t)priority < ELEMENTS(priorities) ? priorities[priority] : NULL;
}
