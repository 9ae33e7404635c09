/*
 * A socket is bound with no rights for anybody and opened up afterwards, so there is no moment in
 * which the wrong user could connect. A left-over file of a crashed broker is replaced, which is
 * safe because the lock says that no other broker lives.
 */
#include "broker/listen.h"

#include "basic/fd.h"
#include "broker/keep.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
        BACKLOG = 4096, /* the kernel cuts it to its own maximum */
};

static int adopt(int fd, int type, int *slot)
{
        if (*slot >= 0)
                return -EEXIST;
        if (sd_is_socket_unix(fd, type, 1, NULL, 0) <= 0)
                return -EINVAL;
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
                return -errno;
        *slot = fd;
        return 0;
}

/* Of the fd store, for tokens_restore(). */
static int keep_passed(Sockets *sockets, char **name, int fd)
{
        Passed *passed =
                reallocarray(sockets->passed, sockets->n_passed + 1, sizeof(*sockets->passed));

        if (!passed)
                return -ENOMEM;
        sockets->passed = passed;
        passed[sockets->n_passed++] = (Passed){ TAKE_PTR(*name), fd };
        return 0;
}

/* SEC-53: sockets that the service manager passed, and tokens; others are closed. */
static int adopt_passed(Sockets *sockets)
{
        char **names = NULL;
        int n = sd_listen_fds_with_names(1, &names), r = n < 0 ? n : 0;

        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (r >= 0 && string_equal(names[i], "token"))
                        r = adopt(fd, SOCK_STREAM, &sockets->token);
                else if (r >= 0 && string_equal(names[i], "manager"))
                        r = adopt(fd, SOCK_SEQPACKET, &sockets->manager);
                else if (r < 0 || strncmp(names[i], KEEP_NAME, strlen(KEEP_NAME)) != 0 ||
                         keep_passed(sockets, &names[i], fd) < 0)
                        fd_close(fd);
                free(names[i]);
        }
        free(names);
        return r;
}

static int bind_closed(int fd, const struct sockaddr_un *address)
{
        mode_t old = umask(0777);
        int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

        umask(old);
        return r;
}

static int make_socket(const char *directory, const char *name, int type, mode_t mode, uid_t owner,
                       int *ret)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;
        int n, r;

        n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name);
        if (n < 0 || (size_t)n >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (unlink(address.sun_path) < 0 && errno != ENOENT)
                return -errno;
        r = bind_closed(fd, &address);
        if (r < 0)
                return r;
        /* Listening before the mode lets anybody in: a client that sees the socket is served. The
           owner comes last: afterwards the file is no longer ours to change. */
        if (listen(fd, BACKLOG) < 0 || chmod(address.sun_path, mode) < 0)
                return -errno;
        if (owner != geteuid() && chown(address.sun_path, owner, (gid_t)-1) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int lock_directory(const char *directory, int *ret)
{
        _cleanup_close_ int d = -EBADF, fd = -EBADF;

        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return -errno;
        d = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d < 0)
                return -errno;
        fd = openat(d, "broker.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int open_missing(const char *directory, uid_t manager_uid, Sockets *sockets)
{
        int r;

        if (sockets->token >= 0 && sockets->manager >= 0)
                return 0;
        r = lock_directory(directory, &sockets->lock);
        if (r >= 0 && sockets->token < 0)
                r = make_socket(directory, "token", SOCK_STREAM, 0666, geteuid(), &sockets->token);
        if (r >= 0 && sockets->manager < 0)
                r = make_socket(directory, "manager", SOCK_SEQPACKET, 0600, manager_uid,
                                &sockets->manager);
        return r;
}

int sockets_open(const char *runtime_directory, uid_t manager_uid, Sockets *ret)
{
        Sockets sockets = { .lock = -EBADF, .token = -EBADF, .manager = -EBADF };
        int r;

        r = adopt_passed(&sockets);
        if (r >= 0)
                r = open_missing(runtime_directory, manager_uid, &sockets);
        if (r < 0) {
                sockets_close(&sockets);
                return r;
        }
        *ret = sockets;
        return 0;
}

void sockets_drop_passed(Sockets *sockets)
{
        for (size_t i = 0; i < sockets->n_passed; i++) {
                fd_close(sockets->passed[i].fd);
                free(sockets->passed[i].name);
        }
        free(sockets->passed);
        sockets->passed = NULL;
        sockets->n_passed = 0;
}

void sockets_close(Sockets *sockets)
{
        sockets->lock = fd_close(sockets->lock);
        sockets->token = fd_close(sockets->token);
        sockets->manager = fd_close(sockets->manager);
        sockets_drop_passed(sockets);
}
