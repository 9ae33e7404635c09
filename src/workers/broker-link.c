#include "workers/broker-link.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "workers/loop.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum {
        RECONNECT_FIRST_USEC = 10 * 1000,
        RECONNECT_MAX_USEC = 1000 * 1000,
};

typedef struct Request {
        TAILQ_ENTRY(Request) entries;
        uint64_t ticket;
        uint32_t serial; /* of this connection, 0: not sent on it */
        uint16_t type;
        WorkerKind kind;
        uid_t uid;
        int fd;             /* a token or a sealed command line; borrowed */
        const char *ccache; /* borrowed */
        const char *job;    /* borrowed */
        BrokerCallback callback;
        void *userdata;
} Request;

struct BrokerLink {
        sd_event *event;
        struct sockaddr_un address;
        Channel *channel;
        bool greeted;
        sd_event_source *reconnect;
        uint64_t delay;
        uint64_t last_ticket;
        uint32_t last_serial;
        TAILQ_HEAD(, Request) requests; /* in the order made */
};

/* ENG-57 */
static void reconnect_later(BrokerLink *link)
{
        (void)sd_event_source_set_time_relative(link->reconnect, link->delay);
        (void)sd_event_source_set_enabled(link->reconnect, SD_EVENT_ONESHOT);
        link->delay = MIN(link->delay * 2, (uint64_t)RECONNECT_MAX_USEC);
}

static void send_request(BrokerLink *link, Request *request)
{
        Message *m = channel_draft(link->channel);
        int r;

        request->serial = ++link->last_serial;
        switch (request->type) {
        case MESSAGE_BROKER_START_OWNER:
                broker_start_owner_write(m, request->serial,
                                         &(BrokerStartOwner){ .kind = (uint32_t)request->kind,
                                                              .uid = request->uid,
                                                              .ccache = request->ccache });
                break;
        case MESSAGE_BROKER_START_TOKEN:
                broker_start_token_write(m, request->serial,
                                         &(BrokerStartToken){ .kind = (uint32_t)request->kind,
                                                              .ccache = request->ccache,
                                                              .token = request->fd });
                break;
        case MESSAGE_BROKER_DESCRIBE_TOKEN:
                broker_describe_token_write(m, request->serial,
                                            &(BrokerDescribeToken){ .token = request->fd });
                break;
        case MESSAGE_BROKER_KEEP_COMMAND:
                broker_keep_command_write(
                        m, request->serial,
                        &(BrokerKeepCommand){ .job = request->job, .command = request->fd });
                break;
        case MESSAGE_BROKER_START_COMMAND:
                broker_start_command_write(
                        m, request->serial,
                        &(BrokerStartCommand){ .uid = request->uid, .job = request->job });
                break;
        case MESSAGE_BROKER_WATCH_ROUTES:
                broker_watch_routes_write(m, request->serial, &(BrokerWatchRoutes){ 0 });
                break;
        }
        r = channel_send(link->channel);
        if (r >= 0)
                return;
        log_errno(LOG_DEBUG, r, "cannot send to the broker");
        if (r == -EPIPE || r == -ECONNRESET)
                return; /* the end of the channel is on its way, then all is sent on the next one */
        request->serial = 0;
        reconnect_later(link);
}

/* ENG-55 */
static void send_all(BrokerLink *link)
{
        Request *request;

        TAILQ_FOREACH (request, &link->requests, entries)
                if (request->serial == 0)
                        send_request(link, request);
}

static Request *find_serial(BrokerLink *link, uint32_t serial)
{
        Request *request;

        /* Answers come in the order of the requests: the first is the one, but for cancelled ones.
           */
        TAILQ_FOREACH (request, &link->requests, entries)
                if (request->serial == serial)
                        return request;
        return NULL;
}

/* The answer that serves a request. */
static uint16_t answer_to(uint16_t request)
{
        return request == MESSAGE_BROKER_DESCRIBE_TOKEN ? MESSAGE_BROKER_TOKEN
               : request == MESSAGE_BROKER_KEEP_COMMAND ? MESSAGE_BROKER_COMMAND
               : request == MESSAGE_BROKER_WATCH_ROUTES ? MESSAGE_BROKER_ROUTES
                                                        : MESSAGE_BROKER_WORKER;
}

static int answer(BrokerLink *link, uint32_t serial, uint16_t type, BrokerAnswer *a)
{
        Request *request = find_serial(link, serial);

        if (!request)
                return 0; /* cancelled meanwhile */
        if (type != MESSAGE_BROKER_REFUSED && type != answer_to(request->type))
                return -EBADMSG;
        TAILQ_REMOVE(&link->requests, request, entries);
        request->callback(request->userdata, a);
        free(request);
        return 0;
}

static int on_hello(BrokerLink *link, Message *m)
{
        BrokerHello hello;

        if (link->greeted || broker_hello_read(m, &hello) < 0)
                return -EBADMSG;
        if (hello.version != PROTOCOL_VERSION) {
                log_error("the broker speaks protocol %u, not %d: install matching programs",
                          hello.version, PROTOCOL_VERSION);
                return -EPROTONOSUPPORT;
        }
        link->greeted = true;
        link->delay = RECONNECT_FIRST_USEC;
        log_info("connected to the broker (%s)",
                 hello.may_switch ? "every identity" : "one identity");
        send_all(link);
        return 0;
}

/* ENG-56 */
static int on_message(void *userdata, Message *m)
{
        BrokerLink *link = userdata;
        BrokerAnswer a = { .worker.channel = -EBADF,
                           .routes = { .events = -EBADF, .questions = -EBADF } };
        uint32_t serial = m->serial;
        BrokerRefused refused;
        int r;

        if (m->type == MESSAGE_BROKER_HELLO)
                return on_hello(link, m);
        if (!link->greeted)
                return -EBADMSG;
        switch (m->type) {
        case MESSAGE_BROKER_WORKER:
                if (broker_worker_read(m, &a.worker) < 0)
                        return -EBADMSG;
                break;
        case MESSAGE_BROKER_TOKEN:
                if (broker_token_read(m, &a.token) < 0)
                        return -EBADMSG;
                break;
        case MESSAGE_BROKER_COMMAND:
                if (broker_command_read(m, &a.command) < 0)
                        return -EBADMSG;
                break;
        case MESSAGE_BROKER_ROUTES:
                if (broker_routes_read(m, &a.routes) < 0)
                        return -EBADMSG;
                break;
        case MESSAGE_BROKER_REFUSED:
                if (broker_refused_read(m, &refused) < 0 || refused.reason >= REFUSAL_MAX)
                        return -EBADMSG;
                a.refused = true;
                a.reason = (Refusal)refused.reason;
                a.error = (int)refused.error;
                break;
        default:
                return -EBADMSG;
        }
        r = answer(link, serial, m->type, &a);
        fd_close(a.worker.channel);
        fd_close(a.routes.events);
        fd_close(a.routes.questions);
        return r;
}

static void on_end(void *userdata, int reason)
{
        BrokerLink *link = userdata;
        Request *request;

        log_errno(LOG_WARNING, reason < 0 ? reason : -ECONNRESET, "lost the broker");
        channel_free(link->channel);
        link->channel = NULL;
        link->greeted = false;
        TAILQ_FOREACH (request, &link->requests, entries)
                request->serial = 0;
        reconnect_later(link);
}

static int try_connect(BrokerLink *link)
{
        static const ChannelListener listener = { .on_message = on_message, .on_end = on_end };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&link->address, sizeof(link->address)) < 0)
                return -errno;
        return channel_new(link->event, TAKE_FD(fd), LOOP_WORKERS, &listener, link, &link->channel);
}

static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata)
{
        BrokerLink *link = userdata;
        int r;

        (void)source;
        (void)usec;
        if (link->channel) {
                if (link->greeted)
                        send_all(link); /* what found no room */
                return 0;
        }
        r = try_connect(link);
        if (r < 0) {
                log_errno(LOG_DEBUG, r, "cannot connect to the broker at %s",
                          link->address.sun_path);
                reconnect_later(link);
        }
        return 0;
}

int broker_link_new(sd_event *event, const char *socket_path, BrokerLink **ret)
{
        _cleanup_(broker_link_freep) BrokerLink *link = calloc(1, sizeof(*link));
        int r;

        if (!link)
                return -ENOMEM;
        TAILQ_INIT(&link->requests);
        link->event = event;
        link->delay = RECONNECT_FIRST_USEC;
        link->address.sun_family = AF_UNIX;
        if (strlen(socket_path) >= sizeof(link->address.sun_path))
                return -ENAMETOOLONG;
        strcpy(link->address.sun_path, socket_path);
        r = sd_event_add_time_relative(event, &link->reconnect, CLOCK_MONOTONIC, 0, 0, on_reconnect,
                                       link);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(link);
        return 0;
}

void broker_link_free(BrokerLink *link)
{
        Request *request;

        if (!link)
                return;
        sd_event_source_disable_unref(link->reconnect);
        channel_free(link->channel);
        while ((request = TAILQ_FIRST(&link->requests))) {
                TAILQ_REMOVE(&link->requests, request, entries);
                free(request);
        }
        free(link);
}

static uint64_t add_request(BrokerLink *link, Request prototype)
{
        Request *request = malloc(sizeof(*request));

        if (!request)
                return 0;
        *request = prototype;
        request->ticket = ++link->last_ticket;
        TAILQ_INSERT_TAIL(&link->requests, request, entries);
        if (link->greeted)
                send_request(link, request);
        return request->ticket;
}

uint64_t broker_start_owner(BrokerLink *link, WorkerKind kind, uid_t uid, const char *ccache,
                            BrokerCallback callback, void *userdata)
{
        return add_request(link, (Request){ .type = MESSAGE_BROKER_START_OWNER,
                                            .kind = kind,
                                            .uid = uid,
                                            .ccache = ccache,
                                            .callback = callback,
                                            .userdata = userdata });
}

uint64_t broker_start_token(BrokerLink *link, WorkerKind kind, int token, const char *ccache,
                            BrokerCallback callback, void *userdata)
{
        return add_request(link, (Request){ .type = MESSAGE_BROKER_START_TOKEN,
                                            .kind = kind,
                                            .ccache = ccache,
                                            .fd = token,
                                            .callback = callback,
                                            .userdata = userdata });
}

uint64_t broker_describe_token(BrokerLink *link, int token, BrokerCallback callback, void *userdata)
{
        return add_request(link, (Request){ .type = MESSAGE_BROKER_DESCRIBE_TOKEN,
                                            .fd = token,
                                            .callback = callback,
                                            .userdata = userdata });
}

uint64_t broker_keep_command(BrokerLink *link, const char *job, int command,
                             BrokerCallback callback, void *userdata)
{
        return add_request(link, (Request){ .type = MESSAGE_BROKER_KEEP_COMMAND,
                                            .job = job,
                                            .fd = command,
                                            .callback = callback,
                                            .userdata = userdata });
}

uint64_t broker_start_command(BrokerLink *link, uid_t uid, const char *job, BrokerCallback callback,
                              void *userdata)
{
        return add_request(link, (Request){ .type = MESSAGE_BROKER_START_COMMAND,
                                            .uid = uid,
                                            .job = job,
                                            .callback = callback,
                                            .userdata = userdata });
}

uint64_t broker_watch_routes(BrokerLink *link, BrokerCallback callback, void *userdata)
{
        return add_request(link, (Request){ .type = MESSAGE_BROKER_WATCH_ROUTES,
                                            .callback = callback,
                                            .userdata = userdata });
}

void broker_drop_command(BrokerLink *link, uid_t uid, const char *job)
{
        if (!link->greeted)
                return;
        broker_drop_command_write(channel_draft(link->channel), 0,
                                  &(BrokerDropCommand){ .uid = uid, .job = job });
        (void)channel_send(link->channel);
}

void broker_cancel(BrokerLink *link, uint64_t ticket)
{
        Request *request;

        TAILQ_FOREACH (request, &link->requests, entries) {
                if (request->ticket != ticket)
                        continue;
                TAILQ_REMOVE(&link->requests, request, entries);
                free(request);
                return;
        }
}

void broker_end_worker(BrokerLink *link, pid_t pid)
{
        if (!link->greeted)
                return;
        broker_end_worker_write(channel_draft(link->channel), 0,
                                &(BrokerEndWorker){ .pid = (uint32_t)pid });
        (void)channel_send(link->channel);
}
