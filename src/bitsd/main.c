/*
 * bitsd: the manager daemon. Parses strangers (D-Bus) and therefore has no privilege: its database,
 * UNIX sockets, nothing else. See doc/SECURITY.md.
 */
#include "basic/fd.h"
#include "basic/log.h"
#include "bitsd/manager.h"
#include "manager/intake.h"
#include "manager/settings.h"
#include "manager/zone.h"
#include "sandbox/sandbox.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

enum {
        FILES_MAX = 65536, /* descriptors: handles, tokens, files on their way */
};

static bool arg_user;
static const char *arg_runtime_directory;
static const char *arg_state_directory;
static const char *arg_config_directory;
static bool arg_check_config;
static bool arg_verbose;

static void print_help(void)
{
        printf("bitsd [OPTION…]\n"
               "The manager of the Background Intelligent Transfer Service.\n\n"
               "  --user                    serve one user, on the session bus, without root\n"
               "  --runtime-directory=DIR   where bits-broker has its sockets\n"
               "  --state-directory=DIR     where the jobs are stored\n"
               "  --config-directory=DIR    where bitsd.conf and bitsd.conf.d are\n"
               "  --check-config            read the configuration, say what is wrong, and end\n"
               "  --verbose                 log everything\n"
               "  --help, --version\n\n"
               "See bitsd(8).\n");
}

static int parse_arguments(int argc, char **argv)
{
        enum { USER = 256, RUNTIME, STATE, CONFIG, CHECK, VERBOSE, HELP, VERSION };
        static const struct option options[] = {
                { "user", no_argument, NULL, USER },
                { "runtime-directory", required_argument, NULL, RUNTIME },
                { "state-directory", required_argument, NULL, STATE },
                { "config-directory", required_argument, NULL, CONFIG },
                { "check-config", no_argument, NULL, CHECK },
                { "verbose", no_argument, NULL, VERBOSE },
                { "help", no_argument, NULL, HELP },
                { "version", no_argument, NULL, VERSION },
                { 0 },
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case USER:
                        arg_user = true;
                        break;
                case RUNTIME:
                        arg_runtime_directory = optarg;
                        break;
                case STATE:
                        arg_state_directory = optarg;
                        break;
                case CONFIG:
                        arg_config_directory = optarg;
                        break;
                case CHECK:
                        arg_check_config = true;
                        break;
                case VERBOSE:
                        arg_verbose = true;
                        break;
                case HELP:
                        print_help();
                        return 0;
                case VERSION:
                        printf("bitsd (OpenBITS) %s\n", PROJECT_VERSION);
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "bitsd: unexpected argument '%s'; try --help\n", argv[optind]);
                return -EINVAL;
        }
        return 1;
}

/* The directory given, or the usual one of the mode. NULL without a home. */
static char *directory(const char *given, const char *system, const char *variable,
                       const char *below_home)
{
        const char *base = getenv(variable), *home = getenv("HOME");
        char *path = NULL;
        int r;

        if (given)
                r = asprintf(&path, "%s", given);
        else if (!arg_user)
                r = asprintf(&path, "%s", system);
        else if (!string_empty(base))
                r = asprintf(&path, "%s/openbits", base);
        else if (!string_empty(home) && below_home)
                r = asprintf(&path, "%s/%s/openbits", home, below_home);
        else
                return NULL;
        return r < 0 ? NULL : path;
}

static int make_directory(const char *path)
{
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return mkdir(copy, 0700) < 0 && errno != EEXIST ? -errno : 0; /* SEC-69 */
}

static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)FILES_MAX);
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int enter_sandbox(const char *state_directory, const char *config_directory)
{
        const char *const writable[] = { state_directory, NULL };
        const char *const readable[] = { config_directory, NULL };
        uint32_t layers;
        int r = sandbox_enter(SANDBOX_MANAGER, &(SandboxPaths){ readable, writable }, &layers);

        if (r >= 0)
                r = sandbox_prove(SANDBOX_MANAGER);
        return r < 0 ? log_errno(LOG_ERR, r, "the sandbox does not hold") : 0;
}

/* Without a handler the signal ends the loop. */
static int add_signal(sd_event *event, int signal, sd_event_signal_handler_t handler,
                      void *userdata)
{
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, signal);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        return sd_event_add_signal(event, NULL, signal, handler, userdata);
}

/* POL-209: a wrong file changes nothing. */
static int on_reload(sd_event_source *source, const struct signalfd_siginfo *signal, void *userdata)
{
        Manager *manager = *(Manager **)userdata;

        (void)source;
        (void)signal;
        (void)sd_notify(0, "RELOADING=1");
        if (manager)
                manager_reload(manager);
        (void)sd_notify(0, "READY=1");
        return 0;
}

/* NetworkManager and UPower are on the system bus, whoever is served; a user's daemon can do
   without it. */
static void open_machine_bus(sd_event *event, sd_bus *bus, bool user_mode, sd_bus **ret)
{
        if (!user_mode)
                *ret = sd_bus_ref(bus);
        else if (sd_bus_open_system(ret) >= 0)
                (void)sd_bus_attach_event(*ret, event, SD_EVENT_PRIORITY_NORMAL);
}

/* SEC-480 */
static int screen(sd_bus *bus)
{
        return bus ? intake_watch(sd_bus_get_fd(bus), NULL, NULL) : 0;
}

/* After it has owned its name, so after the bus has answered. */
static int prove_screen(sd_bus *bus)
{
        if (intake_count(sd_bus_get_fd(bus)) > 0)
                return 0;
        log_error("libsystemd reads past what screens the descriptors that clients send: a file "
                  "system that hangs could stop this service, so it does not start");
        return -ENOTRECOVERABLE;
}

static int serve(ManagerOptions *options, const char *config_directory)
{
        sd_event *event = NULL;
        sd_bus *bus = NULL;
        Manager *manager = NULL;
        int r = sd_event_default(&event);

        if (r >= 0)
                r = add_signal(event, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = add_signal(event, SIGINT, NULL, NULL);
        if (r >= 0)
                r = add_signal(event, SIGHUP, on_reload, &manager);
        if (r >= 0)
                r = options->user_mode ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
        if (r < 0)
                log_errno(LOG_ERR, r, "cannot connect to the message bus");
        else
                open_machine_bus(event, bus, options->user_mode, &options->machine);
        if (r >= 0)
                r = screen(bus);
        if (r >= 0)
                r = screen(options->machine);
        if (r >= 0)
                r = enter_sandbox(options->state_directory, config_directory);
        if (r >= 0)
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(bus, true);
        if (r >= 0)
                r = manager_new(event, bus, options, &manager);
        if (r >= 0)
                r = prove_screen(bus);
        if (r >= 0) {
                (void)sd_notify(0, "READY=1");
                r = sd_event_loop(event);
                (void)sd_notify(0, "STOPPING=1");
        }
        manager_free(manager);
        if (options->machine)
                sd_bus_detach_event(options->machine);
        sd_bus_unref(options->machine);
        sd_bus_flush_close_unref(bus);
        sd_event_unref(event);
        return r;
}

int main(int argc, char **argv)
{
        _cleanup_free_ char *runtime = NULL, *state = NULL, *config = NULL;
        _cleanup_(settings_freep) Settings *settings = NULL;
        sd_id128_t boot;
        int r = parse_arguments(argc, argv);

        if (r <= 0)
                return r < 0 ? EX_USAGE : EXIT_SUCCESS;
        log_open("bitsd", arg_verbose ? LOG_DEBUG : LOG_INFO);
        zone_remember();
        config = directory(arg_config_directory, "/etc/openbits", "XDG_CONFIG_HOME", ".config");
        /* POL-210: with a policy that nobody wrote it would do what somebody forbade. */
        if (settings_new(config ? config : "/nonexistent", &settings) < 0) {
                log_error("the configuration below %s is wrong: nothing is started; see "
                          "bitsd.conf(5)",
                          config);
                return EX_CONFIG;
        }
        if (arg_check_config) {
                printf("%s: correct\n", config ? config : "no configuration");
                return EXIT_SUCCESS;
        }
        runtime = directory(arg_runtime_directory, "/run/openbits", "XDG_RUNTIME_DIR", NULL);
        state = directory(arg_state_directory, "/var/lib/openbits", "XDG_STATE_HOME",
                          ".local/state");
        if (!runtime || !state) {
                log_error("no runtime or state directory: set XDG_RUNTIME_DIR and HOME, or give "
                          "--runtime-directory and --state-directory");
                return EX_USAGE;
        }
        r = make_directory(state);
        if (r < 0) {
                log_errno(LOG_ERR, r, "cannot make the state directory %s", state);
                return EX_CANTCREAT;
        }
        umask(0077);
        raise_descriptor_limit();
        (void)sd_id128_get_boot(&boot); /* remembered by the library: the sandbox hides the file */
        r = serve(&(ManagerOptions){ arg_user, state, runtime, settings, NULL }, config);
        return r == -EPROTONOSUPPORT ? EX_CONFIG : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
