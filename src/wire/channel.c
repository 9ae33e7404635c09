#include "wire/channel.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

enum {
        QUEUE_BYTES_MAX = 16 * 1024 * 1024,
        BURST = 64,                 /* messages read before other sources get their turn */
        SOCKET_BYTES = 1024 * 1024, /* asked of the kernel for each direction */
};

typedef struct Queued {
        STAILQ_ENTRY(Queued) entries;
        uint16_t type;
        uint32_t serial;
        size_t size;
        unsigned n_fds;
        int *fds;
        uint8_t data[];
} Queued;

struct Channel {
        int fd;
        sd_event_source *source;
        const ChannelListener *listener;
        void *userdata;

        Message in, out;
        STAILQ_HEAD(, Queued) queue;
        size_t queue_length, queue_bytes;

        bool *freed; /* set while a callback runs: tells the loop that the channel is gone */
};

static void queued_free(Queued *q)
{
        for (unsigned i = 0; i < q->n_fds; i++)
                fd_close(q->fds[i]);
        free(q->fds);
        free(q);
}

void channel_free(Channel *channel)
{
        Queued *q;

        if (!channel)
                return;
        if (channel->freed)
                *channel->freed = true;
        sd_event_source_disable_unref(channel->source);
        fd_close(channel->fd);
        while ((q = STAILQ_FIRST(&channel->queue))) {
                STAILQ_REMOVE_HEAD(&channel->queue, entries);
                queued_free(q);
        }
        message_done(&channel->in);
        message_done(&channel->out);
        free(channel);
}

static void end(Channel *channel, int reason)
{
        sd_event_source_set_enabled(channel->source, SD_EVENT_OFF);
        channel->listener->on_end(channel->userdata, reason);
}

static int wait_for_room(Channel *channel, bool wait)
{
        return sd_event_source_set_io_events(channel->source, EPOLLIN | (wait ? EPOLLOUT : 0u));
}

/* Puts a queued message back into the draft's shape and sends it. */
static int send_queued(Channel *channel, Queued *q)
{
        Message m = { .type = q->type, .serial = q->serial, .data = q->data, .size = q->size };

        m.n_fds = q->n_fds;
        if (q->n_fds > 0)
                memcpy(m.fds, q->fds, sizeof(int) * q->n_fds);
        return message_send(&m, channel->fd);
}

static int flush(Channel *channel)
{
        Queued *q;

        while ((q = STAILQ_FIRST(&channel->queue))) {
                int r = send_queued(channel, q);

                if (r == -EAGAIN)
                        return 0;
                if (r < 0)
                        return r;
                STAILQ_REMOVE_HEAD(&channel->queue, entries);
                channel->queue_length--;
                channel->queue_bytes -= q->size;
                queued_free(q);
        }
        return wait_for_room(channel, false);
}

static int receive_burst(Channel *channel)
{
        bool freed = false;

        channel->freed = &freed;
        for (unsigned i = 0; i < BURST; i++) {
                int r = message_receive(&channel->in, channel->fd);

                if (r == -EAGAIN)
                        break;
                if (r > 0)
                        r = channel->listener->on_message(channel->userdata, &channel->in);
                else {
                        end(channel, r);
                        r = 1;
                        if (!freed)
                                channel->freed = NULL;
                        return r;
                }
                if (freed)
                        return 1;
                if (r < 0) {
                        end(channel, r);
                        if (!freed)
                                channel->freed = NULL;
                        return 1;
                }
        }
        channel->freed = NULL;
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Channel *channel = userdata;

        (void)source;
        (void)fd;
        /* What the peer said before it hung up still counts: read first. */
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && receive_burst(channel) != 0)
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
        r = message_init(&channel->in);
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

/* Keeps a copy of the draft, with duplicates of its descriptors. ENG-08 */
static int enqueue(Channel *channel)
{
        Message *m = &channel->out;
        Queued *q;

        if (channel->queue_bytes + m->size > QUEUE_BYTES_MAX)
                return -ENOBUFS; /* LIM-09 */
        q = calloc(1, sizeof(*q) + m->size);
        if (!q)
                return -ENOMEM;
        q->type = m->type;
        q->serial = m->serial;
        q->size = m->size;
        memcpy(q->data, m->data, m->size);
        q->fds = m->n_fds > 0 ? calloc(m->n_fds, sizeof(int)) : NULL;
        for (; q->n_fds < m->n_fds; q->n_fds++) {
                int copy = q->fds ? fcntl(m->fds[q->n_fds], F_DUPFD_CLOEXEC, 0) : -1;

                if (copy < 0) {
                        int r = q->fds ? -errno : -ENOMEM;

                        queued_free(q);
                        return r;
                }
                q->fds[q->n_fds] = copy;
        }
        STAILQ_INSERT_TAIL(&channel->queue, q, entries);
        channel->queue_length++;
        channel->queue_bytes += q->size;
        return wait_for_room(channel, true);
}

int channel_send(Channel *channel)
{
        int r;

        if (channel->out.bad)
                return -EMSGSIZE;
        if (channel->queue_length > 0)
                return enqueue(channel);
        r = message_send(&channel->out, channel->fd);
        return r == -EAGAIN ? enqueue(channel) : r;
}

size_t channel_queued(const Channel *channel)
{
        return channel->queue_length;
}
