/*
 * libsystemd offers no place between recvmsg() and the message. So this program has a recvmsg() of
 * its own, and the dynamic linker binds the library's calls to it, as a program's own functions go
 * before the C library's: the symbol must be visible, hence the attribute. intake_count() is how
 * bitsd makes sure at its start that it came about.
 *
 * A file is told from what passes without asking its file system: by seals, which memory alone
 * has, and by statx() for nothing, without synchronizing. What passes must also be harmless when
 * the last reference to it goes: not on a mount of somebody's (its end would be ours to carry
 * out), and no socket in which others could have left a descriptor for us to drop. Both ends of a
 * pair that root's or bitsd's own process made are known to be written by their maker alone: the
 * end that is given away receives nothing that a stranger sent.
 */
#include "manager/intake.h"

#include "basic/closer.h"
#include "basic/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
        SOCKETS_MAX = 65536, /* numbers that bitsd has descriptors for */
};

typedef struct Watch {
        IntakeRefused refused;
        void *userdata;
        uint64_t count;
} Watch;

typedef struct Device {
        uint32_t major, minor;
} Device;

static struct {
        Watch *watches[SOCKETS_MAX]; /* by the socket's number */
        /* The kernel's own mounts of memory and pipes, and the service managers' folder. */
        Device memory, pipes, run;
        bool prepared;
} intake;

/* ---- what passes ---- */

static bool describe(int fd, struct statx *ret)
{
        return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, ret) == 0;
}

static bool is_on(const struct statx *st, const Device *device)
{
        return st->stx_dev_major == device->major && st->stx_dev_minor == device->minor;
}

/* SOCK_SEQPACKET is what tokens are, not what handles are. */
static bool is_like_a_token(int fd)
{
        struct sockaddr_un name;
        struct ucred maker;
        socklen_t name_size = sizeof(name), maker_size = sizeof(maker), size = sizeof(int);
        int type = 0;

        return getsockname(fd, (struct sockaddr *)&name, &name_size) == 0 &&
               name.sun_family == AF_UNIX && name_size == sizeof(sa_family_t) &&
               getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
               getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &maker_size) == 0 &&
               (maker.uid == 0 || maker.uid == geteuid());
}

static bool may_pass(int fd)
{
        struct statx st;

        if (!describe(fd, &st))
                return false;
        switch (st.stx_mode & S_IFMT) {
        case S_IFSOCK:
                return is_like_a_token(fd);
        case S_IFIFO: /* the login manager's lock */
                return is_on(&st, &intake.pipes) || is_on(&st, &intake.run);
        default: /* a command line */
                return is_on(&st, &intake.memory) && fcntl(fd, F_GET_SEALS) >= 0;
        }
}

/* ---- what comes ---- */

static unsigned screen_fds(struct cmsghdr *c)
{
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        unsigned refused = 0;

        for (size_t i = 0; i < n; i++) {
                unsigned char *place = CMSG_DATA(c) + i * sizeof(int);
                int fd;

                memcpy(&fd, place, sizeof(fd));
                if (fd < 0 || may_pass(fd))
                        continue;
                (void)closer_close(fd);
                fd = -1;
                memcpy(place, &fd, sizeof(fd));
                refused++;
        }
        return refused;
}

static void screen(struct msghdr *mh, Watch *watch)
{
        unsigned refused = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        refused += screen_fds(c);
        if (refused > 0 && watch->refused)
                watch->refused(watch->userdata, refused);
}

/* SEC-480. In the place of the C library's. Threads of libraries may call it, for sockets of
   theirs: those are not watched. */
__attribute__((visibility("default"))) ssize_t recvmsg(int fd, struct msghdr *mh, int flags)
{
        ssize_t n = syscall(SYS_recvmsg, fd, mh, flags);
        Watch *watch = n >= 0 && fd < SOCKETS_MAX ? intake.watches[fd] : NULL;
        int saved = errno;

        if (watch) {
                watch->count++;
                screen(mh, watch);
        }
        errno = saved;
        return n;
}

/* ---- sockets ---- */

static int device_of(int fd, Device *ret)
{
        struct statx st;

        if (fd < 0 || !describe(fd, &st))
                return -errno;
        *ret = (Device){ st.stx_dev_major, st.stx_dev_minor };
        return 0;
}

static int prepare(void)
{
        _cleanup_close_ int memory = memfd_create("intake", MFD_CLOEXEC);
        struct statx run;
        int pair[2], r = device_of(memory, &intake.memory);

        if (r < 0)
                return r;
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        r = device_of(pair[0], &intake.pipes);
        fd_close(pair[0]);
        fd_close(pair[1]);
        if (r < 0)
                return r;
        intake.run = intake.pipes;
        if (statx(AT_FDCWD, "/run", 0, 0, &run) == 0)
                intake.run = (Device){ run.stx_dev_major, run.stx_dev_minor };
        intake.prepared = true;
        return 0;
}

int intake_watch(int socket, IntakeRefused refused, void *userdata)
{
        int r = intake.prepared ? 0 : prepare();

        if (r < 0)
                return r;
        if (socket < 0 || socket >= SOCKETS_MAX)
                return -EMFILE;
        if (!intake.watches[socket])
                intake.watches[socket] = malloc(sizeof(Watch));
        if (!intake.watches[socket])
                return -ENOMEM;
        *intake.watches[socket] = (Watch){ refused, userdata, 0 };
        return 0;
}

void intake_forget(int socket, const void *userdata)
{
        if (socket < 0 || socket >= SOCKETS_MAX || !intake.watches[socket] ||
            intake.watches[socket]->userdata != userdata)
                return;
        free(intake.watches[socket]);
        intake.watches[socket] = NULL;
}

uint64_t intake_count(int socket)
{
        const Watch *watch = socket >= 0 && socket < SOCKETS_MAX ? intake.watches[socket] : NULL;

        return watch ? watch->count : 0;
}
