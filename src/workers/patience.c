/*
 * A process that copies remote files touches file systems that may hang for ever, and its other
 * copies wait behind the one that does. So its silence is bounded: it tells progress several times
 * a second while it copies, and answers a stop after one slice.
 *
 * Who does not stop in time loses his process; its other copies go on in the next one. Who says
 * nothing for long makes all copies of his process fail, to be tried again later: which of them it
 * was cannot be seen from here. A process that the kernel does not let die is left behind.
 */
#include "workers/seat.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "workers/loop.h"

enum {
        STOP_USEC = 5 * 1000 * 1000, /* for a stop to be answered */
};

static NetClient *longest_stopping(Worker *worker)
{
        NetClient *client, *longest = NULL;

        TAILQ_FOREACH (client, &worker->clients, entries)
                if (client->stopped > 0 && (!longest || client->stopped < longest->stopped))
                        longest = client;
        return longest;
}

static bool has_started(const Worker *worker)
{
        const FileRequest *request;
        const NetClient *client;

        TAILQ_FOREACH (request, &worker->requests, entries)
                if (request->sent)
                        return true;
        TAILQ_FOREACH (client, &worker->clients, entries)
                if (client->started)
                        return true;
        return false;
}

static void arm(Worker *worker)
{
        NetClient *stopping = longest_stopping(worker);
        uint64_t at = worker->heard + worker->pool->patience;

        if (stopping)
                at = MIN(at, stopping->stopped + STOP_USEC);
        (void)sd_event_source_set_time(worker->patience, at);
        (void)sd_event_source_set_enabled(worker->patience, SD_EVENT_ONESHOT);
}

/* ENG-100, ENG-102 */
static int on_out_of_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        Worker *worker = userdata;
        NetClient *stopping = longest_stopping(worker);
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        bool deaf, silent;

        (void)source;
        (void)usec;
        if (!worker->ready || !has_started(worker))
                return 0;
        deaf = stopping && now >= stopping->stopped + STOP_USEC;
        silent = now >= worker->heard + worker->pool->patience;
        if (!deaf && !silent) {
                arm(worker);
                return 0;
        }
        log_warning("bits-file[%d] of uid %u hangs in a remote file: ended", (int)worker->pid,
                    (unsigned)worker->identity.uid);
        broker_end_worker(worker->pool->broker, worker->pid);
        if (deaf)
                worker_process_ended(worker);
        else {
                worker_forget_process(worker);
                worker_fail_all(worker, WORK_SILENT);
        }
        return 0;
}

/* ENG-440: after a pause of this process, or of the whole machine, the time is over, and what the
   worker has said meanwhile still waits. */
int worker_patience_new(Worker *worker)
{
        int r = sd_event_add_time(worker->pool->event, &worker->patience, CLOCK_MONOTONIC, 0, 0,
                                  on_out_of_patience, worker);

        if (r >= 0)
                r = sd_event_source_set_priority(worker->patience, LOOP_PATIENCE);
        return r < 0 ? r : sd_event_source_set_enabled(worker->patience, SD_EVENT_OFF);
}

void worker_heard(Worker *worker)
{
        worker->heard = clock_usec(CLOCK_MONOTONIC);
}

/* Silence before now was nobody's fault. */
void worker_expect_news(Worker *worker)
{
        if (!worker->identity.remote)
                return;
        worker_heard(worker);
        arm(worker);
}

void worker_expect_stop(Worker *worker, NetClient *client)
{
        if (client->stopped > 0)
                return;
        client->stopped = clock_usec(CLOCK_MONOTONIC);
        if (worker->identity.remote)
                arm(worker);
}
