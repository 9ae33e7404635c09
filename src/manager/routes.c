/*
 * Two questions: is there a default route, of either family (what would you do with an address that
 * nobody has?); and if not, is there any route? Both are answered at once by the kernel, from
 * within the call, so nothing is waited for here.
 *
 * Many changes at a time (a routing daemon, containers that come and go) are looked at once: after
 * the first of them the socket is left alone for a moment, its small buffer runs over, and that
 * costs nobody anything. A look at a table so long that it takes time is followed by a longer
 * moment.
 */
#include "manager/routes.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "manager/route-answer.h"
#include "workers/loop.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum {
        GATHER_USEC = 100 * 1000,
        REST_PER_LOOK = 20, /* looks take a twentieth of the time, at most */
        ANSWER_BYTES = 32 * 1024,
};

struct Routes {
        sd_event *event;
        BrokerLink *link;
        uint64_t ticket; /* of the request, 0: it is answered */
        RoutesChanged on_changed;
        void *userdata;
        int questions;
        uint32_t serial;
        sd_event_source *changes, *look;
        uint64_t rested; /* µs, monotonic: not before that */
        Reach reach;
        bool local_proxy;
};

/* ---- questions ---- */

typedef struct Question {
        struct nlmsghdr header;
        struct rtmsg route;
        struct rtattr attribute;
        uint8_t address[sizeof(struct in6_addr)];
} Question;

/* Addresses that no machine has (RFC 5737, RFC 3849): only a default route leads there. */
static size_t fill_nobody(int family, uint8_t *ret)
{
        return inet_pton(family, family == AF_INET ? "203.0.113.1" : "2001:db8::1", ret) == 1
                       ? (family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr))
                       : 0;
}

/* RTM_F_FIB_MATCH: the route itself, with its flags, and not what it would come to. */
static void make_question(Question *question, int family, bool any, uint32_t serial)
{
        size_t n = any ? 0 : fill_nobody(family, question->address);

        question->header = (struct nlmsghdr){
                .nlmsg_type = RTM_GETROUTE,
                .nlmsg_flags = any ? NLM_F_REQUEST | NLM_F_DUMP : NLM_F_REQUEST,
                .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)) + (any ? 0 : RTA_LENGTH(n)),
                .nlmsg_seq = serial,
        };
        question->route = (struct rtmsg){ .rtm_family = (unsigned char)family,
                                          .rtm_dst_len = (unsigned char)(n * 8),
                                          .rtm_flags = any ? 0 : RTM_F_FIB_MATCH };
        question->attribute =
                (struct rtattr){ .rta_type = RTA_DST, .rta_len = (unsigned short)RTA_LENGTH(n) };
}

/* One datagram: 1: there is more to come, 0: no more, -EIO: no answer is. A list is read to its
   end, as the next question would be refused otherwise. */
static int take(const uint8_t *data, size_t size, uint32_t serial, bool any, bool *found)
{
        for (size_t next; size > 0; data += next, size -= next)
                switch (route_answer(data, size, serial, &next)) {
                case ROUTE_WAY:
                        *found = true;
                        break;
                case ROUTE_NONE:
                        break;
                case ROUTE_END:
                        return 0;
                case ROUTE_REFUSED:
                        return any ? -EIO : 0;
                case ROUTE_WRONG:
                case ROUTE_ANSWER_MAX:
                case ROUTE_ANSWER_INVALID:
                        return -EIO;
                }
        return any;
}

/* 1, 0 or -errno. */
static int ask(Routes *routes, int family, bool any)
{
        _Alignas(struct nlmsghdr) uint8_t answer[ANSWER_BYTES];
        Question question = { 0 };
        bool found = false;
        int r = 1;

        make_question(&question, family, any, ++routes->serial);
        if (send(routes->questions, &question, question.header.nlmsg_len, 0) < 0)
                return -errno;
        while (r > 0) {
                ssize_t n = recv(routes->questions, answer, sizeof(answer), 0);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n >= 0)
                        r = take(answer, (size_t)n, routes->serial, any, &found);
        }
        return r < 0 ? r : found;
}

/* A family that the kernel does not have has no route. */
static int ask_both(Routes *routes, bool any)
{
        int four = ask(routes, AF_INET, any), six = four > 0 ? 0 : ask(routes, AF_INET6, any);

        return MAX(four, six);
}

/* POL-380 */
static Reach find_reach(Routes *routes)
{
        int r = ask_both(routes, false);

        if (r > 0)
                return REACH_EVERYWHERE;
        if (r >= 0)
                r = ask_both(routes, true);
        if (r < 0) {
                log_errno(LOG_NOTICE, r, "the kernel does not tell its routes");
                return REACH_UNKNOWN;
        }
        return r > 0 ? REACH_NEIGHBOURS : REACH_NOTHING;
}

/* ---- changes ---- */

static void drain(int events)
{
        uint8_t byte;

        while (recv(events, &byte, sizeof(byte), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
                ;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        Routes *routes = userdata;
        uint64_t begin = clock_usec(CLOCK_MONOTONIC), end;
        Reach reach;

        (void)source;
        (void)usec;
        /* Drained before the look: what changes from now on is told once more. */
        drain(sd_event_source_get_io_fd(routes->changes));
        (void)sd_event_source_set_enabled(routes->changes, SD_EVENT_ON);
        reach = find_reach(routes);
        end = clock_usec(CLOCK_MONOTONIC);
        routes->rested = end + (end - begin) * REST_PER_LOOK;
        if (reach != routes->reach) {
                routes->reach = reach;
                routes->on_changed(routes->userdata, reach, routes->local_proxy);
        }
        return 0;
}

/* POL-381 */
static int on_change(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Routes *routes = userdata;
        uint64_t soon = clock_usec(CLOCK_MONOTONIC) + GATHER_USEC;

        (void)fd;
        (void)events;
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        (void)sd_event_source_set_time(routes->look, MAX(soon, routes->rested));
        (void)sd_event_source_set_enabled(routes->look, SD_EVENT_ONESHOT);
        return 0;
}

/* The descriptor belongs to its source afterwards, unless that is not there. */
static int add_sources(Routes *routes, int *events)
{
        int r = sd_event_add_io(routes->event, &routes->changes, *events, EPOLLIN, on_change,
                                routes);

        if (r >= 0)
                r = sd_event_source_set_io_fd_own(routes->changes, true);
        if (r >= 0) {
                TAKE_FD(*events);
                r = sd_event_add_time(routes->event, &routes->look, CLOCK_MONOTONIC, 0, 1, on_look,
                                      routes);
        }
        if (r >= 0)
                r = sd_event_source_set_enabled(routes->look, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(routes->look, LOOP_WORKERS);
        return r;
}

static void on_sockets(void *userdata, BrokerAnswer *answer)
{
        Routes *routes = userdata;
        int r;

        routes->ticket = 0;
        if (answer->refused) {
                log_notice("the broker hands out no sockets for routes: %s",
                           refusal_text(answer->reason));
                return;
        }
        routes->local_proxy = answer->routes.local_proxy;
        routes->questions = TAKE_FD(answer->routes.questions);
        r = add_sources(routes, &answer->routes.events);
        if (r < 0) {
                log_errno(LOG_WARNING, r, "cannot watch the kernel's routes");
                return;
        }
        (void)on_look(NULL, 0, routes);
}

int routes_new(sd_event *event, BrokerLink *link, RoutesChanged on_changed, void *userdata,
               Routes **ret)
{
        _cleanup_(routes_freep) Routes *routes = calloc(1, sizeof(*routes));

        if (!routes)
                return -ENOMEM;
        routes->event = event;
        routes->link = link;
        routes->on_changed = on_changed;
        routes->userdata = userdata;
        routes->questions = -EBADF;
        routes->ticket = broker_watch_routes(link, on_sockets, routes);
        if (routes->ticket == 0)
                return -ENOMEM;
        *ret = TAKE_PTR(routes);
        return 0;
}

void routes_free(Routes *routes)
{
        if (!routes)
                return;
        broker_cancel(routes->link, routes->ticket);
        sd_event_source_disable_unref(routes->changes);
        sd_event_source_disable_unref(routes->look);
        fd_close(routes->questions);
        free(routes);
}
