#include "wire/channel.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

enum {
        QUEUE_BYTES_MAX = 16 * 1024 * 1024,
        SOCKET_BYTES = 1024 * 1024, /* asked of the kernel for each direction */
};

typedef struct Queued {
        STAILQ_ENTRY(Queued) entries;
        Message message; /* data: below */
        uint8_t data[];
} Queued;

struct Channel {
        int fd;
        sd_event_source *source;
        sd_event_source *gather; /* NULL: each message leaves by itself */
        const ChannelListener *listener;
        void *userdata;

        Inbox in;
        Message out;
        STAILQ_HEAD(, Queued) queue;
        size_t queue_length, queue_bytes;
        bool full; /* the queue waits for room in the socket */

        bool *freed; /* set while a callback runs: tells the loop that the channel is gone */
};

static void queued_free(Queued *q)
{
        message_close(&q->message);
        free(q);
}

static void end(Channel *channel, int reason)
{
        sd_event_source_set_enabled(channel->source, SD_EVENT_OFF);
        if (channel->gather)
                sd_event_source_set_enabled(channel->gather, SD_EVENT_OFF);
        channel->listener->on_end(channel->userdata, reason);
}

static int wait_for_room(Channel *channel, bool wait)
{
        channel->full = wait;
        return sd_event_source_set_io_events(channel->source, EPOLLIN | (wait ? EPOLLOUT : 0u));
}

/* How many were sent, or -errno. */
static int send_some(Channel *channel)
{
        Message *messages[MESSAGES_AT_ONCE];
        unsigned n = 0;
        Queued *q;
        int r;

        STAILQ_FOREACH (q, &channel->queue, entries) {
                messages[n++] = &q->message;
                if (n == MESSAGES_AT_ONCE)
                        break;
        }
        r = message_send_many(messages, n, channel->fd);
        for (int i = 0; i < r; i++) {
                q = STAILQ_FIRST(&channel->queue);
                STAILQ_REMOVE_HEAD(&channel->queue, entries);
                channel->queue_length--;
                channel->queue_bytes -= q->message.size;
                queued_free(q);
        }
        return r;
}

static int flush(Channel *channel)
{
        while (channel->queue_length > 0) {
                int r = send_some(channel);

                if (r == -EAGAIN)
                        return wait_for_room(channel, true);
                if (r < 0)
                        return r;
        }
        return wait_for_room(channel, false);
}

void channel_free(Channel *channel)
{
        Queued *q;

        if (!channel)
                return;
        if (channel->freed)
                *channel->freed = true;
        if (channel->gather && !channel->full)
                (void)flush(channel); /* what was sent is sent */
        sd_event_source_disable_unref(channel->source);
        sd_event_source_disable_unref(channel->gather);
        (void)message_close_fd(channel->fd);
        while ((q = STAILQ_FIRST(&channel->queue))) {
                STAILQ_REMOVE_HEAD(&channel->queue, entries);
                queued_free(q);
        }
        inbox_done(&channel->in);
        message_done(&channel->out);
        free(channel);
}

/* 0, -EAGAIN: there was none, or 1: the channel has ended, or is gone. */
static int receive_one(Channel *channel, const bool *freed)
{
        Message *m = NULL;
        int r = inbox_next(&channel->in, &m);

        if (r == -EAGAIN)
                return r;
        if (r > 0) {
                r = channel->listener->on_message(channel->userdata, m);
                if (*freed)
                        return 1;
                message_close(m);
                if (r >= 0)
                        return 0;
        }
        end(channel, r);
        return 1;
}

/* What is there at this moment; others have their turn before the rest. */
static bool receive_burst(Channel *channel)
{
        bool freed = false;
        int r = inbox_fill(&channel->in, channel->fd);

        if (r == -EAGAIN)
                return true;
        if (r < 0) {
                end(channel, r);
                return false;
        }
        channel->freed = &freed;
        do
                r = receive_one(channel, &freed);
        while (r == 0);
        if (!freed)
                channel->freed = NULL;
        return r == -EAGAIN;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Channel *channel = userdata;

        (void)source;
        (void)fd;
        /* What the peer said before it hung up still counts: read first. */
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive_burst(channel))
                return 0;
        if (revents & EPOLLOUT) {
                int r = flush(channel);

                if (r < 0)
                        end(channel, r);
        }
        return 0;
}

int channel_new(sd_event *event, int fd, int64_t priority, const ChannelListener *listener,
                void *userdata, Channel **ret)
{
        _cleanup_(channel_freep) Channel *channel = calloc(1, sizeof(*channel));
        int r, bytes = SOCKET_BYTES;

        if (!channel) {
                fd_close(fd);
                return -ENOMEM;
        }
        channel->fd = fd;
        channel->listener = listener;
        channel->userdata = userdata;
        STAILQ_INIT(&channel->queue);
        r = inbox_init(&channel->in);
        if (r >= 0)
                r = message_init(&channel->out);
        if (r >= 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
                r = -errno;
        /* A larger buffer saves wake-ups; the default will do as well. */
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
        if (r >= 0)
                r = sd_event_add_io(event, &channel->source, fd, EPOLLIN, on_io, channel);
        if (r >= 0)
                r = sd_event_source_set_priority(channel->source, priority);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(channel);
        return 0;
}

Message *channel_draft(Channel *channel)
{
        return &channel->out;
}

/* Duplicates of the draft's descriptors. */
static int copy_fds(const Message *from, Message *to)
{
        for (to->owns_fds = true; to->n_fds < from->n_fds; to->n_fds++) {
                to->fds[to->n_fds] = fcntl(from->fds[to->n_fds], F_DUPFD_CLOEXEC, 0);
                if (to->fds[to->n_fds] < 0)
                        return -errno;
        }
        return 0;
}

/* Keeps a copy of the draft. ENG-08 */
static int enqueue(Channel *channel)
{
        const Message *m = &channel->out;
        Queued *q;
        int r;

        if (channel->queue_bytes + m->size > QUEUE_BYTES_MAX)
                return -ENOBUFS; /* LIM-09 */
        q = malloc(sizeof(*q) + m->size);
        if (!q)
                return -ENOMEM;
        q->message =
                (Message){ .type = m->type, .serial = m->serial, .data = q->data, .size = m->size };
        memcpy(q->data, m->data, m->size);
        r = copy_fds(m, &q->message);
        if (r < 0) {
                queued_free(q);
                return r;
        }
        STAILQ_INSERT_TAIL(&channel->queue, q, entries);
        channel->queue_length++;
        channel->queue_bytes += q->message.size;
        return 0;
}

/* Of a peer that is gone on_io() hears, after what it said before. */
static int on_gathered(sd_event_source *source, void *userdata)
{
        Channel *channel = userdata;
        int r = flush(channel);

        (void)source;
        if (r < 0 && !message_peer_is_gone(r))
                end(channel, r);
        return 0;
}

int channel_gather(Channel *channel, int64_t priority)
{
        int r = sd_event_add_defer(sd_event_source_get_event(channel->source), &channel->gather,
                                   on_gathered, channel);

        if (r >= 0)
                r = sd_event_source_set_enabled(channel->gather, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(channel->gather, priority);
        return MIN(r, 0);
}

/* ENG-360 */
static int gather(Channel *channel)
{
        int r = enqueue(channel);

        if (r < 0)
                return r;
        if (channel->queue_length >= MESSAGES_AT_ONCE)
                return flush(channel);
        return sd_event_source_set_enabled(channel->gather, SD_EVENT_ONESHOT);
}

/* Descriptors would have to be duplicated to wait for others: what has some takes along what waits
   already. */
static int send_now(Channel *channel)
{
        int r = channel->queue_length > 0 && !channel->full ? flush(channel) : 0;

        if (r < 0)
                return r;
        r = channel->full ? -EAGAIN : message_send(&channel->out, channel->fd);
        if (r != -EAGAIN)
                return r;
        r = enqueue(channel);
        return r < 0 ? r : wait_for_room(channel, true);
}

int channel_send_at_once(Channel *channel)
{
        return channel->out.bad ? -EMSGSIZE : MIN(send_now(channel), 0);
}

int channel_send(Channel *channel)
{
        bool waits = channel->gather && !channel->full && channel->out.n_fds == 0;

        if (!waits || channel->out.bad)
                return channel_send_at_once(channel);
        return MIN(gather(channel), 0);
}

size_t channel_queued(const Channel *channel)
{
        return channel->queue_length;
}
