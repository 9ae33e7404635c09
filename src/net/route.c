/*
 * A server can be out of reach on a machine that is well connected: most have a server's IPv6
 * address and no IPv6. So the kernel is asked besides whether it would know a way to any other
 * network, of either family. To connect a datagram socket is that question: nothing is sent. No
 * machine has these addresses (RFC 5737, RFC 3849), so only a default route leads there.
 */
#include "net/route.h"

#include "basic/fd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
        ANY_PORT = 9,
};

static bool leads_somewhere(int family, const void *address, socklen_t size)
{
        _cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return fd >= 0 && connect(fd, address, size) == 0;
}

static bool has_route(void)
{
        struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(ANY_PORT) };
        struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(ANY_PORT) };

        inet_pton(AF_INET, "192.0.2.1", &four.sin_addr);
        inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr);
        return leads_somewhere(AF_INET, &four, sizeof(four)) ||
               leads_somewhere(AF_INET6, &six, sizeof(six));
}

bool route_is_missing(int error)
{
        return (error == ENETUNREACH || error == ENETDOWN) && !has_route();
}
