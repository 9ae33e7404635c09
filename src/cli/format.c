/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sizes are binary (KiB) with one digit after the point from 1 KiB on. Whatever comes from a job
 * (display names, paths, sentences) goes through format_safe() before it reaches a terminal: a
 * name must not be able to move the cursor.
 */
#include "cli/format.h"

#include <pwd.h>
#include <stdio.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

const char *format_size(uint64_t bytes, char buffer[static FORMAT_SIZE])
{
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        double value = (double)bytes / 1024;
        size_t unit = 0;

        if (bytes == BITS_SIZE_UNKNOWN)
                return "?";
        if (bytes < 1024) {
                snprintf(buffer, FORMAT_SIZE, "%u B", (unsigned)bytes);
                return buffer;
        }
        /* 1023.95 would be shown as 1024.0. */
        while (value >= 1023.95 && unit + 1 < ELEMENTS(units)) {
                value /= 1024;
                unit++;
        }
        snprintf(buffer, FORMAT_SIZE, "%.1f %s", value, units[unit]);
        return buffer;
}

const char *format_rate(double bytes_per_second, char buffer[static FORMAT_SIZE])
{
        char size[FORMAT_SIZE];

        if (!(bytes_per_second > 0))
                bytes_per_second = 0;
        if (bytes_per_second > 1e18)
                bytes_per_second = 1e18;
        snprintf(buffer, FORMAT_SIZE, "%.24s/s", format_size((uint64_t)bytes_per_second, size));
        return buffer;
}

const char *format_duration(uint64_t seconds, char buffer[static FORMAT_SIZE])
{
        unsigned long long s = seconds;

        if (seconds == UINT64_MAX)
                return "-:--";
        if (s >= 86400)
                snprintf(buffer, FORMAT_SIZE, "%llu d %02llu h", s / 86400, s / 3600 % 24);
        else if (s >= 3600)
                snprintf(buffer, FORMAT_SIZE, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
        else
                snprintf(buffer, FORMAT_SIZE, "%llu:%02llu", s / 60, s % 60);
        return buffer;
}

const char *format_time(uint64_t usec, char buffer[static FORMAT_SIZE])
{
        time_t seconds = (time_t)(usec / 1000000);
        struct tm tm;

        if (usec == 0 || !localtime_r(&seconds, &tm) ||
            strftime(buffer, FORMAT_SIZE, "%Y-%m-%d %H:%M:%S %z", &tm) == 0)
                return "-";
        return buffer;
}

/* CLI-04 */
const char *format_code(uint32_t code, char buffer[static FORMAT_SIZE])
{
        snprintf(buffer, FORMAT_SIZE, "0x%08X", code);
        return buffer;
}

const char *format_percent(uint64_t done, uint64_t total, char buffer[static FORMAT_SIZE])
{
        if (total == BITS_SIZE_UNKNOWN)
                return "-";
        /* 100 only when it is: 99.9 is not rounded up. */
        snprintf(buffer, FORMAT_SIZE, "%u%%",
                 total == 0 || done >= total ? 100u
                                             : (unsigned)((double)done * 100 / (double)total));
        return buffer;
}

void format_short_id(const char *id, char ret_short[static SHORT_ID_SIZE])
{
        snprintf(ret_short, SHORT_ID_SIZE, "%.8s", id ? id : "");
}

#define HIDDEN "***"

/* A copy with another password in "://user:password@". */
static char *hide_passwords(const char *text)
{
        size_t length = strlen(text), places = 0;
        char *copy, *at;

        for (const char *p = text; (p = strstr(p, "://")); p++)
                places++;
        copy = malloc(length + places * strlen(HIDDEN) + 1);
        if (!copy)
                return NULL;
        strcpy(copy, text);
        for (at = copy; (at = strstr(at, "://"));) {
                char *end, *colon;

                at += strlen("://");
                end = memrchr(at, '@', strcspn(at, "/?# "));
                colon = end ? memchr(at, ':', (size_t)(end - at)) : NULL;
                if (!colon)
                        continue;
                memmove(colon + 1 + strlen(HIDDEN), end, strlen(end) + 1);
                memcpy(colon + 1, HIDDEN, strlen(HIDDEN));
        }
        return copy;
}

/* CLI-31, CLI-420 */
char *format_safe(const char *text)
{
        char *safe = hide_passwords(text), *to = safe;
        size_t left = safe ? strlen(safe) : 0, n;
        mbstate_t state = {};
        wchar_t wide;

        if (!safe)
                return NULL;
        text = safe;
        while (left > 0) {
                n = mbrtowc(&wide, text, left, &state);
                if (n == 0 || n > left || !iswprint((wint_t)wide)) {
                        n = n == 0 || n > left ? 1 : n;
                        *to++ = '?';
                        state = (mbstate_t){};
                } else {
                        memmove(to, text, n);
                        to += n;
                }
                text += n;
                left -= n;
        }
        *to = '\0';
        return safe;
}

size_t format_columns(const char *text)
{
        size_t left = strlen(text), columns = 0, n;
        mbstate_t state = {};
        wchar_t wide;
        int width;

        while (left > 0) {
                n = mbrtowc(&wide, text, left, &state);
                if (n == 0 || n > left) {
                        n = 1;
                        width = 1;
                        state = (mbstate_t){};
                } else {
                        width = wcwidth(wide);
                }
                columns += width > 0 ? (size_t)width : 0;
                text += n;
                left -= n;
        }
        return columns;
}

const char *format_context(uint32_t context)
{
        static const char *const texts[] = {
                "at no particular place",
                "at an unknown place",
                "while the service managed the job",
                "while the service notified a program",
                "while working on the local file",
                "while working on the remote file",
                "while reaching the server",
                "in the program behind the server",
                "while checking the server's certificate",
        };

        return context < ELEMENTS(texts) ? texts[context] : texts[1];
}

char *format_user(uint32_t uid)
{
        struct passwd *entry = getpwuid(uid);
        char *text;

        if (asprintf(&text, entry ? "%2$s (uid %1$u)" : "uid %1$u", (unsigned)uid,
                     entry ? entry->pw_name : "") < 0)
                return NULL;
        return text;
}

bool parse_uint32(const char *text, uint32_t *ret_value)
{
        unsigned long value;
        char *end;

        if (string_empty(text) || strspn(text, "0123456789") != strlen(text))
                return false;
        errno = 0;
        value = strtoul(text, &end, 10);
        if (errno != 0 || value > UINT32_MAX)
                return false;
        *ret_value = (uint32_t)value;
        return true;
}

bool parse_user_sid(const char *sid, uint32_t *ret_uid)
{
        static const char prefix[] = "S-1-22-1-";

        if (!sid || strncmp(sid, prefix, sizeof(prefix) - 1) != 0)
                return false;
        return parse_uint32(sid + sizeof(prefix) - 1, ret_uid);
}

bool parse_priority(const char *text, bits_job_priority *ret_priority)
{
        const char *name;

        for (int i = 0; (name = bits_job_priority_name((bits_job_priority)i)); i++)
                if (string_equal(text, name)) {
                        *ret_priority = (bits_job_priority)i;
                        return true;
                }
        return false;
}

bool parse_type(const char *text, bits_job_type *ret_type)
{
        const char *name;

        for (int i = 0; (name = bits_job_type_name((bits_job_type)i)); i++)
                if (string_equal(text, name)) {
                        *ret_type = (bits_job_type)i;
                        return true;
                }
        return false;
}

static const char acl_letters[] = "ogds"; /* bit by bit, from the lowest */

uint32_t acl_flag_of(char letter)
{
        const char *found = letter ? strchr(acl_letters, letter) : NULL;

        return found ? 1u << (found - acl_letters) : 0;
}

const char *acl_flags_text(uint32_t flags, char buffer[static FORMAT_SIZE])
{
        size_t n = 0;

        for (size_t i = 0; acl_letters[i]; i++)
                if (flags & (1u << i))
                        buffer[n++] = acl_letters[i];
        buffer[n] = '\0';
        return buffer;
}

static const struct {
        const char *word;
        uint32_t flag;
} token_flags[] = {
        { "local-file", BITS_TOKEN_LOCAL_FILE },
        { "network", BITS_TOKEN_NETWORK },
        { "client-certificate", BITS_TOKEN_CLIENT_CERTIFICATE },
};

static uint32_t token_flag(const char *word, size_t n)
{
        for (size_t i = 0; i < ELEMENTS(token_flags); i++)
                if (n == strlen(token_flags[i].word) && strncmp(word, token_flags[i].word, n) == 0)
                        return token_flags[i].flag;
        return 0;
}

/* CLI-24, CLI-60 */
bool parse_token_flags(const char *text, uint32_t *ret_flags)
{
        uint32_t flags = 0, flag;
        size_t n;

        if (string_equal(text, "none")) {
                *ret_flags = 0;
                return true;
        }
        for (;; text += n + 1) {
                n = strcspn(text, ",");
                flag = token_flag(text, n);
                if (flag == 0)
                        return false;
                flags |= flag;
                if (text[n] == '\0')
                        break;
        }
        *ret_flags = flags;
        return true;
}

const char *token_flags_text(uint32_t flags, char buffer[static FORMAT_SIZE])
{
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTS(token_flags); i++)
                if (flags & token_flags[i].flag)
                        n += (size_t)snprintf(buffer + n, FORMAT_SIZE - n, "%s%s", n ? "," : "",
                                              token_flags[i].word);
        return n ? buffer : "none";
}
