/*
 * Both sockets carry a filter that cannot be taken off again: events are cut to their first byte,
 * so that they say that something happened and not what; of the answers only those about routes
 * get through. To change anything takes CAP_NET_ADMIN, of whoever made the socket as well as of
 * whoever writes to it: neither has it.
 *
 * The buffer for events is small on purpose: one event in it is as good as a thousand.
 */
#include "broker/routes.h"

#include "basic/fd.h"
#include "basic/loopback.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

enum {
        EVENTS_BUFFER = 4096,
        EVENT_BYTES = 1,
};

#define GROUP(number) (1u << ((number)-1))
#define EVENT_GROUPS                                                                    \
        (GROUP(RTNLGRP_LINK) | GROUP(RTNLGRP_IPV4_IFADDR) | GROUP(RTNLGRP_IPV4_ROUTE) | \
         GROUP(RTNLGRP_IPV6_IFADDR) | GROUP(RTNLGRP_IPV6_ROUTE) | GROUP(RTNLGRP_NEXTHOP))

/* A filter reads numbers in the network's order. */
#define PASS_TYPE(type)                                         \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(type), 0, 1), \
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)

static int open_socket(const struct sock_filter *code, size_t n, uint32_t groups, int *ret)
{
        const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
        const struct sock_fprog program = { (unsigned short)n, (struct sock_filter *)code };
        const int yes = 1;
        _cleanup_close_ int fd =
                socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &yes, sizeof(yes)) < 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

/* SEC-380 */
int routes_open(int *ret_events, int *ret_questions)
{
        static const struct sock_filter one_byte[] = {
                BPF_STMT(BPF_RET | BPF_K, EVENT_BYTES),
        };
        const struct sock_filter routes_only[] = {
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
                PASS_TYPE(RTM_NEWROUTE),
                PASS_TYPE(NLMSG_ERROR),
                PASS_TYPE(NLMSG_DONE),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        const int size = EVENTS_BUFFER;
        _cleanup_close_ int events = -EBADF;
        int r = open_socket(one_byte, ELEMENTS(one_byte), EVENT_GROUPS, &events);

        if (r < 0)
                return r;
        (void)setsockopt(events, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        r = open_socket(routes_only, ELEMENTS(routes_only), 0, ret_questions);
        if (r < 0)
                return r;
        *ret_events = TAKE_FD(events);
        return 0;
}

bool routes_local_proxy(void)
{
        static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
                                             "all_proxy", "ALL_PROXY" };
        char host[LOOPBACK_HOST_MAX];

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                const char *value = getenv(names[i]);

                if (value && loopback_host(value, host) && loopback_is_host(host))
                        return true;
        }
        return false;
}
