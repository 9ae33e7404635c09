#include "net/window.h"

#include "basic/macros.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum {
        BUFFER_LEAST = 64 * 1024, /* bytes: what each connection begins with */
        BUFFER_MOST = 1 << 30,
        BUFFER_PARTS = 2, /* of a second's worth; the kernel doubles it for what packets cost */
        NEEDED_PARTS = 5, /* of a second's worth, for servers far away */
};

void window_forget(Window *window)
{
        *window = (Window){ .fd = -EBADF };
}

void window_opened(Window *window, int fd)
{
        *window = (Window){ .fd = fd, .rate = UINT64_MAX };
}

void window_watched(Window *window, int fd)
{
        if (window->fd != fd)
                *window = (Window){ .fd = fd };
}

void window_check_port(Window *window, int port)
{
        struct sockaddr_storage address = { 0 };
        socklen_t size = sizeof(address);
        in_port_t own = 0;

        if (window->fd < 0)
                return;
        if (getsockname(window->fd, (struct sockaddr *)&address, &size) == 0) {
                if (address.ss_family == AF_INET)
                        own = ((struct sockaddr_in *)&address)->sin_port;
                else if (address.ss_family == AF_INET6)
                        own = ((struct sockaddr_in6 *)&address)->sin6_port;
        }
        if (ntohs(own) != port)
                window_forget(window);
}

/* The kernel's again. */
static void let_go(int fd)
{
        int none = 0;

        (void)setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &none, sizeof(none));
}

/* Who asks gets no more than net.core.rmem_max: where that would slow the transfer down, the kernel
   sizes its buffers better. */
void window_hold(Window *window, uint64_t rate)
{
        int wanted, given = 0;
        socklen_t size = sizeof(given);

        if (window->fd < 0 || rate == window->rate)
                return;
        window->rate = rate;
        if (rate / BUFFER_PARTS > BUFFER_MOST) {
                let_go(window->fd);
                return;
        }
        wanted = (int)MAX(rate / BUFFER_PARTS, (uint64_t)BUFFER_LEAST);
        (void)setsockopt(window->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
        if (getsockopt(window->fd, SOL_SOCKET, SO_RCVBUF, &given, &size) < 0 ||
            (uint64_t)given / 2 < rate / NEEDED_PARTS)
                let_go(window->fd);
}
