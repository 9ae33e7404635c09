#include "manager/worker-internal.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "manager/turn.h"

#include <fcntl.h>
#include <search.h>
#include <time.h>

enum {
        IDLE_USEC = 10 * 1000 * 1000,
        DEATHS_MAX = 10,          /* in a row, without one answer */
        DEATHS_AT_ONCE = 3,       /* replaced without delay */
        RESTART_USEC = 50 * 1000, /* doubled for each death beyond those */
        RESEND_USEC = 10 * 1000,  /* after a send that found no room */
};

static void worker_free(Worker *worker);
static void send_everything(Worker *worker);

static int compare_workers(const void *a, const void *b)
{
        const Worker *x = a, *y = b;

        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        if (x->identity.helper != y->identity.helper)
                return x->identity.helper ? 1 : -1;
        if (x->identity.helper)
                return x->identity.cookie < y->identity.cookie   ? -1
                       : x->identity.cookie > y->identity.cookie ? 1
                                                                 : 0;
        return x->identity.uid < y->identity.uid ? -1 : x->identity.uid > y->identity.uid ? 1 : 0;
}

int worker_pool_new(sd_event *event, BrokerLink *broker, WorkerPool **ret)
{
        WorkerPool *pool = calloc(1, sizeof(*pool));

        if (!pool)
                return -ENOMEM;
        pool->event = event;
        pool->broker = broker;
        *ret = pool;
        return 0;
}

void worker_pool_free(WorkerPool *pool)
{
        if (!pool)
                return;
        while (pool->workers)
                worker_free(*(Worker **)pool->workers);
        free(pool);
}

/* ---- seats ---- */

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        worker_free(userdata);
        return 0;
}

static int on_restart(sd_event_source *source, uint64_t usec, void *userdata)
{
        Worker *worker = userdata;

        (void)source;
        (void)usec;
        if (worker->ready)
                send_everything(worker);
        else
                worker_need_process(worker);
        return 0;
}

static int add_timer(Worker *worker, sd_event_source **ret, sd_event_time_handler_t handler)
{
        int r = sd_event_add_time_relative(worker->pool->event, ret, CLOCK_MONOTONIC, 0, 0, handler,
                                           worker);

        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static void arm(sd_event_source *timer, uint64_t usec)
{
        (void)sd_event_source_set_time_relative(timer, usec);
        (void)sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static Worker *worker_new(WorkerPool *pool, WorkerKind kind, const WorkerIdentity *identity)
{
        Worker *worker = calloc(1, sizeof(*worker));

        if (!worker)
                return NULL;
        worker->pool = pool;
        worker->kind = kind;
        worker->identity = *identity;
        worker->identity.token = -EBADF;
        TAILQ_INIT(&worker->requests);
        TAILQ_INIT(&worker->syncs);
        TAILQ_INIT(&worker->clients);
        if (identity->helper)
                worker->identity.token = fcntl(identity->token, F_DUPFD_CLOEXEC, 3);
        /* A seat without its token could ask for nothing, and would wait for ever. */
        if ((identity->helper && worker->identity.token < 0) ||
            add_timer(worker, &worker->idle, on_idle) < 0 ||
            add_timer(worker, &worker->restart, on_restart) < 0 ||
            !tsearch(worker, &pool->workers, compare_workers)) {
                worker_free(worker);
                return NULL;
        }
        return worker;
}

static void end_process(Worker *worker)
{
        broker_cancel(worker->pool->broker, worker->ticket);
        worker->ticket = 0;
        channel_free(worker->channel);
        worker->channel = NULL;
        worker->ready = false;
        worker->pid = 0;
}

static void worker_free(Worker *worker)
{
        (void)tdelete(worker, &worker->pool->workers, compare_workers);
        end_process(worker);
        worker_file_free(worker);
        worker_net_free(worker);
        sd_event_source_disable_unref(worker->idle);
        sd_event_source_disable_unref(worker->restart);
        fd_close(worker->identity.token);
        free(worker);
}

Worker *worker_acquire(WorkerPool *pool, WorkerKind kind, const WorkerIdentity *identity)
{
        Worker key = { .kind = kind, .identity = *identity };
        Worker **found = tfind(&key, &pool->workers, compare_workers);
        Worker *worker = found ? *found : worker_new(pool, kind, identity);

        return worker ? worker_acquire_again(worker) : NULL;
}

uint64_t worker_process(const Worker *worker)
{
        return worker->process;
}

Worker *worker_acquire_again(Worker *worker)
{
        worker->users++;
        (void)sd_event_source_set_enabled(worker->idle, SD_EVENT_OFF);
        return worker;
}

/* An owner's worker waits a while for more work; a helper's ends at once, so that nothing of the
   helper stays when the job has let go of the token. The seat itself is freed from the loop, as
   its last user may be one of its own callbacks. ENG-37 */
void worker_release(Worker *worker)
{
        if (!worker)
                return;
        assert(worker->users > 0);
        if (--worker->users == 0)
                arm(worker->idle, worker->identity.helper ? 0 : IDLE_USEC);
}

/* ---- failing and repeating ---- */

/* Everything that waits for this seat fails. */
static void fail_all(Worker *worker, WorkResult result)
{
        worker_acquire_again(worker);
        worker->deaths = 0;
        worker_file_fail(worker, result);
        worker_net_fail(worker, result);
        worker_release(worker);
}

/* The process is gone. What it had not answered is repeated to the next one, unless that makes no
   sense. JOB-53, ENG-20, ENG-21, ENG-30, ENG-32, ENG-34, ENG-35 */
static void process_ended(Worker *worker)
{
        bool broken = worker->broken, began = worker->ready;

        end_process(worker);
        worker_file_forget(worker);
        worker_net_forget(worker);
        worker->broken = false;
        worker->deaths++;
        if (broken || worker->deaths >= DEATHS_MAX) {
                fail_all(worker, broken || began ? WORK_ABORTED : WORK_NOT_STARTED);
                return;
        }
        if (worker->deaths > DEATHS_AT_ONCE)
                arm(worker->restart, RESTART_USEC << MIN(worker->deaths - DEATHS_AT_ONCE, 6u));
        worker_acquire_again(worker);
        worker_net_lose(worker);
        worker_need_process(worker);
        worker_release(worker);
}

/* ---- talking to a process ---- */

/* Sends the draft. True: it is on its way, or the end of the channel is. False: there is no room
   now; the timer sends what is left. */
bool worker_send_draft(Worker *worker)
{
        int r = channel_send(worker->channel);

        if (r >= 0 || r == -EPIPE || r == -ECONNRESET)
                return true;
        log_errno(LOG_DEBUG, r, "%s[%d] does not take more now", worker_kind_name(worker->kind),
                  (int)worker->pid);
        arm(worker->restart, RESEND_USEC);
        return false;
}

static void send_everything(Worker *worker)
{
        if (worker_file_send(worker))
                worker_net_send(worker);
}

static int on_hello(Worker *worker, Message *m)
{
        WorkerHello hello;

        if (worker->ready || worker_hello_read(m, &hello) < 0)
                return -EBADMSG;
        if (hello.version != PROTOCOL_VERSION || hello.kind != (uint32_t)worker->kind ||
            hello.uid != worker->identity.uid)
                return -EBADMSG;
        worker->ready = true;
        worker->process++;
        if (worker->kind == WORKER_NET)
                worker->deaths = 0;
        send_everything(worker);
        return 0;
}

static int on_message(void *userdata, Message *m)
{
        Worker *worker = userdata;

        if (m->type == MESSAGE_WORKER_HELLO)
                return on_hello(worker, m);
        if (!worker->ready)
                return -EBADMSG;
        return worker->kind == WORKER_FILE ? worker_file_message(worker, m)
                                           : worker_net_message(worker, m);
}

static void on_end(void *userdata, int reason)
{
        Worker *worker = userdata;

        /* ENG-28, ENG-31 */
        if (reason == -EBADMSG) {
                log_error("%s[%d] of uid %u broke the protocol: ended",
                          worker_kind_name(worker->kind), (int)worker->pid,
                          (unsigned)worker->identity.uid);
                worker->broken = true;
                broker_end_worker(worker->pool->broker, worker->pid);
        } else
                log_debug("%s[%d] of uid %u ended", worker_kind_name(worker->kind),
                          (int)worker->pid, (unsigned)worker->identity.uid);
        process_ended(worker);
}

/* ---- starting a process ---- */

/* ENG-33 */
static WorkResult result_of(Refusal reason)
{
        switch (reason) {
        case REFUSED_UNKNOWN_OWNER:
                return WORK_UNKNOWN_OWNER;
        case REFUSED_DEAD_TOKEN:
                return WORK_DEAD_TOKEN;
        case REFUSED_NO_PRIVILEGE:
                return WORK_NO_PRIVILEGE;
        case REFUSED_TOO_MANY:
                return WORK_TOO_MANY;
        case REFUSED_START_FAILED:
        case REFUSAL_MAX:
        case REFUSAL_INVALID:
                break;
        }
        return WORK_NOT_STARTED;
}

static void on_broker(void *userdata, BrokerAnswer *answer)
{
        static const ChannelListener listener = { .on_message = on_message, .on_end = on_end };
        Worker *worker = userdata;

        worker->ticket = 0;
        if (answer->refused) {
                log_notice("no %s for uid %u: %s", worker_kind_name(worker->kind),
                           (unsigned)worker->identity.uid, refusal_text(answer->reason));
                fail_all(worker, result_of(answer->reason));
                return;
        }
        worker->pid = (pid_t)answer->worker.pid;
        if (channel_new(worker->pool->event, TAKE_FD(answer->worker.channel), LOOP_WORKERS,
                        &listener, worker, &worker->channel) < 0)
                fail_all(worker, WORK_NOT_STARTED);
}

static bool has_work(const Worker *worker)
{
        return !TAILQ_EMPTY(&worker->requests) || !TAILQ_EMPTY(&worker->clients);
}

static void ask_broker(Worker *worker)
{
        WorkerPool *pool = worker->pool;

        worker->ticket = worker->identity.helper
                                 ? broker_start_token(pool->broker, worker->kind,
                                                      worker->identity.token, on_broker, worker)
                                 : broker_start_owner(pool->broker, worker->kind,
                                                      worker->identity.uid, on_broker, worker);
        if (worker->ticket == 0)
                fail_all(worker, WORK_NOT_STARTED);
}

/* A process for the work that waits, unless one is on its way or a pause is kept. */
void worker_need_process(Worker *worker)
{
        int pausing = SD_EVENT_OFF;

        (void)sd_event_source_get_enabled(worker->restart, &pausing);
        if (has_work(worker) && worker->ticket == 0 && !worker->channel && pausing == SD_EVENT_OFF)
                ask_broker(worker);
}
