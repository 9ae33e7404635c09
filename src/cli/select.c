/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A complete id goes straight to the service, which also finds jobs that no list shows. Everything
 * else is looked up in the list of the caller's jobs, and, for an administrator who has none of
 * that name, in everybody's.
 */
#include "cli/select.h"

#include "cli/format.h"
#include "cli/report.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#define ID_LENGTH 36

/* Without braces. */
static size_t bare_id(const char *wanted, char *ret_id, size_t size)
{
        size_t n = strlen(wanted);

        if (n >= 2 && wanted[0] == '{' && wanted[n - 1] == '}') {
                wanted++;
                n -= 2;
        }
        if (n >= size)
                n = 0;
        memcpy(ret_id, wanted, n);
        ret_id[n] = '\0';
        return n;
}

/* CLI-01 */
size_t select_match(const SelectEntry *entries, size_t n, const char *wanted, size_t *ret_indices)
{
        char id[ID_LENGTH + 1];
        size_t length = bare_id(wanted, id, sizeof(id)), found = 0;

        for (size_t i = 0; i < n && length == ID_LENGTH; i++)
                if (strcasecmp(entries[i].id, id) == 0) {
                        ret_indices[0] = i;
                        return 1;
                }
        for (size_t i = 0; i < n; i++)
                if (string_equal(entries[i].name, wanted))
                        ret_indices[found++] = i;
        if (found > 0 || length == 0)
                return found;
        for (size_t i = 0; i < n; i++)
                if (strncasecmp(entries[i].id, id, length) == 0)
                        ret_indices[found++] = i;
        return found;
}

static bool looks_like_id(const char *wanted, char *ret_id, size_t size)
{
        if (bare_id(wanted, ret_id, size) != ID_LENGTH)
                return false;
        for (size_t i = 0; i < ID_LENGTH; i++) {
                ret_id[i] = (char)tolower((unsigned char)ret_id[i]);
                if (i == 8 || i == 13 || i == 18 || i == 23 ? ret_id[i] != '-'
                                                            : !isxdigit((unsigned char)ret_id[i]))
                        return false;
        }
        return true;
}

static int report_ambiguous(const char *wanted, const SelectEntry *entries, const size_t *indices,
                            size_t n)
{
        char list[256] = "", shorter[SHORT_ID_SIZE];
        size_t length = 0;

        for (size_t i = 0; i < n && i < 8; i++) {
                format_short_id(entries[indices[i]].id, shorter);
                length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s",
                                           i ? ", " : "", shorter);
        }
        return report_error("'%s' names %zu jobs: %s%s; use more of the id", wanted, n, list,
                            n > 8 ? ", …" : "");
}

/* *ret_id: an owned id, or NULL when nothing matches. */
static int find_id(bits_manager *manager, bool all_users, const char *wanted, char **ret_id)
{
        _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;
        _cleanup_free_ SelectEntry *entries = NULL;
        _cleanup_free_ size_t *indices = NULL;
        size_t n, found;

        if (bits_manager_list_jobs(manager, all_users, &list) < 0)
                return report_failure("cannot list the jobs");
        n = bits_job_list_count(list);
        entries = calloc(n + 1, sizeof(*entries));
        indices = calloc(n + 1, sizeof(*indices));
        if (!entries || !indices)
                return report_error("out of memory");
        for (size_t i = 0; i < n; i++)
                entries[i] = (SelectEntry){
                        .id = bits_job_list_get(list, i)->id,
                        .name = bits_job_list_get(list, i)->display_name,
                };
        found = select_match(entries, n, wanted, indices);
        if (found > 1)
                return report_ambiguous(wanted, entries, indices, found);
        *ret_id = NULL;
        if (found == 1) {
                *ret_id = strdup(entries[indices[0]].id);
                if (!*ret_id)
                        return report_error("out of memory");
        }
        return EXIT_OK;
}

int open_job(bits_manager *manager, const char *wanted, bits_job **ret_job)
{
        _cleanup_free_ char *id = NULL;
        char whole[ID_LENGTH + 1];
        int r;

        if (looks_like_id(wanted, whole, sizeof(whole))) {
                id = strdup(whole);
        } else {
                r = find_id(manager, false, wanted, &id);
                if (r == EXIT_OK && !id && geteuid() == 0)
                        r = find_id(manager, true, wanted, &id);
                if (r != EXIT_OK)
                        return r;
        }
        if (!id)
                return report_error("no job '%s': 'bits list' shows your jobs", wanted);
        if (bits_manager_get_job(manager, id, ret_job) < 0) {
                if (bits_error_code() == BITS_CODE_NOT_FOUND)
                        return report_error("no job '%s': 'bits list' shows your jobs", wanted);
                return report_failure("cannot open job '%s'", wanted);
        }
        return EXIT_OK;
}
