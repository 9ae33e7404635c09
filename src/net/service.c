/*
 * A task is a transfer with its number and its place in the queue of those that have moved.
 * Progress is told by one timer for all of them: the first bytes after a pause arm it, it tells
 * what every task has by then and stays off until bytes come again. So nothing wakes up for a
 * transfer that waits, and a task is told of at most once per PROGRESS_USEC.
 */
#include "net/service.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "core/http-options.h"
#include "core/proxy.h"
#include "net/ack.h"
#include "wire/channel.h"

#include <search.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

enum {
        PROGRESS_USEC = 200 * 1000,
};

/* What is asked goes before what comes in: a stop is not kept waiting by a fast server. */
enum {
        PRIORITY_CHANNEL = -20,
        PRIORITY_NETWORK = 0,
        PRIORITY_CLOCKS = 10,
};

typedef struct Task {
        uint64_t id;
        uint32_t serial;
        Service *service;
        const Protocol *protocol;
        void *work;
        bool moved;
        TAILQ_ENTRY(Task) moves;
} Task;

struct Service {
        sd_event *event;
        ServiceOptions options;
        Pools *pools;
        Pacer *pacer;
        Autodetect *autodetect;
        Channel *channel;
        sd_event_source *progress, *idle;
        void *tasks; /* tsearch() tree by id */
        size_t n_tasks;
        TAILQ_HEAD(, Task) moved;
};

static int compare_tasks(const void *a, const void *b)
{
        uint64_t x = ((const Task *)a)->id, y = ((const Task *)b)->id;

        return x < y ? -1 : x > y;
}

/* Everything told goes through here; a channel that takes no more is the end of the worker. Of a
   peer that is gone on_channel_end() hears soon. NET-431 */
static void send_draft(Service *s)
{
        int r = channel_send(s->channel);

        if (r < 0 && !message_peer_is_gone(r)) {
                log_errno(LOG_ERR, r, "Could not send to the manager");
                sd_event_exit(s->event, r);
        }
}

static void task_free(Task *task)
{
        Service *s = task->service;

        if (task->moved)
                TAILQ_REMOVE(&s->moved, task, moves);
        if (tdelete(task, &s->tasks, compare_tasks))
                s->n_tasks--;
        task->protocol->free(task->work);
        free(task);
}

/* NET-41: only while there is nothing to do. */
static void set_idle(Service *s, bool idle)
{
        if (idle)
                (void)sd_event_source_set_time_relative(s->idle, s->options.idle_usec);
        (void)sd_event_source_set_enabled(s->idle, idle ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        Service *s = userdata;

        (void)source;
        (void)usec;
        return sd_event_exit(s->event, 0);
}

/* ---- what transfers tell ---- */

static void on_started(void *userdata, const NetStarted *started)
{
        NetStarted message = *started;
        Task *task = userdata;

        message.transfer = task->id;
        net_started_write(channel_draft(task->service->channel), task->serial, &message);
        send_draft(task->service);
}

static void on_session(void *userdata, const NetSession *session)
{
        NetSession message = *session;
        Task *task = userdata;

        message.transfer = task->id;
        net_session_write(channel_draft(task->service->channel), task->serial, &message);
        send_draft(task->service);
}

static void on_written(void *userdata)
{
        Task *task = userdata;
        Service *s = task->service;

        if (task->moved)
                return;
        if (TAILQ_EMPTY(&s->moved)) {
                (void)sd_event_source_set_time_relative(s->progress, PROGRESS_USEC);
                (void)sd_event_source_set_enabled(s->progress, SD_EVENT_ONESHOT);
        }
        task->moved = true;
        TAILQ_INSERT_TAIL(&s->moved, task, moves);
}

/* NET-40: the timer fires once, for all that moved since it was armed. */
static int on_progress(sd_event_source *source, uint64_t usec, void *userdata)
{
        Service *s = userdata;
        Task *task;

        (void)source;
        (void)usec;
        while ((task = TAILQ_FIRST(&s->moved))) {
                NetProgress message = { .transfer = task->id };

                TAILQ_REMOVE(&s->moved, task, moves);
                task->moved = false;
                message.written = task->protocol->written(task->work);
                net_progress_write(channel_draft(s->channel), task->serial, &message);
                send_draft(s);
        }
        return 0;
}

static void on_ended(void *userdata, const NetDone *done)
{
        NetDone message = *done;
        Task *task = userdata;
        Service *s = task->service;

        message.transfer = task->id;
        net_done_write(channel_draft(s->channel), task->serial, &message);
        send_draft(s);
        task_free(task);
        set_idle(s, s->n_tasks == 0);
}

/* NET-72: what runs is lost with this process, and begun again from the kept bytes in the next one,
   which finds the tickets as they are now. */
static void on_stale(void *userdata)
{
        Task *task = userdata;

        log_info("The identity's Kerberos tickets have changed: a fresh worker takes over");
        sd_event_exit(task->service->event, 0);
}

static void on_certificate(void *userdata, const NetCertificate *certificate)
{
        NetCertificate message = *certificate;
        Task *task = userdata;

        message.transfer = task->id;
        net_certificate_write(channel_draft(task->service->channel), task->serial, &message);
        send_draft(task->service);
}

static const WorkListener work_listener = { on_started,     on_session, on_written,
                                            on_certificate, on_ended,   on_stale };

/* ---- what bitsd asks ---- */

static bool plain_ascii(const char *text)
{
        for (; *text; text++)
                if (*text < 0x20 || *text > 0x7e)
                        return false;
        return true;
}

static bool terms_are_sound(uint32_t flags, uint32_t proxy_usage, uint32_t security)
{
        return (flags & ~(NET_FLAG_MAX | NET_FLAG_HIGH | NET_FLAG_LOW)) == 0 &&
               proxy_usage < PROXY_USAGE_MAX && (security & ~(uint32_t)HTTP_CERTIFICATE_FLAGS) == 0;
}

/* bitsd sends back what NET_STARTED gave it, so anything else is a breach of the protocol: these
   strings become header lines. NET-43 */
static bool start_is_sound(const NetStart *start)
{
        const char *why;

        return terms_are_sound(start->flags, start->proxy_usage, start->security) &&
               plain_ascii(start->etag) && plain_ascii(start->last_modified) &&
               start->part <= NET_PART_MAX && start->offset <= INT64_MAX &&
               start->position <= INT64_MAX && start->end > start->offset &&
               start->limit >= start->position && http_check_method(start->method, &why) == 0;
}

/* NET-43: they become header lines and a URL. */
static bool session_is_sound(const char *session, const char *host)
{
        return plain_ascii(session) && strlen(session) <= ACK_SESSION_MAX && plain_ascii(host) &&
               strlen(host) <= ACK_HOST_MAX;
}

/* What the messages that begin work have in common: the fields have the same names. */
typedef struct Beginning {
        bool sound; /* else the peer breaks the protocol */
        uint64_t id;
        PoolTerms terms;
        uint32_t secrets;
        FdList *secret_files;
} Beginning;

#define BEGINNING(start, is_sound)                                                                 \
        (Beginning)                                                                                \
        {                                                                                          \
                .sound = (is_sound), .id = (start)->transfer,                                      \
                .terms = { .background = ((start)->flags & NET_FLAG_BACKGROUND) != 0,              \
                           .security = (start)->security,                                          \
                           .without_certificate = ((start)->flags & NET_FLAG_NO_CERTIFICATE) != 0, \
                           .proxy_tickets = ((start)->flags & NET_FLAG_PROXY_TICKETS) != 0,        \
                           .validation = (start)->validation },                                    \
                .secrets = (start)->secrets, .secret_files = &(start)->secret_files                \
        }

/* A task without its work, and the connections for that. SEC-81: the secrets come in anonymous
   files, and stay with the pool; their descriptors are closed in any case. */
static int task_new(Service *s, uint32_t serial, const Protocol *protocol, Beginning beginning,
                    Task **ret, Pool **ret_pool)
{
        _cleanup_free_ Task *task = calloc(1, sizeof(*task));
        Secrets secrets;
        int r;

        if (!task || !beginning.sound) {
                fd_list_close(beginning.secret_files);
                return task ? -EBADMSG : -ENOMEM;
        }
        r = secrets_read(beginning.secrets, beginning.secret_files, &secrets);
        if (r >= 0)
                r = pools_get(s->pools, &beginning.terms, &secrets, ret_pool);
        if (r < 0)
                return r;
        *task = (Task){ .id = beginning.id, .serial = serial, .service = s, .protocol = protocol };
        *ret = TAKE_PTR(task);
        return 0;
}

/* Takes the task and starts its work; `r`: why there is none. -EBADMSG: its number is in use. */
static int task_start(Task *task, void *work, int r)
{
        Service *s = task->service;
        Task **found = r < 0 ? NULL : tsearch(task, &s->tasks, compare_tasks);

        if (!found || *found != task) {
                if (r >= 0)
                        task->protocol->free(work);
                free(task);
                return r < 0 ? r : found ? -EBADMSG : -ENOMEM;
        }
        task->work = work;
        s->n_tasks++;
        set_idle(s, false);
        task->protocol->start(work);
        return 0;
}

static int on_net_start(Service *s, Message *m)
{
        Transfer *transfer = NULL;
        NetStart start;
        Task *task;
        Pool *pool;
        int r = net_start_read(m, &start);

        if (r < 0)
                return r;
        r = task_new(s, m->serial, &transfer_protocol, BEGINNING(&start, start_is_sound(&start)),
                     &task, &pool);
        if (r < 0) {
                fd_close(start.file);
                return r;
        }
        r = transfer_new(pool, &s->options.request, &start, &work_listener, task, &transfer);
        return task_start(task, transfer, r);
}

static int on_net_upload(Service *s, Message *m)
{
        Upload *upload = NULL;
        NetUpload start;
        Task *task;
        Pool *pool;
        bool sound; /* else the peer breaks the protocol */
        int r = net_upload_read(m, &start);

        if (r < 0)
                return r;
        sound = terms_are_sound(start.flags, start.proxy_usage, start.security) &&
                start.total <= INT64_MAX && session_is_sound(start.session, start.host);
        r = task_new(s, m->serial, &upload_protocol, BEGINNING(&start, sound), &task, &pool);
        if (r < 0) {
                fd_close(start.file);
                return r;
        }
        r = upload_new(pool, &s->options.request, &start, &work_listener, task, &upload);
        return task_start(task, upload, r);
}

static int on_net_farewell(Service *s, Message *m)
{
        Upload *upload = NULL;
        NetFarewell start;
        Task *task;
        Pool *pool;
        bool sound; /* else the peer breaks the protocol */
        int r = net_farewell_read(m, &start);

        if (r < 0)
                return r;
        sound = terms_are_sound(start.flags, start.proxy_usage, start.security) &&
                session_is_sound(start.session, start.host);
        r = task_new(s, m->serial, &upload_protocol, BEGINNING(&start, sound), &task, &pool);
        if (r < 0)
                return r;
        r = upload_new_farewell(pool, &s->options.request, &start, &work_listener, task, &upload);
        return task_start(task, upload, r);
}

static Task *find_task(Service *s, uint64_t id)
{
        Task key = { .id = id }, **found = tfind(&key, &s->tasks, compare_tasks);

        return found ? *found : NULL;
}

/* A stop may cross the end of its transfer: an unknown number is no breach. NET-42 */
static int on_net_stop(Service *s, Message *m)
{
        NetStop stop;
        Task *task;
        int r;

        r = net_stop_read(m, &stop);
        if (r < 0)
                return r;
        task = find_task(s, stop.transfer);
        if (task)
                task->protocol->stop(task->work);
        return 0;
}

/* So may this. */
static int on_net_accept(Service *s, Message *m)
{
        NetAccept accept;
        Task *task;
        int r;

        r = net_accept_read(m, &accept);
        if (r < 0)
                return r;
        task = find_task(s, accept.transfer);
        if (task)
                task->protocol->accept(task->work, accept.code, accept.detail);
        return 0;
}

/* And this. */
static int on_net_close(Service *s, Message *m)
{
        NetClose close;
        Task *task;
        int r;

        r = net_close_read(m, &close);
        if (r < 0)
                return r;
        task = find_task(s, close.transfer);
        if (task && task->protocol->close)
                task->protocol->close(task->work);
        return 0;
}

/* POL-213 */
static int on_net_rates(Service *s, Message *m)
{
        NetRates rates;
        int r = net_rates_read(m, &rates);

        if (r < 0)
                return r;
        pacer_set_rates(s->pacer,
                        (uint64_t[NET_CLASS_MAX]){ [NET_FOREGROUND] = RATE_NONE,
                                                   [NET_HIGH] = rates.high,
                                                   [NET_NORMAL] = rates.normal,
                                                   [NET_LOW] = rates.low },
                        rates.all);
        return 0;
}

static int on_message(void *userdata, Message *m)
{
        Service *s = userdata;

        switch (m->type) {
        case MESSAGE_NET_START:
                return on_net_start(s, m);
        case MESSAGE_NET_UPLOAD:
                return on_net_upload(s, m);
        case MESSAGE_NET_FAREWELL:
                return on_net_farewell(s, m);
        case MESSAGE_NET_STOP:
                return on_net_stop(s, m);
        case MESSAGE_NET_ACCEPT:
                return on_net_accept(s, m);
        case MESSAGE_NET_CLOSE:
                return on_net_close(s, m);
        case MESSAGE_NET_RATES:
                return on_net_rates(s, m);
        }
        return -EBADMSG;
}

static void on_channel_end(void *userdata, int reason)
{
        Service *s = userdata;

        if (message_peer_is_gone(reason))
                reason = 0;
        if (reason < 0)
                log_errno(LOG_ERR, reason, "The channel to the manager ended");
        sd_event_exit(s->event, reason);
}

static const ChannelListener channel_listener = { on_message, on_channel_end };

/* ---- life ---- */

static int add_clock(Service *s, sd_event_time_handler_t handler, sd_event_source **ret)
{
        int r = sd_event_add_time(s->event, ret, CLOCK_MONOTONIC, 0, 0, handler, s);

        if (r >= 0)
                r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(*ret, PRIORITY_CLOCKS);
        return r;
}

int service_new(sd_event *event, int fd, const ServiceOptions *options, Service **ret)
{
        _cleanup_(service_freep) Service *s = calloc(1, sizeof(*s));
        int r;

        if (!s) {
                fd_close(fd);
                fd_close(options->keeper);
                return -ENOMEM;
        }
        TAILQ_INIT(&s->moved);
        s->event = sd_event_ref(event);
        s->options = *options;
        r = autodetect_new(event, PRIORITY_NETWORK,
                           &(AutodetectTerms){ .keeper = options->keeper,
                                               .ca_file = options->request.ca_file,
                                               .ca_path = options->request.ca_path },
                           &s->autodetect);
        if (r < 0) {
                fd_close(fd);
                return r;
        }
        r = channel_new(event, fd, PRIORITY_CHANNEL, &channel_listener, s, &s->channel);
        if (r >= 0)
                r = channel_gather(s->channel, PRIORITY_NETWORK);
        if (r >= 0)
                r = pools_new(event, PRIORITY_NETWORK, &request_glue_listener, options->kerberos,
                              &s->pools);
        if (r >= 0)
                r = pacer_new(event, PRIORITY_NETWORK, &s->pacer);
        if (r >= 0)
                r = add_clock(s, on_progress, &s->progress);
        if (r >= 0)
                r = add_clock(s, on_idle, &s->idle);
        if (r < 0)
                return r;
        s->options.request.pacer = s->pacer;
        s->options.request.autodetect = s->autodetect;
        set_idle(s, true);
        *ret = TAKE_PTR(s);
        return 0;
}

void service_free(Service *s)
{
        if (!s)
                return;
        while (s->tasks)
                task_free(*(Task **)s->tasks);
        pools_free(s->pools);
        pacer_free(s->pacer);
        autodetect_free(s->autodetect);
        channel_free(s->channel);
        sd_event_source_disable_unref(s->progress);
        sd_event_source_disable_unref(s->idle);
        sd_event_unref(s->event);
        free(s);
}

int service_hello(Service *s, uint32_t layers)
{
        WorkerHello hello = {
                .version = PROTOCOL_VERSION,
                .kind = WORKER_NET,
                .uid = geteuid(),
                .layers = layers,
        };

        worker_hello_write(channel_draft(s->channel), 0, &hello);
        return channel_send(s->channel);
}
