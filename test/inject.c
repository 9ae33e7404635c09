/*
 * Makes a running process do one thing, as itself, and says whether the kernel let it. This is how
 * the tests ask "could a captured bits-net write a file?": with the real process, its real uid,
 * groups, filter and Landlock domain, in the middle of its work. For root (CAP_SYS_PTRACE), x86_64.
 *
 *      inject PID open-read PATH | open-write PATH | create PATH
 *      inject PID connect-inet ADDRESS PORT | connect-unix PATH (@NAME: abstract) | socket FAMILY
 *      inject PID exec PATH | setuid UID
 *
 * prints `ok` or the name of the errno (EACCES) and exits 0. Exit 1: the process could not be
 * asked; 2: usage; 77: not on this architecture. Descriptors are closed again; a file that `create`
 * made stays, as evidence.
 *
 * How: the process is stopped (PTRACE_SEIZE, PTRACE_INTERRUPT: no signal reaches it), its registers
 * are set to a system call with the arguments written below the red zone of its stack, and it takes
 * one step, over a `syscall` instruction that is already there, in the vDSO. Then the registers are
 * put back as they were. If it was waiting in a system call, the kernel's own restart takes place
 * when it goes on, because the registers that ask for it (rax, orig_rax) are restored as well;
 * epoll_wait(), which the kernel would not restart but end with EINTR, is rewound by hand.
 *
 * Two probes must not have their effect. `exec` calls execve() with an empty path first, which only
 * a filter answers otherwise than with ENOENT; then execveat() with AT_EXECVE_CHECK (Linux 6.14),
 * which makes every check and executes nothing. An older kernel says EINVAL to that flag: then no
 * filter stands in the way and `ok` is printed, though nobody looked at the path. `setuid` changes
 * the saved user id alone, which no permission depends on, and puts it back.
 */
#include <stdio.h>

#if !defined(__x86_64__)

int main(void)
{
        fputs("inject: only for x86_64\n", stderr);
        return 77;
}

#else

#include "basic/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000
#endif

enum {
        RED_ZONE = 128,
        SCRATCH_BYTES = 512, /* room for one argument on the victim's stack */
        PATIENCE_SECONDS = 20,
        EXIT_USAGE = 2,
};

typedef struct Victim {
        pid_t pid;
        int memory;                  /* /proc/PID/mem */
        uint64_t instruction;        /* address of a `syscall` */
        uint64_t scratch;            /* address of SCRATCH_BYTES on its stack */
        struct user_regs_struct old; /* as it was found */
        int held_signal;             /* one that came meanwhile; delivered at the end */
} Victim;

static _noreturn_ _printf_(1, 2) void give_up(const char *format, ...)
{
        va_list args;

        fputs("inject: ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        exit(EXIT_FAILURE);
}

/* ---- stopping and letting go ---- */

static int wait_for_stop(Victim *v)
{
        int status;

        if (waitpid(v->pid, &status, __WALL) != v->pid || !WIFSTOPPED(status))
                give_up("process %d ended while it was being asked", (int)v->pid);
        return status;
}

/* Signals that arrive before our stop go their way. */
static void stop(Victim *v)
{
        int status;

        if (ptrace(PTRACE_SEIZE, v->pid, NULL, NULL) < 0)
                give_up("cannot trace process %d: %m", (int)v->pid);
        if (ptrace(PTRACE_INTERRUPT, v->pid, NULL, NULL) < 0)
                give_up("cannot stop process %d: %m", (int)v->pid);
        while ((status = wait_for_stop(v)) >> 16 != PTRACE_EVENT_STOP)
                if (ptrace(PTRACE_CONT, v->pid, NULL, WSTOPSIG(status)) < 0)
                        give_up("cannot continue process %d: %m", (int)v->pid);
}

static bool is_epoll(uint64_t nr)
{
        return nr == SYS_epoll_wait || nr == SYS_epoll_pwait || nr == SYS_epoll_pwait2;
}

static void let_go(Victim *v)
{
        if (is_epoll(v->old.orig_rax) && (int64_t)v->old.rax == -EINTR) {
                v->old.rax = v->old.orig_rax;
                v->old.orig_rax = (uint64_t)-1;
                v->old.rip -= 2; /* the length of the instruction */
        }
        if (ptrace(PTRACE_SETREGS, v->pid, NULL, &v->old) < 0)
                give_up("cannot restore process %d: %m", (int)v->pid);
        if (ptrace(PTRACE_DETACH, v->pid, NULL, v->held_signal) < 0)
                give_up("cannot release process %d: %m", (int)v->pid);
}

/* ---- finding the tools inside of it ---- */

static uint64_t find_instruction(const Victim *v)
{
        char path[64], line[512], *code;
        unsigned long from = 0, to = 0;
        bool found = false;
        uint64_t address = 0;
        FILE *maps;

        snprintf(path, sizeof(path), "/proc/%d/maps", (int)v->pid);
        maps = fopen(path, "re");
        if (!maps)
                give_up("cannot read %s: %m", path);
        while (!found && fgets(line, sizeof(line), maps))
                found = strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &from, &to) == 2;
        fclose(maps);
        if (!found)
                give_up("process %d has no vDSO", (int)v->pid);

        code = malloc(to - from);
        if (!code || pread(v->memory, code, to - from, (off_t)from) != (ssize_t)(to - from))
                give_up("cannot read the vDSO of process %d: %m", (int)v->pid);
        for (size_t i = 0; !address && i + 1 < to - from; i++)
                if (memcmp(code + i, "\x0f\x05", 2) == 0)
                        address = from + i;
        free(code);
        if (!address)
                give_up("no system call instruction in the vDSO");
        return address;
}

static void prepare(Victim *v)
{
        char path[64];

        stop(v);
        snprintf(path, sizeof(path), "/proc/%d/mem", (int)v->pid);
        v->memory = open(path, O_RDWR | O_CLOEXEC);
        if (v->memory < 0)
                give_up("cannot open %s: %m", path);
        if (ptrace(PTRACE_GETREGS, v->pid, NULL, &v->old) < 0)
                give_up("cannot read the registers of process %d: %m", (int)v->pid);
        v->instruction = find_instruction(v);
        v->scratch = (v->old.rsp - RED_ZONE - SCRATCH_BYTES) & ~UINT64_C(15);
}

/* ---- the system call ---- */

/* Until the step is done; other stops on the way are a signal (kept) or a PTRACE_EVENT_STOP. */
static void step(Victim *v)
{
        for (;;) {
                int status;

                if (ptrace(PTRACE_SINGLESTEP, v->pid, NULL, NULL) < 0)
                        give_up("cannot step process %d: %m", (int)v->pid);
                status = wait_for_stop(v);
                if (status >> 16 == 0 && WSTOPSIG(status) == SIGTRAP)
                        return;
                if (status >> 16 == 0)
                        v->held_signal = WSTOPSIG(status);
        }
}

/* The kernel's answer: a result, or -errno. */
static long remote(Victim *v, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
        struct user_regs_struct regs = v->old;

        regs.rip = v->instruction;
        regs.rax = (uint64_t)nr;
        regs.orig_rax = (uint64_t)-1; /* no restart on top of ours */
        regs.rdi = a;
        regs.rsi = b;
        regs.rdx = c;
        regs.r10 = d;
        regs.r8 = e;
        regs.rsp = v->scratch;
        if (ptrace(PTRACE_SETREGS, v->pid, NULL, &regs) < 0)
                give_up("cannot set the registers of process %d: %m", (int)v->pid);
        step(v);
        if (ptrace(PTRACE_GETREGS, v->pid, NULL, &regs) < 0)
                give_up("cannot read the registers of process %d: %m", (int)v->pid);
        if (regs.rip != v->instruction + 2)
                give_up("process %d went astray", (int)v->pid);
        return (long)regs.rax;
}

/* Puts an argument where the process can read it. */
static uint64_t lend(Victim *v, const void *data, size_t size)
{
        if (size > SCRATCH_BYTES)
                give_up("argument too long");
        if (pwrite(v->memory, data, size, (off_t)v->scratch) != (ssize_t)size)
                give_up("cannot write to process %d: %m", (int)v->pid);
        return v->scratch;
}

static uint64_t lend_text(Victim *v, const char *text)
{
        return lend(v, text, strlen(text) + 1);
}

static long close_again(Victim *v, long fd)
{
        if (fd >= 0)
                remote(v, SYS_close, (uint64_t)fd, 0, 0, 0, 0);
        return fd;
}

/* ---- the questions ---- */

static long ask_open(Victim *v, const char *path, int flags)
{
        flags |= O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
        return close_again(v, remote(v, SYS_openat, (uint64_t)AT_FDCWD, lend_text(v, path),
                                     (uint64_t)flags, 0600, 0));
}

static long make_socket(Victim *v, int family)
{
        bool raw = family == AF_NETLINK || family == AF_PACKET;
        int type = (raw ? SOCK_RAW : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;

        return remote(v, SYS_socket, (uint64_t)family, (uint64_t)type, 0, 0, 0);
}

/* A connection under way counts: the kernel did not object. */
static long ask_connect(Victim *v, int family, const void *address, size_t size)
{
        long r, fd = make_socket(v, family);

        if (fd < 0)
                return fd;
        r = remote(v, SYS_connect, (uint64_t)fd, lend(v, address, size), size, 0, 0);
        close_again(v, fd);
        return r == -EINPROGRESS ? 0 : r;
}

static long ask_connect_inet(Victim *v, const char *host, const char *port)
{
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                                   .sin6_port = htons((uint16_t)atoi(port)) };
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = v6.sin6_port };

        if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
                return ask_connect(v, AF_INET, &v4, sizeof(v4));
        if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
                return ask_connect(v, AF_INET6, &v6, sizeof(v6));
        give_up("not a numeric address: %s", host);
}

static long ask_connect_unix(Victim *v, const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t length = strlen(path);

        if (length >= sizeof(address.sun_path))
                give_up("path too long for a socket: %s", path);
        memcpy(address.sun_path, path, length);
        if (path[0] == '@')
                address.sun_path[0] = '\0';
        else
                length++;
        return ask_connect(v, AF_UNIX, &address, offsetof(struct sockaddr_un, sun_path) + length);
}

static long ask_exec(Victim *v, const char *path)
{
        long r = remote(v, SYS_execve, lend_text(v, ""), 0, 0, 0, 0);

        if (r != -ENOENT)
                return r;
        r = remote(v, SYS_execveat, (uint64_t)AT_FDCWD, lend_text(v, path), 0, 0, AT_EXECVE_CHECK);
        return r == -EINVAL ? 0 : r;
}

static long ask_setuid(Victim *v, const char *uid)
{
        const uint64_t keep = UINT32_MAX;
        uint32_t ids[3];
        long r;

        r = remote(v, SYS_getresuid, v->scratch, v->scratch + 4, v->scratch + 8, 0, 0);
        if (r < 0)
                return r;
        if (pread(v->memory, ids, sizeof(ids), (off_t)v->scratch) != sizeof(ids))
                give_up("cannot read from process %d: %m", (int)v->pid);
        r = remote(v, SYS_setresuid, keep, keep, strtoul(uid, NULL, 10), 0, 0);
        if (r >= 0 && remote(v, SYS_setresuid, keep, keep, ids[2], 0, 0) < 0)
                give_up("cannot give process %d its user back", (int)v->pid);
        return r;
}

static long on_open_read(Victim *v, char **args)
{
        return ask_open(v, args[0], O_RDONLY);
}

static long on_open_write(Victim *v, char **args)
{
        return ask_open(v, args[0], O_WRONLY);
}

static long on_create(Victim *v, char **args)
{
        return ask_open(v, args[0], O_WRONLY | O_CREAT | O_EXCL);
}

static long on_connect_inet(Victim *v, char **args)
{
        return ask_connect_inet(v, args[0], args[1]);
}

static long on_connect_unix(Victim *v, char **args)
{
        return ask_connect_unix(v, args[0]);
}

static long on_socket(Victim *v, char **args)
{
        return close_again(v, make_socket(v, atoi(args[0])));
}

static long on_exec(Victim *v, char **args)
{
        return ask_exec(v, args[0]);
}

static long on_setuid(Victim *v, char **args)
{
        return ask_setuid(v, args[0]);
}

static const struct {
        const char *name;
        int arguments;
        long (*ask)(Victim *v, char **args);
} questions[] = {
        { "open-read", 1, on_open_read },
        { "open-write", 1, on_open_write },
        { "create", 1, on_create },
        { "connect-inet", 2, on_connect_inet },
        { "connect-unix", 1, on_connect_unix },
        { "socket", 1, on_socket },
        { "exec", 1, on_exec },
        { "setuid", 1, on_setuid },
};

static void print_answer(long r)
{
        const char *name = r < 0 ? strerrorname_np((int)-r) : "ok";

        if (name)
                puts(name);
        else
                printf("%ld\n", -r);
}

int main(int argc, char **argv)
{
        Victim v = { .memory = -EBADF };

        for (size_t i = 0; argc > 3 && i < ELEMENTS(questions); i++) {
                long r;

                if (!string_equal(argv[2], questions[i].name) || argc != 3 + questions[i].arguments)
                        continue;
                alarm(PATIENCE_SECONDS); /* its death releases the process */
                v.pid = (pid_t)atoi(argv[1]);
                prepare(&v);
                r = questions[i].ask(&v, argv + 3);
                let_go(&v);
                fd_close(v.memory);
                print_answer(r);
                return EXIT_SUCCESS;
        }
        fputs("usage: inject PID open-read|open-write|create|connect-unix|exec PATH\n"
              "       inject PID connect-inet ADDRESS PORT | socket FAMILY | setuid UID\n",
              stderr);
        return EXIT_USAGE;
}

#endif
