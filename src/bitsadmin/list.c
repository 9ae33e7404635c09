/*
 * Switches that show jobs: /list, /monitor, /info, /listfiles, and /reset, which cancels what it
 * lists.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bitsadmin/call.h"

#include "cli/format.h"

#include <stdio.h>
#include <unistd.h>

/* /allusers and /verbose in any order. */
typedef struct ListOptions {
        bool all_users, verbose;
        uint32_t refresh; /* s */
} ListOptions;

static int parse_options(const Call *call, ListOptions *ret)
{
        for (int i = 0; i < call->argc; i++)
                if (word_is(call->argv[i], "/allusers"))
                        ret->all_users = true;
                else if (word_is(call->argv[i], "/verbose"))
                        ret->verbose = true;
                else if (word_is(call->argv[i], "/refresh") && i + 1 < call->argc &&
                         number_parse(call->argv[i + 1], &ret->refresh) && ret->refresh > 0)
                        i++;
                else
                        return fail_text("Invalid argument: %s", call->argv[i]);
        return EXIT_OK;
}

static void print_summary(const bits_job_summary *job)
{
        char guid[GUID_SIZE], state[WORD_SIZE], done[NUMBER_SIZE], total[NUMBER_SIZE];
        _cleanup_free_ char *name = format_safe(job->display_name);

        printf("%s '%s' %s %u / %u %s / %s\n", guid_text(job->id, guid), name ? name : "",
               state_text(job->state, state), job->files_transferred, job->files_total,
               size_text(job->bytes_transferred, done), size_text(job->bytes_total, total));
}

/* ---- /info /verbose ---- */

static void print_error(bits_job *job)
{
        _cleanup_free_ char *text = NULL, *remote = NULL, *local = NULL;
        bits_job_error error;
        const char *context;

        if (bits_job_get_error(job, &error) < 0)
                return;
        text = format_safe(error.text);
        remote = format_safe(error.remote_name);
        local = format_safe(error.local_name);
        context = format_context(error.context);
        if (!string_empty(error.remote_name))
                printf("ERROR FILE:    %s -> %s\n", remote ? remote : "", local ? local : "");
        printf("ERROR CODE:    0x%08x - %s\n", error.code, text ? text : "");
        printf("ERROR CONTEXT: 0x%08x - %s\n", error.context, context);
        bits_job_error_done(&error);
}

static void print_files(bits_job *job)
{
        _cleanup_(bits_file_list_freep) bits_file_list *files = NULL;

        if (bits_job_list_files(job, &files) < 0)
                return;
        for (size_t i = 0; i < bits_file_list_count(files); i++) {
                const bits_file_info *file = bits_file_list_get(files, i);
                _cleanup_free_ char *remote = format_safe(file->remote_name);
                _cleanup_free_ char *local = format_safe(file->local_name);
                char done[NUMBER_SIZE], total[NUMBER_SIZE];

                printf("\t%s / %s %s %s -> %s\n", size_text(file->bytes_transferred, done),
                       size_text(file->bytes_total, total),
                       file->completed || file->bytes_transferred == file->bytes_total ? "COMPLETED"
                                                                                       : "WORKING",
                       remote ? remote : "", local ? local : "");
        }
}

static void print_proxy(bits_job *job)
{
        _cleanup_free_ char *list = NULL, *bypass = NULL, *safe = NULL, *safe_bypass = NULL;
        bits_proxy_usage usage;

        if (bits_job_get_proxy_settings(job, &usage, &list, &bypass) < 0)
                return;
        safe = format_safe(list ? list : "NULL");
        safe_bypass = format_safe(bypass ? bypass : "NULL");
        printf("PROXY USAGE: %s PROXY LIST: %s PROXY BYPASS LIST: %s\n", proxy_words[usage],
               safe ? safe : "", safe_bypass ? safe_bypass : "");
}

static void print_notify_command(bits_job *job)
{
        _cleanup_free_ char *program = NULL, *parameters = NULL, *safe = NULL;

        if (bits_job_get_notify_cmd_line(job, &program, &parameters) < 0)
                return;
        safe = format_safe(parameters ? parameters : program ? program : "none");
        printf("NOTIFICATION COMMAND LINE: %s\n", safe ? safe : "");
}

/* Nothing where they are write-only, or another user's. */
static void print_headers(bits_job *job)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        _cleanup_free_ char *headers = NULL, *safe = NULL;

        if (bits_job_query_http_options(job, &options) < 0 ||
            bits_http_options_get_custom_headers(options, &headers) < 0)
                return;
        safe = format_safe(headers ? headers : "NULL");
        printf("CUSTOM HEADERS: %s\n", safe ? safe : "");
}

static int print_verbose(bits_job *job)
{
        _cleanup_free_ char *name = NULL, *description = NULL, *owner = NULL, *safe = NULL;
        char guid[GUID_SIZE], type[WORD_SIZE], state[WORD_SIZE], priority[WORD_SIZE];
        char done[NUMBER_SIZE], total[NUMBER_SIZE], created[DATE_SIZE], modified[DATE_SIZE];
        char completed[DATE_SIZE];
        bits_job_type job_type;
        bits_job_state job_state;
        bits_job_priority job_priority;
        bits_progress progress;
        bits_times times;
        uint32_t delay, timeout, count, flags, acl_flags, integrity, peers;
        int elevated;

        if (bits_job_get_display_name(job, &name) < 0 ||
            bits_job_get_description(job, &description) < 0 ||
            bits_job_get_owner(job, &owner) < 0 || bits_job_get_type(job, &job_type) < 0 ||
            bits_job_get_state(job, &job_state) < 0 ||
            bits_job_get_priority(job, &job_priority) < 0 ||
            bits_job_get_progress(job, &progress) < 0 || bits_job_get_times(job, &times) < 0 ||
            bits_job_get_minimum_retry_delay(job, &delay) < 0 ||
            bits_job_get_no_progress_timeout(job, &timeout) < 0 ||
            bits_job_get_error_count(job, &count) < 0 ||
            bits_job_get_notify_flags(job, &flags) < 0 ||
            bits_job_get_file_acl_flags(job, &acl_flags) < 0 ||
            bits_job_get_owner_elevated(job, &elevated) < 0 ||
            bits_job_get_owner_integrity_level(job, &integrity) < 0 ||
            bits_job_get_peer_caching_flags(job, &peers) < 0)
                return fail_action("get job information");
        safe = format_safe(name);
        printf("GUID: %s DISPLAY: '%s'\n", guid_text(bits_job_id(job), guid), safe ? safe : "");
        printf("TYPE: %s STATE: %s OWNER: %s\n",
               job_type == BITS_JOB_UPLOAD_REPLY ? "UPLOAD-REPLY"
                                                 : word_text(bits_job_type_name(job_type), type),
               state_text(job_state, state), owner);
        printf("PRIORITY: %s FILES: %u / %u BYTES: %s / %s\n",
               word_text(bits_job_priority_name(job_priority), priority),
               progress.files_transferred, progress.files_total,
               size_text(progress.bytes_transferred, done), size_text(progress.bytes_total, total));
        printf("CREATION TIME: %s MODIFICATION TIME: %s\n", date_text(times.creation, created),
               date_text(times.modification, modified));
        printf("COMPLETION TIME: %s ACL FLAGS: 0x%x\n",
               date_text(times.transfer_completion, completed), acl_flags);
        printf("NOTIFY INTERFACE: UNREGISTERED NOTIFICATION FLAGS: %u\n", flags);
        printf("RETRY DELAY: %u NO PROGRESS TIMEOUT: %u ERROR COUNT: %u\n", delay, timeout, count);
        print_proxy(job);
        print_error(job);
        free(safe);
        safe = format_safe(description);
        printf("DESCRIPTION: %s\n", safe ? safe : "");
        printf("JOB FILES:\n");
        print_files(job);
        print_notify_command(job);
        printf("owner MIC integrity level: 0x%x\n", integrity);
        printf("owner elevated ?           %s\n", elevated ? "true" : "false");
        printf("Peercaching flags\n\tEnable download from peers      :%s\n"
               "\tEnable serving to peers         :%s\n",
               peers & 1 ? "true" : "false", peers & 2 ? "true" : "false");
        print_headers(job);
        return EXIT_OK;
}

static int print_jobs(const Call *call, const ListOptions *options)
{
        _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;

        if (bits_manager_list_jobs(call->manager, options->all_users, &list) < 0)
                return fail_action("enumerate jobs");
        for (size_t i = 0; i < bits_job_list_count(list); i++) {
                const bits_job_summary *summary = bits_job_list_get(list, i);
                _cleanup_(bits_job_freep) bits_job *job = NULL;

                if (!options->verbose)
                        print_summary(summary);
                else if (bits_manager_get_job(call->manager, summary->id, &job) >= 0) {
                        (void)print_verbose(job);
                        putchar('\n');
                }
        }
        put_text(call, "Listed %zu job(s).\n", bits_job_list_count(list));
        return EXIT_OK;
}

/* CLI-285 */
int run_list(Call *call)
{
        ListOptions options = {};
        int r = parse_options(call, &options);

        return r == EXIT_OK ? print_jobs(call, &options) : r;
}

/* Until Ctrl-C. */
int run_monitor(Call *call)
{
        ListOptions options = { .refresh = 5 };
        int r = parse_options(call, &options);

        while (r == EXIT_OK) {
                if (isatty(STDOUT_FILENO))
                        printf("\033[H\033[J");
                printf("MONITORING BACKGROUND COPY MANAGER(%u second refresh)\n", options.refresh);
                r = print_jobs(call, &options);
                if (fflush(stdout) != 0)
                        r = EXIT_FAILED;
                if (r == EXIT_OK)
                        sleep(options.refresh);
        }
        return r;
}

int run_reset(Call *call)
{
        _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;
        ListOptions options = {};
        size_t cancelled = 0;
        char guid[GUID_SIZE];
        int r = parse_options(call, &options);

        if (r != EXIT_OK)
                return r;
        if (bits_manager_list_jobs(call->manager, options.all_users, &list) < 0)
                return fail_action("enumerate jobs");
        for (size_t i = 0; i < bits_job_list_count(list); i++) {
                const char *id = bits_job_list_get(list, i)->id;
                _cleanup_(bits_job_freep) bits_job *job = NULL;

                if (bits_manager_get_job(call->manager, id, &job) < 0 ||
                    bits_job_cancel(job, NULL) < 0) {
                        r = fail_action("cancel job");
                        continue;
                }
                printf("%s canceled.\n", guid_text(id, guid));
                cancelled++;
        }
        printf("%zu out of %zu jobs canceled.\n", cancelled, bits_job_list_count(list));
        return r;
}

static int print_info_line(bits_job *job)
{
        _cleanup_free_ char *name = NULL;
        bits_job_summary summary = { .id = bits_job_id(job) };
        bits_progress progress;

        if (bits_job_get_display_name(job, &name) < 0 ||
            bits_job_get_state(job, &summary.state) < 0 ||
            bits_job_get_progress(job, &progress) < 0)
                return fail_action("get job information");
        summary.display_name = name;
        summary.files_transferred = progress.files_transferred;
        summary.files_total = progress.files_total;
        summary.bytes_transferred = progress.bytes_transferred;
        summary.bytes_total = progress.bytes_total;
        print_summary(&summary);
        return EXIT_OK;
}

int run_info(Call *call)
{
        ListOptions options = {};
        int r = parse_options(call, &options);

        if (r != EXIT_OK)
                return r;
        return options.verbose ? print_verbose(call->job) : print_info_line(call->job);
}

int run_listfiles(Call *call)
{
        print_files(call->job);
        return EXIT_OK;
}
