/*
 * bits get, bits put: a whole download, or upload, in one command. The command only watches: the
 * job is the service's, and Ctrl-C ends the watching, not the job. Called again with the same
 * address and file, it takes up the job that is there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/credentials.h"
#include "cli/format.h"
#include "cli/http.h"
#include "cli/notify-command.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/ranges.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/users.h"
#include "cli/verbs.h"
#include "cli/watch.h"

#include <stdio.h>

typedef struct Get {
        bits_job_type type;
        char *url;        /* owned */
        char *path;       /* owned: what is fetched, or what is sent */
        char *reply_path; /* owned: of BITS_JOB_UPLOAD_REPLY */
        const char *name, *local_as, *network_as, *reply; /* as typed */
        bits_job_priority priority;
        bool detach;
        bool has_helper;
        User helper;
        uint32_t flags;
        const char *proxy;
        const char *notify_command;
        bool negotiate, proxy_negotiate;
        Http http;
        RangeArgument ranges; /* owned */
        bool dynamic;
        uint64_t max_size;
        bits_job *job; /* owned */
        char id[64];
        char short_id[SHORT_ID_SIZE];
        bool continued;
} Get;

static int parse_helper(Get *get)
{
        const char *local_as = get->local_as, *network_as = get->network_as;
        User other = {};
        bool same;
        int r;

        if (!local_as && !network_as)
                return EXIT_OK;
        r = user_parse(local_as ? local_as : network_as, &get->helper);
        if (r != EXIT_OK)
                return r;
        get->has_helper = true;
        get->flags = (local_as ? BITS_TOKEN_LOCAL_FILE : 0) | (network_as ? BITS_TOKEN_NETWORK : 0);
        if (!local_as || !network_as)
                return EXIT_OK;
        r = user_parse(network_as, &other);
        if (r != EXIT_OK)
                return r;
        same = other.uid == get->helper.uid;
        user_done(&other);
        return same ? EXIT_OK
                    : usage_error(
                              "a job has one helper: --local-as and --network-as must name the "
                              "same user (leave one of them out to keep your own identity there)");
}

/* What the job is about, as typed. */
static int name_download(Get *get, char **arguments, int n)
{
        if (n < 1 || n > 2)
                return usage_error(n == 0 ? "what shall be fetched?"
                                          : "more than one address and one file");
        if (remote_name(arguments[0], &get->url) != EXIT_OK)
                return EXIT_FAILED;
        return local_path(get->url, arguments[1], &get->path);
}

static int name_remote_file(Get *get)
{
        char *url = url_with_name(get->url, strrchr(get->path, '/') + 1);

        if (!url)
                return report_error("out of memory");
        free(get->url);
        get->url = url;
        return EXIT_OK;
}

/* CLI-120: links are followed here, as the service does not, where the caller can; a directory that
   only the helper may enter is taken as it is written. An address that ends in "/" gets the name of
   the file. */
static int name_upload(Get *get, char **arguments, int n)
{
        int r;

        if (get->ranges.n > 0 || get->dynamic || get->max_size > 0)
                return usage_error("--range, --dynamic and --max-size are for get");
        if (n != 2)
                return usage_error(n < 2 ? "a file and an address are needed"
                                         : "more than one file and one address");
        r = remote_name(arguments[1], &get->url);
        if (r != EXIT_OK)
                return r;
        get->path = realpath(arguments[0], NULL);
        if (!get->path)
                r = local_path(get->url, arguments[0], &get->path);
        if (r == EXIT_OK && get->url[strlen(get->url) - 1] == '/')
                r = name_remote_file(get);
        if (r != EXIT_OK)
                return r;
        if (!get->reply)
                return EXIT_OK;
        get->type = BITS_JOB_UPLOAD_REPLY;
        return local_path(get->url, get->reply, &get->reply_path);
}

enum {
        NAME = OPTION_OWN,
        PRIORITY,
        DETACH,
        LOCAL_AS,
        NETWORK_AS,
        PROXY,
        NEGOTIATE,
        PROXY_NEGOTIATE,
        NOTIFY_COMMAND,
        RANGE,
        DYNAMIC,
        MAX_SIZE,
        REPLY
};

static int take_option(int option, const char *argument, Get *get)
{
        int r;

        switch (option) {
        case NAME:
                get->name = argument;
                return EXIT_OK;
        case PRIORITY:
                if (!parse_priority(argument, &get->priority))
                        return usage_error("'%s' is no priority: foreground, high, normal or low",
                                           argument);
                return EXIT_OK;
        case DETACH:
                get->detach = true;
                return EXIT_OK;
        case LOCAL_AS:
                get->local_as = argument;
                return EXIT_OK;
        case NETWORK_AS:
                get->network_as = argument;
                return EXIT_OK;
        case PROXY:
                get->proxy = argument;
                return EXIT_OK;
        case NEGOTIATE:
                get->negotiate = true;
                return EXIT_OK;
        case PROXY_NEGOTIATE:
                get->proxy_negotiate = true;
                return EXIT_OK;
        case NOTIFY_COMMAND:
                get->notify_command = argument;
                return EXIT_OK;
        case RANGE:
                return ranges_parse(argument, &get->ranges);
        case DYNAMIC:
                get->dynamic = true;
                return EXIT_OK;
        case MAX_SIZE:
                if (!bytes_parse(argument, &get->max_size) || get->max_size == 0)
                        return usage_error("'%s' is no number of bytes: 1 or more, maybe with K, "
                                           "M, G or T",
                                           argument);
                return EXIT_OK;
        case REPLY:
                if (get->type == BITS_JOB_DOWNLOAD)
                        return usage_error("--reply is for put: a download has no reply");
                get->reply = argument;
                return EXIT_OK;
        default:
                r = http_option(option, argument, &get->http);
                return r < 0 ? usage_error(NULL) : r;
        }
}

static int parse_options(int argc, char **argv, Get *get)
{
        static const struct option options[] = {
                { "reply", required_argument, NULL, REPLY },
                { "name", required_argument, NULL, NAME },
                { "priority", required_argument, NULL, PRIORITY },
                { "detach", no_argument, NULL, DETACH },
                { "local-as", required_argument, NULL, LOCAL_AS },
                { "network-as", required_argument, NULL, NETWORK_AS },
                { "proxy", required_argument, NULL, PROXY },
                { "negotiate", no_argument, NULL, NEGOTIATE },
                { "proxy-negotiate", no_argument, NULL, PROXY_NEGOTIATE },
                { "notify-command", required_argument, NULL, NOTIFY_COMMAND },
                { "range", required_argument, NULL, RANGE },
                { "dynamic", no_argument, NULL, DYNAMIC },
                { "max-size", required_argument, NULL, MAX_SIZE },
                HTTP_OPTIONS,
                COMMON_OPTIONS,
        };
        int c, r = EXIT_OK;

        while (r == EXIT_OK && (c = next_option(argc, argv, "h", options)) >= 0)
                r = take_option(c, optarg, get);
        if (r == EXIT_OK)
                r = parse_helper(get);
        if (r == EXIT_OK && get->type == BITS_JOB_DOWNLOAD)
                r = name_download(get, argv + optind, argc - optind);
        else if (r == EXIT_OK)
                r = name_upload(get, argv + optind, argc - optind);
        if (r == EXIT_OK && !get->name)
                get->name = strrchr(get->path, '/') + 1;
        return r;
}

/* CLI-171 */
static bool same_ranges(bits_job *job, const RangeArgument *wanted)
{
        _cleanup_free_ bits_range *ranges = NULL;
        bits_file *file;
        size_t n = 0;
        bool same;

        if (bits_job_get_file(job, 0, &file) < 0)
                return false;
        same = bits_file_get_ranges(file, &ranges, &n) >= 0 && n == wanted->n;
        bits_file_free(file);
        for (size_t i = 0; same && i < n; i++)
                same = ranges[i].offset == wanted->items[i].offset &&
                       ranges[i].length == wanted->items[i].length;
        return same;
}

/* True when the job is about exactly this. */
static bool job_is_the_same(bits_job *job, const Get *get)
{
        _cleanup_(bits_file_list_freep) bits_file_list *files = NULL;
        const bits_file_info *file;

        if (bits_job_list_files(job, &files) < 0 || bits_file_list_count(files) != 1)
                return false;
        file = bits_file_list_get(files, 0);
        return string_equal(file->remote_name, get->url) &&
               string_equal(file->local_name, get->path) && same_ranges(job, &get->ranges);
}

/* CLI-09 */
static int find_unfinished(bits_manager *manager, Get *get)
{
        _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;

        if (bits_manager_list_jobs(manager, false, &list) < 0)
                return report_failure("cannot list the jobs");
        for (size_t i = 0; i < bits_job_list_count(list); i++) {
                const bits_job_summary *summary = bits_job_list_get(list, i);
                _cleanup_(bits_job_freep) bits_job *job = NULL;

                if (summary->files_total != 1 || summary->type != get->type)
                        continue;
                /* It may have ended since the list was made. */
                if (bits_manager_get_job(manager, summary->id, &job) < 0)
                        continue;
                if (job_is_the_same(job, get)) {
                        get->job = TAKE(job);
                        get->continued = true;
                        return EXIT_OK;
                }
        }
        return EXIT_OK;
}

static int give_helper(const Get *get)
{
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;
        int r;

        if (!get->has_helper)
                return EXIT_OK;
        if (bits_job_query_token_options(get->job, &options) < 0)
                return report_failure("cannot give the job a helper");
        r = user_set_helper_token(options, &get->helper);
        if (r != EXIT_OK)
                return r;
        if (bits_token_options_set_helper_token_flags(options, get->flags) < 0)
                return report_failure("cannot give the job a helper");
        return EXIT_OK;
}

/* CLI-53, CLI-240 */
static int set_extras(const Get *get)
{
        if ((get->proxy && proxy_set(get->job, get->proxy) < 0) ||
            (get->negotiate && bits_job_set_credentials(get->job, BITS_AUTH_SERVER,
                                                        BITS_AUTH_NEGOTIATE, NULL, NULL) < 0) ||
            (get->proxy_negotiate && bits_job_set_credentials(get->job, BITS_AUTH_PROXY,
                                                              BITS_AUTH_NEGOTIATE, NULL, NULL) < 0))
                return report_failure("cannot set the job's proxy or credentials");
        if (get->notify_command && notify_command_set(get->job, get->notify_command) < 0)
                return report_failure("cannot set the job's command line");
        return http_apply(&get->http, get->job);
}

/* CLI-02 */
static int prepare_new(bits_manager *manager, Get *get)
{
        int r;

        if (bits_manager_create_job(manager, get->name, get->type, &get->job) < 0)
                return report_failure("cannot make a job");
        if (bits_job_set_priority(get->job, get->priority) < 0)
                return report_failure("cannot set the job's priority");
        /* The helper comes first: he may be the one who can reach the directory. */
        r = give_helper(get);
        if (r == EXIT_OK)
                r = set_extras(get);
        if (r != EXIT_OK)
                return r;
        if ((get->dynamic && bits_job_set_dynamic_content(get->job, true) < 0) ||
            (get->max_size > 0 && bits_job_set_max_download_size(get->job, get->max_size) < 0))
                return report_failure("cannot make a job like that");
        if (get->reply_path && bits_job_set_reply_file_name(get->job, get->reply_path) < 0)
                return report_failure("cannot put the reply into %s", get->reply_path);
        if (get->ranges.n > 0 ? bits_job_add_file_with_ranges(get->job, get->url, get->path,
                                                              get->ranges.items, get->ranges.n) < 0
                              : bits_job_add_file(get->job, get->url, get->path) < 0)
                return get->type == BITS_JOB_DOWNLOAD
                               ? report_failure("cannot fetch %s to %s", get->url, get->path)
                               : report_failure("cannot send %s to %s", get->path, get->url);
        if (bits_job_resume(get->job) < 0)
                return report_failure("cannot start the job");
        return EXIT_OK;
}

static int go_on(Get *get)
{
        int r;

        r = give_helper(get);
        if (r == EXIT_OK)
                r = set_extras(get);
        if (r == EXIT_OK && bits_job_resume(get->job) < 0)
                r = report_failure("cannot go on with job %.8s", bits_job_id(get->job));
        return r;
}

/* The service ended before it could say how far it came: the job that is there when it is back
   decides. One without its file has lost nothing when it is made anew. CLI-14 */
static int prepare_again(Watch *watch, Get *get)
{
        int r;

        r = watch_reopen(watch, &get->job);
        if (r != EXIT_OK)
                return r;
        if (get->continued || job_is_the_same(get->job, get))
                return go_on(get);
        (void)bits_job_cancel(get->job, NULL);
        bits_job_free(TAKE(get->job));
        return prepare_new(watch->manager, get);
}

static bool service_went_away(void)
{
        return bits_error_code() == BITS_CODE_UNREACHABLE;
}

static int prepare(Watch *watch, Get *get)
{
        int r, tries = 3;

        r = find_unfinished(watch->manager, get);
        if (r != EXIT_OK)
                return r;
        r = get->continued ? go_on(get) : prepare_new(watch->manager, get);
        while (r == EXIT_FAILED && get->job && service_went_away() && tries-- > 0)
                r = prepare_again(watch, get);
        /* A job that could not even start is of no use to anybody. */
        if (r != EXIT_OK && get->job && !get->continued && !service_went_away())
                (void)bits_job_cancel(get->job, NULL);
        if (get->job) {
                snprintf(get->id, sizeof(get->id), "%s", bits_job_id(get->job));
                format_short_id(get->id, get->short_id);
        }
        return r;
}

/* CLI-10 */
static void say_detached(const Get *get)
{
        report_note("job %s goes on in the background; 'bits wait %s' waits for it, 'bits complete "
                    "%s' %s, 'bits cancel %s' gives it up",
                    get->short_id, get->short_id, get->short_id,
                    get->type == BITS_JOB_DOWNLOAD       ? "takes the file"
                    : get->type == BITS_JOB_UPLOAD_REPLY ? "takes the reply"
                                                         : "ends it",
                    get->short_id);
}

static int print_json(const Get *get, const char *state, uint64_t bytes)
{
        static const Column columns[] = {
                { "id", NULL, COLUMN_TEXT, true },
                { "state", NULL, COLUMN_TEXT, true },
                { "remote-name", NULL, COLUMN_TEXT, true },
                { "local-name", NULL, COLUMN_TEXT, true },
                { "bytes", NULL, COLUMN_NUMBER, true },
                { "reply-file-name", NULL, COLUMN_TEXT, true },
        };
        size_t n = ELEMENTS(columns) - (get->reply_path ? 0 : 1);
        _cleanup_(table_freep) Table *table = NULL;
        struct libscols_line *row;

        table = table_new("jobs", columns, n, true);
        if (!table)
                return EXIT_FAILED;
        row = table_row(table);
        table_cell(table, row, 0, get->id);
        table_cell(table, row, 1, state);
        table_cell(table, row, 2, get->url);
        table_cell(table, row, 3, get->path);
        table_cell_size(table, row, 4, bytes);
        if (get->reply_path)
                table_cell(table, row, 5, get->reply_path);
        return table_print(table);
}

static int finish(Get *get, Progress *progress)
{
        uint32_t code = 0;

        progress_clear(progress);
        if (bits_job_complete(get->job, &code) < 0)
                return report_failure("%s, but %s cannot get its name; the job remains: 'bits "
                                      "complete %s' tries again",
                                      get->type == BITS_JOB_DOWNLOAD ? "the file is fetched"
                                                                     : "the file is sent",
                                      get->reply_path ? get->reply_path : get->path, get->short_id);
        report_success_code(get->id, code);
        if (arg_json)
                return print_json(get, "acknowledged", progress->bytes_transferred);
        progress_done(progress, get->type == BITS_JOB_DOWNLOAD ? get->path
                                : get->reply_path              ? get->reply_path
                                                               : get->url);
        return EXIT_OK;
}

/* Looks at the job once. -1: it goes on; else the exit status. */
/* CLI-13 */
static int look(Get *get, Progress *progress)
{
        bits_job_state state;
        bits_progress now;

        if (bits_job_get_state(get->job, &state) < 0 || bits_job_get_progress(get->job, &now) < 0)
                return -1; /* the connection's end is told by watch_wait() */
        progress_update(progress, get->job, state, &now);

        switch (state) {
        case BITS_STATE_QUEUED:
        case BITS_STATE_CONNECTING:
        case BITS_STATE_TRANSFERRING:
        case BITS_STATE_TRANSIENT_ERROR:
                return -1;
        case BITS_STATE_TRANSFERRED:
                return finish(get, progress);
        case BITS_STATE_ERROR:
                progress_clear(progress);
                if (get->type == BITS_JOB_DOWNLOAD)
                        report_job_error(get->job, "fetch", get->url);
                else
                        report_job_error(get->job, "send", get->path);
                return EXIT_FAILED;
        case BITS_STATE_SUSPENDED:
                progress_clear(progress);
                return report_error("somebody suspended job %s; 'bits resume %s' lets it go on",
                                    get->short_id, get->short_id);
        case BITS_STATE_ACKNOWLEDGED:
                progress_clear(progress);
                report_note("somebody completed job %s already", get->short_id);
                return EXIT_OK;
        case BITS_STATE_CANCELLED:
                progress_clear(progress);
                return report_error("job %s was cancelled", get->short_id);
        }
        return -1;
}

static int follow(Get *get, Watch *watch)
{
        _cleanup_(progress_end) Progress progress = {};
        int r;

        progress_begin(&progress, get->name, arg_json);
        progress_start(&progress, get->short_id,
                       get->type == BITS_JOB_DOWNLOAD ? get->url : get->path,
                       get->type == BITS_JOB_DOWNLOAD ? get->path : get->url, get->continued);
        watch_job(watch, get->job);
        for (;;) {
                WatchResult result;

                r = look(get, &progress);
                if (r >= 0)
                        return r;
                while ((result = watch_wait(watch, progress_tick(&progress))) == WATCH_TIME)
                        progress_redraw(&progress);
                switch (result) {
                case WATCH_NEWS:
                case WATCH_TIME:
                case WATCH_REDRAW:
                case WATCH_QUIT:
                        break;
                case WATCH_SIGNAL:
                        progress_clear(&progress);
                        say_detached(get);
                        return 128 + watch->signal;
                case WATCH_GONE:
                        progress_clear(&progress);
                        r = watch_reopen(watch, &get->job);
                        if (r == EXIT_INTERRUPTED)
                                say_detached(get);
                        if (r != EXIT_OK)
                                return r;
                        break;
                }
        }
}

/* CLI-11 */
static int run(Get *get)
{
        bits_manager *manager;
        Watch watch;
        int r;

        r = open_service(&manager);
        if (r != EXIT_OK)
                return r;
        /* From here on Ctrl-C detaches; before there is a job there is nothing to leave behind. */
        r = watch_begin(&watch, manager);
        if (r == EXIT_OK)
                r = prepare(&watch, get);
        if (r == EXIT_OK && !get->detach)
                r = follow(get, &watch);
        else if (r == EXIT_OK && arg_json)
                r = print_json(get, "queued", 0);
        else if (r == EXIT_OK)
                printf("%s\n", get->id);
        bits_job_free(get->job);
        watch_end(&watch);
        bits_manager_close(watch.manager);
        return r;
}

static int run_verb(int argc, char **argv, bits_job_type type)
{
        Get get = { .type = type, .priority = BITS_PRIORITY_FOREGROUND };
        int r;

        r = parse_options(argc, argv, &get);
        if (r == EXIT_OK)
                r = run(&get);
        user_done(&get.helper);
        free(get.url);
        ranges_done(&get.ranges);
        http_done(&get.http);
        free(get.path);
        free(get.reply_path);
        return r;
}

int verb_get(int argc, char **argv)
{
        return run_verb(argc, argv, BITS_JOB_DOWNLOAD);
}

/* CLI-120 */
int verb_put(int argc, char **argv)
{
        return run_verb(argc, argv, BITS_JOB_UPLOAD);
}
