/*
 * connect() is the moment that counts: the kernel freezes the effective user, group and groups of
 * the thread there. Nothing is sent. The answer is one byte, 'T' with the descriptor or 'F'.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/token-socket.h"

#include "basic/fd.h"
#include "client/error-state.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail_connect(int error, const char *path)
{
        if (error == -EACCES || error == -EPERM)
                return error_state_set(
                        error, BITS_E_ACCESS_DENIED,
                        "user %u may not connect to the identity broker at %s: check "
                        "the permissions of that socket and its directory",
                        (unsigned)geteuid(), path);
        return error_state_set(error, CLIENT_E_UNREACHABLE,
                               "cannot reach the identity broker (bits-broker) at %s: %s; is it "
                               "running? try: systemctl start bits-broker",
                               path, strerror(-error));
}

static int token_socket_connect(const char *path, int timeout_ms, int *ret_fd)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct timeval patience = { .tv_sec = timeout_ms / 1000,
                                    .tv_usec = timeout_ms % 1000 * 1000 };
        _cleanup_close_ int fd = -EBADF;

        if (string_empty(path) || strlen(path) >= sizeof(address.sun_path))
                return fail_connect(-ENAMETOOLONG, path ? path : "");
        memcpy(address.sun_path, path, strlen(path));

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return fail_connect(-errno, path);
        /* The kernel uses the send timeout for a connect() that waits for room in the backlog. */
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                if (errno != EINTR)
                        return fail_connect(-errno, path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int receive_token(int fd, char *ret_answer, int *ret_token)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = ret_answer, .iov_len = 1 };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (n == 0)
                return -ECONNRESET;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
                    c->cmsg_len == CMSG_LEN(sizeof(int)))
                        memcpy(ret_token, CMSG_DATA(c), sizeof(int));
        return 0;
}

int token_socket_capture(const char *path, int timeout_ms, int *ret_token)
{
        _cleanup_close_ int fd = -EBADF, token = -EBADF;
        struct pollfd pollfd;
        char answer = 0;
        int r;

        r = token_socket_connect(path, timeout_ms, &fd);
        if (r < 0)
                return r;

        pollfd = (struct pollfd){ .fd = fd, .events = POLLIN };
        do
                r = poll(&pollfd, 1, timeout_ms);
        while (r < 0 && errno == EINTR);
        if (r == 0)
                return error_state_set(
                        -ETIMEDOUT, CLIENT_E_NO_REPLY,
                        "the identity broker (bits-broker) at %s did not answer within "
                        "%d seconds",
                        path, timeout_ms / 1000);

        r = receive_token(fd, &answer, &token);
        if (r < 0)
                return fail_connect(r, path);
        if (answer != 'T' || token < 0)
                return error_state_set(
                        -EDQUOT, BITS_E_ACCESS_DENIED,
                        "the identity broker (bits-broker) refused to capture the "
                        "identity of user %u: too many of its tokens are alive; clear "
                        "some, or cancel jobs that hold them",
                        (unsigned)geteuid());
        *ret_token = TAKE_FD(token);
        return 0;
}
