/*
 * One record per child, from fork() until it is reaped. The record has up to three sources: the
 * child itself (a pidfd inside sd-event, so a number that was reused is never signalled), and,
 * until the outcome of the start is known, the status pipe and a deadline.
 */
#include "broker/spawn.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "broker/broker.h"
#include "broker/child.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define USEC_PER_SECOND UINT64_C(1000000)

typedef struct Worker {
        TAILQ_ENTRY(Worker) entries;
        Spawner *spawner;
        WorkerKind kind;
        uid_t uid;
        pid_t pid;
        bool ended_by_us;

        /* while starting */
        bool starting;
        uint64_t tag;
        int channel; /* bitsd's end */
        int status;
        sd_event_source *status_source, *deadline;

        sd_event_source *child;
} Worker;

struct Spawner {
        sd_event *event;
        char *libexec_directory;
        SpawnerConfig config;
        const SpawnListener *listener;
        void *userdata;
        TAILQ_HEAD(WorkerList, Worker) workers;
        unsigned count;
};

/* The start is decided: its pipe, deadline and our copy of the channel are of no more use. */
static void worker_release_start(Worker *worker)
{
        worker->status_source = sd_event_source_disable_unref(worker->status_source);
        worker->deadline = sd_event_source_disable_unref(worker->deadline);
        worker->status = fd_close(worker->status);
        worker->channel = fd_close(worker->channel);
        worker->starting = false;
}

static void worker_free(Worker *worker)
{
        if (!worker)
                return;
        worker_release_start(worker);
        sd_event_source_disable_unref(worker->child);
        TAILQ_REMOVE(&worker->spawner->workers, worker, entries);
        worker->spawner->count--;
        free(worker);
}
DEFINE_CLEANUP(Worker, worker_free);

static Worker *worker_new(Spawner *spawner, const SpawnRequest *request)
{
        Worker *worker = malloc(sizeof(*worker));

        if (!worker)
                return NULL;
        *worker = (Worker){
                .spawner = spawner,
                .kind = request->kind,
                .uid = request->uid,
                .starting = true,
                .tag = request->tag,
                .channel = -EBADF,
                .status = -EBADF,
        };
        TAILQ_INSERT_TAIL(&spawner->workers, worker, entries);
        spawner->count++;
        return worker;
}

static void worker_start_failed(Worker *worker, int error)
{
        Spawner *spawner = worker->spawner;

        log_errno(LOG_WARNING, error, "%s for uid %u could not be started",
                  worker_kind_name(worker->kind), (unsigned)worker->uid);
        worker->ended_by_us = true; /* its exit status adds nothing */
        worker_release_start(worker);
        spawner->listener->on_failed(spawner->userdata, worker->tag, error);
}

/* The pipe says an errno, or, by closing at execve(), that the program runs. */
static void worker_start_decided(Worker *worker)
{
        Spawner *spawner = worker->spawner;
        int error = 0;
        ssize_t n = read(worker->status, &error, sizeof(error));

        if (n < 0)
                error = -errno;
        if (n != 0) {
                worker_start_failed(worker, error < 0 ? error : -EIO);
                return;
        }
        log_debug("%s[%d] started for uid %u", worker_kind_name(worker->kind), (int)worker->pid,
                  (unsigned)worker->uid);
        spawner->listener->on_started(spawner->userdata, worker->tag, worker->pid, worker->channel);
        worker_release_start(worker);
}

static int on_status(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_,
                     void *userdata)
{
        worker_start_decided(userdata);
        return 0;
}

static int worker_kill(Worker *worker)
{
        worker->ended_by_us = true;
        return sd_event_source_send_child_signal(worker->child, SIGKILL, NULL, 0);
}

/* SEC-55 */
static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        Worker *worker = userdata;

        (void)worker_kill(worker);
        worker_start_failed(worker, -ETIMEDOUT);
        return 0;
}

static void log_end(const Worker *worker, const siginfo_t *si)
{
        bool normal = worker->ended_by_us || (si->si_code == CLD_EXITED && si->si_status == 0);

        log_write(normal ? LOG_DEBUG : LOG_WARNING, "%s[%d] of uid %u ended %s %d",
                  worker_kind_name(worker->kind), (int)worker->pid, (unsigned)worker->uid,
                  si->si_code == CLD_EXITED ? "with status" : "by signal", si->si_status);
}

/* SEC-47: reaped here and nowhere else. The loop holds its own reference
   to the source while this runs. */
static int on_child(sd_event_source *source _unused_, const siginfo_t *si, void *userdata)
{
        Worker *worker = userdata;

        /* Both may have become known in the same turn: what the pipe says comes first. */
        if (worker->starting)
                worker_start_decided(worker);
        log_end(worker, si);
        worker_free(worker);
        return 0;
}

static void worker_exec(Worker *worker, const SpawnRequest *request, int channel, int status)
{
        Spawner *spawner = worker->spawner;
        char program[PATH_MAX];
        WorkerPlan plan = {
                .kind = request->kind,
                .program = program,
                .switch_identity = spawner->config.switch_identity,
                .uid = request->uid,
                .has_fallback_gid = request->has_fallback_gid,
                .fallback_gid = request->fallback_gid,
                .token = request->token,
                .ccache = request->ccache,
                .command = request->command,
                .channel = channel,
                .status = status,
                .files = spawner->config.files,
        };

        snprintf(program, sizeof(program), "%s/%s", spawner->libexec_directory,
                 worker_kind_name(request->kind));
        worker_child(&plan);
}

static int worker_watch(Worker *worker)
{
        sd_event *event = worker->spawner->event;
        int r;

        r = sd_event_add_io(event, &worker->status_source, worker->status, EPOLLIN, on_status,
                            worker);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &worker->deadline, CLOCK_MONOTONIC,
                                       WORKER_START_SECONDS * USEC_PER_SECOND, USEC_PER_SECOND,
                                       on_deadline, worker);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(worker->status_source, LOOP_WORKER);
        if (r < 0)
                return r;
        return sd_event_source_set_priority(worker->child, LOOP_WORKER);
}

/* Two pairs: the channel between bitsd and the worker, the pipe between the child and us. */
static int worker_fork(Worker *worker, const SpawnRequest *request)
{
        _cleanup_close_ int channel = -EBADF, status = -EBADF;
        int pair[2], r;

        r = fd_socketpair(SOCK_SEQPACKET, false, pair);
        if (r < 0)
                return r;
        worker->channel = pair[0];
        channel = pair[1];
        if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        worker->status = pair[0];
        status = pair[1];

        worker->pid = fork();
        if (worker->pid < 0)
                return -errno;
        if (worker->pid == 0)
                worker_exec(worker, request, channel, status);

        r = sd_event_add_child(worker->spawner->event, &worker->child, worker->pid, WEXITED,
                               on_child, worker);
        if (r < 0) {
                /* Ours and not reaped, so the number is still his. */
                kill(worker->pid, SIGKILL);
                waitpid(worker->pid, NULL, 0);
        }
        return r;
}

/* Command lines have room of their own: they do not take it from the transfers. */
static bool has_room(const Spawner *spawner, const SpawnRequest *request)
{
        bool command = request->kind == WORKER_COMMAND;
        const Worker *worker;
        unsigned n = 0;

        TAILQ_FOREACH (worker, &spawner->workers, entries)
                n += worker->uid == request->uid && (worker->kind == WORKER_COMMAND) == command;
        return spawner->count < WORKERS_MAX &&
               n < (command ? COMMANDS_AT_A_TIME : WORKERS_PER_USER);
}

/* SEC-52, LIM-241 */
int spawner_start(Spawner *spawner, const SpawnRequest *request)
{
        _cleanup_(worker_freep) Worker *worker = NULL;
        int r;

        if (!has_room(spawner, request))
                return -EUSERS;
        worker = worker_new(spawner, request);
        if (!worker)
                return -ENOMEM;
        r = worker_fork(worker, request);
        if (r < 0)
                return r;
        r = worker_watch(worker);
        if (r < 0) {
                /* Stays on the list until it is reaped. */
                (void)worker_kill(worker);
                worker_release_start(TAKE_PTR(worker));
                return r;
        }
        TAKE_PTR(worker);
        return 0;
}

int spawner_end(Spawner *spawner, pid_t pid)
{
        Worker *worker;

        TAILQ_FOREACH (worker, &spawner->workers, entries)
                if (worker->pid == pid)
                        return worker_kill(worker);
        return -ESRCH;
}

int spawner_new(sd_event *event, const SpawnerConfig *config, const SpawnListener *listener,
                void *userdata, Spawner **ret)
{
        Spawner *spawner = malloc(sizeof(*spawner));

        if (!spawner)
                return -ENOMEM;
        *spawner = (Spawner){
                .event = sd_event_ref(event),
                .libexec_directory = strdup(config->libexec_directory),
                .config = *config,
                .listener = listener,
                .userdata = userdata,
        };
        TAILQ_INIT(&spawner->workers);
        if (!spawner->libexec_directory) {
                spawner_free(spawner);
                return -ENOMEM;
        }
        *ret = spawner;
        return 0;
}

void spawner_free(Spawner *spawner)
{
        Worker *worker;

        if (!spawner)
                return;
        while ((worker = TAILQ_FIRST(&spawner->workers)))
                worker_free(worker);
        sd_event_unref(spawner->event);
        free(spawner->libexec_directory);
        free(spawner);
}
