/*
 * A path stands for itself; a URL is decoded here and nowhere else, once. What an escape may stand
 * for is decided on the way: a NUL would cut the path, a slash would make two components of what
 * looks like one, a control character would reach terminals and logs. Whether the path that comes
 * out is a good one is a matter of policy, as with local names.
 */
#include "core/remote-name.h"

#include <ctype.h>
#include <strings.h>

#define SCHEME "file://"

static bool has_scheme(const char *name)
{
        return strncasecmp(name, SCHEME, strlen(SCHEME)) == 0;
}

bool remote_name_is_file(const char *name)
{
        return name && (name[0] == '/' || has_scheme(name));
}

/* FIL-101: where the path begins, NULL for a host that is another one. */
static const char *behind_host(const char *url)
{
        const char *host = url + strlen(SCHEME);
        size_t n = strcspn(host, "/?#");

        if (n > 0 && (n != strlen("localhost") || strncasecmp(host, "localhost", n) != 0))
                return NULL;
        return host + n;
}

static int digit(char c)
{
        return c <= '9' ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* The character of the escape at `p`, or 0 with the reason. FIL-102 */
static char unescape(const char *p, const char **ret_why)
{
        unsigned char c;

        if (!isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2])) {
                *ret_why = "the URL has a % that is not followed by two hexadecimal digits: write "
                           "%25 for a percent sign";
                return 0;
        }
        c = (unsigned char)(digit(p[1]) * 16 + digit(p[2]));
        if (c < 0x20 || c == 0x7F)
                *ret_why = "the URL has an escaped control character";
        else if (c == '/')
                *ret_why = "the URL has an escaped slash: no file name can have one";
        return *ret_why ? 0 : (char)c;
}

static const char *decode(const char *from, char *to)
{
        const char *why = NULL;

        for (; *from; from++) {
                if (*from == '?' || *from == '#')
                        return "a file:// URL has neither query nor fragment: write %3F for ? and "
                               "%23 for #";
                if (*from != '%') {
                        *to++ = *from;
                        continue;
                }
                *to = unescape(from, &why);
                if (why)
                        return why;
                to++;
                from += 2;
        }
        *to = 0;
        return NULL;
}

const char *remote_name_path(const char *name, char ret_path[static REMOTE_PATH_MAX])
{
        const char *path = has_scheme(name) ? behind_host(name) : name;

        if (!path)
                return "a file:// URL names a file of this machine: its host is empty or "
                       "localhost; mount the share and name the path below it";
        if (strlen(path) >= REMOTE_PATH_MAX)
                return "the path is longer than 4095 bytes";
        if (path[0] != '/')
                return "the URL names no path: write file:///PATH";
        if (path != name)
                return decode(path, ret_path);
        strcpy(ret_path, name);
        return NULL;
}
