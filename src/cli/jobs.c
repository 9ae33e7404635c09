/*
 * The verbs that make, fill and move jobs: create, add, resume, suspend, cancel, complete, take.
 * They are silent when they succeed, except for what was asked for (an id) and for remarks of the
 * service.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/format.h"
#include "cli/http.h"
#include "cli/notify-command.h"
#include "cli/paths.h"
#include "cli/ranges.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/verbs.h"

#include <stdio.h>

static const struct option no_options[] = { COMMON_OPTIONS };

/* ---- create ---- */

static int print_id(const char *id)
{
        static const Column columns[] = { { "id", NULL, COLUMN_TEXT, true } };
        _cleanup_(table_freep) Table *table = NULL;

        if (!arg_json) {
                printf("%s\n", id);
                return EXIT_OK;
        }
        table = table_new("jobs", columns, ELEMENTS(columns), true);
        if (!table)
                return EXIT_FAILED;
        table_cell(table, table_row(table), 0, id);
        return table_print(table);
}

typedef struct Create {
        bits_job_type type;
        bits_job_priority priority;
        const char *description;
        const char *notify_command;
        bool dynamic;
        uint64_t max_size;
        const char *name;
        Http http;
} Create;

static int create_job(const Create *create)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        int r;

        r = open_service(&manager);
        if (r != EXIT_OK)
                return r;
        if (bits_manager_create_job(manager, create->name, create->type, &job) < 0)
                return report_failure("cannot make a job");
        if ((create->priority != BITS_PRIORITY_NORMAL &&
             bits_job_set_priority(job, create->priority) < 0) ||
            (create->description && bits_job_set_description(job, create->description) < 0) ||
            (create->notify_command && notify_command_set(job, create->notify_command) < 0) ||
            (create->dynamic && bits_job_set_dynamic_content(job, true) < 0) ||
            (create->max_size > 0 && bits_job_set_max_download_size(job, create->max_size) < 0)) {
                r = report_failure("cannot make a job like that");
                (void)bits_job_cancel(job, NULL);
                return r;
        }
        r = http_apply(&create->http, job);
        if (r != EXIT_OK) {
                (void)bits_job_cancel(job, NULL);
                return r;
        }
        return print_id(bits_job_id(job));
}

/* CLI-15 */
int verb_create(int argc, char **argv)
{
        enum { TYPE = OPTION_OWN, DESCRIPTION, PRIORITY, NOTIFY_COMMAND, DYNAMIC, MAX_SIZE };
        static const struct option options[] = {
                { "type", required_argument, NULL, TYPE },
                { "description", required_argument, NULL, DESCRIPTION },
                { "priority", required_argument, NULL, PRIORITY },
                { "notify-command", required_argument, NULL, NOTIFY_COMMAND },
                { "dynamic", no_argument, NULL, DYNAMIC },
                { "max-size", required_argument, NULL, MAX_SIZE },
                HTTP_OPTIONS,
                COMMON_OPTIONS,
        };
        Create create = { .type = BITS_JOB_DOWNLOAD, .priority = BITS_PRIORITY_NORMAL };
        int c, r = EXIT_OK;

        while (r == EXIT_OK && (c = next_option(argc, argv, "h", options)) >= 0)
                switch (c) {
                case TYPE:
                        if (!parse_type(optarg, &create.type))
                                return usage_error("'%s' is no type: download, upload or "
                                                   "upload-reply",
                                                   optarg);
                        break;
                case DESCRIPTION:
                        create.description = optarg;
                        break;
                case NOTIFY_COMMAND:
                        create.notify_command = optarg;
                        break;
                case DYNAMIC:
                        create.dynamic = true;
                        break;
                case MAX_SIZE:
                        if (!bytes_parse(optarg, &create.max_size) || create.max_size == 0)
                                return usage_error("'%s' is no number of bytes: 1 or more, maybe "
                                                   "with K, M, G or T",
                                                   optarg);
                        break;
                case PRIORITY:
                        if (!parse_priority(optarg, &create.priority))
                                return usage_error(
                                        "'%s' is no priority: foreground, high, normal or "
                                        "low",
                                        optarg);
                        break;
                default:
                        r = http_option(c, optarg, &create.http);
                        if (r < 0)
                                r = usage_error(NULL);
                }
        if (r == EXIT_OK && argc - optind > 1)
                r = usage_error("more than one name");
        create.name = argc > optind ? argv[optind] : "unnamed";
        if (r == EXIT_OK)
                r = create_job(&create);
        http_done(&create.http);
        return r;
}

/* ---- add ---- */

typedef struct Pairs {
        bits_file_pair *pairs; /* owned, and the names too */
        size_t n;
} Pairs;

static void pairs_done(Pairs *pairs)
{
        for (size_t i = 0; i < pairs->n; i++) {
                free((char *)pairs->pairs[i].remote_name);
                free((char *)pairs->pairs[i].local_name);
        }
        free(pairs->pairs);
}

static int pairs_add(Pairs *pairs, const char *url, const char *file)
{
        _cleanup_free_ char *remote = NULL, *local = NULL;
        bits_file_pair *larger;
        int r;

        r = remote_name(url, &remote);
        if (r == EXIT_OK)
                r = local_path(remote, file, &local);
        if (r != EXIT_OK)
                return r;
        larger = reallocarray(pairs->pairs, pairs->n + 1, sizeof(*larger));
        if (!larger)
                return report_error("out of memory");
        pairs->pairs = larger;
        larger[pairs->n++] =
                (bits_file_pair){ .remote_name = TAKE(remote), .local_name = TAKE(local) };
        return EXIT_OK;
}

/* One line: the address, white space, the rest is the file. Empty lines and # are skipped. */
static int pairs_add_line(Pairs *pairs, char *line, const char *from, size_t number)
{
        char *url = line + strspn(line, " \t"), *file;

        line[strcspn(line, "\r\n")] = '\0';
        if (!*url || *url == '#')
                return EXIT_OK;
        file = url + strcspn(url, " \t");
        if (*file)
                *file++ = '\0';
        file += strspn(file, " \t");
        if (!*file)
                return report_error("%s, line %zu: expected an address, a blank and a file", from,
                                    number);
        return pairs_add(pairs, url, file);
}

static int pairs_read(Pairs *pairs, const char *from)
{
        FILE *file = string_equal(from, "-") ? stdin : fopen(from, "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0, number = 0;
        int r = EXIT_OK;

        if (!file)
                return report_error("cannot read the list '%s': %s", from, strerror(errno));
        while (r == EXIT_OK && getline(&line, &size, file) >= 0)
                r = pairs_add_line(pairs, line, from, ++number);
        if (r == EXIT_OK && ferror(file))
                r = report_error("cannot read the list '%s': %s", from, strerror(errno));
        if (file != stdin)
                fclose(file);
        if (r == EXIT_OK && pairs->n == 0)
                r = report_error("the list '%s' has no files", from);
        return r;
}

/* CLI-172 */
static int add_to(bits_job *job, const Pairs *pairs, const RangeArgument *ranges)
{
        const bits_file_pair *first = pairs->pairs;

        if (ranges->n > 0)
                return bits_job_add_file_with_ranges(job, first->remote_name, first->local_name,
                                                     ranges->items, ranges->n);
        if (pairs->n == 1)
                return bits_job_add_file(job, first->remote_name, first->local_name);
        return bits_job_add_files(job, pairs->pairs, pairs->n);
}

static int add_pairs(const char *name, const Pairs *pairs, const RangeArgument *ranges)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        int r;

        r = open_service(&manager);
        if (r == EXIT_OK)
                r = open_job(manager, name, &job);
        if (r != EXIT_OK)
                return r;
        if (add_to(job, pairs, ranges) < 0)
                return report_failure(pairs->n == 1 ? "cannot add the file to job '%s'"
                                                    : "cannot add the files to job '%s' (none was)",
                                      name);
        return EXIT_OK;
}

/* CLI-16 */
int verb_add(int argc, char **argv)
{
        enum { FROM = OPTION_OWN, RANGE };
        static const struct option options[] = {
                { "from", required_argument, NULL, FROM },
                { "range", required_argument, NULL, RANGE },
                COMMON_OPTIONS,
        };
        _cleanup_(pairs_done) Pairs pairs = {};
        _cleanup_(ranges_done) RangeArgument ranges = {};
        const char *from = NULL;
        int c, r;

        while ((c = next_option(argc, argv, "h", options)) >= 0) {
                r = c == RANGE ? ranges_parse(optarg, &ranges) : EXIT_OK;
                if (r != EXIT_OK)
                        return r;
                if (c == FROM)
                        from = optarg;
                else if (c != RANGE)
                        return usage_error(NULL);
        }
        if (from && ranges.n > 0)
                return usage_error("--range is for one address and one file");
        if (argc - optind != (from ? 1 : 3))
                return usage_error(from ? "--from goes with a job and nothing else"
                                        : "a job, an address and a file are needed");
        r = from ? pairs_read(&pairs, from) : pairs_add(&pairs, argv[optind + 1], argv[optind + 2]);
        if (r != EXIT_OK)
                return r;
        return add_pairs(argv[optind], &pairs, &ranges);
}

/* ---- resume, suspend, cancel, complete ---- */

typedef int (*JobCall)(bits_job *job, uint32_t *ret_code);

static int call_resume(bits_job *job, uint32_t *ret_code _unused_)
{
        return bits_job_resume(job);
}

static int call_take(bits_job *job, uint32_t *ret_code _unused_)
{
        return bits_job_take_ownership(job);
}

static int call_suspend(bits_job *job, uint32_t *ret_code _unused_)
{
        return bits_job_suspend(job);
}

static int call_one(bits_manager *manager, const char *name, const char *verb, JobCall call)
{
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        uint32_t code = 0;
        int r;

        r = open_job(manager, name, &job);
        if (r != EXIT_OK)
                return r;
        if (call(job, &code) < 0)
                return report_failure("cannot %s job '%s'", verb, name);
        report_success_code(bits_job_id(job), code);
        return EXIT_OK;
}

/* All are tried; one failure is the result. */
static int call_each(int argc, char **argv, JobCall call)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        int r, result = EXIT_OK;

        while (next_option(argc, argv, "h", no_options) >= 0)
                return usage_error(NULL);
        if (argc == optind)
                return usage_error("which job?");
        r = open_service(&manager);
        if (r != EXIT_OK)
                return r;
        if (call == call_take && bits_manager_allow_interaction(manager, true) < 0)
                return report_failure(NULL);
        for (int i = optind; i < argc; i++) {
                r = call_one(manager, argv[i], argv[0], call);
                if (r != EXIT_OK)
                        result = r;
        }
        return result;
}

/* CLI-17 */
int verb_resume(int argc, char **argv)
{
        return call_each(argc, argv, call_resume);
}

int verb_suspend(int argc, char **argv)
{
        return call_each(argc, argv, call_suspend);
}

/* CLI-61 */
int verb_take(int argc, char **argv)
{
        return call_each(argc, argv, call_take);
}

/* CLI-20 */
int verb_cancel(int argc, char **argv)
{
        return call_each(argc, argv, bits_job_cancel);
}

/* CLI-19 */
int verb_complete(int argc, char **argv)
{
        return call_each(argc, argv, bits_job_complete);
}
