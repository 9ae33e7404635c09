#include "file/talk.h"

#include <fcntl.h>
#include <poll.h>

int talk_init(Talk *talk, int channel)
{
        int r;

        *talk = (Talk){ .channel = channel };
        if (fcntl(channel, F_SETFL, fcntl(channel, F_GETFL) | O_NONBLOCK) < 0)
                return -errno;
        r = inbox_init(&talk->inbox);
        if (r >= 0)
                r = message_init(&talk->out);
        for (unsigned i = 0; i < MESSAGES_AT_ONCE && r >= 0; i++)
                r = message_init(&talk->gathered[i]);
        return r;
}

void talk_done(Talk *talk)
{
        inbox_done(&talk->inbox);
        message_done(&talk->out);
        for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++)
                message_done(&talk->gathered[i]);
        talk->n_gathered = 0;
}

bool talk_is_read(const Talk *talk)
{
        return talk->inbox.next == talk->inbox.count;
}

int talk_receive(Talk *talk)
{
        int r = inbox_next(&talk->inbox, &talk->in);

        if (r != -EAGAIN)
                return r;
        r = inbox_fill(&talk->inbox, talk->channel);
        return r < 0 ? r : inbox_next(&talk->inbox, &talk->in);
}

/* How many of messages[0 … n) left, at least one; or -errno. */
static int send_some(Talk *talk, Message *const *messages, unsigned n)
{
        struct pollfd p = { talk->channel, POLLOUT, 0 };
        int r;

        while ((r = message_send_many(messages, n, talk->channel)) == -EAGAIN)
                if (poll(&p, 1, -1) < 0 && errno != EINTR)
                        return -errno;
        return r;
}

int talk_flush(Talk *talk)
{
        Message *messages[MESSAGES_AT_ONCE];
        unsigned n = talk->n_gathered;
        int r = 0;

        for (unsigned i = 0; i < n; i++)
                messages[i] = &talk->gathered[i];
        for (unsigned sent = 0; sent < n && r >= 0; sent += (unsigned)MAX(r, 0))
                r = send_some(talk, messages + sent, n - sent);
        for (unsigned i = 0; i < n; i++)
                message_close(messages[i]);
        talk->n_gathered = 0;
        return MIN(r, 0);
}

int talk_send(Talk *talk)
{
        int r = talk_flush(talk);

        if (r >= 0)
                r = send_some(talk, (Message *const[]){ &talk->out }, 1);
        return MIN(r, 0);
}

/* FIL-360: the buffers change places. */
int talk_send_soon(Talk *talk)
{
        Message *place = &talk->gathered[talk->n_gathered++], message = *place;

        *place = talk->out;
        place->owns_fds = true;
        talk->out = message;
        return talk->n_gathered == MESSAGES_AT_ONCE ? talk_flush(talk) : 0;
}
