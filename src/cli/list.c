/*
 * bits list and bits watch: many jobs, once or again and again. One call to the service lists them
 * all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/format.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/watch.h"

#include <search.h>
#include <stdio.h>
#include <time.h>

/* ---- rates, between two looks ---- */

typedef struct Sample {
        char *id;
        uint64_t bytes, usec;
        double rate; /* bytes a second; < 0: unknown */
} Sample;

/* A tree of samples by id. */
typedef struct Rates {
        void *samples;
} Rates;

static void sample_free(void *p)
{
        Sample *sample = p;

        free(sample->id);
        free(sample);
}

static void rates_done(Rates *rates)
{
        tdestroy(rates->samples, sample_free);
}

static int compare_samples(const void *a, const void *b)
{
        return strcmp(((const Sample *)a)->id, ((const Sample *)b)->id);
}

static const Sample *rates_find(const Rates *rates, const char *id)
{
        Sample key = { .id = (char *)id };
        void *found = tfind(&key, &rates->samples, compare_samples);

        return found ? *(Sample **)found : NULL;
}

/* Without memory there is no rate. */
static void rates_note(Rates *rates, const bits_job_summary *job)
{
        Sample *sample = (Sample *)rates_find(rates, job->id);
        uint64_t now = now_usec();

        if (!sample) {
                sample = calloc(1, sizeof(*sample));
                if (!sample || !(sample->id = strdup(job->id)) ||
                    !tsearch(sample, &rates->samples, compare_samples)) {
                        if (sample)
                                sample_free(sample);
                        return;
                }
                sample->rate = -1;
        } else if (now > sample->usec)
                sample->rate = job->bytes_transferred < sample->bytes
                                       ? -1
                                       : (double)(job->bytes_transferred - sample->bytes) * 1e6 /
                                                 (double)(now - sample->usec);
        sample->bytes = job->bytes_transferred;
        sample->usec = now;
}

static void rates_update(Rates *rates, const bits_job_list *list)
{
        for (size_t i = 0; i < bits_job_list_count(list); i++)
                rates_note(rates, bits_job_list_get(list, i));
}

/* ---- list ---- */

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

static void list_row(Table *table, const bits_job_summary *job, const Rates *rates)
{
        const Sample *sample = rates ? rates_find(rates, job->id) : NULL;
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
        if (sample && sample->rate > 0)
                table_cell(table, row, LIST_RATE, format_rate(sample->rate, text));
        if (job->error_code && !arg_json) {
                const char *name = bits_code_name(job->error_code);

                table_cell(table, row, LIST_ERROR,
                           name ? name : format_code(job->error_code, text));
        } else {
                table_cell_code(table, row, LIST_ERROR, job->error_code);
        }
}

static int print_list(const bits_job_list *list, const size_t *indices, size_t n,
                      const Rates *rates, bool all_users)
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

        if (n == 0) {
                printf(arg_json ? "{\"jobs\": []}\n" : "no jobs\n");
                return EXIT_OK;
        }
        table = table_new("jobs", columns, ELEMENTS(columns), arg_json);
        if (!table)
                return EXIT_FAILED;
        for (size_t i = 0; i < n; i++)
                list_row(table, bits_job_list_get(list, indices ? indices[i] : i), rates);
        return table_print(table);
}

static int list_jobs(bits_manager *manager, bool all_users, bits_job_list **ret_list)
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
        return print_list(list, NULL, bits_job_list_count(list), NULL, all_users);
}

/* ---- watch ---- */

typedef struct WatchCall {
        bool all_users;
        uint32_t interval; /* s */
        char **names;      /* of jobs; none: all */
        int n_names;
        bool screen;         /* standard output is a terminal that can be rewritten */
        bool looked;         /* once at least */
        const char *missing; /* the name that was no job's at the first look */
} WatchCall;

/* The jobs that were named, as indices of the list. CLI-422: a name that is none is told at the
   first look; later its job has left the queue. */
static size_t choose(WatchCall *call, const bits_job_list *list, size_t *ret_indices)
{
        size_t n = bits_job_list_count(list), found = 0;
        _cleanup_free_ SelectEntry *entries = calloc(n + 1, sizeof(*entries));
        _cleanup_free_ size_t *matches = calloc(n + 1, sizeof(*matches));
        _cleanup_free_ bool *chosen = calloc(n + 1, sizeof(*chosen));

        if (!entries || !matches || !chosen)
                return 0;
        for (size_t i = 0; i < n; i++)
                entries[i] = (SelectEntry){ .id = bits_job_list_get(list, i)->id,
                                            .name = bits_job_list_get(list, i)->display_name };
        for (int k = 0; k < call->n_names; k++) {
                size_t m = select_match(entries, n, call->names[k], matches);

                for (size_t i = 0; i < m; i++)
                        chosen[matches[i]] = true;
                if (m == 0 && !call->looked)
                        call->missing = call->names[k];
        }
        call->looked = true;
        for (size_t i = 0; i < n; i++)
                if (call->n_names == 0 || chosen[i])
                        ret_indices[found++] = i;
        return found;
}

static int show_once(bits_manager *manager, WatchCall *call, Rates *rates, size_t *ret_shown)
{
        _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;
        _cleanup_free_ size_t *indices = NULL;
        char now[FORMAT_SIZE];
        int r = list_jobs(manager, call->all_users, &list);

        if (r != EXIT_OK)
                return r;
        indices = calloc(bits_job_list_count(list) + 1, sizeof(*indices));
        if (!indices)
                return report_error("out of memory");
        *ret_shown = choose(call, list, indices);
        if (call->missing)
                return report_error("no job '%s': 'bits list' shows your jobs", call->missing);
        rates_update(rates, list);
        if (call->screen)
                printf("\033[H\033[J%s   every %u s, Ctrl-C ends the watching\n\n",
                       format_time((uint64_t)time(NULL) * 1000000, now), call->interval);
        r = print_list(list, indices, *ret_shown, rates, call->all_users);
        if (!call->screen && !arg_json)
                putchar('\n');
        return r == EXIT_OK ? finish_output() : r;
}

/* The next look comes at once when the connection is gone: it says so. CLI-422 */
static bool pause_until(Watch *watch, uint64_t next)
{
        while (!watch->gone && now_usec() < next)
                if (watch_wait(watch, next) == WATCH_SIGNAL)
                        return false;
        return true;
}

/* Named jobs are watched until all of them have left the queue. CLI-280 */
static int watch_jobs(bits_manager *manager, WatchCall *call)
{
        _cleanup_(rates_done) Rates rates = {};
        _cleanup_(watch_end) Watch watch = {};
        uint64_t next = now_usec();
        size_t shown = 0;
        int r = watch_begin(&watch, manager);

        while (r == EXIT_OK) {
                r = show_once(manager, call, &rates, &shown);
                if (r != EXIT_OK || (shown == 0 && call->n_names > 0))
                        break;
                next += call->interval * (uint64_t)1000000;
                if (!pause_until(&watch, next))
                        return EXIT_OK;
        }
        return r;
}

/* CLI-280 */
int verb_watch(int argc, char **argv)
{
        enum { ALL_USERS = OPTION_OWN, INTERVAL };
        static const struct option options[] = {
                { "all-users", no_argument, NULL, ALL_USERS },
                { "interval", required_argument, NULL, INTERVAL },
                COMMON_OPTIONS,
        };
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        WatchCall call = { .interval = 1 };
        int c, r;

        while ((c = next_option(argc, argv, "h", options)) >= 0)
                switch (c) {
                case ALL_USERS:
                        call.all_users = true;
                        break;
                case INTERVAL:
                        if (!parse_uint32(optarg, &call.interval) || call.interval == 0 ||
                            call.interval > 86400)
                                return usage_error("'%s' is no number of seconds from 1 to 86400",
                                                   optarg);
                        break;
                default:
                        return usage_error(NULL);
                }
        call.names = argv + optind;
        call.n_names = argc - optind;
        call.screen = !arg_json && terminal_is_live();
        r = open_service(&manager);
        return r == EXIT_OK ? watch_jobs(manager, &call) : r;
}
