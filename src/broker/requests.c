/*
 * The broker's whole attack surface towards the manager fits into one table. A captured manager
 * can ask for a worker of somebody who gave it a token, or of an owner whom the broker knows by
 * itself; it can invent nobody. It can have a command line started that its user sealed, as that
 * user, and no other. Whatever is not in the table, comes before our greeting, or has a
 * field that no honest manager sends, costs it the connection.
 *
 * Starts are answered later, when the child has executed: the tag that travels with them holds the
 * number of the connection, so that an answer for a dead connection is dropped (its worker sees
 * the channel close and ends).
 */
#include "broker/requests.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "broker/broker.h"
#include "broker/routes.h"
#include "wire/channel.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

typedef enum Phase {
        PHASE_CONNECTED, /* accepted, not greeted yet */
        PHASE_SERVING,   /* our greeting is on its way */
        PHASE_MAX,
        PHASE_INVALID = -1,
} Phase;

struct Requests {
        sd_event *event;
        RequestsConfig config;
        Spawner *spawner;
        sd_event_source *listener;

        Channel *channel; /* NULL: no manager */
        int fd;           /* the channel's, borrowed */
        Phase phase;
        uint32_t connection; /* number of the current one */
};

static uint64_t tag_of(const Requests *q, const Message *m)
{
        return (uint64_t)q->connection << 32 | m->serial;
}

static bool tag_is_current(const Requests *q, uint64_t tag)
{
        return q->channel && tag >> 32 == q->connection;
}

/* The failure of a send ends the connection through the loop, or is the caller's to return. */
static int refuse(Requests *q, uint32_t serial, Refusal reason, int error)
{
        BrokerRefused refused = { .reason = reason, .error = (uint32_t)-error };

        log_notice("request refused: %s", refusal_text(reason));
        broker_refused_write(channel_draft(q->channel), serial, &refused);
        return channel_send(q->channel);
}

static void on_started(void *userdata, uint64_t tag, pid_t pid, int channel)
{
        Requests *q = userdata;
        BrokerWorker worker = { .pid = (uint32_t)pid, .channel = channel };
        int r;

        if (!tag_is_current(q, tag))
                return;
        broker_worker_write(channel_draft(q->channel), (uint32_t)tag, &worker);
        r = channel_send(q->channel);
        if (r < 0)
                log_errno(LOG_WARNING, r, "cannot hand over worker %d", (int)pid);
}

static void on_failed(void *userdata, uint64_t tag, int error)
{
        Requests *q = userdata;
        int r;

        if (!tag_is_current(q, tag))
                return;
        r = refuse(q, (uint32_t)tag, REFUSED_START_FAILED, error);
        if (r < 0)
                log_errno(LOG_WARNING, r, "cannot answer the manager");
}

static const SpawnListener spawn_listener = { on_started, on_failed };

/* SEC-54: without the right to switch, only ourselves. */
static int start(Requests *q, const Message *m, SpawnRequest *request)
{
        int r;

        if (!q->config.spawner.switch_identity && request->uid != q->config.own_uid)
                return refuse(q, m->serial, REFUSED_NO_PRIVILEGE, 0);
        request->tag = tag_of(q, m);
        r = spawner_start(q->spawner, request);
        if (r == -EUSERS)
                return refuse(q, m->serial, REFUSED_TOO_MANY, 0);
        return r < 0 ? refuse(q, m->serial, REFUSED_START_FAILED, r) : 0;
}

/* SEC-45: an owner is known to the broker by itself, never by the manager's word. SEC-48: the
   manager's own user is none: it could trace such a worker, which has more rights than it. */
static bool may_be_owner(Requests *q, uid_t uid, WorkerKind kind)
{
        if (uid == q->config.manager_uid && uid != q->config.own_uid)
                return false;
        return owner_known(q->config.owners, uid, kind);
}

/* Command lines have a request of their own. */
static bool serves_transfers(uint32_t kind)
{
        return kind == WORKER_FILE || kind == WORKER_NET;
}

static int start_owner(Requests *q, const Message *m, SpawnRequest *request)
{
        if (q->config.spawner.switch_identity) {
                if (!may_be_owner(q, request->uid, request->kind)) {
                        log_notice("no %s for uid %u without a token",
                                   worker_kind_name(request->kind), (unsigned)request->uid);
                        return refuse(q, m->serial, REFUSED_UNKNOWN_OWNER, 0);
                }
                request->has_fallback_gid =
                        owners_recorded(q->config.owners, request->uid, &request->fallback_gid);
        }
        return start(q, m, request);
}

static int handle_start_owner(Requests *q, Message *m)
{
        BrokerStartOwner ask;
        SpawnRequest request;

        if (broker_start_owner_read(m, &ask) < 0 || !serves_transfers(ask.kind))
                return -EBADMSG;
        request = (SpawnRequest){ .kind = (WorkerKind)ask.kind,
                                  .uid = ask.uid,
                                  .ccache = ask.ccache,
                                  .command = -EBADF };
        return start_owner(q, m, &request);
}

/* TOK-15 */
static int handle_start_token(Requests *q, Message *m)
{
        _cleanup_close_ int fd = -EBADF;
        BrokerStartToken ask;
        SpawnRequest request;
        TokenInfo token;

        if (broker_start_token_read(m, &ask) < 0)
                return -EBADMSG;
        fd = ask.token;
        if (!serves_transfers(ask.kind))
                return -EBADMSG;
        if (tokens_find(q->config.tokens, fd, &token) < 0)
                return refuse(q, m->serial, REFUSED_DEAD_TOKEN, 0);
        request = (SpawnRequest){ .kind = (WorkerKind)ask.kind,
                                  .uid = token.identity->uid,
                                  .token = token.identity,
                                  .ccache = ask.ccache,
                                  .command = -EBADF };
        return start(q, m, &request);
}

static int handle_describe_token(Requests *q, Message *m)
{
        _cleanup_close_ int fd = -EBADF;
        BrokerDescribeToken ask;
        BrokerToken answer;
        TokenInfo token;

        if (broker_describe_token_read(m, &ask) < 0)
                return -EBADMSG;
        fd = ask.token;
        if (tokens_find(q->config.tokens, fd, &token) < 0)
                return refuse(q, m->serial, REFUSED_DEAD_TOKEN, 0);
        tokens_keep(q->config.tokens, token.cookie); /* asked when a job is to have it */
        answer = (BrokerToken){ .cookie = token.cookie,
                                .uid = token.identity->uid,
                                .gid = token.identity->gid,
                                .session = token.identity->session,
                                .signed_on = token.identity->signed_on };
        broker_token_write(channel_draft(q->channel), m->serial, &answer);
        return channel_send(q->channel);
}

/* SEC-46: a number that is not a living worker of ours is not an offence: the worker may just have
   ended by itself. Nothing else is ever signalled. */
static int handle_end_worker(Requests *q, Message *m)
{
        BrokerEndWorker ask;
        int r;

        if (broker_end_worker_read(m, &ask) < 0)
                return -EBADMSG;
        r = spawner_end(q->spawner, (pid_t)ask.pid);
        if (r < 0)
                log_notice("process %u is not ended: no worker of ours", (unsigned)ask.pid);
        return 0;
}

static int refuse_command(Requests *q, uint32_t serial, int error)
{
        if (error == -EUSERS)
                return refuse(q, serial, REFUSED_TOO_MANY, 0);
        if (error == -EPERM)
                return refuse(q, serial, REFUSED_UNKNOWN_OWNER, 0);
        if (error == -EBADMSG || error == -ENOENT)
                return refuse(q, serial, REFUSED_NO_COMMAND, 0);
        return refuse(q, serial, REFUSED_START_FAILED, error);
}

/* SEC-240: the author is whom the kernel names, never whom the manager does. */
static int handle_keep_command(Requests *q, Message *m)
{
        _cleanup_close_ int fd = -EBADF;
        BrokerKeepCommand ask;
        BrokerCommand answer;
        uid_t author;
        int r;

        if (broker_keep_command_read(m, &ask) < 0)
                return -EBADMSG;
        fd = ask.command;
        if (!command_job_valid(ask.job))
                return -EBADMSG;
        r = q->config.commands ? commands_keep(q->config.commands, ask.job, fd, &author) : -EROFS;
        if (r < 0)
                return refuse_command(q, m->serial, r);
        log_info("uid %u has set a command line for job %s", (unsigned)author, ask.job);
        answer = (BrokerCommand){ .uid = author };
        broker_command_write(channel_draft(q->channel), m->serial, &answer);
        return channel_send(q->channel);
}

static int handle_drop_command(Requests *q, Message *m)
{
        BrokerDropCommand ask;

        if (broker_drop_command_read(m, &ask) < 0 || !command_job_valid(ask.job))
                return -EBADMSG;
        if (q->config.commands)
                commands_drop(q->config.commands, ask.uid, ask.job);
        return 0;
}

/* SEC-240, SEC-241: what is started is what that user sealed, or nothing. */
static int handle_start_command(Requests *q, Message *m)
{
        _cleanup_close_ int command = -EBADF;
        BrokerStartCommand ask;
        SpawnRequest request;
        int r;

        if (broker_start_command_read(m, &ask) < 0 || !command_job_valid(ask.job))
                return -EBADMSG;
        r = q->config.commands ? commands_find(q->config.commands, ask.uid, ask.job, &command)
                               : -ENOENT;
        if (r < 0) {
                log_notice("uid %u has no command line for job %s", (unsigned)ask.uid, ask.job);
                return refuse_command(q, m->serial, r);
        }
        request = (SpawnRequest){ .kind = WORKER_COMMAND, .uid = ask.uid, .command = command };
        return start_owner(q, m, &request);
}

/* SEC-380 */
static int handle_watch_routes(Requests *q, Message *m)
{
        _cleanup_close_ int events = -EBADF, questions = -EBADF;
        BrokerWatchRoutes ask;
        BrokerRoutes answer;
        int r;

        if (broker_watch_routes_read(m, &ask) < 0)
                return -EBADMSG;
        r = routes_open(&events, &questions);
        if (r < 0)
                return refuse(q, m->serial, REFUSED_START_FAILED, r);
        answer = (BrokerRoutes){ .local_proxy = routes_local_proxy(),
                                 .events = events,
                                 .questions = questions };
        broker_routes_write(channel_draft(q->channel), m->serial, &answer);
        return channel_send(q->channel);
}

/* The permitted requests. */
static const struct Request {
        uint16_t type;
        Phase phase;
        int (*handle)(Requests *q, Message *m);
} requests_table[] = {
        { MESSAGE_BROKER_START_OWNER, PHASE_SERVING, handle_start_owner },
        { MESSAGE_BROKER_START_TOKEN, PHASE_SERVING, handle_start_token },
        { MESSAGE_BROKER_DESCRIBE_TOKEN, PHASE_SERVING, handle_describe_token },
        { MESSAGE_BROKER_END_WORKER, PHASE_SERVING, handle_end_worker },
        { MESSAGE_BROKER_KEEP_COMMAND, PHASE_SERVING, handle_keep_command },
        { MESSAGE_BROKER_DROP_COMMAND, PHASE_SERVING, handle_drop_command },
        { MESSAGE_BROKER_START_COMMAND, PHASE_SERVING, handle_start_command },
        { MESSAGE_BROKER_WATCH_ROUTES, PHASE_SERVING, handle_watch_routes },
};

static const struct Request *find_request(const Requests *q, uint16_t type)
{
        for (size_t i = 0; i < ELEMENTS(requests_table); i++)
                if (requests_table[i].type == type && requests_table[i].phase == q->phase)
                        return &requests_table[i];
        return NULL;
}

/* SEC-44, SEC-96 */
static int on_message(void *userdata, Message *m)
{
        Requests *q = userdata;
        const struct Request *request = find_request(q, m->type);
        const char *name = message_type_name(m->type);
        int r;

        if (!request) {
                log_warning("the manager sent message 0x%02x (%s), which is not permitted",
                            (unsigned)m->type, name ? name : "unknown");
                return -EBADMSG;
        }
        r = request->handle(q, m);
        if (r == -EBADMSG)
                log_warning("the manager sent a malformed %s", name);
        return r;
}

static void disconnect(Requests *q)
{
        channel_free(q->channel);
        q->channel = NULL;
        q->fd = -EBADF;
}

static void on_end(void *userdata, int reason)
{
        Requests *q = userdata;

        if (reason < 0)
                log_errno(LOG_WARNING, reason, "the manager's connection is cut");
        else
                log_info("the manager has disconnected");
        disconnect(q);
}

static const ChannelListener channel_listener = { on_message, on_end };

static int greet(Requests *q)
{
        BrokerHello hello = {
                .version = PROTOCOL_VERSION,
                .may_switch = q->config.spawner.switch_identity,
                .uid = q->config.own_uid,
        };
        int r;

        broker_hello_write(channel_draft(q->channel), 0, &hello);
        r = channel_send(q->channel);
        if (r < 0)
                return r;
        q->phase = PHASE_SERVING;
        return 0;
}

/* Its end may be known to the kernel before the loop has come to it. */
static bool manager_is_gone(const Requests *q)
{
        struct pollfd p = { .fd = q->fd, .events = POLLRDHUP };

        return !q->channel || (poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* SEC-41, BUS-16: by the kernel's word, whatever the mode of the socket's file. */
static bool is_the_manager(const Requests *q, int fd)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return false;
        if (peer.uid == q->config.manager_uid)
                return true;
        log_warning("uid %u tried to connect as the manager", (unsigned)peer.uid);
        return false;
}

static void connect_manager(Requests *q, int fd)
{
        int r;

        disconnect(q);
        q->connection++;
        q->phase = PHASE_CONNECTED;
        q->fd = fd;
        r = channel_new(q->event, fd, LOOP_MANAGER, &channel_listener, q, &q->channel);
        if (r >= 0)
                r = greet(q);
        if (r < 0) {
                log_errno(LOG_WARNING, r, "cannot serve the manager");
                disconnect(q);
                return;
        }
        log_info("the manager has connected");
}

static int on_connect(sd_event_source *source _unused_, int listener, uint32_t revents _unused_,
                      void *userdata)
{
        _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        Requests *q = userdata;

        if (fd < 0) {
                if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                        log_errno(LOG_WARNING, -errno, "cannot accept the manager");
                return 0;
        }
        if (!is_the_manager(q, fd))
                return 0;
        if (!manager_is_gone(q)) {
                log_warning("a second manager is refused while the first is connected");
                return 0;
        }
        connect_manager(q, TAKE_FD(fd));
        return 0;
}

int requests_new(sd_event *event, int listener, const RequestsConfig *config, Requests **ret)
{
        _cleanup_(requests_freep) Requests *q = malloc(sizeof(*q));
        int r;

        if (!q)
                return -ENOMEM;
        *q = (Requests){ .event = sd_event_ref(event), .config = *config, .fd = -EBADF };
        r = spawner_new(event, &config->spawner, &spawn_listener, q, &q->spawner);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &q->listener, listener, EPOLLIN, on_connect, q);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(q->listener, LOOP_MANAGER_SOCKET);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(q);
        return 0;
}

void requests_free(Requests *q)
{
        if (!q)
                return;
        sd_event_source_disable_unref(q->listener);
        disconnect(q);
        spawner_free(q->spawner);
        sd_event_unref(q->event);
        free(q);
}
