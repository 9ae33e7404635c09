/*
 * A client costs one turn of a short loop, whatever it does: it may send a megabyte, or a file of a
 * file system that hangs, never read, or be gone already. What it sent is dropped unread, by a
 * thread if it was anything. The answer is one byte, so it fits into a fresh socket or the client
 * is lost.
 *
 * The manager itself gets no token: a worker under its own user would be a process that it may
 * trace, outside the manager's own sandbox.
 */
#include "broker/token-socket.h"

#include "basic/closer.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "broker/broker.h"
#include "broker/capture.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* kernel 6.16 */
#endif

enum {
        BURST = 32,              /* clients before other sources get their turn */
        PAUSE_USEC = 100 * 1000, /* when the system has no more descriptors */
};

struct TokenSocket {
        sd_event_source *listener, *pause;
        TokenSocketConfig config;
        uid_t last_refused; /* a flood is one line in the log, not ten thousand */
};

static int send_answer(int client, char answer, int token)
{
        union {
                struct cmsghdr align;
                uint8_t bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { &answer, 1 };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (token >= 0) {
                mh.msg_control = &control;
                mh.msg_controllen = sizeof(control);
                control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                                  .cmsg_type = SCM_RIGHTS,
                                                  .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(&control.align), &token, sizeof(int));
        }
        return sendmsg(client, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* SEC-48 */
static bool may_have_token(const TokenSocket *s, uid_t uid)
{
        if (uid == s->config.own_uid)
                return true;
        return s->config.any_user && uid != s->config.manager_uid;
}

static void present(const TokenSocket *s, uid_t uid, gid_t gid)
{
        int r = s->config.owners ? owners_present(s->config.owners, uid, gid) : 0;

        if (r < 0)
                log_errno(LOG_WARNING, r, "cannot record uid %u in the ledger", (unsigned)uid);
        else if (r > 0)
                log_info("uid %u is now known as an owner", (unsigned)uid);
}

/* TOK-10, TOK-11, TOK-13, TOK-55, BUS-15 */
static int mint_for(TokenSocket *s, int client, uid_t *ret_uid, int *ret_token)
{
        Identity identity = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
        int r;

        r = capture_peer(client, &identity);
        if (r < 0)
                return r;
        *ret_uid = identity.uid;
        if (may_have_token(s, identity.uid)) {
                present(s, identity.uid, identity.gid);
                r = tokens_mint(s->config.tokens, &identity, ret_token);
        } else
                r = -EPERM;
        identity_done(&identity);
        return r;
}

static void log_refusal(TokenSocket *s, uid_t uid, int error)
{
        log_errno(uid == s->last_refused ? LOG_DEBUG : LOG_NOTICE, error, "no token for uid %u",
                  (unsigned)uid);
        s->last_refused = uid;
}

static void serve(TokenSocket *s, int client)
{
        _cleanup_close_ int token = -EBADF;
        uid_t uid = (uid_t)-1;
        int r;

        r = mint_for(s, client, &uid, &token);
        if (r < 0)
                log_refusal(s, uid, r);
        r = send_answer(client, token >= 0 ? 'T' : 'F', token);
        if (r < 0 && token >= 0) /* too many descriptors on their way to clients who do not read */
                r = send_answer(client, 'F', -EBADF);
        if (r < 0)
                log_errno(LOG_DEBUG, r, "a client did not take its answer");
}

static int on_pause_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        TokenSocket *s = userdata;

        return sd_event_source_set_enabled(s->listener, SD_EVENT_ON);
}

/* Without a free descriptor accept() fails at once and for ever: wait instead of spinning. */
static int pause_listener(TokenSocket *s, int error)
{
        int r;

        log_errno(LOG_WARNING, error, "cannot accept clients");
        s->pause = sd_event_source_disable_unref(s->pause);
        r = sd_event_add_time_relative(sd_event_source_get_event(s->listener), &s->pause,
                                       CLOCK_MONOTONIC, PAUSE_USEC, 0, on_pause_over, s);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(s->listener, SD_EVENT_OFF);
}

static int on_connect(sd_event_source *source _unused_, int listener, uint32_t revents _unused_,
                      void *userdata)
{
        TokenSocket *s = userdata;

        for (unsigned i = 0; i < BURST; i++) {
                int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (client >= 0) {
                        serve(s, client);
                        (void)closer_close_socket(client); /* SEC-483 */
                } else if (errno == EAGAIN)
                        return 0;
                else if (errno != EINTR && errno != ECONNABORTED)
                        return pause_listener(s, -errno);
        }
        return 0;
}

/* SEC-483. Connections have it from their listener. */
static void take_no_descriptors(int listener)
{
        int no = 0;

        if (setsockopt(listener, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) < 0 &&
            errno != ENOPROTOOPT)
                log_errno(LOG_WARNING, -errno, "clients can send descriptors");
}

int token_socket_new(sd_event *event, int listener, const TokenSocketConfig *config,
                     TokenSocket **ret)
{
        _cleanup_(token_socket_freep) TokenSocket *s = malloc(sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (TokenSocket){ .config = *config, .last_refused = (uid_t)-1 };
        take_no_descriptors(listener);
        r = sd_event_add_io(event, &s->listener, listener, EPOLLIN, on_connect, s);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(s->listener, LOOP_TOKEN_SOCKET);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

void token_socket_free(TokenSocket *s)
{
        if (!s)
                return;
        sd_event_source_disable_unref(s->pause);
        sd_event_source_disable_unref(s->listener);
        free(s);
}
