/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The service wants absolute paths without detours. The directory is resolved here, where the
 * user's current directory is; the last component is not, because it is replaced, not followed.
 */
#include "cli/paths.h"

#include "cli/report.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int hex(char c)
{
        return isdigit((unsigned char)c)    ? c - '0'
               : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                            : -1;
}

static bool is_file_name(const char *name)
{
        return *name && !string_equal(name, ".") && !string_equal(name, "..");
}

/* CLI-05 */
char *url_file_name(const char *url)
{
        const char *path = strstr(url, "://"), *end, *begin;
        char *name, *to;

        if (url[0] == '/') /* a path, which has no escapes */
                return is_file_name(strrchr(url, '/') + 1) ? strdup(strrchr(url, '/') + 1) : NULL;

        path = path ? path + 3 : url;
        end = path + strcspn(path, "?#");
        for (begin = end; begin > path && begin[-1] != '/'; begin--)
                ;
        /* Without a slash there is only a host. */
        if (begin == path)
                return NULL;

        name = to = malloc((size_t)(end - begin) + 1);
        if (!name)
                return NULL;
        for (; begin < end; begin++) {
                unsigned char c = (unsigned char)*begin;

                if (c == '%' && end - begin > 2 && hex(begin[1]) >= 0 && hex(begin[2]) >= 0) {
                        c = (unsigned char)(hex(begin[1]) * 16 + hex(begin[2]));
                        begin += 2;
                }
                if (c < ' ' || c == '/' || c == 0x7F) {
                        free(name);
                        return NULL;
                }
                *to++ = (char)c;
        }
        *to = '\0';
        if (!is_file_name(name)) {
                free(name);
                return NULL;
        }
        return name;
}

static int make_absolute(const char *file, char **ret_path)
{
        const char *slash = strrchr(file, '/'), *last = slash ? slash + 1 : file;
        _cleanup_free_ char *directory = NULL, *real = NULL;
        int r;

        if (!is_file_name(last))
                return report_error("'%s' names no file: give the name that the file shall have",
                                    file);
        directory = !slash          ? strdup(".")
                    : slash == file ? strdup("/")
                                    : strndup(file, (size_t)(slash - file));
        if (!directory)
                return report_error("out of memory");
        real = realpath(directory, NULL);
        /* A directory that only the helper may enter is his to check. */
        if (!real && errno == EACCES && *directory == '/')
                real = strdup(directory);
        if (!real)
                return report_error("cannot write into the directory '%s': %s%s", directory,
                                    strerror(errno),
                                    errno == ENOENT ? "; make it first: mkdir -p" : "");
        r = asprintf(ret_path, "%s/%s", string_equal(real, "/") ? "" : real, last);
        return r < 0 ? report_error("out of memory") : EXIT_OK;
}

char *url_with_name(const char *url, const char *name)
{
        size_t length = strlen(url);
        char *r = malloc(length + 3 * strlen(name) + 1), *out;

        if (!r)
                return NULL;
        memcpy(r, url, length);
        out = r + length;
        for (; *name; name++)
                if (isalnum((unsigned char)*name) || strchr("-._~", *name))
                        *out++ = *name;
                else
                        out += sprintf(out, "%%%02X", (unsigned char)*name);
        *out = 0;
        return r;
}

int local_path(const char *url, const char *file, char **ret_path)
{
        _cleanup_free_ char *name = NULL, *inside = NULL;
        struct stat st;

        if (string_empty(file) && file)
                return report_error("the name of the local file is empty");
        if (file && (stat(file, &st) < 0 || !S_ISDIR(st.st_mode)))
                return make_absolute(file, ret_path);

        name = url_file_name(url);
        if (!name)
                return report_error("the address '%s' does not end in a file name: say where the "
                                    "file goes: bits get URL FILE",
                                    url);
        if (asprintf(&inside, "%s/%s", file ? file : ".", name) < 0) {
                inside = NULL;
                return report_error("out of memory");
        }
        return make_absolute(inside, ret_path);
}

/* CLI-100: what is no URL, and there, is meant as a file of this machine. */
int remote_name(const char *text, char **ret_name)
{
        struct stat st;

        if (text[0] != '/' && !strstr(text, "://") && lstat(text, &st) == 0)
                return make_absolute(text, ret_name);
        *ret_name = strdup(text);
        return *ret_name ? EXIT_OK : report_error("out of memory");
}
