#include "command/runner.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/utf8.h"
#include "command/run.h"
#include "core/command-line.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
        LINES_MAX = 100, /* of output that go into the log */
        LINE_BYTES = 512,
        GRACE_SECONDS = 5, /* between SIGTERM and SIGKILL */
};

typedef struct Output {
        int fd;
        const char *job;
        unsigned lines;
        size_t used;
        char line[LINE_BYTES + 1];
} Output;

/* ---- output ---- */

static void log_line(Output *o)
{
        o->line[o->used] = '\0';
        o->used = 0;
        for (char *p = o->line; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        *p = ' ';
        utf8_scrub(o->line);
        if (++o->lines <= LINES_MAX)
                log_info("job %s: its command line says: %s", o->job, o->line);
        else if (o->lines == LINES_MAX + 1)
                log_notice("job %s: its command line says more than %d lines; the rest is dropped",
                           o->job, LINES_MAX);
}

/* NTF-248: what it says goes into the log, so much and no more; the rest is read all the same, so
   that it is never kept waiting. False when there is no more. */
static bool read_output(Output *o)
{
        char bytes[4096];
        ssize_t n = read(o->fd, bytes, sizeof(bytes));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        for (ssize_t i = 0; i < n && o->lines <= LINES_MAX; i++) {
                if (bytes[i] != '\n' && bytes[i] != '\0')
                        o->line[o->used++] = bytes[i];
                if (bytes[i] == '\n' || o->used == LINE_BYTES)
                        log_line(o);
        }
        return n > 0;
}

/* Its children may hold the pipe for as long as they like: what is there now is the end. */
static void finish_output(Output *o)
{
        struct pollfd p = { o->fd, POLLIN, 0 };

        while (o->lines <= LINES_MAX && poll(&p, 1, 0) > 0 && read_output(o))
                ;
        if (o->used > 0)
                log_line(o);
}

/* ---- the end ---- */

static uint32_t result_of(pid_t pid, bool timed_out)
{
        int status = 0;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return COMMAND_LOST;
        if (timed_out)
                return COMMAND_TIMED_OUT;
        if (WIFSIGNALED(status))
                return COMMAND_SIGNAL + (uint32_t)WTERMSIG(status);
        return COMMAND_STATUS + (uint32_t)WEXITSTATUS(status);
}

static int milliseconds_until(uint64_t deadline)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        return now >= deadline ? 0 : (int)MIN((deadline - now) / 1000 + 1, (uint64_t)INT_MAX);
}

/* NTF-249: it and what it started in its session, first by asking. */
static void end_one_step(pid_t pid, bool *timed_out, uint64_t *deadline)
{
        (void)kill(-pid, *timed_out ? SIGKILL : SIGTERM);
        *timed_out = true;
        *deadline = clock_usec(CLOCK_MONOTONIC) + GRACE_SECONDS * USEC_PER_SEC;
}

static uint32_t see_to_its_end(pid_t pid, int speaker, uint32_t seconds, Output *output)
{
        _cleanup_close_ int process = pidfd_open(pid, 0);
        uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + seconds * USEC_PER_SEC;
        struct pollfd p[] = { { process, POLLIN, 0 },
                              { speaker, 0, 0 },
                              { output->fd, POLLIN, 0 } };
        bool timed_out = false;

        while (process >= 0) {
                int r = poll(p, ELEMENTS(p), milliseconds_until(deadline));

                if (r < 0 && errno != EINTR)
                        break;
                if (p[2].revents && !read_output(output))
                        p[2].fd = -1;
                if (p[1].revents) { /* NTF-247: nobody is there to be told */
                        (void)kill(-pid, SIGKILL);
                        _exit(EXIT_FAILURE);
                }
                if (p[0].revents)
                        break;
                if (r == 0)
                        end_one_step(pid, &timed_out, &deadline);
        }
        return result_of(pid, timed_out);
}

static void report(int speaker, ReportKind kind, uint32_t number)
{
        Report r = { kind, number };

        (void)!send(speaker, &r, sizeof(r), MSG_NOSIGNAL);
}

static int run(int speaker, const Order *order, const CommandFile *file)
{
        Output output = { .fd = -EBADF, .job = file->job };
        uint32_t result;
        pid_t pid = 0;
        int r = run_command(file, order, &pid, &output.fd);

        report(speaker, REPORT_STARTED, (uint32_t)-r);
        if (r < 0)
                return r;
        result = see_to_its_end(pid, speaker, order->seconds, &output);
        finish_output(&output);
        report(speaker, REPORT_ENDED, result);
        fd_close(output.fd);
        return 0;
}

_noreturn_ void runner(int speaker, int command)
{
        CommandFile file = { 0 };
        Order order;
        int r = command_file_read(command, &file);

        fd_close(command);
        if (recv(speaker, &order, sizeof(order), 0) != sizeof(order))
                _exit(EXIT_SUCCESS); /* not wanted any more */
        if (r < 0)
                report(speaker, REPORT_STARTED, (uint32_t)-r);
        else
                r = run(speaker, &order, &file);
        command_file_done(&file);
        exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
