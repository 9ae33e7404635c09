/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A job lives in the service, not in this process: when the service goes away, the job does not,
 * and the command takes it up again as soon as somebody answers. That is the only place that asks
 * in intervals, since nobody is there who could call.
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

int watch_begin(Watch *watch, bits_manager *manager)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        *watch = (Watch){ .manager = manager, .signal_fd = -1 };
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
            (watch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
                return report_error("cannot wait for signals: %s", strerror(errno));
        return EXIT_OK;
}

void watch_end(Watch *watch)
{
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

/* True when a signal ended the sleep. */
static bool sleep_until(Watch *watch, uint64_t until)
{
        struct pollfd fds[2] = { { .fd = watch->signal_fd, .events = POLLIN },
                                 { .fd = -1, .events = POLLIN } };
        struct signalfd_siginfo info;
        uint64_t other, now;
        struct timespec ts;

        if (watch->manager) {
                fds[1].fd = bits_manager_fd(watch->manager);
                fds[1].events = (short)bits_manager_events(watch->manager);
                if (bits_manager_timeout(watch->manager, &other) >= 0 && other < until)
                        until = other;
        }
        now = now_usec();
        until = until > now ? until - now : 0;
        ts = (struct timespec){ .tv_sec = (time_t)(until / 1000000),
                                .tv_nsec = (long)(until % 1000000) * 1000 };
        (void)ppoll(fds, ELEMENTS(fds), until > INT64_MAX / 2 ? NULL : &ts, NULL);
        if (read(watch->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                watch->signal = (int)info.ssi_signo;
                return true;
        }
        return false;
}

WatchResult watch_wait(Watch *watch, uint64_t until_usec)
{
        int r;

        for (;;) {
                r = bits_manager_process(watch->manager);
                if (r < 0)
                        watch->gone = true;
                if (watch->gone)
                        return WATCH_GONE;
                if (watch->news) {
                        watch->news = false;
                        return WATCH_NEWS;
                }
                if (r > 0)
                        continue;
                if (sleep_until(watch, until_usec))
                        return WATCH_SIGNAL;
                if (now_usec() >= until_usec)
                        return WATCH_TIME;
        }
}

static int try_reopen(Watch *watch, const char *id, bits_job **ret_job)
{
        int r;

        if (!watch->manager) {
                r = try_service(&watch->manager);
                if (r < 0)
                        return r;
        }
        r = bits_manager_get_job(watch->manager, id, ret_job);
        /* Perhaps the bus itself went away: the next try makes a new connection to it. */
        if (r < 0 && bits_error_code() != BITS_CODE_NOT_FOUND) {
                bits_manager_close(watch->manager);
                watch->manager = NULL;
        }
        return r;
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
        for (;;) {
                if (try_reopen(watch, id, job) >= 0) {
                        watch->gone = false;
                        watch->news = true;
                        watch_job(watch, *job);
                        return EXIT_OK;
                }
                if (bits_error_code() == BITS_CODE_NOT_FOUND)
                        return report_error("job %.8s is not there any more: it was completed or "
                                            "cancelled",
                                            id);
                if (now_usec() >= deadline)
                        return report_failure("job %.8s", id);
                if (!said)
                        report_note("the service went away; waiting for it to come back");
                said = true;
                if (sleep_until(watch, now_usec() + REOPEN_PAUSE_USEC))
                        return EXIT_INTERRUPTED;
        }
}
