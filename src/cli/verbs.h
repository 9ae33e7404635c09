/*
 * The verbs of the command, their common options, and how a verb says that it was called wrongly.
 * A verb gets its own words as argv (argv[0] is the verb) and returns an exit status.
 */
#pragma once

#include "cli/base.h"

#include <getopt.h>

extern bool arg_json; /* --json */
extern bool arg_user; /* --user: the service of this user */

/* For the long options of every verb; next_option() handles them. */
enum {
        OPTION_JSON = 0x1000,
        OPTION_USER,
        OPTION_HELP,
        OPTION_VERSION,
        OPTION_OWN, /* a verb's own options start here */
};

#define COMMON_OPTIONS                                                                          \
        { "json", no_argument, NULL, OPTION_JSON }, { "user", no_argument, NULL, OPTION_USER }, \
                { "help", no_argument, NULL, OPTION_HELP },                                     \
                { "version", no_argument, NULL, OPTION_VERSION },                               \
        {                                                                                       \
        }

/* The verb's next own option, -1 at the end (optind stands at the operands), '?' after a wrong one:
   then return usage_error(NULL). `short_options` must have "h". */
int next_option(int argc, char **argv, const char *short_options, const struct option *options);

/* "bits: …" and the verb's usage line, to standard error. Always EXIT_USAGE. NULL: only the
   line. */
int usage_error(const char *format, ...) _printf_(1, 2);

/* What was printed is out: EXIT_OK, or EXIT_FAILED after saying why not. */
int finish_output(void);

/* Connects to the service that --user asks for: the library's result; or 0, or an exit status after
   saying why not. */
int try_service(bits_manager **ret_manager);
int open_service(bits_manager **ret_manager);

int verb_get(int argc, char **argv);
int verb_put(int argc, char **argv);
int verb_create(int argc, char **argv);
int verb_add(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_suspend(int argc, char **argv);
int verb_cancel(int argc, char **argv);
int verb_complete(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_watch(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_file(int argc, char **argv);
int verb_replace_prefix(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_set(int argc, char **argv);
int verb_token(int argc, char **argv);
int verb_credentials(int argc, char **argv);
int verb_certificate(int argc, char **argv);
int verb_take(int argc, char **argv);
int verb_admin(int argc, char **argv);
