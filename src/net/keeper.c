/*
 * The program is looked for beside the one that runs, under the name by which that was started.
 * Some of them at a time: who asks for more waits in the socket's queue, and the ones that run have
 * little time to live.
 */
#include "net/keeper.h"

#include "basic/fd.h"
#include "basic/signals.h"
#include "wire/protocol.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        PROGRAMS_MAX = 8,
        VARIABLES_MAX = 8,
};

/* A descriptor, -EBADF for a message without one, -ECONNRESET at the end. */
static int receive_socket(int asked)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control;
        char byte;
        struct iovec bytes = { &byte, sizeof(byte) };
        struct msghdr message = { .msg_iov = &bytes,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        const struct cmsghdr *c;
        int fd;

        if (recvmsg(asked, &message, MSG_CMSG_CLOEXEC) <= 0)
                return -ECONNRESET;
        c = CMSG_FIRSTHDR(&message);
        if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len != CMSG_LEN(sizeof(fd)))
                return -EBADF;
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
        return fd;
}

/* Not what this worker knows of proxies and tickets. */
static void clean_environment(char *ret[VARIABLES_MAX + 1])
{
        static const char *const kept[] = { "JOURNAL_STREAM=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
                                            "TZ=", "LANG=" };
        size_t n = 0;

        static_assert(ELEMENTS(kept) <= VARIABLES_MAX, "no room for the environment");
        for (char **e = environ; *e && n < VARIABLES_MAX; e++)
                for (size_t i = 0; i < ELEMENTS(kept); i++)
                        if (strncmp(*e, kept[i], strlen(kept[i])) == 0)
                                ret[n++] = *e;
        ret[n] = NULL;
}

_noreturn_ static void become_program(const char *program, int channel)
{
        char *arguments[] = { (char *)"bits-pac", NULL };
        char *environment[VARIABLES_MAX + 1];

        signals_reset();
        clean_environment(environment);
        if (channel == WORKER_CHANNEL_FD ? fcntl(channel, F_SETFD, 0) < 0
                                         : dup2(channel, WORKER_CHANNEL_FD) < 0)
                _exit(126);
        if (close_range(WORKER_CHANNEL_FD + 1, UINT_MAX, 0) == 0)
                execve(program, arguments, environment);
        _exit(127);
}

static void on_child(int signal)
{
        (void)signal;
}

static unsigned reap(unsigned running)
{
        while (running > 0 && waitpid(-1, NULL, WNOHANG) > 0)
                running--;
        return running;
}

/* The end of a child is noticed in ppoll() only. */
static int wait_for_childrens_ends_there(sigset_t *ret_there)
{
        struct sigaction action = { .sa_handler = on_child };
        sigset_t child;

        sigemptyset(ret_there);
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        return sigaction(SIGCHLD, &action, NULL) < 0 || sigprocmask(SIG_BLOCK, &child, NULL) < 0
                       ? -errno
                       : 0;
}

/* True: there is no more to do. */
static bool serve_one(int asked, const char *program, unsigned *running)
{
        int channel = receive_socket(asked);
        pid_t pid;

        if (channel < 0)
                return channel != -EBADF;
        pid = fork();
        if (pid == 0)
                become_program(program, channel);
        *running += pid > 0;
        fd_close(channel);
        return false;
}

/* SEC-441 */
_noreturn_ static void keep(int asked, const char *program)
{
        struct pollfd p = { .fd = asked };
        unsigned running = 0;
        sigset_t there;

        if (wait_for_childrens_ends_there(&there) < 0)
                _exit(EXIT_FAILURE);
        for (;;) {
                running = reap(running);
                p.events = running < PROGRAMS_MAX ? POLLIN : 0;
                p.revents = 0;
                if (ppoll(&p, 1, NULL, &there) < 0 && errno != EINTR)
                        _exit(EXIT_FAILURE);
                if (p.revents & POLLIN ? serve_one(asked, program, &running) : p.revents != 0)
                        _exit(EXIT_SUCCESS);
        }
}

/* "…/bits-net" becomes "…/bits-pac". */
static int find_program(char ret[PATH_MAX])
{
        const char *own = (const char *)getauxval(AT_EXECFN),
                   *slash = own ? strrchr(own, '/') : NULL;
        int n = slash ? snprintf(ret, PATH_MAX, "%.*s/bits-pac", (int)(slash - own), own) : -1;

        return n > 0 && n < PATH_MAX ? 0 : -ENOENT;
}

int keeper_start(void)
{
        char program[PATH_MAX];
        int pair[2], r = find_program(program);
        pid_t pid;

        if (r >= 0)
                r = fd_socketpair(SOCK_SEQPACKET, false, pair);
        if (r < 0)
                return r;
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
                (void)prctl(PR_SET_NAME, "bits-keeper"); /* no worker, though its program is */
                fd_close(pair[0]);
                fd_close(WORKER_CHANNEL_FD);
                keep(pair[1], program);
        }
        r = -errno;
        fd_close(pair[1]);
        if (pid < 0) {
                fd_close(pair[0]);
                return r;
        }
        return pair[0];
}

int keeper_ask(int keeper)
{
        _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        char byte = 0;
        struct iovec bytes = { &byte, sizeof(byte) };
        struct msghdr message = { .msg_iov = &bytes,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        int pair[2], r = fd_socketpair(SOCK_SEQPACKET, false, pair);

        if (r < 0)
                return r;
        ours = pair[0];
        theirs = pair[1];
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(theirs));
        memcpy(CMSG_DATA(c), &theirs, sizeof(theirs));
        if (sendmsg(keeper, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        return TAKE_FD(ours);
}
