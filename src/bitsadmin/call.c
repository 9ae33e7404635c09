/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bitsadmin/call.h"

#include "cli/format.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* ---- printing ---- */

/* Each line as a terminal may have it: names are others' words. CLI-421 */
static void print_safe(const char *format, va_list ap)
{
        _cleanup_free_ char *text = NULL;
        char *line, *next;

        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        for (next = text; (line = strsep(&next, "\n"));) {
                size_t n = strlen(line);
                _cleanup_free_ char *safe = NULL;

                if (n > 0 && line[n - 1] == '\r')
                        line[n - 1] = '\0';
                safe = format_safe(line);
                printf("%s%s", safe ? safe : "", next ? "\n" : "");
        }
}

void put_value(const Call *call, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (call->raw)
                vprintf(format, ap);
        else
                print_safe(format, ap);
        va_end(ap);
        if (!call->raw)
                putchar('\n');
}

void put_text(const Call *call, const char *format, ...)
{
        va_list ap;

        if (call->raw)
                return;
        va_start(ap, format);
        print_safe(format, ap);
        va_end(ap);
}

int fail_action(const char *action)
{
        _cleanup_free_ char *message = format_safe(bits_error_message());

        printf("Unable to %s - 0x%08x\n%s\n", action, bits_error_code(), message ? message : "");
        return EXIT_FAILED;
}

int fail_text(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_safe(format, ap);
        va_end(ap);
        putchar('\n');
        return EXIT_FAILED;
}

/* ---- words ---- */

const char *const proxy_words[PROXY_WORDS] = {
        [BITS_PROXY_PRECONFIG] = "PRECONFIG",
        [BITS_PROXY_NO_PROXY] = "NO_PROXY",
        [BITS_PROXY_OVERRIDE] = "OVERRIDE",
        [BITS_PROXY_AUTODETECT] = "AUTODETECT",
};

const char *guid_text(const char *id, char buffer[static GUID_SIZE])
{
        size_t n = 0;

        buffer[n++] = '{';
        while (*id && n + 2 < GUID_SIZE)
                buffer[n++] = (char)toupper((unsigned char)*id++);
        buffer[n++] = '}';
        buffer[n] = '\0';
        return buffer;
}

const char *word_text(const char *word, char buffer[static WORD_SIZE])
{
        size_t n = 0;

        for (word = word ? word : "unknown"; *word && n + 1 < WORD_SIZE; word++)
                buffer[n++] = *word == '-' ? '_' : (char)toupper((unsigned char)*word);
        buffer[n] = '\0';
        return buffer;
}

const char *state_text(bits_job_state state, char buffer[static WORD_SIZE])
{
        /* The original spells it so. */
        return state == BITS_STATE_CANCELLED ? "CANCELED"
                                             : word_text(bits_job_state_name(state), buffer);
}

const char *size_text(uint64_t size, char buffer[static NUMBER_SIZE])
{
        if (size == BITS_SIZE_UNKNOWN)
                return "UNKNOWN";
        snprintf(buffer, NUMBER_SIZE, "%llu", (unsigned long long)size);
        return buffer;
}

const char *date_text(uint64_t usec, char buffer[static DATE_SIZE])
{
        time_t seconds = (time_t)(usec / 1000000);
        struct tm parts;

        if (usec == 0 || !localtime_r(&seconds, &parts) ||
            strftime(buffer, DATE_SIZE, "%x %X", &parts) == 0)
                return "UNKNOWN";
        return buffer;
}

bool word_is(const char *word, const char *other)
{
        return strcasecmp(word, other) == 0;
}

bool number_parse(const char *text, uint32_t *ret)
{
        unsigned long value;
        char *end;

        if (!isdigit((unsigned char)*text))
                return false;
        errno = 0;
        value = strtoul(text, &end, strncasecmp(text, "0x", 2) == 0 ? 16 : 10);
        if (errno != 0 || *end || value > UINT32_MAX)
                return false;
        *ret = (uint32_t)value;
        return true;
}

bool priority_parse(const char *text, bits_job_priority *ret)
{
        for (int i = BITS_PRIORITY_FOREGROUND; i <= BITS_PRIORITY_LOW; i++)
                if (word_is(text, bits_job_priority_name((bits_job_priority)i))) {
                        *ret = (bits_job_priority)i;
                        return true;
                }
        return false;
}

bool acl_flags_parse(const char *text, uint32_t *ret)
{
        uint32_t flags = 0;

        for (const char *p = text; *p; p++) {
                uint32_t flag = acl_flag_of((char)tolower((unsigned char)*p));

                if (flag == 0)
                        return false;
                flags |= flag;
        }
        *ret = flags;
        return true;
}

const char *null_or(const char *text)
{
        return word_is(text, "NULL") ? NULL : text;
}

/* ---- jobs ---- */

bool looks_like_guid(const char *name)
{
        return strlen(name) == 38 && name[0] == '{' && name[37] == '}';
}

static bool looks_like_id(const char *name)
{
        return strlen(name) == 36 && name[8] == '-';
}

static size_t find_named(const bits_job_list *list, const char *wanted, const char **ret_id)
{
        size_t found = 0;

        for (size_t i = 0; i < bits_job_list_count(list); i++) {
                const bits_job_summary *job = bits_job_list_get(list, i);

                if (string_equal(job->display_name, wanted) && found++ == 0)
                        *ret_id = job->id;
        }
        return found;
}

static int open_guid(bits_manager *manager, const char *wanted, bits_job **ret_job)
{
        char id[GUID_SIZE];
        size_t n = strlen(wanted);

        snprintf(id, sizeof(id), "%.*s", n == 38 ? 36 : (int)n, wanted + (n == 38));
        if (bits_manager_get_job(manager, id, ret_job) < 0)
                return fail_action("find job");
        return EXIT_OK;
}

int job_find(bits_manager *manager, const char *wanted, bits_job **ret_job)
{
        for (int all_users = 0; all_users <= (geteuid() == 0); all_users++) {
                _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;
                const char *id = NULL;
                size_t found;

                if (bits_manager_list_jobs(manager, all_users, &list) < 0)
                        return fail_action("enumerate jobs");
                found = find_named(list, wanted, &id);
                if (found > 1)
                        return fail_text("There are %zu jobs named \"%s\". Use the GUID of one, "
                                         "which /list shows.",
                                         found, wanted);
                if (found == 1)
                        return bits_manager_get_job(manager, id, ret_job) < 0
                                       ? fail_action("open job")
                                       : EXIT_OK;
        }
        if (looks_like_guid(wanted) || looks_like_id(wanted))
                return open_guid(manager, wanted, ret_job);
        return fail_text("Unable to find job named \"%s\".", wanted);
}
