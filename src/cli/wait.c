/*
 * bits wait: sleeps until every named job is transferred, or one cannot get there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/format.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/watch.h"

#include <stdio.h>

typedef struct Waited {
        bits_job *job; /* owned; NULL when it is over */
        char id[64];
        bits_job_state state;
        int result; /* -1: still underway */
} Waited;

/* The exit status that a state means, -1 while the job is underway; says why when it is a
   failure. */
static int judge(bits_job *job, bits_job_state state)
{
        char shorter[SHORT_ID_SIZE];

        format_short_id(bits_job_id(job), shorter);
        switch (state) {
        case BITS_STATE_QUEUED:
        case BITS_STATE_CONNECTING:
        case BITS_STATE_TRANSFERRING:
        case BITS_STATE_TRANSIENT_ERROR:
                return -1;
        case BITS_STATE_TRANSFERRED:
        case BITS_STATE_ACKNOWLEDGED:
                return EXIT_OK;
        case BITS_STATE_ERROR:
                report_job_error(job, NULL, NULL);
                return EXIT_FAILED;
        case BITS_STATE_SUSPENDED:
                return report_error("job %s is suspended and waits for 'bits resume %s'", shorter,
                                    shorter);
        case BITS_STATE_CANCELLED:
                return report_error("job %s was cancelled", shorter);
        }
        return -1;
}

/* Looks at each job that is not over. The number of those that still are not. */
static size_t look(Watch *watch, Waited *jobs, size_t n)
{
        size_t underway = 0;

        for (size_t i = 0; i < n; i++) {
                Waited *w = &jobs[i];

                if (w->result >= 0)
                        continue;
                if (bits_job_get_state(w->job, &w->state) < 0) {
                        int r = watch_reopen(watch, &w->job);

                        if (r != EXIT_OK) {
                                w->result = r;
                                continue;
                        }
                        if (bits_job_get_state(w->job, &w->state) < 0) {
                                underway++;
                                continue;
                        }
                }
                w->result = judge(w->job, w->state);
                if (w->result < 0)
                        underway++;
        }
        return underway;
}

static int wait_all(Watch *watch, Waited *jobs, size_t n, uint64_t deadline)
{
        for (;;) {
                watch->gone = false;
                if (look(watch, jobs, n) == 0)
                        return EXIT_OK;
                switch (watch_wait(watch, deadline)) {
                case WATCH_NEWS:
                case WATCH_GONE:
                case WATCH_REDRAW:
                case WATCH_QUIT:
                        break;
                case WATCH_TIME:
                        report_note("the time is over; the jobs go on");
                        return EXIT_TIMED_OUT;
                case WATCH_SIGNAL:
                        report_note("the jobs go on");
                        return 128 + watch->signal;
                }
        }
}

static int print_json(const Waited *jobs, size_t n)
{
        static const Column columns[] = {
                { "id", NULL, COLUMN_TEXT, true },
                { "state", NULL, COLUMN_TEXT, true },
        };
        _cleanup_(table_freep) Table *table = table_new("jobs", columns, ELEMENTS(columns), true);

        if (!table)
                return EXIT_FAILED;
        for (size_t i = 0; i < n; i++) {
                struct libscols_line *row = table_row(table);

                table_cell(table, row, 0, jobs[i].id);
                table_cell(table, row, 1, bits_job_state_name(jobs[i].state));
        }
        return table_print(table);
}

static int run(char **names, size_t n, Waited *jobs, uint64_t deadline)
{
        bits_manager *manager;
        Watch watch;
        int r;

        r = open_service(&manager);
        if (r != EXIT_OK)
                return r;
        r = watch_begin(&watch, manager);
        for (size_t i = 0; r == EXIT_OK && i < n; i++) {
                r = open_job(manager, names[i], &jobs[i].job);
                if (r != EXIT_OK)
                        break;
                jobs[i].result = -1;
                snprintf(jobs[i].id, sizeof(jobs[i].id), "%s", bits_job_id(jobs[i].job));
                watch_job(&watch, jobs[i].job);
        }
        if (r == EXIT_OK) {
                r = wait_all(&watch, jobs, n, deadline);
                if (arg_json)
                        (void)print_json(jobs, n);
        }
        for (size_t i = 0; i < n; i++) {
                if (r == EXIT_OK && jobs[i].result > 0)
                        r = jobs[i].result;
                bits_job_free(jobs[i].job);
        }
        watch_end(&watch);
        bits_manager_close(watch.manager);
        return r;
}

/* CLI-18 */
int verb_wait(int argc, char **argv)
{
        enum { TIMEOUT = OPTION_OWN };
        static const struct option options[] = {
                { "timeout", required_argument, NULL, TIMEOUT },
                COMMON_OPTIONS,
        };
        _cleanup_free_ Waited *jobs = NULL;
        uint64_t deadline = UINT64_MAX;
        uint32_t seconds;
        int c;

        while ((c = next_option(argc, argv, "h", options)) >= 0) {
                if (c != TIMEOUT)
                        return usage_error(NULL);
                if (!parse_uint32(optarg, &seconds))
                        return usage_error("'%s' is no number of seconds", optarg);
                deadline = now_usec() + seconds * 1000000ull;
        }
        if (argc == optind)
                return usage_error("which job?");
        jobs = calloc((size_t)(argc - optind), sizeof(*jobs));
        if (!jobs)
                return report_error("out of memory");
        return run(argv + optind, (size_t)(argc - optind), jobs, deadline);
}
