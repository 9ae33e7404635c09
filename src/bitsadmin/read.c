/*
 * The switches that print one value of a job, one row each.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bitsadmin/call.h"

#include "cli/format.h"

#include <stdio.h>

typedef struct Reading {
        const char *name;
        const char *action;    /* behind "Unable to " */
        const char *arguments; /* for the help: behind the job; NULL: none */
        /* One of these. */
        int (*number)(bits_job *job, uint32_t *ret);
        int (*text)(bits_job *job, char **ret);
        int (*own)(Call *call, const char *name);
} Reading;

static int get_type(Call *call, const char *name _unused_)
{
        char word[WORD_SIZE];
        bits_job_type type;

        if (bits_job_get_type(call->job, &type) < 0)
                return fail_action("get type");
        put_value(call, "%s",
                  type == BITS_JOB_UPLOAD_REPLY ? "UPLOAD-REPLY"
                                                : word_text(bits_job_type_name(type), word));
        return EXIT_OK;
}

static int get_state(Call *call, const char *name _unused_)
{
        char word[WORD_SIZE];
        bits_job_state state;

        if (bits_job_get_state(call->job, &state) < 0)
                return fail_action("get state");
        put_value(call, "%s", state_text(state, word));
        return EXIT_OK;
}

static int get_priority(Call *call, const char *name _unused_)
{
        char word[WORD_SIZE];
        bits_job_priority priority;

        if (bits_job_get_priority(call->job, &priority) < 0)
                return fail_action("get priority");
        put_value(call, "%s", word_text(bits_job_priority_name(priority), word));
        return EXIT_OK;
}

static int get_progress(Call *call, const char *name)
{
        bits_progress progress;
        char number[NUMBER_SIZE];

        if (bits_job_get_progress(call->job, &progress) < 0)
                return fail_action("get progress");
        if (word_is(name, "/getbytestotal"))
                put_value(call, "%s", size_text(progress.bytes_total, number));
        else if (word_is(name, "/getbytestransferred"))
                put_value(call, "%s", size_text(progress.bytes_transferred, number));
        else
                put_value(call, "%u",
                          word_is(name, "/getfilestotal") ? progress.files_total
                                                          : progress.files_transferred);
        return EXIT_OK;
}

static int get_times(Call *call, const char *name)
{
        char date[DATE_SIZE];
        bits_times times;

        if (bits_job_get_times(call->job, &times) < 0)
                return fail_action("get times");
        put_value(call, "%s",
                  date_text(word_is(name, "/getcreationtime")       ? times.creation
                            : word_is(name, "/getmodificationtime") ? times.modification
                                                                    : times.transfer_completion,
                            date));
        return EXIT_OK;
}

static int get_error(Call *call, const char *name _unused_)
{
        bits_job_error error;

        if (bits_job_get_error(call->job, &error) < 0)
                return fail_action("get error");
        if (!string_empty(error.remote_name))
                put_text(call, "ERROR FILE:    %s -> %s\n", error.remote_name, error.local_name);
        put_value(call, "ERROR CODE:    0x%08x - %s", error.code, error.text);
        put_text(call, "ERROR CONTEXT: 0x%08x - %s\n", error.context,
                 format_context(error.context));
        bits_job_error_done(&error);
        return EXIT_OK;
}

static int get_proxy(Call *call, const char *name)
{
        _cleanup_free_ char *list = NULL, *bypass = NULL;
        bits_proxy_usage usage;

        if (bits_job_get_proxy_settings(call->job, &usage, &list, &bypass) < 0)
                return fail_action("get proxy settings");
        if (word_is(name, "/getproxyusage"))
                put_value(call, "%s", proxy_words[usage]);
        else if (word_is(name, "/getproxylist"))
                put_value(call, "%s", list ? list : "NULL");
        else
                put_value(call, "%s", bypass ? bypass : "NULL");
        return EXIT_OK;
}

/* A local client hears of a job as long as it holds it; nothing of that outlives the client. */
static int get_notify_interface(Call *call, const char *name _unused_)
{
        put_value(call, "not registered");
        return EXIT_OK;
}

static int get_of_file(Call *call, const char *name)
{
        _cleanup_(bits_file_freep) bits_file *file = NULL;
        _cleanup_free_ char *path = NULL;
        uint32_t index;
        int valid;

        if (call->argc != 1 || !number_parse(call->argv[0], &index))
                return fail_text("Invalid argument: the file's index is needed, from 0.");
        if (bits_job_get_file(call->job, index, &file) < 0)
                return fail_action("get file");
        if (word_is(name, "/gettemporaryname")) {
                if (bits_file_get_temporary_name(file, &path) < 0)
                        return fail_action("get temporary name");
                put_value(call, "%s", path);
        } else {
                if (bits_file_get_validation_state(file, &valid) < 0)
                        return fail_action("get validation state");
                put_value(call, "%s", valid ? "TRUE" : "FALSE");
        }
        return EXIT_OK;
}

/* ---- replies ---- */

static int get_reply_progress(Call *call, const char *name _unused_)
{
        char done[NUMBER_SIZE], all[NUMBER_SIZE];
        uint64_t total, transferred;

        if (bits_job_get_reply_progress(call->job, &total, &transferred) < 0)
                return fail_action("get reply progress");
        put_value(call, "%s / %s", size_text(transferred, done), size_text(total, all));
        return EXIT_OK;
}

/* Sixteen bytes a line: where they stand, in hexadecimal, and as text. */
static int get_reply_data(Call *call, const char *name _unused_)
{
        enum { WIDTH = 16 };
        _cleanup_free_ void *data = NULL;
        const unsigned char *bytes;
        size_t length;

        if (bits_job_get_reply_data(call->job, &data, &length) < 0)
                return fail_action("get reply data");
        bytes = data;
        put_text(call, "REPLY LENGTH: %zu\n", length);
        for (size_t at = 0; at < length; at += WIDTH) {
                printf("%08zx ", at);
                for (size_t i = at; i < at + WIDTH; i++)
                        if (i < length)
                                printf(" %02x", bytes[i]);
                        else
                                printf("   ");
                printf("  ");
                for (size_t i = at; i < at + WIDTH && i < length; i++)
                        putchar(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
                putchar('\n');
        }
        return EXIT_OK;
}

static int get_helper(Call *call, const char *name)
{
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;
        _cleanup_free_ char *sid = NULL;
        uint32_t flags;

        if (bits_job_query_token_options(call->job, &options) < 0)
                return fail_action("get helper token options");
        if (word_is(name, "/gethelpertokenflags")) {
                if (bits_token_options_get_helper_token_flags(options, &flags) < 0)
                        return fail_action("get helper token flags");
                put_value(call, "0x%x", flags);
        } else {
                if (bits_token_options_get_helper_token_sid(options, &sid) < 0)
                        return fail_action("get helper token SID");
                put_value(call, "%s", sid ? sid : "NULL");
        }
        return EXIT_OK;
}

static int get_notify_command(Call *call, const char *name _unused_)
{
        _cleanup_free_ char *program = NULL, *parameters = NULL;

        if (bits_job_get_notify_cmd_line(call->job, &program, &parameters) < 0)
                return fail_action("get notification command line");
        put_value(call, "'%s' '%s'", program ? program : "NULL", parameters ? parameters : "NULL");
        return EXIT_OK;
}

static int get_acl_flags(Call *call, const char *name _unused_)
{
        char text[FORMAT_SIZE];
        uint32_t flags;

        if (bits_job_get_file_acl_flags(call->job, &flags) < 0)
                return fail_action("get ACL flags");
        put_value(call, "%s", acl_flags_text(flags, text));
        return EXIT_OK;
}

static int get_http(Call *call, const char *name)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        _cleanup_free_ char *text = NULL, *key = NULL;
        uint32_t flags;

        if (bits_job_query_http_options(call->job, &options) < 0)
                return fail_action("get HTTP options");
        if (word_is(name, "/getsecurityflags")) {
                if (bits_http_options_get_security_flags(options, &flags) < 0)
                        return fail_action("get security flags");
                put_value(call, "0x%x", flags);
                return EXIT_OK;
        }
        if (word_is(name, "/gethttpmethod")) {
                if (bits_http_options_get_http_method(options, &text) < 0)
                        return fail_action("get HTTP method");
                put_value(call, "%s", text);
                return EXIT_OK;
        }
        if (word_is(name, "/getcustomheaders")
                    ? bits_http_options_get_custom_headers(options, &text) < 0
                    : bits_http_options_get_client_certificate(options, &text, &key) < 0)
                return fail_action(word_is(name, "/getcustomheaders") ? "get custom headers"
                                                                      : "get client certificate");
        put_value(call, "%s", text ? text : "NULL");
        return EXIT_OK;
}

/* CLI-288, CLI-331 */
static const Reading readings[] = {
        { "/gettype", "get type", .own = get_type },
        { "/getstate", "get state", .own = get_state },
        { "/getpriority", "get priority", .own = get_priority },
        { "/getbytestotal", "get progress", .own = get_progress },
        { "/getbytestransferred", "get progress", .own = get_progress },
        { "/getfilestotal", "get progress", .own = get_progress },
        { "/getfilestransferred", "get progress", .own = get_progress },
        { "/getcreationtime", "get times", .own = get_times },
        { "/getmodificationtime", "get times", .own = get_times },
        { "/getcompletiontime", "get times", .own = get_times },
        { "/geterror", "get error", .own = get_error },
        { "/geterrorcount", "get error count", .number = bits_job_get_error_count },
        { "/getdisplayname", "get display name", .text = bits_job_get_display_name },
        { "/getdescription", "get description", .text = bits_job_get_description },
        { "/getowner", "get owner", .text = bits_job_get_owner },
        { "/getminretrydelay", "get retry delay", .number = bits_job_get_minimum_retry_delay },
        { "/getnoprogresstimeout", "get no progress timeout",
          .number = bits_job_get_no_progress_timeout },
        { "/getmaxdownloadtime", "get maximum download time",
          .number = bits_job_get_maximum_download_time },
        { "/getnotifyflags", "get notify flags", .number = bits_job_get_notify_flags },
        { "/getnotifyinterface", "get notify interface", .own = get_notify_interface },
        { "/getproxyusage", "get proxy settings", .own = get_proxy },
        { "/getproxylist", "get proxy settings", .own = get_proxy },
        { "/getproxybypasslist", "get proxy settings", .own = get_proxy },
        { "/gettemporaryname", "get file", "index", .own = get_of_file },
        { "/getvalidationstate", "get file", "index", .own = get_of_file },
        { "/getreplyfilename", "get reply file name", .text = bits_job_get_reply_file_name },
        { "/getreplyprogress", "get reply progress", .own = get_reply_progress },
        { "/getreplydata", "get reply data", .own = get_reply_data },
        { "/getpeercachingflags", "get peer caching flags",
          .number = bits_job_get_peer_caching_flags },
        { "/gethttpmethod", "get HTTP options", .own = get_http },
        { "/getnotifycmdline", "get notification command line", .own = get_notify_command },
        { "/getaclflags", "get ACL flags", .own = get_acl_flags },
        { "/getsecurityflags", "get security flags", .own = get_http },
        { "/getcustomheaders", "get custom headers", .own = get_http },
        { "/getclientcertificate", "get client certificate", .own = get_http },
        { "/gethelpertokenflags", "get helper token flags", .own = get_helper },
        { "/gethelpertokensid", "get helper token SID", .own = get_helper },
};

static const Reading *find(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(readings); i++)
                if (word_is(name, readings[i].name))
                        return &readings[i];
        return NULL;
}

bool is_get(const char *name)
{
        return find(name) != NULL;
}

void help_get(void)
{
        for (size_t i = 0; i < ELEMENTS(readings); i++)
                printf("  %s job%s%s\n", readings[i].name, readings[i].arguments ? " " : "",
                       readings[i].arguments ? readings[i].arguments : "");
}

int run_get(Call *call, const char *name)
{
        const Reading *reading = find(name);
        _cleanup_free_ char *text = NULL;
        uint32_t number;

        if (!reading->arguments && call->argc > 0)
                return fail_text("Invalid argument: %s job", reading->name);
        if (reading->own)
                return reading->own(call, reading->name);
        if (reading->number) {
                if (reading->number(call->job, &number) < 0)
                        return fail_action(reading->action);
                put_value(call, "%u", number);
                return EXIT_OK;
        }
        if (reading->text(call->job, &text) < 0)
                return fail_action(reading->action);
        put_value(call, "%s", text ? text : "NULL");
        return EXIT_OK;
}
