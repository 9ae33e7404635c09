/*
 * sd-bus reads as much as there is while it authenticates, and takes a descriptor among it for an
 * attack. But most clients send the first call right behind the end of the authentication, and with
 * SetHelperToken a descriptor goes with it. So sd-bus authenticates over a socket pair of ours: it
 * gets the holder's bytes line by line, the holder gets its answers, and when it is content the
 * holder's socket takes the place of the pair under the same number. sd-bus also gives up on who
 * has not spoken for a minute and a half, hence it starts with the first byte.
 */
#include "manager/greeting.h"

#include "basic/fd.h"
#include "manager/turn.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

enum {
        PIECE_MAX = 512,
        FDS_MAX = 253, /* the kernel's for a message */
};

struct Greeting {
        sd_bus *peer;
        int fd;     /* the holder's */
        int theirs; /* of the pair: sd-bus's, which closes it; -EBADF before the first byte */
        int ours;
        sd_event_source *source;
        GreetingOver over;
        void *userdata;
};

/* HND-461 */
static int start(Greeting *greeting)
{
        int pair[2], r = fd_socketpair(SOCK_STREAM, true, pair);

        if (r < 0)
                return r;
        greeting->ours = pair[1];
        r = sd_bus_set_fd(greeting->peer, pair[0], pair[0]);
        if (r < 0) {
                fd_close(pair[0]);
                return r;
        }
        greeting->theirs = pair[0];
        return sd_bus_start(greeting->peer);
}

/* As recv(), and a descriptor among it is an offence. It is screened as any (SEC-480), and what
   passed is harmless. */
static ssize_t receive(int fd, char *ret, size_t n)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control;
        struct iovec iov = { ret, n };
        struct msghdr mh = { .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control) };
        ssize_t got = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&mh) : NULL;

        if (!c)
                return got;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                int passed;

                memcpy(&passed, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                fd_close(passed);
        }
        errno = EPROTO;
        return -1;
}

/* HND-460: at most one line, so that what is taken never reaches beyond the last of them. The
   length, 0 if nothing is there, -errno. */
static ssize_t take_piece(int fd, char ret[static PIECE_MAX])
{
        ssize_t n = recv(fd, ret, PIECE_MAX, MSG_PEEK | MSG_DONTWAIT);
        const char *end = n > 0 ? memchr(ret, '\n', (size_t)n) : NULL;

        if (n > 0)
                n = receive(fd, ret, end ? (size_t)(end - ret) + 1 : (size_t)n);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        return n > 0 ? n : -ECONNRESET;
}

/* A few short lines; who does not even read those is not waited for. */
static int pass_answers(const Greeting *greeting)
{
        char bytes[PIECE_MAX];
        ssize_t n;

        while ((n = recv(greeting->ours, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
                if (send(greeting->fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
                        return -ENOBUFS;
        return n < 0 && errno != EAGAIN ? -errno : 0;
}

/* 1: sd-bus is content; 0: not yet; -errno. No step beyond that: the next is the first message. */
static int authenticate(const Greeting *greeting, const char *bytes, size_t n)
{
        int r;

        if (send(greeting->ours, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
                return -ENOBUFS;
        while ((r = sd_bus_is_ready(greeting->peer)) == 0 &&
               (r = sd_bus_process(greeting->peer, NULL)) > 0)
                ;
        return r;
}

static int take_over(const Greeting *greeting)
{
        return dup3(greeting->fd, greeting->theirs, O_CLOEXEC) < 0 ? -errno : 0;
}

/* One piece at a time: a holder that never stops sending must not keep the loop to itself. */
static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Greeting *greeting = userdata;
        char bytes[PIECE_MAX];
        ssize_t n = take_piece(fd, bytes);
        int r = n < 0 ? (int)n : 0;

        (void)source;
        (void)revents;
        if (n == 0)
                return 0;
        if (r >= 0 && greeting->theirs < 0)
                r = start(greeting);
        if (r >= 0)
                r = authenticate(greeting, bytes, (size_t)n);
        if (r >= 0) {
                int answered = pass_answers(greeting);

                r = answered < 0 ? answered : r;
        }
        if (r > 0)
                r = take_over(greeting);
        else if (r == 0)
                return 0;
        greeting->over(greeting->userdata, r);
        return 0;
}

int greeting_new(sd_event *event, sd_bus *peer, int fd, GreetingOver over, void *userdata,
                 Greeting **ret)
{
        _cleanup_(greeting_freep) Greeting *greeting = malloc(sizeof(*greeting));
        int r;

        if (!greeting) {
                fd_close(fd);
                return -ENOMEM;
        }
        *greeting = (Greeting){ .peer = peer,
                                .fd = fd,
                                .theirs = -EBADF,
                                .ours = -EBADF,
                                .over = over,
                                .userdata = userdata };
        r = sd_event_add_io(event, &greeting->source, fd, EPOLLIN, on_readable, greeting);
        if (r >= 0)
                r = sd_event_source_set_priority(greeting->source, LOOP_BUS);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(greeting);
        return 0;
}

void greeting_free(Greeting *greeting)
{
        if (!greeting)
                return;
        sd_event_source_disable_unref(greeting->source);
        fd_close(greeting->fd);
        fd_close(greeting->ours);
        free(greeting);
}
