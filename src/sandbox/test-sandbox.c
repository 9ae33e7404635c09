/*
 * The sandbox from outside: a child enters each profile, proves it, and then tries the work that it
 * must still be able to do. The proof itself is tested by its absence: without a sandbox it fails,
 * under each profile and attempt by attempt as far as a process can be half in a cage.
 */
#include "sandbox/layers.h"

#include "basic/fd.h"
#include "basic/log.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
        NOBODY = 65534,
};

/* Inside a child nothing may unwind into cmocka: the line of the first failure is the exit status'
   explanation. */
#define CHECK(condition)                                                     \
        do {                                                                 \
                if (!(condition)) {                                          \
                        log_error("line %d: %s (%m)", __LINE__, #condition); \
                        _exit(1);                                            \
                }                                                            \
        } while (0)

#define CHECK_REFUSED(expression, expected) \
        do {                                \
                errno = 0;                  \
                CHECK((expression) < 0);    \
                CHECK(errno == (expected)); \
        } while (0)

static void become(uid_t uid)
{
        if (geteuid() != 0)
                return;
        CHECK(setgroups(0, NULL) == 0);
        CHECK(setresgid(uid, uid, uid) == 0);
        CHECK(setresuid(uid, uid, uid) == 0);
}

/* Runs `body` in a child and gives its exit status, or -1 if a signal ended it. */
static int in_child(void (*body)(uid_t uid), uid_t uid)
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                log_open("test-sandbox", LOG_NOTICE);
                become(uid);
                body(uid);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *thread_main(void *userdata)
{
        *(bool *)userdata = true;
        return NULL;
}

/* Threads, memory, time, pipes and the own signals: what any profile keeps. */
static void check_ordinary_life(void)
{
        bool ran = false;
        pthread_t thread;
        int pair[2];

        CHECK(pthread_create(&thread, NULL, thread_main, &ran) == 0);
        CHECK(pthread_join(thread, NULL) == 0 && ran);
        CHECK(pipe2(pair, O_CLOEXEC) == 0);
        fd_close(pair[0]);
        fd_close(pair[1]);
        CHECK(kill(getpid(), 0) == 0);
        CHECK_REFUSED(kill(getppid(), 0), EPERM); /* SEC-10 */
        CHECK_REFUSED(fork(), EPERM);
        CHECK_REFUSED(syscall(460 /* lsm_set_self_attr, Linux 6.8 */, 0, NULL, 0, 0),
                      ENOSYS); /* SEC-16 */
        CHECK(fopen("/proc/self/maps", "re") != NULL);
}

/* SEC-17 */
static void check_memory_is_private(void)
{
        struct rlimit core;

        CHECK(prctl(PR_GET_DUMPABLE) == 0);
        CHECK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
}

static void enter(SandboxProfile profile, const SandboxPaths *paths)
{
        uint32_t must =
                SANDBOX_LAYER_NO_NEW_PRIVS | SANDBOX_LAYER_NO_CAPABILITIES | SANDBOX_LAYER_SECCOMP;
        uint32_t layers = 0;

        CHECK(sandbox_enter(profile, paths, &layers) == 0);
        CHECK((layers & must) == must);
        if (landlock_abi() >= 1 && profile != SANDBOX_FILE)
                CHECK(layers & SANDBOX_LAYER_LANDLOCK_FILES);
        if (landlock_abi() >= 4)
                CHECK(layers & SANDBOX_LAYER_LANDLOCK_NETWORK);
        CHECK(sandbox_prove(profile) == 0);
        check_memory_is_private();
}

static void make_path(char path[static 64], const char *what, uid_t uid)
{
        snprintf(path, 64, "/tmp/test-sandbox-%d-%u-%s", (int)getpid(), (unsigned)uid, what);
}

/* SEC-11: no socket, but the inherited one; files as the identity may. */
static void body_file(uid_t uid)
{
        char temporary[64], final[64], byte = 'x';
        int channel[2], fd;

        make_path(temporary, "temporary", uid);
        make_path(final, "final", uid);
        CHECK(fd_socketpair(SOCK_SEQPACKET, false, channel) == 0);
        enter(SANDBOX_FILE, NULL);
        check_ordinary_life();

        CHECK_REFUSED(socket(AF_INET6, SOCK_DGRAM, 0), EPERM);
        CHECK_REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
        CHECK(send(channel[0], &byte, 1, 0) == 1 && recv(channel[1], &byte, 1, 0) == 1);

        fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, &byte, 1) == 1 && fdatasync(fd) == 0);
        CHECK(rename(temporary, final) == 0 && unlink(final) == 0);
}

/* SEC-242: what it has is all that it will ever have. */
static void body_speaker(uid_t uid)
{
        char byte = 'x';
        int channel[2];

        (void)uid;
        CHECK(fd_socketpair(SOCK_SEQPACKET, false, channel) == 0);
        enter(SANDBOX_SPEAKER, NULL);
        CHECK(kill(getpid(), 0) == 0);
        CHECK_REFUSED(kill(getppid(), 0), EPERM);
        CHECK_REFUSED(fork(), EPERM);
        CHECK_REFUSED(open("/proc/self/maps", O_RDONLY), EACCES);
        CHECK_REFUSED(open("/etc/passwd", O_RDONLY | O_PATH), EACCES);
        CHECK_REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){ 0 }), EPERM);
        CHECK_REFUSED(memfd_create("x", 0), EACCES); /* SEC-240: nothing is sealed in its user's
                                                        name */
        CHECK(send(channel[0], &byte, 1, 0) == 1 && recv(channel[1], &byte, 1, 0) == 1);
}

/* SEC-440: it computes, and talks over what it has. */
static void body_script(uid_t uid)
{
        struct iovec bytes = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
        struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
        struct stat st;
        sigset_t alarm_only;
        int channel[2];
        void *p;

        (void)uid;
        CHECK(fd_socketpair(SOCK_SEQPACKET, false, channel) == 0);
        sigemptyset(&alarm_only);
        sigaddset(&alarm_only, SIGALRM);
        enter(SANDBOX_SCRIPT, NULL);
        CHECK_REFUSED(fork(), EPERM);
        CHECK_REFUSED(stat("/", &st), EPERM);
        CHECK_REFUSED(open("/etc/passwd", O_RDONLY), EACCES);
        CHECK_REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
        CHECK_REFUSED(kill(getpid(), 0), EPERM);
        CHECK_REFUSED(setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL), EPERM);
        CHECK_REFUSED((long)signal(SIGALRM, SIG_IGN), EPERM);
        CHECK_REFUSED(sigprocmask(SIG_BLOCK, &alarm_only, NULL), EPERM);
        CHECK_REFUSED(setrlimit(RLIMIT_CPU, &(struct rlimit){ 9, 9 }), EPERM);
        CHECK_REFUSED(fcntl(channel[0], F_SETFL, 0), EPERM);
        p = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(p != MAP_FAILED);
        CHECK_REFUSED(mprotect(p, 1, PROT_READ | PROT_EXEC), EPERM);
        CHECK(sendmsg(channel[0], &message, 0) == 1 && recvmsg(channel[1], &message, 0) == 1);
}

static void check_net_paths(const char *file, const char *listed)
{
        int fd;

        CHECK_REFUSED(open(file, O_WRONLY), EACCES);
        CHECK_REFUSED(open(file, O_RDONLY | O_TRUNC), EACCES);
#ifdef SYS_open /* processors newer than it have openat() alone */
        CHECK_REFUSED(syscall(SYS_open, file, O_RDWR), EACCES);
#endif
        CHECK_REFUSED(open("/proc/self/fd/0", O_WRONLY), EACCES);
        CHECK_REFUSED(unlink(file), EACCES);
        CHECK_REFUSED(mkdir("/tmp/test-sandbox-directory", 0700), EACCES);
        CHECK_REFUSED(syscall(SYS_memfd_create, "x", 0), EACCES);
        if (landlock_abi() >= 1)
                CHECK_REFUSED(open(file, O_RDONLY), EACCES);
        CHECK((fd = open(listed, O_RDONLY | O_CLOEXEC)) >= 0);
        fd_close(fd);
        CHECK((fd = open("/etc/hosts", O_RDONLY | O_CLOEXEC)) >= 0);
        fd_close(fd);
}

/* The descriptor was opened by another: writing, syncing and shortening go through it. */
static void check_received_descriptor(int fd)
{
        CHECK(pwrite(fd, "payload", 7, 0) == 7);
        CHECK(fdatasync(fd) == 0);
        CHECK(ftruncate(fd, 3) == 0);
        CHECK_REFUSED(fchmod(fd, 0777), EACCES);
}

static void check_net_sockets(void)
{
        static const int families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK };
        int fd;

        for (size_t i = 0; i < ELEMENTS(families); i++) {
                if (families[i] == AF_UNIX && geteuid() == 0)
                        continue;
                fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);
                CHECK(fd >= 0 || errno == EAFNOSUPPORT);
                fd_close(fd);
        }
        CHECK_REFUSED(socket(AF_NETLINK, SOCK_RAW, 9 /* NETLINK_AUDIT */), EPERM);
        CHECK_REFUSED(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
        CHECK_REFUSED(socket(AF_ALG, SOCK_SEQPACKET, 0), EPERM);
}

/* SEC-12: connects and writes through descriptors; no path. */
/* SEC-87: keyrings are found and read, as a credential cache needs it, and never changed. A kernel
   or a container without them answers ENOSYS or EPERM before the sandbox is entered. */
static void check_net_keyrings(bool readable)
{
        static const int changing[] = { KEYCTL_JOIN_SESSION_KEYRING,
                                        KEYCTL_UPDATE,
                                        KEYCTL_REVOKE,
                                        KEYCTL_CHOWN,
                                        KEYCTL_SETPERM,
                                        KEYCTL_CLEAR,
                                        KEYCTL_LINK,
                                        KEYCTL_UNLINK,
                                        KEYCTL_SET_TIMEOUT,
                                        KEYCTL_INVALIDATE,
                                        KEYCTL_RESTRICT_KEYRING,
                                        KEYCTL_MOVE };

        for (size_t i = 0; i < ELEMENTS(changing); i++)
                CHECK_REFUSED(syscall(SYS_keyctl, changing[i], 0, 0, 0, 0), EPERM);
        CHECK_REFUSED(syscall(SYS_add_key, "user", "x", "x", 1, KEY_SPEC_PROCESS_KEYRING), EACCES);
        CHECK_REFUSED(syscall(SYS_request_key, "user", "x", NULL, 0), EACCES);
        if (readable)
                CHECK(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) >= 0);
}

static void body_net(uid_t uid)
{
        char file[64], listed[64];
        const char *const readable[] = { "", "/nonexistent", listed, NULL };
        bool keyrings =
                syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) >= 0;
        int fd;

        make_path(file, "received", uid);
        make_path(listed, "listed", uid);
        CHECK((fd = open(listed, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) >= 0);
        fd = fd_close(fd);
        CHECK((fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0);

        enter(SANDBOX_NET, &(SandboxPaths){ .readable = readable });
        check_ordinary_life();
        check_net_paths(file, listed);
        check_received_descriptor(fd);
        check_net_sockets();
        check_net_keyrings(keyrings);
}

/* SEC-18: /etc and the sockets of other services open much to uid 0 without any capability; its
   network worker sees a short list of files and no socket. */
static void body_net_root(uid_t uid)
{
        if (geteuid() != 0)
                return;
        body_net(uid);
        if (landlock_abi() >= 1)
                CHECK_REFUSED(open("/etc/shadow", O_RDONLY), EACCES);
        CHECK_REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
}

/* SEC-13: its own directory and UNIX sockets. */
static void body_manager(uid_t uid)
{
        char state[64], other[64], inside[80];
        const char *const writable[] = { state, NULL };
        int fd, pair[2];

        make_path(state, "state", uid);
        make_path(other, "other", uid);
        snprintf(inside, sizeof(inside), "%s/database", state);
        CHECK(mkdir(state, 0700) == 0);
        CHECK(fd_close(open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) == -EBADF);

        enter(SANDBOX_MANAGER, &(SandboxPaths){ .writable = writable });
        check_ordinary_life();
        CHECK((fd = open(inside, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0);
        CHECK(write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && unlink(inside) == 0);
        fd_close(fd);
        CHECK(fd_socketpair(SOCK_STREAM, true, pair) == 0);
        CHECK((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
        CHECK_REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
        if (landlock_abi() >= 1) {
                CHECK_REFUSED(open(other, O_RDONLY), EACCES);
                CHECK_REFUSED(open(other, O_WRONLY), EACCES);
                CHECK_REFUSED(open("/root", O_RDONLY | O_DIRECTORY), EACCES);
        }
}

/* Files that the caged children could not remove. */
static void remove_leftovers(void)
{
        assert_int_equal(system("rm -rf /tmp/test-sandbox-*"), 0);
}

static void test_file(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_file, NOBODY), 0);
        assert_int_equal(in_child(body_file, 0), 0);
}

static void test_net(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_net, NOBODY), 0);
        assert_int_equal(in_child(body_net_root, 0), 0);
        remove_leftovers();
}

static void test_manager(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_manager, NOBODY), 0);
        assert_int_equal(in_child(body_manager, 0), 0);
        remove_leftovers();
}

/* ---- the proof is able to fail ---- */

static void expect_breaches(SandboxProfile profile)
{
        log_open("test-sandbox", LOG_CRIT); /* dozens of lines, each expected */
        CHECK(sandbox_prove(profile) < 0);
}

/* SEC-14 */
static void body_naked(uid_t uid)
{
        (void)uid;
        for (SandboxProfile p = 0; p < SANDBOX_PROFILE_MAX; p++)
                expect_breaches(p);
}

/* Everything but the filter: the proof has to notice that Landlock alone is not enough. */
static void body_without_filter(uid_t uid)
{
        uint32_t layers = 0;

        (void)uid;
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        CHECK(landlock_enter(SANDBOX_NET, NULL, &layers) == 0);
        expect_breaches(SANDBOX_NET);
}

/* And the other way round. */
static void body_without_landlock(uid_t uid)
{
        (void)uid;
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        CHECK(seccomp_enter(SANDBOX_NET, false) == 0);
        if (landlock_abi() >= 1)
                expect_breaches(SANDBOX_NET);
        CHECK_REFUSED(open("/tmp/test-sandbox-x", O_WRONLY | O_CREAT, 0600), EACCES);
}

/* SEC-15: a kernel without Landlock, made by a filter that denies its existence. */
static void become_older(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

        CHECK(filter != NULL);
        CHECK(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset),
                               0) == 0);
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && seccomp_load(filter) == 0);
        seccomp_release(filter);
        CHECK(landlock_abi() == 0);
        log_open("test-sandbox", LOG_ERR); /* notices about missing layers are expected */
}

static void body_older_kernel(uid_t uid)
{
        become_older();
        for (SandboxProfile p = 0; p < SANDBOX_PROFILE_MAX; p++) {
                int status;
                pid_t pid = fork();

                CHECK(pid >= 0);
                if (pid == 0) {
                        uint32_t layers = 0;

                        CHECK(sandbox_enter(p, NULL, &layers) == 0);
                        CHECK(!(layers &
                                (SANDBOX_LAYER_LANDLOCK_FILES | SANDBOX_LAYER_LANDLOCK_NETWORK |
                                 SANDBOX_LAYER_LANDLOCK_SCOPES)));
                        CHECK(sandbox_prove(p) == 0);
                        if (p == SANDBOX_NET)
                                CHECK_REFUSED(bind(-1, NULL, 0), EPERM);
                        _exit(0);
                }
                CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        }
        (void)uid;
}

static void test_older_kernel(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_older_kernel, NOBODY), 0);
        assert_int_equal(in_child(body_older_kernel, 0), 0);
}

/* A weaker profile does not pass for a stronger one. */
static void body_other_profile(uid_t uid)
{
        (void)uid;
        CHECK(sandbox_enter(SANDBOX_FILE, NULL, NULL) == 0);
        expect_breaches(SANDBOX_NET);
}

static void test_script(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_script, NOBODY), 0);
        assert_int_equal(in_child(body_script, 0), 0);
}

static void test_speaker(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_speaker, NOBODY), 0);
        assert_int_equal(in_child(body_speaker, 0), 0);
}

static void test_proof_fails(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_naked, NOBODY), 0);
        assert_int_equal(in_child(body_naked, 0), 0);
        assert_int_equal(in_child(body_without_filter, NOBODY), 0);
        assert_int_equal(in_child(body_without_landlock, NOBODY), 0);
        assert_int_equal(in_child(body_other_profile, NOBODY), 0);
        assert_int_not_equal(access("/tmp/test-sandbox-x", F_OK), 0);
}

static void *wait_for_end(void *userdata)
{
        char byte;

        (void)!read(*(int *)userdata, &byte, 1);
        return NULL;
}

/* SEC-19 */
static void body_threads(uid_t uid)
{
        pthread_t thread;
        int pair[2];

        (void)uid;
        log_open("test-sandbox", LOG_CRIT);
        CHECK(pipe2(pair, O_CLOEXEC) == 0);
        CHECK(pthread_create(&thread, NULL, wait_for_end, &pair[0]) == 0);
        CHECK(sandbox_enter(SANDBOX_FILE, NULL, NULL) == -EBUSY);
}

static void test_refuses_threads(void **state)
{
        (void)state;
        assert_int_equal(in_child(body_threads, NOBODY), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_net),
                cmocka_unit_test(test_manager),
                cmocka_unit_test(test_speaker),
                cmocka_unit_test(test_script),
                cmocka_unit_test(test_proof_fails),
                cmocka_unit_test(test_refuses_threads),
                cmocka_unit_test(test_older_kernel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
