/*
 * The proof: a program tries what it must not be able to do, and says so if it can.
 *
 * An attempt that fails proves nothing by itself; it may have failed because there was no such
 * file. So each attempt is built so that without a sandbox it would either succeed harmlessly or
 * fail with another errno than the sandbox's: an exec of no file (ENOENT), a connect on no
 * descriptor (EBADF), a clone with contradictory flags (EINVAL). Attempts on real paths are there
 * as well, since that is what the promise is about; they clean up if they succeed.
 *
 * Where file permissions give the same answer as the sandbox (a directory that the identity cannot
 * write anyway) the attempt is only as good as the promise needs: it did not work.
 */
#include "sandbox/layers.h"

#include "basic/fd.h"
#include "basic/log.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define FOR(profile)   (1u << (profile))
#define FOR_SOCKETLESS (FOR(SANDBOX_FILE) | FOR(SANDBOX_SPEAKER) | FOR(SANDBOX_SCRIPT))
#define FOR_PATHLESS   (FOR(SANDBOX_NET) | FOR(SANDBOX_SPEAKER) | FOR(SANDBOX_SCRIPT))
#define FOR_ALL        (FOR_SOCKETLESS | FOR_PATHLESS | FOR(SANDBOX_MANAGER))

/* One thing that must not work. `probe` returns -errno of the failure, or >= 0 for a breach;
   `refusals` are the answers that only the sandbox gives; for the manager's paths also those of a
   system without such a directory, which keeps the promise as well. */
typedef struct Attempt {
        const char *what;
        unsigned profiles;
        int min_landlock; /* the ABI without which the promise does not hold; 0: it always does */
        int (*probe)(void);
        int refusals[3];
} Attempt;

static int result_of(long r)
{
        return r < 0 ? -errno : 0;
}

/* A descriptor is a breach; it is closed again. */
static int result_of_fd(int fd)
{
        if (fd < 0)
                return -errno;
        fd_close(fd);
        return 0;
}

/* ---- states ---- */

static int probe_new_privileges(void)
{
        return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? -EPERM : 0;
}

static int probe_filter(void)
{
        return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER ? -EPERM : 0;
}

static int probe_capabilities(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTS(data); i++)
                if (data[i].effective || data[i].permitted || data[i].inheritable)
                        return 0;
        return -EPERM;
}

static int probe_dumps(void)
{
        struct rlimit core;

        if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
                return 0;
        if (getrlimit(RLIMIT_CORE, &core) < 0)
                return -errno;
        return core.rlim_cur == 0 && core.rlim_max == 0 ? -EPERM : 0;
}

/* ---- processes and identities ---- */

static int probe_exec(void)
{
        char *const none[] = { NULL };

        return result_of(execve("", none, none)); /* ENOENT */
}

static int probe_execveat(void)
{
        char *const none[] = { NULL };

        return result_of(syscall(SYS_execveat, -1, "", none, none, AT_EMPTY_PATH)); /* EBADF */
}

static int probe_fork(void)
{
        return result_of(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0)); /* EINVAL */
}

static int probe_clone3(void)
{
        return result_of(syscall(SYS_clone3, NULL, 0)); /* EINVAL */
}

static int probe_identity(void)
{
        return result_of(syscall(SYS_setresuid, -1, -1, -1)); /* would succeed */
}

static int probe_group_identity(void)
{
        return result_of(syscall(SYS_setresgid, -1, -1, -1)); /* would succeed */
}

static int probe_trace(void)
{
        return result_of(ptrace(PTRACE_SEIZE, getpid(), NULL, (void *)-1L)); /* EIO */
}

static int probe_namespace(void)
{
        return result_of(unshare(0)); /* would succeed */
}

static int probe_signal(void)
{
        return result_of(syscall(SYS_kill, INT32_MAX, 0)); /* ESRCH */
}

static int probe_io_uring(void)
{
        return result_of(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0)); /* EBADF */
}

static int probe_handle(void)
{
        return result_of(syscall(SYS_name_to_handle_at, -1, "", NULL, NULL, -1)); /* EINVAL */
}

static int probe_future(void)
{
        return result_of(syscall(SYS_landlock_create_ruleset + 8 /* fchmodat2 */, -1, "x", 0, -1));
}

/* ---- sockets ---- */

static int probe_inet(void)
{
        return result_of_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int probe_netlink(void)
{
        return result_of_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
}

static int probe_unix(void)
{
        return result_of_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int probe_packet(void)
{
        /* EINVAL or EAFNOSUPPORT without the sandbox: the kernel has no such family. */
        return result_of_fd(socket(UINT16_MAX, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int probe_pair(void)
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        fd_close(pair[0]);
        fd_close(pair[1]);
        return 0;
}

static int probe_connect(void)
{
        const struct sockaddr_in address = { .sin_family = AF_INET };

        return result_of(connect(-1, (const struct sockaddr *)&address, sizeof(address)));
}

static int probe_listen(void)
{
        return result_of(listen(-1, 1)); /* EBADF */
}

static int probe_accept(void)
{
        return result_of_fd(accept4(-1, NULL, NULL, SOCK_CLOEXEC)); /* EBADF */
}

static int probe_keyring(void)
{
        return result_of(syscall(SYS_keyctl, KEYCTL_CLEAR, INT32_MAX)); /* ENOKEY */
}

static int probe_key(void)
{
        return result_of(syscall(SYS_add_key, NULL, NULL, NULL, 0, 0)); /* EFAULT */
}

static int probe_bind_port(void)
{
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0) /* no IPv4 in this network namespace: nothing to bind */
                return -EACCES;
        return result_of(bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

/* ---- paths ---- */

/* Under a name that nobody else has; what succeeded is undone. */
static int try_create(const char *directory)
{
        char path[64];
        int r;

        snprintf(path, sizeof(path), "%s/.openbits-proof-%d", directory, (int)getpid());
        r = result_of_fd(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (r >= 0)
                (void)unlink(path);
        return r;
}

static int probe_create_tmp(void)
{
        return try_create("/tmp");
}

static int probe_create_shm(void)
{
        return try_create("/dev/shm");
}

static int probe_create_here(void)
{
        return try_create(".");
}

static int probe_socket_path(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r;

        if (fd < 0)
                return -errno;
        snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/.openbits-proof-%d",
                 (int)getpid());
        r = result_of(bind(fd, (struct sockaddr *)&address, sizeof(address)));
        if (r >= 0)
                (void)unlink(address.sun_path);
        return r;
}

static int probe_write_null(void)
{
        return result_of_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static int probe_unnamed(void)
{
        return result_of_fd(open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
}

static int probe_openat2(void)
{
        return result_of(syscall(SYS_openat2, AT_FDCWD, "/tmp", NULL, 0)); /* EINVAL */
}

static int probe_mkdir(void)
{
        return result_of(mkdir("", 0700)); /* ENOENT */
}

static int probe_rename(void)
{
        return result_of(rename("", "")); /* ENOENT */
}

static int probe_unlink(void)
{
        return result_of(unlink("")); /* ENOENT */
}

static int probe_link(void)
{
        return result_of(symlink("x", "")); /* ENOENT */
}

static int probe_truncate(void)
{
        return result_of(truncate("", 0)); /* ENOENT */
}

static int probe_mode(void)
{
        return result_of(chmod("", 0600)); /* ENOENT */
}

/* Readable to everybody, and in nobody's list. */
static int probe_read_elsewhere(void)
{
        return result_of_fd(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

enum {
        FILES = 1, /* Landlock ABI that governs paths */
        PORTS = 4, /* … and TCP ports */
};

/* What only a list of what is permitted refuses. */
static int probe_code(void)
{
        void *p = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                return -errno;
        munmap(p, 1);
        return 0;
}

static int probe_look(void)
{
        struct stat st;

        return result_of(stat("/", &st));
}

static int probe_limits(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 0;
        return result_of(setrlimit(RLIMIT_NOFILE, &limit));
}

static const Attempt attempts[] = {
        { "gain privileges by exec", FOR_ALL, 0, probe_new_privileges, { EPERM } },
        { "call the kernel without a filter", FOR_ALL, 0, probe_filter, { EPERM } },
        { "use capabilities", FOR_ALL, 0, probe_capabilities, { EPERM } },
        { "leave a core dump", FOR_ALL, 0, probe_dumps, { EPERM } },
        { "exec", FOR_ALL, 0, probe_exec, { EPERM } },
        { "exec a descriptor", FOR_ALL, 0, probe_execveat, { EPERM } },
        { "fork", FOR_ALL, 0, probe_fork, { EPERM } },
        { "fork by clone3", FOR_ALL, 0, probe_clone3, { ENOSYS } },
        { "change the user", FOR_ALL, 0, probe_identity, { EPERM } },
        { "change the group", FOR_ALL, 0, probe_group_identity, { EPERM } },
        { "trace a process", FOR_ALL, 0, probe_trace, { EPERM } },
        { "unshare", FOR_ALL, 0, probe_namespace, { EPERM } },
        { "signal another process", FOR_ALL, 0, probe_signal, { EPERM } },
        { "use io_uring", FOR_ALL, 0, probe_io_uring, { EPERM } },
        { "name a file by handle", FOR_ALL, 0, probe_handle, { EPERM } },
        { "use a call newer than the filter", FOR_ALL, 0, probe_future, { ENOSYS } },
        { "make a socket of another family", FOR_ALL, 0, probe_packet, { EPERM } },
        { "listen", FOR_ALL, 0, probe_listen, { EPERM } },
        { "accept a connection", FOR_ALL, 0, probe_accept, { EPERM } },

        { "make an Internet socket",
          FOR_SOCKETLESS | FOR(SANDBOX_MANAGER),
          0,
          probe_inet,
          { EPERM } },
        { "ask the kernel about the network",
          FOR_SOCKETLESS | FOR(SANDBOX_MANAGER),
          0,
          probe_netlink,
          { EPERM } },
        { "make a UNIX socket", FOR_SOCKETLESS, 0, probe_unix, { EPERM } },
        { "make a socket pair", FOR_SOCKETLESS, 0, probe_pair, { EPERM } },
        { "connect", FOR_SOCKETLESS, 0, probe_connect, { EPERM } },

        { "change a keyring", FOR(SANDBOX_NET), 0, probe_keyring, { EPERM } },
        { "add a key", FOR_PATHLESS, 0, probe_key, { EACCES, EPERM } },
        { "bind a TCP port", FOR(SANDBOX_NET), PORTS, probe_bind_port, { EACCES, EPERM } },
        { "make a socket file", FOR(SANDBOX_NET), 0, probe_socket_path, { EACCES, EPERM } },
        { "open a device for writing", FOR_PATHLESS, 0, probe_write_null, { EACCES } },
        { "make an unnamed file", FOR_PATHLESS, 0, probe_unnamed, { EACCES } },
        { "open by openat2", FOR_PATHLESS, 0, probe_openat2, { ENOSYS } },
        { "make a directory", FOR_PATHLESS, 0, probe_mkdir, { EACCES } },
        { "rename", FOR_PATHLESS, 0, probe_rename, { EACCES } },
        { "remove a file", FOR_PATHLESS, 0, probe_unlink, { EACCES } },
        { "make a link", FOR_PATHLESS, 0, probe_link, { EACCES } },
        { "truncate by path", FOR_PATHLESS, 0, probe_truncate, { EACCES } },
        { "change a mode", FOR_PATHLESS, 0, probe_mode, { EACCES } },
        { "create a file in /tmp", FOR_PATHLESS, 0, probe_create_tmp, { EACCES } },
        { "create a file in /dev/shm", FOR_PATHLESS, 0, probe_create_shm, { EACCES } },
        { "create a file here", FOR_PATHLESS, 0, probe_create_here, { EACCES } },

        { "map code", FOR(SANDBOX_SCRIPT), 0, probe_code, { EPERM } },
        { "look at a file", FOR(SANDBOX_SCRIPT), 0, probe_look, { EPERM } },
        { "change its limits", FOR(SANDBOX_SCRIPT), 0, probe_limits, { EPERM } },

        { "create a file in /tmp",
          FOR(SANDBOX_MANAGER),
          FILES,
          probe_create_tmp,
          { EACCES, EROFS, ENOENT } },
        { "create a file in /dev/shm",
          FOR(SANDBOX_MANAGER),
          FILES,
          probe_create_shm,
          { EACCES, EROFS, ENOENT } },
        { "read outside of its list",
          FOR_PATHLESS | FOR(SANDBOX_MANAGER),
          FILES,
          probe_read_elsewhere,
          { EACCES, ENOENT } },
};

static bool is_refusal(const Attempt *attempt, int result)
{
        for (size_t i = 0; i < ELEMENTS(attempt->refusals); i++)
                if (attempt->refusals[i] && result == -attempt->refusals[i])
                        return true;
        return false;
}

/* SEC-14 */
static int make_attempt(const Attempt *attempt, SandboxProfile profile)
{
        const char *name = sandbox_profile_to_string(profile);
        int r = attempt->probe();

        if (is_refusal(attempt, r))
                return 0;
        if (r < 0) {
                log_error("Sandbox %s: breach: to %s is not refused; it only failed: %s", name,
                          attempt->what, strerror(-r));
                return r;
        }
        log_error("Sandbox %s: breach: could %s", name, attempt->what);
        return -EPROTO;
}

int sandbox_prove(SandboxProfile profile)
{
        int result = 0, abi = landlock_abi();

        assert(profile >= 0 && profile < SANDBOX_PROFILE_MAX);
        for (size_t i = 0; i < ELEMENTS(attempts); i++) {
                const Attempt *attempt = &attempts[i];
                int r;

                if (!(attempt->profiles & FOR(profile)) || abi < attempt->min_landlock)
                        continue;
                r = make_attempt(attempt, profile);
                if (r < 0 && result == 0)
                        result = r;
        }
        return result;
}
