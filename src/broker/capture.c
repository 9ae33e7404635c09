/*
 * SO_PEERCRED and SO_PEERGROUPS come from the credentials that connect() pinned; they cannot change
 * afterwards. The session alone is looked up by process number (its control group), so the process
 * has to be the same one before and after: SO_PEERPIDFD (kernel 6.5) says so. On older kernels that
 * check is missing and the session may be wrong for a peer that ended within the microseconds
 * between its connect() and our accept(); user and groups are right in any case.
 */
#include "broker/capture.h"

#include "basic/fd.h"
#include "login/login.h"

#include <poll.h>
#include <sys/socket.h>
#include <systemd/sd-login.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int capture_groups(int socket, Identity *identity)
{
        socklen_t size = 0;

        if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0)
                return 0; /* none */
        if (errno != ERANGE)
                return -errno;
        identity->groups = malloc(size);
        if (!identity->groups)
                return -ENOMEM;
        if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, identity->groups, &size) < 0)
                return -errno;
        identity->n_groups = size / sizeof(gid_t);
        return 0;
}

/* 1 and a descriptor; 0 when the kernel is too old to say; -ESRCH when the process is gone. */
static int peer_process(int socket, int *ret_pidfd)
{
        socklen_t size = sizeof(*ret_pidfd);

        if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, ret_pidfd, &size) == 0)
                return 1;
        return errno == ENOPROTOOPT ? 0 : -ESRCH;
}

static bool process_lives(int pidfd)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };

        return poll(&p, 1, 0) == 0;
}

/* TOK-18. Outside any session is an answer too. */
static int capture_session(int socket, pid_t pid, Identity *identity)
{
        _cleanup_close_ int pidfd = -EBADF;
        int r = peer_process(socket, &pidfd);

        if (r < 0)
                return r;
        if (pid > 0 && sd_pid_get_session(pid, &identity->session) < 0)
                identity->session = NULL;
        return pidfd < 0 || process_lives(pidfd) ? 0 : -ESRCH;
}

static int fill(int socket, Identity *identity)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);
        int r;

        if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid == (uid_t)-1 || peer.gid == (gid_t)-1)
                return -EINVAL;
        identity->uid = peer.uid;
        identity->gid = peer.gid;
        r = capture_groups(socket, identity);
        if (r < 0)
                return r;
        identity->signed_on = login_signed_on(peer.uid);
        return capture_session(socket, peer.pid, identity);
}

int capture_peer(int socket, Identity *ret)
{
        Identity identity = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
        int r = fill(socket, &identity);

        if (r < 0) {
                identity_done(&identity);
                return r;
        }
        *ret = identity;
        return 0;
}
