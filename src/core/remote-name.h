/*
 * Which remote names are files of this machine: file:// URLs and absolute paths (reference 02
 * section 9, 05 section 7). Everything else is for the network.
 */
#pragma once

#include "core/error.h"

/* By its form: whether a file worker fetches it, not libcurl. */
bool remote_name_is_file(const char *name);

enum {
        REMOTE_PATH_MAX = 4096, /* bytes, with the NUL */
};

/* The path that such a name means, without escapes. NULL, or a static English sentence that says
   why it means none; *ret_path is not to be used then. */
const char *remote_name_path(const char *name, char ret_path[static REMOTE_PATH_MAX]);
