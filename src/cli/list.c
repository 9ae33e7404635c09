/*
 * bits list: many jobs. One call to the service lists them all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/list.h"

#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

#include <stdio.h>

enum {
        LIST_SHORT_ID,
        LIST_ID,
        LIST_NAME,
        LIST_OWNER,
        LIST_OWNER_SID,
        LIST_OWNER_UID,
        LIST_TYPE,
        LIST_STATE,
        LIST_PRIORITY,
        LIST_PROGRESS,
        LIST_FILES,
        LIST_BYTES_TOTAL,
        LIST_BYTES_TRANSFERRED,
        LIST_FILES_TOTAL,
        LIST_FILES_TRANSFERRED,
        LIST_ERROR,
        LIST_RATE,
        LIST_MAX,
};

static void list_row(Table *table, const bits_job_summary *job, const double *rate)
{
        struct libscols_line *row = table_row(table);
        char text[FORMAT_SIZE], shorter[SHORT_ID_SIZE];
        _cleanup_free_ char *owner = format_user(job->owner_uid);

        format_short_id(job->id, shorter);
        table_cell(table, row, LIST_SHORT_ID, shorter);
        table_cell(table, row, LIST_ID, job->id);
        table_cell(table, row, LIST_NAME, job->display_name);
        table_cell(table, row, LIST_OWNER, owner);
        table_cell(table, row, LIST_OWNER_SID, job->owner_sid);
        table_cell_uint64(table, row, LIST_OWNER_UID, job->owner_uid);
        table_cell(table, row, LIST_TYPE, bits_job_type_name(job->type));
        table_cell(table, row, LIST_STATE, bits_job_state_name(job->state));
        table_cell(table, row, LIST_PRIORITY, bits_job_priority_name(job->priority));
        table_cell(table, row, LIST_PROGRESS,
                   job->files_total == 0
                           ? "-"
                           : format_percent(job->bytes_transferred, job->bytes_total, text));
        snprintf(text, sizeof(text), "%u/%u", job->files_transferred, job->files_total);
        table_cell(table, row, LIST_FILES, text);
        table_cell_size(table, row, LIST_BYTES_TOTAL, job->bytes_total);
        table_cell_size(table, row, LIST_BYTES_TRANSFERRED, job->bytes_transferred);
        table_cell_uint64(table, row, LIST_FILES_TOTAL, job->files_total);
        table_cell_uint64(table, row, LIST_FILES_TRANSFERRED, job->files_transferred);
        if (rate && *rate > 0)
                table_cell(table, row, LIST_RATE, format_rate(*rate, text));
        if (job->error_code && !arg_json) {
                const char *name = bits_code_name(job->error_code);

                table_cell(table, row, LIST_ERROR,
                           name ? name : format_code(job->error_code, text));
        } else {
                table_cell_code(table, row, LIST_ERROR, job->error_code);
        }
}

/* A narrow terminal loses what one can do without, so that the rest keeps its place. CLI-494 */
static void fit_columns(Column *columns, bool rates, bool owners)
{
        size_t width = terminal_is_live() ? terminal_width() : SIZE_MAX;
        size_t besides = (rates ? 12 : 0) + (owners ? 12 : 0);

        if (width < 60 + besides)
                columns[LIST_PRIORITY].head = NULL;
        if (width < 50 + besides)
                columns[LIST_FILES].head = NULL;
        if (width < 44 + besides)
                columns[LIST_ERROR].head = NULL;
        if (width < 40 + besides)
                columns[LIST_RATE].head = columns[LIST_OWNER].head = NULL;
}

char *list_text(const bits_job_list *list, const size_t *indices, size_t n, const double *rates,
                bool all_users)
{
        Column columns[LIST_MAX] = {
                [LIST_SHORT_ID] = { NULL, "ID", COLUMN_WORD, false },
                [LIST_ID] = { "id", NULL, COLUMN_TEXT, true },
                [LIST_NAME] = { "display-name", "NAME", COLUMN_TEXT, true },
                [LIST_OWNER] = { NULL, all_users ? "OWNER" : NULL, COLUMN_TEXT, false },
                [LIST_OWNER_SID] = { "owner", NULL, COLUMN_TEXT, true },
                [LIST_OWNER_UID] = { "owner-uid", NULL, COLUMN_NUMBER, true },
                [LIST_TYPE] = { "type", NULL, COLUMN_TEXT, true },
                [LIST_STATE] = { "state", "STATE", COLUMN_WORD, true },
                [LIST_PRIORITY] = { "priority", "PRIORITY", COLUMN_WORD, true },
                [LIST_PROGRESS] = { NULL, "PROGRESS", COLUMN_NUMBER, false },
                [LIST_FILES] = { NULL, "FILES", COLUMN_NUMBER, false },
                [LIST_BYTES_TOTAL] = { "bytes-total", NULL, COLUMN_NUMBER, true },
                [LIST_BYTES_TRANSFERRED] = { "bytes-transferred", NULL, COLUMN_NUMBER, true },
                [LIST_FILES_TOTAL] = { "files-total", NULL, COLUMN_NUMBER, true },
                [LIST_FILES_TRANSFERRED] = { "files-transferred", NULL, COLUMN_NUMBER, true },
                [LIST_RATE] = { NULL, rates ? "RATE" : NULL, COLUMN_NUMBER, false },
                [LIST_ERROR] = { "error", "ERROR", COLUMN_TEXT, true },
        };
        _cleanup_(table_freep) Table *table = NULL;

        fit_columns(columns, rates != NULL, all_users);
        if (n == 0)
                return strdup(arg_json ? "{\"jobs\": []}\n" : "no jobs\n");
        table = table_new("jobs", columns, ELEMENTS(columns), arg_json);
        if (!table)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                size_t index = indices ? indices[i] : i;

                list_row(table, bits_job_list_get(list, index), rates ? &rates[index] : NULL);
        }
        return table_text(table);
}

int list_jobs(bits_manager *manager, bool all_users, bits_job_list **ret_list)
{
        if (bits_manager_allow_interaction(manager, all_users) < 0 ||
            bits_manager_list_jobs(manager, all_users, ret_list) < 0)
                return report_failure(all_users ? "cannot list the jobs of all users"
                                                : "cannot list the jobs");
        return EXIT_OK;
}

/* OPS-260: whoever misses jobs looks here. */
static void note_store_set_aside(bits_manager *manager)
{
        _cleanup_free_ char *path = NULL;

        if (bits_manager_get_store_set_aside(manager, &path) > 0)
                report_note("the job store could not be used and was kept as %s: jobs made before "
                            "that are not listed; the service's log says why",
                            path);
}

/* CLI-21 */
int verb_list(int argc, char **argv)
{
        enum { ALL_USERS = OPTION_OWN };
        static const struct option options[] = {
                { "all-users", no_argument, NULL, ALL_USERS },
                COMMON_OPTIONS,
        };
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;
        _cleanup_free_ char *text = NULL;
        bool all_users = false;
        int c, r;

        while ((c = next_option(argc, argv, "h", options)) >= 0) {
                if (c != ALL_USERS)
                        return usage_error(NULL);
                all_users = true;
        }
        if (argc != optind)
                return usage_error("'list' takes no names; 'bits show JOB' shows one job");
        r = open_service(&manager);
        if (r == EXIT_OK)
                r = list_jobs(manager, all_users, &list);
        if (r != EXIT_OK)
                return r;
        note_store_set_aside(manager);
        text = list_text(list, NULL, bits_job_list_count(list), NULL, all_users);
        if (!text)
                return EXIT_FAILED;
        fputs(text, stdout);
        return EXIT_OK;
}
