/*
 * The switches that change a property of a job, one row each.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bitsadmin/call.h"

#include "cli/users.h"

#include <stdio.h>

typedef struct Change {
        const char *name;
        const char *arguments; /* for the help */
        int least, most;       /* arguments, without the job */
        const char *action;    /* behind "Unable to " */
        /* One of these. */
        int (*number)(bits_job *job, uint32_t number);
        int (*text)(bits_job *job, const char *text);
        int (*own)(Call *call); /* the library's result, or -EINVAL after nothing was done */
} Change;

static int find_word(const char *word, const char *const words[], size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (words[i] && word_is(word, words[i]))
                        return (int)i;
        return -EINVAL;
}

/* The result of an own(): the arguments make no sense. */
#define WRONG_ARGUMENTS 2

static int set_priority(Call *call)
{
        bits_job_priority priority;

        return priority_parse(call->argv[0], &priority) ? bits_job_set_priority(call->job, priority)
                                                        : WRONG_ARGUMENTS;
}

/* The original divides the list by commas, the service by blanks. */
static int set_proxy(Call *call)
{
        int usage = find_word(call->argv[0], proxy_words, PROXY_WORDS);
        _cleanup_free_ char *list = NULL;
        const char *bypass = call->argc > 2 ? null_or(call->argv[2]) : NULL;

        if (usage < 0)
                return WRONG_ARGUMENTS;
        if (call->argc > 1 && null_or(call->argv[1])) {
                list = strdup(call->argv[1]);
                if (!list)
                        return -ENOMEM;
                for (char *p = list; *p; p++)
                        if (*p == ',')
                                *p = ' ';
        }
        return bits_job_set_proxy_settings(call->job, (bits_proxy_usage)usage, list, bypass);
}

static bool credentials_target(const Call *call, bits_auth_target *ret_target,
                               bits_auth_scheme *ret_scheme)
{
        static const char *const targets[] = {
                [BITS_AUTH_SERVER] = "SERVER", [BITS_AUTH_PROXY] = "PROXY"
        };
        static const char *const schemes[] = {
                [BITS_AUTH_BASIC] = "BASIC",       [BITS_AUTH_DIGEST] = "DIGEST",
                [BITS_AUTH_NTLM] = "NTLM",         [BITS_AUTH_NEGOTIATE] = "NEGOTIATE",
                [BITS_AUTH_PASSPORT] = "PASSPORT",
        };
        int target = find_word(call->argv[0], targets, ELEMENTS(targets));
        int scheme = find_word(call->argv[1], schemes, ELEMENTS(schemes));

        *ret_target = (bits_auth_target)target;
        *ret_scheme = (bits_auth_scheme)scheme;
        return target >= 0 && scheme >= 0;
}

static int set_credentials(Call *call)
{
        bits_auth_target target;
        bits_auth_scheme scheme;

        if (!credentials_target(call, &target, &scheme))
                return WRONG_ARGUMENTS;
        return bits_job_set_credentials(call->job, target, scheme, null_or(call->argv[2]),
                                        null_or(call->argv[3]));
}

static int remove_credentials(Call *call)
{
        bits_auth_target target;
        bits_auth_scheme scheme;

        if (!credentials_target(call, &target, &scheme))
                return WRONG_ARGUMENTS;
        return bits_job_remove_credentials(call->job, target, scheme);
}

/* The password of a local account is not needed: root may be anybody, and nobody else may. */
static int set_helper_token(Call *call)
{
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;
        _cleanup_(user_done) User user = {};
        int r = bits_job_query_token_options(call->job, &options);

        if (r < 0)
                return r;
        if (call->argc == 0)
                return bits_token_options_set_helper_token(options);
        if (user_parse(call->argv[0], &user) != EXIT_OK ||
            user_set_helper_token(options, &user) != EXIT_OK)
                exit(EXIT_FAILED); /* what is wrong has been said */
        return 0;
}

static int set_helper_flags(Call *call)
{
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;
        uint32_t flags;
        int r;

        if (!number_parse(call->argv[0], &flags))
                return WRONG_ARGUMENTS;
        r = bits_job_query_token_options(call->job, &options);
        return r < 0 ? r : bits_token_options_set_helper_token_flags(options, flags);
}

static int set_notify_command(Call *call)
{
        return bits_job_set_notify_cmd_line(call->job, null_or(call->argv[0]),
                                            null_or(call->argv[1]));
}

static int set_acl_flags(Call *call)
{
        uint32_t flags;

        return acl_flags_parse(call->argv[0], &flags)
                       ? bits_job_set_file_acl_flags(call->job, flags)
                       : WRONG_ARGUMENTS;
}

/* Each argument is a header. */
static int set_headers(Call *call)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f;
        int r = bits_job_query_http_options(call->job, &options);

        if (r < 0)
                return r;
        if (call->argc == 1 && !null_or(call->argv[0]))
                return bits_http_options_set_custom_headers(options, NULL);
        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        for (int i = 0; i < call->argc; i++)
                fprintf(f, "%s%s", i > 0 ? "\r\n" : "", call->argv[i]);
        if (fclose(f) != 0)
                return -ENOMEM;
        return bits_http_options_set_custom_headers(options, text);
}

static int make_headers_write_only(Call *call)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(call->job, &options);

        return r < 0 ? r : bits_http_options_make_custom_headers_write_only(options);
}

static int set_security_flags(Call *call)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        uint32_t flags;
        int r;

        if (!number_parse(call->argv[0], &flags))
                return WRONG_ARGUMENTS;
        r = bits_job_query_http_options(call->job, &options);
        return r < 0 ? r : bits_http_options_set_security_flags(options, flags);
}

static int remove_certificate(Call *call)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(call->job, &options);

        return r < 0 ? r : bits_http_options_remove_client_certificate(options);
}

static int set_http_method(Call *call)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(call->job, &options);

        return r < 0 ? r : bits_http_options_set_http_method(options, null_or(call->argv[0]));
}

static int set_reply_file_name(Call *call)
{
        return bits_job_set_reply_file_name(call->job, null_or(call->argv[0]));
}

static int set_validation_state(Call *call)
{
        static const char *const words[] = { "FALSE", "TRUE" };
        int valid = find_word(call->argv[1], words, ELEMENTS(words));
        _cleanup_(bits_file_freep) bits_file *file = NULL;
        uint32_t index;
        int r;

        if (valid < 0 || !number_parse(call->argv[0], &index))
                return WRONG_ARGUMENTS;
        r = bits_job_get_file(call->job, index, &file);
        return r < 0 ? r : bits_file_set_validation_state(file, valid);
}

static int replace_remote_prefix(Call *call)
{
        int r = bits_job_replace_remote_prefix(call->job, call->argv[0], call->argv[1]);

        if (r > 0) /* S_FALSE */
                put_text(call, "No remote name of the job begins with %s.\n", call->argv[0]);
        return r;
}

/* CLI-289, CLI-331 */
static const Change changes[] = {
        { "/setdisplayname", "name", 1, 1, "set display name", .text = bits_job_set_display_name },
        { "/setdescription", "text", 1, 1, "set description", .text = bits_job_set_description },
        { "/setpriority", "FOREGROUND|HIGH|NORMAL|LOW", 1, 1, "set priority", .own = set_priority },
        { "/setminretrydelay", "seconds", 1, 1, "set retry delay",
          .number = bits_job_set_minimum_retry_delay },
        { "/setnoprogresstimeout", "seconds", 1, 1, "set no progress timeout",
          .number = bits_job_set_no_progress_timeout },
        { "/setmaxdownloadtime", "seconds", 1, 1, "set maximum download time",
          .number = bits_job_set_maximum_download_time },
        { "/setnotifyflags", "flags", 1, 1, "set notify flags",
          .number = bits_job_set_notify_flags },
        { "/setproxysettings", "PRECONFIG|NO_PROXY|AUTODETECT|OVERRIDE [list] [bypass]", 1, 3,
          "set proxy settings", .own = set_proxy },
        { "/setcredentials", "SERVER|PROXY scheme user password", 4, 4, "set credentials",
          .own = set_credentials },
        { "/removecredentials", "SERVER|PROXY scheme", 2, 2, "remove credentials",
          .own = remove_credentials },
        { "/setnotifycmdline", "program parameters", 2, 2, "set notification command line",
          .own = set_notify_command },
        { "/setaclflag", "letters of ogds", 1, 1, "set ACL flags", .own = set_acl_flags },
        { "/setaclflags", "letters of ogds", 1, 1, "set ACL flags", .own = set_acl_flags },
        { "/setcustomheaders", "header [header …]", 1, 10000, "set custom headers",
          .own = set_headers },
        { "/makecustomheaderswriteonly", "", 0, 0, "make custom headers write-only",
          .own = make_headers_write_only },
        { "/setsecurityflags", "value", 1, 1, "set security flags", .own = set_security_flags },
        { "/sethttpmethod", "method", 1, 1, "set HTTP method", .own = set_http_method },
        { "/setpeercachingflags", "flags", 1, 1, "set peer caching flags",
          .number = bits_job_set_peer_caching_flags },
        { "/setreplyfilename", "path", 1, 1, "set reply file name", .own = set_reply_file_name },
        { "/setvalidationstate", "index TRUE|FALSE", 2, 2, "set validation state",
          .own = set_validation_state },
        { "/replaceremoteprefix", "old new", 2, 2, "replace remote prefix",
          .own = replace_remote_prefix },
        { "/removeclientcertificate", "", 0, 0, "remove client certificate",
          .own = remove_certificate },
        { "/sethelpertoken", "[user [password]]", 0, 2, "set helper token",
          .own = set_helper_token },
        { "/sethelpertokenflags", "flags", 1, 1, "set helper token flags",
          .own = set_helper_flags },
};

static const Change *find(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(changes); i++)
                if (word_is(name, changes[i].name))
                        return &changes[i];
        return NULL;
}

bool is_set(const char *name)
{
        return find(name) != NULL;
}

void help_set(void)
{
        for (size_t i = 0; i < ELEMENTS(changes); i++)
                printf("  %s job %s\n", changes[i].name, changes[i].arguments);
}

static int wrong_arguments(const Change *change)
{
        return fail_text("Invalid argument: %s job %s", change->name, change->arguments);
}

int run_set(Call *call, const char *name)
{
        const Change *change = find(name);
        uint32_t number;
        int r;

        if (call->argc < change->least || call->argc > change->most)
                return wrong_arguments(change);
        if (change->own)
                r = change->own(call);
        else if (change->text)
                r = change->text(call->job, call->argv[0]);
        else if (number_parse(call->argv[0], &number))
                r = change->number(call->job, number);
        else
                r = WRONG_ARGUMENTS;
        if (r == WRONG_ARGUMENTS)
                return wrong_arguments(change);
        return r < 0 ? fail_action(change->action) : EXIT_OK;
}
