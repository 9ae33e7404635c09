/*
 * bits-broker: the one program of OpenBITS that can become somebody else.
 *
 * It parses nothing from strangers and takes a few fixed messages from bitsd. Everything that needs
 * more than its three capabilities (run-time directory, the manager socket's owner, the ledger's
 * directory) happens before they are the only ones left; from then on there is an event loop with
 * the token socket (token-socket.c), the manager's connection (requests.c), the ends that were kept
 * of tokens (token.c) and the children (spawn.c).
 */
#include "basic/log.h"
#include "broker/broker.h"
#include "broker/listen.h"
#include "broker/options.h"
#include "broker/privilege.h"
#include "broker/requests.h"
#include "broker/token-socket.h"

#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
        FILES_WANTED = 2 * TOKENS_MAX,
};

typedef struct Broker {
        bool may_switch;
        struct rlimit files; /* as we found it: the workers' */
        unsigned tokens_max;
        Sockets sockets;
        sd_event *event;
        Tokens *tokens;
        Owners *owners;
        Commands *commands;
        Requests *requests;
        TokenSocket *token_socket;
} Broker;

static void broker_done(Broker *b)
{
        token_socket_free(b->token_socket);
        requests_free(b->requests);
        tokens_free(b->tokens);
        commands_free(b->commands);
        owners_free(b->owners);
        sd_event_unref(b->event);
        sockets_close(&b->sockets);
}

/* A token costs us one descriptor; a half of what we get is for tokens. Descriptors on their way to
   clients are counted by the kernel against the same number. */
static int raise_files(Broker *b)
{
        struct rlimit wanted;

        if (getrlimit(RLIMIT_NOFILE, &b->files) < 0)
                return -errno;
        wanted = b->files;
        if (wanted.rlim_cur < FILES_WANTED)
                wanted.rlim_cur = MIN(wanted.rlim_max, (rlim_t)FILES_WANTED);
        /* Above the hard limit only with a capability that we may not have. */
        if (wanted.rlim_cur < FILES_WANTED) {
                struct rlimit more = { FILES_WANTED, FILES_WANTED };

                if (setrlimit(RLIMIT_NOFILE, &more) == 0)
                        wanted = more;
        }
        if (setrlimit(RLIMIT_NOFILE, &wanted) < 0)
                return -errno;
        b->tokens_max = (unsigned)MIN(wanted.rlim_cur / 2, (rlim_t)TOKENS_MAX);
        return 0;
}

/* What needs more rights than the broker keeps. */
static int open_privileged(Broker *b, const Options *o)
{
        int r;

        r = raise_files(b);
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot set the limit of open files");
        r = sockets_open(o->runtime_directory, o->manager_uid, &b->sockets);
        if (r == -EBUSY)
                return log_errno(LOG_ERR, r, "another broker serves %s", o->runtime_directory);
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot open the sockets in %s", o->runtime_directory);
        r = b->may_switch ? owners_open(o->state_directory, &b->owners) : 0;
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot open the ledger in %s", o->state_directory);
        r = commands_open(o->state_directory, &b->commands);
        if (r < 0)
                log_errno(LOG_WARNING, r, "no command lines of jobs are kept: cannot open %s",
                          o->state_directory);
        return 0;
}

/* TOK-67: both parts of a token bear its name, one after the other. */
static void restore_tokens(Broker *b)
{
        Sockets *s = &b->sockets;

        for (size_t i = 0; i + 1 < s->n_passed; i++) {
                Passed *x = &s->passed[i], *y = &s->passed[i + 1];
                int r;

                if (!string_equal(x->name, y->name))
                        continue;
                r = tokens_restore(b->tokens, TAKE_FD(x->fd), TAKE_FD(y->fd));
                if (r < 0)
                        log_errno(LOG_WARNING, r, "a kept token is lost");
                i++;
        }
        if (tokens_count(b->tokens) > 0)
                log_info("%u tokens of a former broker live on", tokens_count(b->tokens));
        sockets_drop_passed(s);
}

static int serve(Broker *b, const Options *o)
{
        RequestsConfig requests = {
                .spawner = { o->libexec_directory, b->may_switch, b->files },
                .own_uid = geteuid(),
                .manager_uid = o->manager_uid,
        };
        TokenSocketConfig door = {
                .any_user = b->may_switch,
                .own_uid = geteuid(),
                .manager_uid = o->manager_uid,
        };
        int r;

        r = tokens_new(b->event, b->tokens_max, &b->tokens);
        if (r < 0)
                return r;
        restore_tokens(b);
        requests.tokens = door.tokens = b->tokens;
        requests.owners = door.owners = b->owners;
        requests.commands = b->commands;
        r = requests_new(b->event, b->sockets.manager, &requests, &b->requests);
        if (r < 0)
                return r;
        return token_socket_new(b->event, b->sockets.token, &door, &b->token_socket);
}

/* SIGTERM and SIGINT end the loop. SIGCHLD is blocked for the children's sources. A log that nobody
   reads any more must not end us. */
static int handle_signals(Broker *b)
{
        static const int ending[] = { SIGTERM, SIGINT };
        sigset_t set;
        int r = 0;

        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        for (size_t i = 0; i < ELEMENTS(ending); i++)
                sigaddset(&set, ending[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTS(ending) && r >= 0; i++)
                r = sd_event_add_signal(b->event, NULL, ending[i], NULL, NULL);
        return r;
}

static int run(Broker *b, const Options *o)
{
        int r;

        b->may_switch = !o->user && privilege_may_switch();
        if (!o->user && !b->may_switch)
                log_notice("no right to become other users: one identity only, uid %u",
                           (unsigned)geteuid());
        r = open_privileged(b, o);
        if (r < 0)
                return r;
        /* SEC-40 */
        r = privilege_drop(b->may_switch);
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot give up privileges");
        r = sd_event_new(&b->event);
        if (r >= 0)
                r = handle_signals(b);
        if (r >= 0)
                r = serve(b, o);
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot start");
        (void)sd_notify(0, "READY=1");
        log_info("serving %s%s", o->runtime_directory, b->may_switch ? "" : " with one identity");
        r = sd_event_loop(b->event);
        (void)sd_notify(0, "STOPPING=1");
        return r < 0 ? log_errno(LOG_ERR, r, "the event loop failed") : 0;
}

int main(int argc, char *argv[])
{
        Broker broker = { .sockets = { .lock = -EBADF, .token = -EBADF, .manager = -EBADF } };
        Options options = { 0 };
        int r;

        log_open("bits-broker", LOG_INFO);
        r = options_parse(argc, argv, &options);
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (options.verbose)
                log_open("bits-broker", LOG_DEBUG);
        r = run(&broker, &options);
        broker_done(&broker);
        options_done(&options);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
