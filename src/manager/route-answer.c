/*
 * A route whose interface has lost its carrier stays in the kernel's table, marked: a cable that
 * was pulled out leaves everything but the mark as it was. Networks that every interface has by
 * itself (link-local addresses) lead to no server.
 */
#include "manager/route-answer.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
        LO = 1,                /* in every network: it is the first */
        LINK_LOCAL_4 = 0xa9fe, /* 169.254/16 */
};

static bool leads_on(unsigned flags)
{
        return (flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) == 0;
}

static bool is_link_local(unsigned family, const struct rtattr *destination)
{
        const uint8_t *bytes = RTA_DATA(destination);

        if (family == AF_INET)
                return RTA_PAYLOAD(destination) == sizeof(struct in_addr) &&
                       ((unsigned)bytes[0] << 8 | bytes[1]) == LINK_LOCAL_4;
        return RTA_PAYLOAD(destination) == sizeof(struct in6_addr) && bytes[0] == 0xfe &&
               (bytes[1] & 0xc0) == 0x80;
}

static bool is_loopback(unsigned family, const struct rtattr *destination)
{
        const uint8_t *bytes = RTA_DATA(destination);

        if (family == AF_INET)
                return RTA_PAYLOAD(destination) == sizeof(struct in_addr) &&
                       bytes[0] == IN_LOOPBACKNET;
        return RTA_PAYLOAD(destination) == sizeof(struct in6_addr) &&
               memcmp(bytes, &in6addr_loopback, sizeof(in6addr_loopback)) == 0;
}

/* One of several next hops is enough. */
static bool some_hop_leads_on(const struct rtattr *hops)
{
        const struct rtnexthop *hop = RTA_DATA(hops);
        size_t left = RTA_PAYLOAD(hops);

        while (left >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= left) {
                if (leads_on(hop->rtnh_flags) && hop->rtnh_ifindex != LO)
                        return true;
                if ((size_t)RTNH_ALIGN(hop->rtnh_len) >= left)
                        break;
                left -= RTNH_ALIGN(hop->rtnh_len);
                hop = RTNH_NEXT(hop);
        }
        return false;
}

/* A route to this very machine is none to others, unless lo has an address besides its own: then
   servers may be there that no network is needed for. */
static bool is_of_interest(const struct rtmsg *route, int index, bool loopback)
{
        if (route->rtm_type == RTN_LOCAL)
                return index == LO && !loopback;
        return index > 0 && index != LO;
}

static RouteAnswer judge(const struct nlmsghdr *header)
{
        const struct rtmsg *route = NLMSG_DATA(header);
        size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(*route));
        bool loopback = false;
        int index = 0;

        if ((route->rtm_type != RTN_UNICAST && route->rtm_type != RTN_LOCAL) ||
            !leads_on(route->rtm_flags) ||
            (route->rtm_family != AF_INET && route->rtm_family != AF_INET6))
                return ROUTE_NONE;
        for (const struct rtattr *a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
                if (a->rta_type == RTA_DST && is_link_local(route->rtm_family, a))
                        return ROUTE_NONE;
                if (a->rta_type == RTA_DST)
                        loopback = is_loopback(route->rtm_family, a);
                if (a->rta_type == RTA_MULTIPATH)
                        return some_hop_leads_on(a) ? ROUTE_WAY : ROUTE_NONE;
                if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) >= sizeof(index))
                        memcpy(&index, RTA_DATA(a), sizeof(index));
        }
        return is_of_interest(route, index, loopback) ? ROUTE_WAY : ROUTE_NONE;
}

RouteAnswer route_answer(const void *data, size_t size, uint32_t serial, size_t *ret_next)
{
        const struct nlmsghdr *header = data;

        *ret_next = size;
        if (size < sizeof(*header) || header->nlmsg_len < sizeof(*header) ||
            header->nlmsg_len > size)
                return ROUTE_WRONG;
        *ret_next = MIN(size, (size_t)NLMSG_ALIGN(header->nlmsg_len));
        if (header->nlmsg_seq != serial)
                return ROUTE_NONE;
        if (header->nlmsg_type == NLMSG_DONE)
                return ROUTE_END;
        if (header->nlmsg_type == NLMSG_ERROR)
                return ROUTE_REFUSED;
        if (header->nlmsg_type != RTM_NEWROUTE ||
            header->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
                return ROUTE_WRONG;
        return judge(header);
}
