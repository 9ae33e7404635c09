/*
 * Parsing happens before anything is opened, so a wrong option changes nothing. The manager's user
 * is looked up here, once, with the account database of the start.
 */
#include "broker/options.h"

#include "basic/log.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#ifndef LIBEXECDIR
#error "the build names the directory of the workers"
#endif

static const char help_text[] =
        "bits-broker [OPTION…]\n\n"
        "Keeps the identities that programs lend to the Background Intelligent Transfer\n"
        "Service, and starts its workers under them.\n\n"
        "  --user                   serve one user, without root\n"
        "  --runtime-directory=DIR  where the sockets are (/run/openbits)\n"
        "  --state-directory=DIR    where the ledger of owners is (/var/lib/openbits-broker)\n"
        "  --libexec-directory=DIR  where bits-file and bits-net are (" LIBEXECDIR ")\n"
        "  --manager-user=USER      name or number of the user that bitsd runs as (bitsd)\n"
        "  --verbose                log every token and worker\n"
        "  --help, --version\n";

static int take_string(char **slot, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*slot);
        *slot = copy;
        return 0;
}

static int parse_user(const char *text, uid_t *ret)
{
        const struct passwd *account;
        unsigned long number;
        char *end;

        errno = 0;
        number = strtoul(text, &end, 10);
        if (*text >= '0' && *text <= '9' && !*end && errno == 0 && number < UINT32_MAX) {
                *ret = (uid_t)number;
                return 0;
        }
        account = getpwnam(text);
        if (!account) {
                log_error("there is no user \"%s\" to run bitsd; see --manager-user", text);
                return -ESRCH;
        }
        *ret = account->pw_uid;
        return 0;
}

/* $variable/suffix, or ~/fallback/suffix; `fallback` NULL: the variable must be there. */
static int user_directory(const char *variable, const char *fallback, const char *suffix,
                          char **slot)
{
        const char *base = getenv(variable), *home = getenv("HOME");
        int n = -1;

        if (*slot)
                return 0;
        if (!string_empty(base))
                n = asprintf(slot, "%s/%s", base, suffix);
        else if (fallback && !string_empty(home))
                n = asprintf(slot, "%s/%s/%s", home, fallback, suffix);
        else {
                log_error("%s is not set", variable);
                return -ENOENT;
        }
        if (n < 0) {
                *slot = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int fill_directories(Options *o)
{
        int r;

        if (o->user) {
                r = user_directory("XDG_RUNTIME_DIR", NULL, "openbits", &o->runtime_directory);
                if (r < 0)
                        return r;
                return user_directory("XDG_STATE_HOME", ".local/state", "openbits-broker",
                                      &o->state_directory);
        }
        r = o->runtime_directory ? 0 : take_string(&o->runtime_directory, "/run/openbits");
        if (r < 0)
                return r;
        return o->state_directory ? 0
                                  : take_string(&o->state_directory, "/var/lib/openbits-broker");
}

static int fill_defaults(Options *o, const char *manager)
{
        int r;

        r = fill_directories(o);
        if (r < 0)
                return r;
        r = o->libexec_directory ? 0 : take_string(&o->libexec_directory, LIBEXECDIR);
        if (r < 0)
                return r;
        if (!manager && o->user) {
                o->manager_uid = geteuid();
                return 0;
        }
        return parse_user(manager ? manager : "bitsd", &o->manager_uid);
}

enum {
        OPTION_USER = 256,
        OPTION_RUNTIME,
        OPTION_STATE,
        OPTION_LIBEXEC,
        OPTION_MANAGER,
        OPTION_VERBOSE,
        OPTION_HELP,
        OPTION_VERSION,
};

static const struct option long_options[] = {
        { "user", no_argument, NULL, OPTION_USER },
        { "runtime-directory", required_argument, NULL, OPTION_RUNTIME },
        { "state-directory", required_argument, NULL, OPTION_STATE },
        { "libexec-directory", required_argument, NULL, OPTION_LIBEXEC },
        { "manager-user", required_argument, NULL, OPTION_MANAGER },
        { "verbose", no_argument, NULL, OPTION_VERBOSE },
        { "help", no_argument, NULL, OPTION_HELP },
        { "version", no_argument, NULL, OPTION_VERSION },
        { 0 },
};

/* 1, or as options_parse(). */
static int take_option(Options *o, int option, const char **manager)
{
        int r = 0;

        switch (option) {
        case OPTION_USER:
                o->user = true;
                break;
        case OPTION_RUNTIME:
                r = take_string(&o->runtime_directory, optarg);
                break;
        case OPTION_STATE:
                r = take_string(&o->state_directory, optarg);
                break;
        case OPTION_LIBEXEC:
                r = take_string(&o->libexec_directory, optarg);
                break;
        case OPTION_MANAGER:
                *manager = optarg;
                break;
        case OPTION_VERBOSE:
                o->verbose = true;
                break;
        case OPTION_HELP:
                fputs(help_text, stdout);
                return 0;
        case OPTION_VERSION:
                puts("bits-broker " PROJECT_VERSION);
                return 0;
        default: /* getopt has said what is wrong */
                return -EINVAL;
        }
        return r < 0 ? r : 1;
}

static int parse(int argc, char *argv[], Options *o)
{
        const char *manager = NULL;
        int option, r;

        while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
                r = take_option(o, option, &manager);
                if (r <= 0)
                        return r;
        }
        if (optind < argc) {
                log_error("\"%s\": no arguments are expected; see --help", argv[optind]);
                return -EINVAL;
        }
        r = fill_defaults(o, manager);
        return r < 0 ? r : 1;
}

int options_parse(int argc, char *argv[], Options *ret)
{
        Options o = { 0 };
        int r = parse(argc, argv, &o);

        if (r <= 0) {
                options_done(&o);
                return r;
        }
        *ret = o;
        return 1;
}

void options_done(Options *o)
{
        free(o->runtime_directory);
        free(o->state_directory);
        free(o->libexec_directory);
        *o = (Options){ 0 };
}
