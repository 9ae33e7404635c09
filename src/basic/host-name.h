/*
 * Names of hosts that may be asked for on behalf of a stranger.
 */
#pragma once

#include "basic/macros.h"

#include <ctype.h>

enum {
        HOST_NAME_BYTES_MAX = 255,
};

/* Letters, digits, "-", "." and "_" alone, and not the beginning of an option. */
static inline bool host_name_is_plain(const char *text, size_t length)
{
        if (length == 0 || length > HOST_NAME_BYTES_MAX || text[0] == '-')
                return false;
        for (size_t i = 0; i < length; i++)
                if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr("-._", text[i])))
                        return false;
        return true;
}
