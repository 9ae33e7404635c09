#include "file/talk.h"

#include <poll.h>

int talk_send(Talk *talk)
{
        struct pollfd p = { talk->channel, POLLOUT, 0 };
        int r;

        while ((r = message_send(&talk->out, talk->channel)) == -EAGAIN)
                if (poll(&p, 1, -1) < 0 && errno != EINTR)
                        return -errno;
        return r;
}
