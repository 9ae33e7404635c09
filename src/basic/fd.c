#include "basic/fd.h"

#include <sys/socket.h>
#include <unistd.h>

int fd_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;

                close(fd);
                errno = saved;
        }
        return -EBADF;
}

int fd_socketpair(int type, bool nonblocking, int ret_pair[2])
{
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0,
                       ret_pair) < 0)
                return -errno;
        return 0;
}

int fd_socket_cookie(int fd, uint64_t *ret_cookie)
{
        uint64_t cookie = 0;
        socklen_t size = sizeof(cookie);

        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
                return -errno;
        *ret_cookie = cookie;
        return 0;
}
