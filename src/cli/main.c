/*
 * bits: the command line of OpenBITS. This file knows the verbs; each verb lives in its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/report.h"
#include "cli/suggest.h"
#include "cli/verbs.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>

bool arg_json = false;
bool arg_user = false;

#define HTTP_OPTIONS_USAGE                                                                      \
        "[--certificate FILE [--key FILE] [--passphrase-file FILE]] [--header LINE] [--method " \
        "METHOD] [--security WORD[,…]]"
#define HTTP_USAGE "[--proxy LIST] [--negotiate] [--proxy-negotiate] " HTTP_OPTIONS_USAGE

static const struct Verb {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *usage;
        const char *summary;
} verbs[] = {
        { "get", verb_get,
          "[--name NAME] [--priority P] [--detach] [--range OFFSET:LENGTH[,…]] [--dynamic] "
          "[--max-size BYTES] [--local-as USER] [--network-as USER] [--notify-command "
          "COMMAND] " HTTP_USAGE " URL [FILE]",
          "fetch a file and show the progress; Ctrl-C leaves it to the background" },
        { "put", verb_put,
          "[--reply FILE] [--name NAME] [--priority P] [--detach] [--local-as USER] "
          "[--network-as USER] [--notify-command COMMAND] " HTTP_USAGE " FILE URL",
          "send a file to a BITS server and show the progress; Ctrl-C leaves it to the "
          "background" },
        { "create", verb_create,
          "[--type TYPE] [--description TEXT] [--priority P] [--notify-command COMMAND] "
          "[--dynamic] [--max-size BYTES] " HTTP_OPTIONS_USAGE " [NAME]",
          "make an empty, suspended job and print its id" },
        { "add", verb_add, "[--range OFFSET:LENGTH[,…]] JOB URL FILE | bits add JOB --from LIST|-",
          "add a file, or all lines 'URL FILE' of a list" },
        { "resume", verb_resume, "JOB…", "let jobs run" },
        { "suspend", verb_suspend, "JOB…", "pause jobs" },
        { "complete", verb_complete, "JOB…", "give the finished files their names; ends the jobs" },
        { "cancel", verb_cancel, "JOB…", "end jobs and delete what they fetched" },
        { "wait", verb_wait, "[--timeout SECONDS] JOB…", "wait until jobs are transferred" },
        { "list", verb_list, "[--all-users]", "list jobs" },
        { "watch", verb_watch, "[--all-users] [--interval SECONDS] [JOB…]",
          "list jobs whenever they change, with their rates" },
        { "show", verb_show, "JOB [KEY…]", "show all about a job, or only these properties" },
        { "set", verb_set, "JOB KEY=VALUE… | bits set --keys",
          "change properties of a job; --keys lists them and what may be written" },
        { "file", verb_file,
          "show JOB N | bits file url JOB N URL | bits file request JOB N OFFSET:LENGTH[,…] | bits "
          "file position JOB N OFFSET | bits file valid JOB N yes|no",
          "one file of a job: where it comes from, its parts, whether it is good" },
        { "replace-prefix", verb_replace_prefix, "JOB OLD NEW",
          "fetch all files of a job from elsewhere" },
        { "token", verb_token,
          "set JOB [--as USER] | bits token clear JOB | bits token flags JOB FLAGS | bits token "
          "show "
          "JOB",
          "a job's second identity; FLAGS: none, or local-file, network, client-certificate with "
          "commas between" },
        { "credentials", verb_credentials,
          "set JOB server|proxy SCHEME USER [--password-file FILE|-] | bits credentials set JOB "
          "server|proxy negotiate --implicit | bits credentials remove JOB server|proxy SCHEME",
          "names and passwords; SCHEME: basic, digest, ntlm, negotiate" },
        { "certificate", verb_certificate,
          "set JOB FILE [--key FILE] [--passphrase | --passphrase-file FILE|-] | bits certificate "
          "remove JOB",
          "the certificate that is shown to servers that ask for one" },
        { "take", verb_take, "JOB…", "make jobs of others your own (administrators)" },
        { "admin", verb_admin,
          "policy | bits admin owners|notify [--state-directory=DIR] | bits admin owners "
          "[--state-directory=DIR] remove USER… | bits admin notify [--state-directory=DIR] remove "
          "JOB…",
          "the settings in force; list or remove the users for whom the broker starts workers, or "
          "the command lines of all users (root)" },
};

static const struct Verb *current;

static void print_help(FILE *to)
{
        if (current) {
                fprintf(to, "usage: bits %s %s\n", current->name, current->usage);
                fprintf(to, "%s\n", current->summary);
                return;
        }
        fprintf(to, "usage: bits [--user] [--json] VERB …\n\n"
                    "Downloads and uploads in the background, that outlive sign-offs, crashes and "
                    "reboots.\n\n");
        for (size_t i = 0; i < ELEMENTS(verbs); i++)
                fprintf(to, "  %-15s %s\n", verbs[i].name, verbs[i].summary);
        fprintf(to, "\n"
                    "  --json    print JSON instead of text\n"
                    "  --user    use this user's own service (bitsd --user)\n"
                    "  --help    help, also after a verb\n"
                    "  --version\n\n"
                    "JOB is an id, an unambiguous beginning of one, or a display name. More: man "
                    "bits\n");
}

/* CLI-32, CLI-332 */
int usage_error(const char *format, ...)
{
        va_list ap;

        if (format) {
                va_start(ap, format);
                report_note_v(format, ap);
                va_end(ap);
        }
        if (current)
                fprintf(stderr, "usage: bits %s %s\n", current->name, current->usage);
        else
                fprintf(stderr,
                        "usage: bits [--user] [--json] VERB …; 'bits help' lists the verbs\n");
        return EXIT_USAGE;
}

/* What people say who know other commands. CLI-497 */
static const struct {
        const char *word, *verb;
} synonyms[] = {
        { "delete", "cancel" },   { "remove", "cancel" }, { "rm", "cancel" },
        { "ls", "list" },         { "start", "resume" },  { "stop", "suspend" },
        { "pause", "suspend" },   { "status", "show" },   { "info", "show" },
        { "download", "get" },    { "fetch", "get" },     { "upload", "put" },
        { "finish", "complete" }, { "new", "create" },
};

static int no_such_verb(const char *word)
{
        Suggestion suggestion = { .typed = word };
        char text[64];

        for (size_t i = 0; i < ELEMENTS(verbs); i++)
                suggest_consider(&suggestion, verbs[i].name);
        for (size_t i = 0; i < ELEMENTS(synonyms); i++)
                if (string_equal(word, synonyms[i].word))
                        suggestion.word = synonyms[i].verb;
        return usage_error("there is no verb '%s'%s", word,
                           suggest_text(&suggestion, "", text, sizeof(text)));
}

static void report_unknown_option(const char *word, const struct option *options)
{
        const char *name = word + strspn(word, "-");
        Suggestion suggestion = { .typed = strndupa(name, strcspn(name, "=")) };
        char text[64];

        for (; options->name; options++)
                suggest_consider(&suggestion, options->name);
        report_note("'%s' is no option here, or may be more than one%s", word,
                    suggest_text(&suggestion, "--", text, sizeof(text)));
}

/* getopt's own words name the verb as if it were the program. CLI-423 */
static void report_option(const char *word, const struct option *options)
{
        if (optopt == 0)
                report_unknown_option(word, options);
        else if (optopt < OPTION_JSON)
                report_note("'-%c' is no option here", optopt);
        else if (strchr(word, '='))
                report_note("'%.*s' takes no value", (int)strcspn(word, "="), word);
        else
                report_note("'%s' needs a value", word);
}

int next_option(int argc, char **argv, const char *short_options, const struct option *options)
{
        int c;

        opterr = 0;
        for (;;) {
                c = getopt_long(argc, argv, short_options, options, NULL);
                switch (c) {
                case OPTION_JSON:
                        arg_json = true;
                        continue;
                case OPTION_USER:
                        arg_user = true;
                        continue;
                case 'h':
                case OPTION_HELP:
                        print_help(stdout);
                        exit(finish_output());
                case OPTION_VERSION:
                        printf("bits (OpenBITS) %s\n", PROJECT_VERSION);
                        exit(finish_output());
                case '?':
                        report_option(argv[optind - 1], options);
                        return c;
                default:
                        return c;
                }
        }
}

int try_service(bits_manager **ret_manager)
{
        return arg_user ? bits_manager_open_user(ret_manager) : bits_manager_open(ret_manager);
}

/* CLI-34 */
int open_service(bits_manager **ret_manager)
{
        return try_service(ret_manager) < 0 ? report_failure(NULL) : EXIT_OK;
}

/* CLI-422: a full disk behind standard output is a failure too. */
int finish_output(void)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return EXIT_OK;
        fprintf(stderr, "bits: cannot write the output: %s\n", strerror(errno));
        return EXIT_FAILED;
}

/* CLI-33 */
static int run_help(const char *verb)
{
        for (size_t i = 0; verb && i < ELEMENTS(verbs); i++)
                if (string_equal(verb, verbs[i].name))
                        current = &verbs[i];
        if (verb && !current)
                return no_such_verb(verb);
        print_help(stdout);
        return finish_output();
}

int main(int argc, char **argv)
{
        static const struct option options[] = { COMMON_OPTIONS };
        int c, r;

        /* A locale that this machine does not have names a language all the same, in UTF-8. */
        if (!setlocale(LC_ALL, ""))
                (void)setlocale(LC_CTYPE, "C.UTF-8");

        while ((c = next_option(argc, argv, "+h", options)) >= 0)
                return usage_error(NULL);
        argc -= optind;
        argv += optind;
        if (argc == 0)
                return usage_error("what shall be done?");
        if (string_equal(argv[0], "help"))
                return run_help(argv[1]);

        for (size_t i = 0; i < ELEMENTS(verbs); i++) {
                if (!string_equal(argv[0], verbs[i].name))
                        continue;
                current = &verbs[i];
                optind = 0;
                r = verbs[i].run(argc, argv);
                return r == EXIT_OK ? finish_output() : r;
        }
        return no_such_verb(argv[0]);
}
