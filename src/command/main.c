/*
 * bits-command: runs a job's notification command line, once, as the user who set it.
 *
 * The command comes from the broker as a descriptor, and is what its user sealed; that it is to be
 * run now, and for what event, comes from bitsd as three numbers. The process is two from its
 * start: this one, the speaker, enters a sandbox without paths and sockets before it reads
 * anything; the other, the runner, is in none and reads nothing of bitsd but those numbers.
 *
 * When bitsd goes away, the command goes on to its end: a restart of the service is none of its
 * business. When the speaker is ended, the command is ended with it.
 */
#include "basic/fd.h"
#include "basic/log.h"
#include "command/orders.h"
#include "command/runner.h"
#include "sandbox/sandbox.h"
#include "wire/protocol.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
        ORDER_MSEC = 60 * 1000, /* without an order for so long: nobody wants us */
};

typedef struct Speaker {
        int channel; /* -EBADF once bitsd is gone */
        int runner;
        bool ordered, ended;
        Message in, out;
} Speaker;

static int take_order(Speaker *s)
{
        CommandRun run;
        Order order;

        if (s->in.type != MESSAGE_COMMAND_RUN || s->ordered || command_run_read(&s->in, &run) < 0)
                return -EBADMSG;
        if ((run.event != COMMAND_EVENT_TRANSFERRED && run.event != COMMAND_EVENT_ERROR) ||
            run.seconds == 0)
                return -EBADMSG;
        order = (Order){ run.event, run.code, run.seconds };
        s->ordered = true;
        return send(s->runner, &order, sizeof(order), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* 0 also when bitsd is gone: what runs is seen to its end, what was not ordered is not begun. */
static int read_channel(Speaker *s)
{
        int r = message_receive(&s->in, s->channel);

        if (r > 0)
                return take_order(s);
        if (r == -EAGAIN)
                return 0;
        if (r < 0 && r != -ECONNRESET)
                return r;
        s->channel = fd_close(s->channel);
        s->ended = !s->ordered;
        return 0;
}

static int say(Speaker *s)
{
        int r = s->channel < 0 ? 0 : message_send(&s->out, s->channel);

        return message_peer_is_gone(r) ? 0 : r;
}

static int read_runner(Speaker *s)
{
        Report report;
        ssize_t n = recv(s->runner, &report, sizeof(report), 0);

        if (n != sizeof(report)) {
                s->ended = true; /* it was killed: the end of the channel says so */
                return 0;
        }
        if (report.kind == REPORT_STARTED) {
                s->ended = report.number != 0;
                command_started_write(&s->out, 0, &(CommandStarted){ .error = report.number });
        } else {
                s->ended = true;
                command_ended_write(&s->out, 0, &(CommandEnded){ .result = report.number });
        }
        return say(s);
}

/* NTF-247 */
static int serve(Speaker *s)
{
        int r = 0;

        while (r >= 0 && !s->ended) {
                struct pollfd p[] = { { s->channel, POLLIN, 0 }, { s->runner, POLLIN, 0 } };
                int n = poll(p, ELEMENTS(p), s->ordered ? -1 : ORDER_MSEC);

                if (n == 0)
                        return 0;
                if (n < 0)
                        r = errno == EINTR ? 0 : -errno;
                else if (p[1].revents)
                        r = read_runner(s);
                else if (p[0].revents)
                        r = read_channel(s);
        }
        return r;
}

/* SEC-242: no message is read before the sandbox has proved itself. */
static int enter_sandbox(uint32_t *ret_layers)
{
        int r = sandbox_enter(SANDBOX_SPEAKER, NULL, ret_layers);

        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot enter the sandbox");
        r = sandbox_prove(SANDBOX_SPEAKER);
        return r < 0 ? log_errno(LOG_ERR, r, "the sandbox does not hold") : 0;
}

static int run(Speaker *s, uint32_t layers)
{
        WorkerHello hello = { PROTOCOL_VERSION, WORKER_COMMAND, geteuid(), layers };
        int r = 0;

        if (fcntl(s->channel, F_SETFL, fcntl(s->channel, F_GETFL) | O_NONBLOCK) < 0)
                r = -errno;
        if (r >= 0)
                r = message_init(&s->in);
        if (r >= 0)
                r = message_init(&s->out);
        if (r >= 0) {
                worker_hello_write(&s->out, 0, &hello);
                r = say(s);
        }
        if (r >= 0)
                r = serve(s);
        message_done(&s->in);
        message_done(&s->out);
        return r;
}

/* Forks into both: what is inherited later by the command must come from before the sandbox. */
static int split(Speaker *s)
{
        int pair[2], r = fd_socketpair(SOCK_SEQPACKET, false, pair);
        pid_t pid;

        if (r < 0)
                return r;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                fd_close(pair[0]);
                fd_close(WORKER_CHANNEL_FD);
                runner(pair[1], WORKER_COMMAND_FD);
        }
        fd_close(pair[1]);
        fd_close(WORKER_COMMAND_FD);
        s->runner = pair[0];
        return 0;
}

int main(void)
{
        Speaker s = { .channel = WORKER_CHANNEL_FD, .runner = -EBADF };
        uint32_t layers = 0;
        int r;

        log_open("bits-command", LOG_INFO);
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return EX_SOFTWARE;
        r = split(&s);
        if (r < 0) {
                log_errno(LOG_ERR, r, "cannot start the runner");
                return EX_SOFTWARE;
        }
        if (enter_sandbox(&layers) < 0)
                return EX_SOFTWARE;
        r = run(&s, layers);
        if (r < 0)
                log_errno(LOG_ERR, r, "channel cut off");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
