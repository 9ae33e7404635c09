/*
 * Where a file goes: from what the user typed, and from the URL when he typed nothing.
 */
#pragma once

#include "cli/base.h"

/* The file name at the end of a URL's path, percent-escapes decoded, or of a path; NULL when there
   is none or it cannot be a file name ("", ".", "..", with "/" or control characters in it). Free
   it. Pure. */
char *url_file_name(const char *url);

/* What is to be fetched: a URL or an absolute path as it was typed, the path of a file of this
   machine made absolute. 0, or an exit status after saying why not. The caller frees the result. */
int remote_name(const char *text, char **ret_name);

/* The URL, which ends in "/", with the name of a file behind it, percent-escapes encoded; before a
   query nothing is looked for. Free it; NULL out of memory. Pure. */
char *url_with_name(const char *url, const char *name);

/* The absolute path for `file` (NULL: the URL's file name in the current directory; a directory:
   the URL's file name in it). Links in directories are resolved, the last component stays as it
   is. 0, or an exit status after saying why not. The caller frees the result. */
int local_path(const char *url, const char *file, char **ret_path);
