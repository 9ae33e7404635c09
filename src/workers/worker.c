#include "workers/worker.h"

#include "workers/seat.h"

#include "basic/closer.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "workers/loop.h"

#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
        IDLE_USEC = 10 * 1000 * 1000,
        DEATHS_MAX = 10,             /* in a row, without one answer */
        DEATHS_AT_ONCE = 3,          /* replaced without delay */
        RESTART_USEC = 50 * 1000,    /* doubled for each death beyond those */
        RESEND_USEC = 10 * 1000,     /* after a send that found no room */
        WIND_DOWN_USEC = 500 * 1000, /* of a dismissed worker */
        LEAVE_USEC = 1000 * 1000,    /* until the process of a dismissed one is killed */
};

/* A process that was asked to end, until it surely has. */
typedef struct Leaving {
        LIST_ENTRY(Leaving) entries;
        WorkerPool *pool;
        sd_event_source *timer;
        WorkerKind kind;
        WorkerIdentity identity; /* token: none */
        pid_t pid;
} Leaving;

static void worker_free(Worker *worker);
static void send_everything(Worker *worker);

static int compare_workers(const void *a, const void *b)
{
        const Worker *x = a, *y = b;

        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        if (x->identity.remote != y->identity.remote)
                return x->identity.remote ? 1 : -1;
        if (x->identity.helper != y->identity.helper)
                return x->identity.helper ? 1 : -1;
        if (x->identity.helper && x->identity.cookie != y->identity.cookie)
                return x->identity.cookie < y->identity.cookie ? -1 : 1;
        if (!x->identity.helper && x->identity.uid != y->identity.uid)
                return x->identity.uid < y->identity.uid ? -1 : 1;
        return strcmp(x->identity.ccache, y->identity.ccache);
}

int worker_compare_clients(const void *a, const void *b)
{
        const NetClient *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id ? 1 : 0;
}

Sharing *worker_sharing(const Worker *worker)
{
        return &worker->pool->sharing;
}

void worker_pool_set_rates(WorkerPool *pool, const Rates *rates)
{
        if (sharing_set(&pool->sharing, rates))
                worker_share_again(&pool->sharing);
}

uint64_t worker_next_client_id(Worker *worker)
{
        return ++worker->pool->last_client_id;
}

int worker_pool_new(sd_event *event, BrokerLink *broker, WorkerPool **ret)
{
        WorkerPool *pool = calloc(1, sizeof(*pool));

        if (!pool)
                return -ENOMEM;
        pool->event = event;
        pool->broker = broker;
        pool->patience = REMOTE_PATIENCE_USEC;
        LIST_INIT(&pool->leaving);
        sharing_init(&pool->sharing);
        message_close_by(closer_close); /* SEC-482: files of users come and go with messages */
        *ret = pool;
        return 0;
}

static void leaving_free(Leaving *leaving)
{
        LIST_REMOVE(leaving, entries);
        sd_event_source_disable_unref(leaving->timer);
        free(leaving);
}

void worker_pool_free(WorkerPool *pool)
{
        if (!pool)
                return;
        while (pool->workers)
                worker_free(*(Worker **)pool->workers);
        while (!LIST_EMPTY(&pool->leaving))
                leaving_free(LIST_FIRST(&pool->leaving));
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
        if (worker->dismissed)
                worker_fail_all(worker, WORK_DISMISSED);
        else if (worker->ready)
                send_everything(worker);
        else
                worker_need_process(worker);
        return 0;
}

static int on_wound_down(sd_event_source *source, uint64_t usec, void *userdata)
{
        Worker *worker = userdata;

        (void)source;
        (void)usec;
        if (!worker->dismissed)
                return 0;
        worker_forget_process(worker);
        worker_fail_all(worker, WORK_DISMISSED);
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
            add_timer(worker, &worker->wind_down, on_wound_down) < 0 ||
            worker_patience_new(worker) < 0 || !tsearch(worker, &pool->workers, compare_workers)) {
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
        share_forget(&worker->share);
}

static void free_syncs(struct SyncList *syncs)
{
        SyncItem *item;

        while ((item = TAILQ_FIRST(syncs))) {
                TAILQ_REMOVE(syncs, item, entries);
                free(item);
        }
}

static void worker_free(Worker *worker)
{
        FileRequest *request;

        (void)tdelete(worker, &worker->pool->workers, compare_workers);
        end_process(worker);
        while ((request = TAILQ_FIRST(&worker->requests))) {
                TAILQ_REMOVE(&worker->requests, request, entries);
                if (!request->callback) {
                        free_syncs(request->userdata);
                        free(request->userdata);
                }
                free(request->bytes);
                free(request);
        }
        free_syncs(&worker->syncs);
        while (worker->clients_by_id)
                (void)tdelete(*(NetClient **)worker->clients_by_id, &worker->clients_by_id,
                              worker_compare_clients);
        sd_event_source_disable_unref(worker->idle);
        sd_event_source_disable_unref(worker->restart);
        sd_event_source_disable_unref(worker->wind_down);
        sd_event_source_disable_unref(worker->patience);
        fd_close(worker->identity.token);
        free(worker);
}

Worker *worker_acquire(WorkerPool *pool, WorkerKind kind, const WorkerIdentity *identity)
{
        Worker key = { .kind = kind, .identity = *identity };
        Worker **found = tfind(&key, &pool->workers, compare_workers);
        Worker *worker = found ? *found : worker_new(pool, kind, identity);

        if (!worker)
                return NULL;
        worker->dismissed = false;
        return worker_acquire_again(worker);
}

WorkerPool *worker_pool(const Worker *worker)
{
        return worker->pool;
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

static bool waits_for_more(const Worker *worker)
{
        const Presence *presence = worker->pool->presence;

        return !worker->identity.helper && !worker->dismissed &&
               (!presence || presence->signed_on(presence->userdata, worker->identity.uid));
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
                arm(worker->idle, waits_for_more(worker) ? IDLE_USEC : 0);
}

/* ---- dismissal ---- */

static Worker *find_worker(WorkerPool *pool, WorkerKind kind, const WorkerIdentity *identity)
{
        Worker key = { .kind = kind, .identity = *identity };
        Worker **found = tfind(&key, &pool->workers, compare_workers);

        return found ? *found : NULL;
}

void worker_pool_set_patience(WorkerPool *pool, uint64_t usec)
{
        pool->patience = usec;
}

void worker_pool_set_presence(WorkerPool *pool, const Presence *presence)
{
        pool->presence = presence;
}

/* The broker takes being asked for a process that is none of its workers as something to report.
   Where others' processes are hidden nothing is known. */
static bool may_live(pid_t pid)
{
        char path[32];

        snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        return access(path, F_OK) == 0 || access("/proc/1", F_OK) < 0;
}

/* The channel is closed, and a process that is in order has ended by itself. One that was called
   back meanwhile works on. */
static int on_leave(sd_event_source *source, uint64_t usec, void *userdata)
{
        Leaving *leaving = userdata;
        Worker *worker = find_worker(leaving->pool, leaving->kind, &leaving->identity);

        (void)source;
        (void)usec;
        if ((!worker || worker->pid != leaving->pid || worker->dismissed) && may_live(leaving->pid))
                broker_end_worker(leaving->pool->broker, leaving->pid);
        leaving_free(leaving);
        return 0;
}

static void see_off(Worker *worker)
{
        Leaving *leaving = worker->pid > 0 ? calloc(1, sizeof(*leaving)) : NULL;

        if (!leaving)
                return;
        leaving->pool = worker->pool;
        leaving->kind = worker->kind;
        leaving->identity = worker->identity;
        leaving->identity.token = -EBADF;
        leaving->pid = worker->pid;
        LIST_INSERT_HEAD(&worker->pool->leaving, leaving, entries);
        if (sd_event_add_time_relative(worker->pool->event, &leaving->timer, CLOCK_MONOTONIC,
                                       LEAVE_USEC, 0, on_leave, leaving) < 0)
                leaving_free(leaving);
}

static void dismiss(Worker *worker)
{
        worker->dismissed = true;
        see_off(worker);
        arm(worker->users == 0 ? worker->idle : worker->wind_down,
            worker->users == 0 ? 0 : WIND_DOWN_USEC);
}

/* Every seat of the identity, whatever its kind and credential cache. */
static void dismiss_if_same(const void *node, VISIT visit, void *userdata)
{
        Worker *worker = *(Worker *const *)node;
        const WorkerIdentity *identity = userdata;

        if ((visit != postorder && visit != leaf) || worker->dismissed ||
            worker->identity.helper != identity->helper)
                return;
        if (identity->helper ? worker->identity.cookie == identity->cookie
                             : worker->identity.uid == identity->uid)
                dismiss(worker);
}

void worker_pool_dismiss(WorkerPool *pool, const WorkerIdentity *identity)
{
        WorkerIdentity key = *identity;

        twalk_r(pool->workers, dismiss_if_same, &key);
}

/* ---- failing and repeating ---- */

static void fail_request(Worker *worker, FileRequest *request, WorkResult result)
{
        FileAnswer answer = { .result = result };

        if (request->callback)
                request->callback(request->userdata, &answer);
        else
                worker_synced(worker, request, &answer, NULL);
        free(request->bytes);
        free(request);
}

void worker_detach(NetClient *client)
{
        Worker *worker = client->worker;

        (void)tdelete(client, &worker->clients_by_id, worker_compare_clients);
        TAILQ_REMOVE(&worker->clients, client, entries);
        client->worker = NULL;
        client->started = client->lost = false;
        if (worker->kind == WORKER_NET &&
            sharing_leave(&worker->pool->sharing, &worker->share, client->class))
                worker_share_again(&worker->pool->sharing);
}

/* Everything that waits for this seat fails. Callbacks may make new requests and attach new
   clients: those are not touched. They may also worker_detach others, so the list is looked at anew
   each time; a client from before is known by its number. */
void worker_fail_all(Worker *worker, WorkResult result)
{
        TAILQ_HEAD(, FileRequest) requests = TAILQ_HEAD_INITIALIZER(requests);
        uint64_t last_id = worker->pool->last_client_id;
        FileRequest *request;
        NetClient *client;

        worker_acquire_again(worker);
        worker->deaths = 0;
        TAILQ_CONCAT(&requests, &worker->requests, entries);
        while ((request = TAILQ_FIRST(&requests))) {
                TAILQ_REMOVE(&requests, request, entries);
                fail_request(worker, request, result);
        }
        while ((client = TAILQ_FIRST(&worker->clients)) && client->id <= last_id) {
                worker_detach(client);
                client->listener->on_failed(client->userdata, result);
        }
        worker_release(worker);
}

static NetClient *first_lost(Worker *worker)
{
        NetClient *client;

        TAILQ_FOREACH (client, &worker->clients, entries)
                if (client->lost)
                        return client;
        return NULL;
}

/* One client's news may end others: the list is looked at anew each time. */
static void lose_clients(Worker *worker)
{
        NetClient *client;

        while ((client = first_lost(worker))) {
                client->lost = false;
                client->listener->on_lost(client->userdata);
        }
}

/* From here on nothing is under way, whatever a callback asks. */
void worker_forget_process(Worker *worker)
{
        FileRequest *request;
        NetClient *client;

        end_process(worker);
        /* DUR-50: the kernel tells a lost write once. A process that died may have been told. */
        TAILQ_FOREACH (request, &worker->requests, entries) {
                request->doubtful = request->doubtful || request->sent;
                request->sent = false;
        }
        TAILQ_FOREACH (client, &worker->clients, entries) {
                client->lost = client->started;
                client->started = false;
        }
}

/* The process is gone. What it had not answered is repeated to the next one, unless that makes no
   sense. JOB-53, ENG-20, ENG-21, ENG-30, ENG-32, ENG-34, ENG-35 */
void worker_process_ended(Worker *worker)
{
        bool broken = worker->broken, began = worker->ready;

        worker_forget_process(worker);
        worker->broken = false;
        worker->deaths++;
        if (broken || worker->deaths >= DEATHS_MAX) {
                worker_fail_all(worker, broken || began ? WORK_ABORTED : WORK_NOT_STARTED);
                return;
        }
        if (worker->deaths > DEATHS_AT_ONCE)
                arm(worker->restart, RESTART_USEC << MIN(worker->deaths - DEATHS_AT_ONCE, 6u));
        worker_acquire_again(worker);
        lose_clients(worker);
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

bool worker_send_request(Worker *worker, FileRequest *request)
{
        Message *m = channel_draft(worker->channel);

        message_begin(m, request->type, request->serial);
        memcpy(m->data, request->bytes, request->size);
        m->size = request->size;
        for (unsigned i = 0; i < request->fds.count; i++)
                message_put_fd(m, request->fds.items[i]);
        request->sent = worker_send_draft(worker);
        worker_expect_news(worker);
        return request->sent;
}

/* 0, also when it has to wait for room; -EMSGSIZE when it can never be sent. */
int worker_start_client(Worker *worker, NetClient *client)
{
        Message *m = channel_draft(worker->channel);

        client->stopped = 0;
        client->listener->write_start(client->userdata, m);
        if (m->bad)
                return -EMSGSIZE;
        client->started = worker_send_draft(worker);
        worker_expect_news(worker);
        return 0;
}

static NetClient *first_not_started(Worker *worker)
{
        NetClient *client;

        TAILQ_FOREACH (client, &worker->clients, entries)
                if (!client->started)
                        return client;
        return NULL;
}

/* ENG-36: what finds no room now goes when there is some. */
static void send_everything(Worker *worker)
{
        FileRequest *request;
        NetClient *client;

        TAILQ_FOREACH (request, &worker->requests, entries)
                if (!request->sent && !worker_send_request(worker, request))
                        return;
        if (!worker_send_rates(worker))
                return;
        while ((client = first_not_started(worker))) {
                if (worker_start_client(worker, client) < 0) {
                        worker_detach(client);
                        client->listener->on_failed(client->userdata, WORK_ABORTED);
                } else if (!client->started)
                        return;
        }
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
        if (worker->kind == WORKER_NET || worker->identity.remote)
                worker->deaths = 0; /* each transfer counts its losses */
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
        return worker_on_answer(worker, m);
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
        worker_process_ended(worker);
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
        case REFUSED_NO_COMMAND: /* of no worker that is asked for here */
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
                worker_fail_all(worker, result_of(answer->reason));
                return;
        }
        worker->pid = (pid_t)answer->worker.pid;
        if (channel_new(worker->pool->event, TAKE_FD(answer->worker.channel), LOOP_WORKERS,
                        &listener, worker, &worker->channel) < 0)
                worker_fail_all(worker, WORK_NOT_STARTED);
        else
                (void)channel_gather(worker->channel, LOOP_WORKERS); /* without, it is slower */
}

static bool has_work(const Worker *worker)
{
        return !TAILQ_EMPTY(&worker->requests) || !TAILQ_EMPTY(&worker->clients);
}

static void ask_broker(Worker *worker)
{
        WorkerPool *pool = worker->pool;

        worker->ticket =
                worker->identity.helper
                        ? broker_start_token(pool->broker, worker->kind, worker->identity.token,
                                             worker->identity.ccache, on_broker, worker)
                        : broker_start_owner(pool->broker, worker->kind, worker->identity.uid,
                                             worker->identity.ccache, on_broker, worker);
        if (worker->ticket == 0)
                worker_fail_all(worker, WORK_NOT_STARTED);
}

/* A process for the work that waits, unless one is on its way or a pause is kept. */
void worker_need_process(Worker *worker)
{
        int pausing = SD_EVENT_OFF;

        if (worker->dismissed) {
                if (has_work(worker))
                        arm(worker->restart, 0); /* fails there: nothing fails within its call */
                return;
        }
        (void)sd_event_source_get_enabled(worker->restart, &pausing);
        if (has_work(worker) && worker->ticket == 0 && !worker->channel && pausing == SD_EVENT_OFF)
                ask_broker(worker);
}
