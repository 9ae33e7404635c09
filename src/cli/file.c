/*
 * bits file: one file of a job, by its number in `bits show`, from 0: where it comes from, which
 * parts are there or wanted first, whether its content is good.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/format.h"
#include "cli/ranges.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- show ---- */

/* "0:100,500:20"; the caller frees it, NULL out of memory. */
static char *ranges_text(const bits_range *ranges, size_t n)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                fprintf(f, "%s%" PRIu64 ":", i > 0 ? "," : "", ranges[i].offset);
                if (ranges[i].length != UINT64_MAX) /* BG_LENGTH_TO_EOF */
                        fprintf(f, "%" PRIu64, ranges[i].length);
        }
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

typedef struct ShownFile {
        char *remote, *local, *temporary, *ranges, *filled, *headers;
        bits_file_progress progress;
        int valid;
} ShownFile;

static void shown_done(ShownFile *shown)
{
        free(shown->remote);
        free(shown->local);
        free(shown->temporary);
        free(shown->ranges);
        free(shown->filled);
        free(shown->headers);
}

static int read_file(bits_file *file, ShownFile *shown)
{
        _cleanup_free_ bits_range *ranges = NULL, *filled = NULL;
        size_t n = 0, n_filled = 0;

        if (bits_file_get_remote_name(file, &shown->remote) < 0 ||
            bits_file_get_local_name(file, &shown->local) < 0 ||
            bits_file_get_temporary_name(file, &shown->temporary) < 0 ||
            bits_file_get_response_headers(file, &shown->headers) < 0 ||
            bits_file_get_progress(file, &shown->progress) < 0 ||
            bits_file_get_validation_state(file, &shown->valid) < 0 ||
            bits_file_get_ranges(file, &ranges, &n) < 0)
                return report_failure("cannot read the file");
        shown->ranges = ranges_text(ranges, n);
        /* Not of every kind of transfer is known which parts are there. */
        if (bits_file_get_filled_ranges(file, &filled, &n_filled) >= 0)
                shown->filled = ranges_text(filled, n_filled);
        return EXIT_OK;
}

static void line(const char *key, const char *text)
{
        _cleanup_free_ char *safe = format_safe(text ? text : "");

        printf("%-20s %s\n", key, safe ? safe : "");
}

static int print_json(const ShownFile *shown)
{
        enum { REMOTE, LOCAL, TEMPORARY, TOTAL, DONE, COMPLETED, RANGES, FILLED, VALID, HEADERS };
        static const Column columns[] = {
                [REMOTE] = { "remote-name", NULL, COLUMN_TEXT, true },
                [LOCAL] = { "local-name", NULL, COLUMN_TEXT, true },
                [TEMPORARY] = { "temporary-name", NULL, COLUMN_TEXT, true },
                [TOTAL] = { "bytes-total", NULL, COLUMN_NUMBER, true },
                [DONE] = { "bytes-transferred", NULL, COLUMN_NUMBER, true },
                [COMPLETED] = { "completed", NULL, COLUMN_BOOLEAN, true },
                [RANGES] = { "ranges", NULL, COLUMN_TEXT, true },
                [FILLED] = { "filled-ranges", NULL, COLUMN_TEXT, true },
                [VALID] = { "validation-state", NULL, COLUMN_BOOLEAN, true },
                [HEADERS] = { "response-headers", NULL, COLUMN_TEXT, true },
        };
        _cleanup_(table_freep) Table *table = table_new("files", columns, ELEMENTS(columns), true);
        struct libscols_line *row;

        if (!table)
                return EXIT_FAILED;
        row = table_row(table);
        table_cell(table, row, REMOTE, shown->remote);
        table_cell(table, row, LOCAL, shown->local);
        table_cell(table, row, TEMPORARY, shown->temporary);
        table_cell_size(table, row, TOTAL, shown->progress.bytes_total);
        table_cell_size(table, row, DONE, shown->progress.bytes_transferred);
        table_cell_boolean(table, row, COMPLETED, shown->progress.completed);
        table_cell(table, row, RANGES, string_empty(shown->ranges) ? NULL : shown->ranges);
        table_cell(table, row, FILLED, shown->filled);
        table_cell_boolean(table, row, VALID, shown->valid);
        table_cell(table, row, HEADERS, shown->headers);
        return table_print(table);
}

static int show(bits_file *file)
{
        _cleanup_(shown_done) ShownFile shown = {};
        char done[FORMAT_SIZE], total[FORMAT_SIZE];
        int r = read_file(file, &shown);

        if (r != EXIT_OK || arg_json)
                return r == EXIT_OK ? print_json(&shown) : r;
        line("remote", shown.remote);
        line("local", shown.local);
        line("temporary", shown.temporary);
        printf("%-20s %s of %s%s\n", "progress",
               format_size(shown.progress.bytes_transferred, done),
               format_size(shown.progress.bytes_total, total),
               shown.progress.completed ? ", completed" : "");
        if (!string_empty(shown.ranges))
                line("ranges", shown.ranges);
        if (shown.filled)
                line("filled", string_empty(shown.filled) ? "nothing" : shown.filled);
        line("found good", shown.valid ? "yes" : "no, or nobody said so");
        for (char *p = shown.headers, *next; p && *p; p = next) {
                next = p + strcspn(p, "\r\n");
                if (*next)
                        *next++ = '\0';
                next += strspn(next, "\r\n");
                line(p == shown.headers ? "answer" : "", p);
        }
        return EXIT_OK;
}

/* ---- changes ---- */

static int set_url(bits_file *file, const char *url)
{
        return bits_file_set_remote_name(file, url) < 0
                       ? report_failure("cannot fetch the file from there")
                       : EXIT_OK;
}

static int request(bits_file *file, const char *text)
{
        _cleanup_(ranges_done) RangeArgument ranges = {};
        int r = ranges_parse(text, &ranges);

        if (r != EXIT_OK)
                return r;
        return bits_file_request_ranges(file, ranges.items, ranges.n) < 0
                       ? report_failure("cannot ask for these parts first")
                       : EXIT_OK;
}

static int set_position(bits_file *file, const char *text)
{
        uint64_t offset;

        if (!bytes_parse(text, &offset))
                return usage_error("'%s' is no number of bytes", text);
        return bits_file_update_download_position(file, offset) < 0
                       ? report_failure("cannot go on from there")
                       : EXIT_OK;
}

static int set_valid(bits_file *file, const char *text)
{
        bool yes = string_equal(text, "yes");

        if (!yes && !string_equal(text, "no"))
                return usage_error("'%s' is not yes or no", text);
        return bits_file_set_validation_state(file, yes) < 0
                       ? report_failure("cannot say so of the file")
                       : EXIT_OK;
}

static const struct Action {
        const char *name, *value; /* value: what its argument is called, NULL: none */
        int (*run)(bits_file *file, const char *value);
} actions[] = {
        { "show", NULL, NULL },
        { "url", "which URL?", set_url },
        { "request", "which ranges? OFFSET:LENGTH[,…]", request },
        { "position", "from which offset on?", set_position },
        { "valid", "yes or no?", set_valid },
};

static const struct Action *find_action(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(actions); i++)
                if (string_equal(name, actions[i].name))
                        return &actions[i];
        return NULL;
}

static int run_action(const struct Action *action, const char *name, uint32_t index,
                      const char *value)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        _cleanup_(bits_file_freep) bits_file *file = NULL;
        int r = open_service(&manager);

        if (r == EXIT_OK)
                r = open_job(manager, name, &job);
        if (r != EXIT_OK)
                return r;
        if (bits_job_get_file(job, index, &file) < 0)
                return report_failure("job '%s' has no file %u", name, index);
        return action->run ? action->run(file, value) : show(file);
}

/* CLI-292 */
int verb_file(int argc, char **argv)
{
        static const struct option options[] = { COMMON_OPTIONS };
        const struct Action *action;
        uint32_t index;
        int n, wanted;

        while (next_option(argc, argv, "h", options) >= 0)
                return usage_error(NULL);
        n = argc - optind;
        if (n == 0)
                return usage_error("show, url, request, position or valid?");
        action = find_action(argv[optind]);
        if (!action)
                return usage_error("'%s' is not show, url, request, position or valid",
                                   argv[optind]);
        wanted = action->value ? 4 : 3;
        if (n != wanted)
                return usage_error("%s", n < 2        ? "which job?"
                                         : n < 3      ? "which file? A number from 0"
                                         : n < wanted ? action->value
                                                      : "too many words");
        if (!parse_uint32(argv[optind + 2], &index))
                return usage_error("'%s' is no number of a file", argv[optind + 2]);
        return run_action(action, argv[optind + 1], index, wanted == 4 ? argv[optind + 3] : NULL);
}

/* CLI-293 */
int verb_replace_prefix(int argc, char **argv)
{
        static const struct option options[] = { COMMON_OPTIONS };
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        int r;

        while (next_option(argc, argv, "h", options) >= 0)
                return usage_error(NULL);
        if (argc - optind != 3)
                return usage_error("a job, the old beginning and the new one are needed");
        r = open_service(&manager);
        if (r == EXIT_OK)
                r = open_job(manager, argv[optind], &job);
        if (r != EXIT_OK)
                return r;
        r = bits_job_replace_remote_prefix(job, argv[optind + 1], argv[optind + 2]);
        if (r < 0)
                return report_failure("cannot change the remote names of job '%s'", argv[optind]);
        if (r > 0)
                report_note("no remote name of job '%s' begins so", argv[optind]);
        return EXIT_OK;
}
