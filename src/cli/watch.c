/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A job lives in the service, not in this process: when the service goes away, the job does not,
 * and the command takes it up again as soon as the bus says that it is back. When the bus went away
 * itself it is tried in intervals: the only place, since nobody is there who could call.
 */
#include "cli/watch.h"

#include "cli/report.h"
#include "cli/verbs.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define REOPEN_USEC       30000000ull
#define REOPEN_PAUSE_USEC 250000ull

uint64_t now_usec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* From now on these signals, too, come as answers. */
static int take_signals(Watch *watch, const sigset_t *set)
{
        if (sigprocmask(SIG_BLOCK, set, NULL) < 0 ||
            (watch->signal_fd = signalfd(watch->signal_fd, set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
                return report_error("cannot wait for signals: %s", strerror(errno));
        return EXIT_OK;
}

static void ending_signals(sigset_t *set)
{
        sigemptyset(set);
        sigaddset(set, SIGINT);
        sigaddset(set, SIGTERM);
        sigaddset(set, SIGHUP);
}

int watch_begin(Watch *watch, bits_manager *manager)
{
        sigset_t set;

        ending_signals(&set);
        *watch = (Watch){ .manager = manager, .signal_fd = -1, .keys.fd = -1 };
        return take_signals(watch, &set);
}

int watch_screen(Watch *watch, bool live)
{
        sigset_t set;

        watch->screen = true;
        if (!live)
                return EXIT_OK;
        keys_begin(&watch->keys);
        ending_signals(&set);
        sigaddset(&set, SIGWINCH);
        sigaddset(&set, SIGCONT);
        return take_signals(watch, &set);
}

void watch_end(Watch *watch)
{
        keys_end(&watch->keys);
        if (watch->signal_fd >= 0)
                close(watch->signal_fd);
        watch->signal_fd = -1;
}

static void on_event(bits_job *job _unused_, bits_event event, void *userdata)
{
        Watch *watch = userdata;

        if (event == BITS_EVENT_GONE)
                watch->gone = true;
        else
                watch->news = true;
}

void watch_job(Watch *watch, bits_job *job)
{
        (void)bits_job_set_callback(job, on_event, watch);
}

static void on_queue(bits_manager *manager _unused_, bits_queue_event event,
                     const char *id _unused_, void *userdata)
{
        Watch *watch = userdata;

        watch->gone = event == BITS_QUEUE_GONE;
        watch->news = event != BITS_QUEUE_GONE;
}

int watch_queue(Watch *watch)
{
        if (bits_manager_set_callback(watch->manager, on_queue, watch) < 0)
                return report_failure("cannot watch the jobs");
        return EXIT_OK;
}

/* What a signal means, WATCH_NEWS: nothing. */
static WatchResult read_signal(Watch *watch)
{
        struct signalfd_siginfo info;

        if (read(watch->signal_fd, &info, sizeof(info)) != sizeof(info))
                return WATCH_NEWS;
        if (info.ssi_signo == SIGCONT)
                keys_begin(&watch->keys);
        if (info.ssi_signo == SIGCONT || info.ssi_signo == SIGWINCH)
                return WATCH_REDRAW;
        watch->signal = (int)info.ssi_signo;
        return WATCH_SIGNAL;
}

/* WATCH_NEWS: it is time to look, at the service or at the clock. */
static WatchResult sleep_until(Watch *watch, uint64_t until)
{
        enum { SIGNALS, SERVICE, KEYS, OUTPUT };
        struct pollfd fds[] = {
                [SIGNALS] = { .fd = watch->signal_fd, .events = POLLIN },
                [SERVICE] = { .fd = -1 },
                [KEYS] = { .fd = watch->keys.fd, .events = POLLIN },
                /* For its end alone. */
                [OUTPUT] = { .fd = watch->screen ? STDOUT_FILENO : -1 },
        };
        uint64_t other, now;
        struct timespec ts;

        if (watch->manager) {
                fds[SERVICE].fd = bits_manager_fd(watch->manager);
                fds[SERVICE].events = (short)bits_manager_events(watch->manager);
                if (bits_manager_timeout(watch->manager, &other) >= 0 && other < until)
                        until = other;
        }
        now = now_usec();
        until = until > now ? until - now : 0;
        ts = (struct timespec){ .tv_sec = (time_t)(until / 1000000),
                                .tv_nsec = (long)(until % 1000000) * 1000 };
        if (ppoll(fds, ELEMENTS(fds), until > INT64_MAX / 2 ? NULL : &ts, NULL) < 0)
                return WATCH_NEWS;
        if (fds[OUTPUT].revents & (POLLERR | POLLHUP))
                return WATCH_QUIT;
        if (fds[KEYS].revents && keys_read(&watch->keys) == 'q')
                return WATCH_QUIT;
        return fds[SIGNALS].revents ? read_signal(watch) : WATCH_NEWS;
}

WatchResult watch_wait(Watch *watch, uint64_t until_usec)
{
        WatchResult result;
        int r;

        for (;;) {
                r = bits_manager_process(watch->manager);
                if (r < 0)
                        watch->gone = watch->lost = true;
                if (watch->gone)
                        return WATCH_GONE;
                if (watch->news) {
                        watch->news = false;
                        return WATCH_NEWS;
                }
                if (r > 0)
                        continue;
                result = sleep_until(watch, until_usec);
                if (result != WATCH_NEWS)
                        return result;
                if (now_usec() >= until_usec)
                        return WATCH_TIME;
        }
}

static int try_reopen(Watch *watch, const char *id, bits_job **ret_job)
{
        int r = watch->manager ? 0 : try_service(&watch->manager);

        return r < 0 ? r : bits_manager_get_job(watch->manager, id, ret_job);
}

/* Until the bus says that the service is back; without a bus nobody could say it. EXIT_OK, or
   EXIT_INTERRUPTED. */
static int wait_for_return(Watch *watch, uint64_t deadline)
{
        uint64_t pause = now_usec() + REOPEN_PAUSE_USEC;
        int there = -1;

        watch->gone = watch->lost = watch->news = false;
        if (watch->manager && bits_error_code() == BITS_CODE_UNREACHABLE)
                there = bits_manager_set_callback(watch->manager, on_queue, watch);
        if (there == 0)
                return EXIT_OK;
        if (there > 0) {
                switch (watch_wait(watch, deadline)) {
                case WATCH_SIGNAL:
                        return EXIT_INTERRUPTED;
                case WATCH_GONE:
                        if (watch->lost)
                                break;
                        return EXIT_OK;
                case WATCH_NEWS:
                case WATCH_TIME:
                case WATCH_REDRAW:
                case WATCH_QUIT:
                        return EXIT_OK;
                }
        }
        /* The next try makes a new connection. */
        bits_manager_close(watch->manager);
        watch->manager = NULL;
        return sleep_until(watch, pause) == WATCH_SIGNAL ? EXIT_INTERRUPTED : EXIT_OK;
}

/* CLI-14 */
int watch_reopen(Watch *watch, bits_job **job)
{
        _cleanup_free_ char *id = strdup(bits_job_id(*job));
        uint64_t deadline = now_usec() + REOPEN_USEC;
        bool said = false;

        bits_job_free(*job);
        *job = NULL;
        if (!id)
                return report_error("out of memory");
        while (try_reopen(watch, id, job) < 0) {
                if (bits_error_code() == BITS_CODE_NOT_FOUND)
                        return report_error("job %.8s is not there any more: it was completed or "
                                            "cancelled",
                                            id);
                if (now_usec() >= deadline)
                        return report_failure("job %.8s", id);
                if (!said)
                        report_note("the service went away; waiting for it to come back");
                said = true;
                if (wait_for_return(watch, deadline) != EXIT_OK)
                        return EXIT_INTERRUPTED;
        }
        if (said)
                (void)bits_manager_set_callback(watch->manager, NULL, NULL);
        watch->gone = false;
        watch->news = true;
        watch_job(watch, *job);
        return EXIT_OK;
}
