#include "basic/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

enum {
        LOOPBACK_NET = 127,
};

bool loopback_host(const char *url, char ret[LOOPBACK_HOST_MAX])
{
        const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url, *at;
        size_t n = strcspn(host, "/?#");

        at = memrchr(host, '@', n);
        if (at) {
                n -= (size_t)(at + 1 - host);
                host = at + 1;
        }
        if (*host == '[')
                n = MIN(n - 1, strcspn(++host, "]"));
        else
                n = MIN(n, strcspn(host, ":"));
        if (n == 0 || n >= LOOPBACK_HOST_MAX)
                return false;
        memcpy(ret, host, n);
        ret[n] = 0;
        return true;
}

bool loopback_is_address(const char *host)
{
        struct in6_addr six;
        struct in_addr four;

        if (inet_pton(AF_INET6, host, &six) == 1)
                return IN6_IS_ADDR_LOOPBACK(&six) ||
                       (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == LOOPBACK_NET);
        return inet_aton(host, &four) == 1 && ntohl(four.s_addr) >> 24 == LOOPBACK_NET;
}

bool loopback_is_host(const char *host)
{
        static const char name[] = "localhost";
        size_t n = strlen(host), own = sizeof(name) - 1;

        if (n > 0 && host[n - 1] == '.')
                n--;
        if (n >= own && strncasecmp(host + n - own, name, own) == 0)
                return n == own || host[n - own - 1] == '.';
        return loopback_is_address(host);
}
