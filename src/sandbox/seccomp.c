/*
 * The system call filter. It permits by default and refuses by table, because libcurl, GSS-API, NSS
 * modules and SQLite decide for themselves which calls they use, and change their mind with every
 * release; two things keep a list of refusals honest:
 *
 *      - a first, smaller filter answers every call that is newer than this file with ENOSYS, so
 *        that nothing a future kernel adds is permitted by having been unknown here;
 *      - ways around a refusal are refused too: another ABI of the processor, clone3(), openat2()
 *        (their flags lie in memory that a filter cannot read; ENOSYS makes the C library fall
 *        back to calls whose flags it can), io_uring, and taking descriptors from other processes.
 *
 * The answers are EPERM, EACCES where a path is meant, ENOSYS where a fallback exists; never a
 * signal, except for a foreign ABI, which no honest path reaches.
 */
#include "sandbox/layers.h"

#include "basic/log.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The newest call that the tables below have considered: cachestat, Linux 6.5. From 424 on the
   numbers are the same on every processor that we support. */
enum {
        NEWEST_CALL = 451,
};
static_assert(SYS_landlock_create_ruleset == 444, "this processor numbers new calls differently");

/* SEC-10. Other programs, other identities, other processes, the kernel itself. */
static const char *const refused_to_all[] = {
        "execve",
        "execveat",
        "fork",
        "vfork",
        "setuid",
        "setgid",
        "setreuid",
        "setregid",
        "setresuid",
        "setresgid",
        "setfsuid",
        "setfsgid",
        "setgroups",
        "capset",
        "unshare",
        "setns",
        "personality",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "process_madvise",
        "kcmp",
        "pidfd_getfd",
        "pidfd_send_signal",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "tkill",
        "mount",
        "umount",
        "umount2",
        "pivot_root",
        "chroot",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "mount_setattr",
        "name_to_handle_at",
        "open_by_handle_at",
        "fanotify_init",
        "quotactl",
        "quotactl_fd",
        "acct",
        "swapon",
        "swapoff",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "delete_module",
        "reboot",
        "syslog",
        "iopl",
        "ioperm",
        "modify_ldt",
        "uselib",
        "lookup_dcookie",
        "nfsservctl",
        "vhangup",
        "settimeofday",
        "clock_settime",
        "clock_adjtime",
        "adjtimex",
        "stime",
        "sethostname",
        "setdomainname",
};

/* SEC-11. No socket may come into being here, and none that exists may change its peer. The
   inherited channel needs none of these. */
static const char *const refused_to_file[] = {
        "socket",  "socketpair", "connect", "bind",        "listen", "accept",
        "accept4", "socketcall", "add_key", "request_key", "keyctl",
};

/* SEC-12. Whatever makes, changes or removes a path, and what changes the inode of a received
   descriptor. Keyrings may be read (refuse_keyring_changes()). */
static const char *const refused_to_net[] = {
        "creat",       "mkdir",        "mkdirat",      "mknod",        "mknodat",    "rename",
        "renameat",    "renameat2",    "link",         "linkat",       "symlink",    "symlinkat",
        "unlink",      "unlinkat",     "rmdir",        "truncate",     "truncate64", "chmod",
        "fchmod",      "fchmodat",     "chown",        "lchown",       "fchown",     "fchownat",
        "chown32",     "lchown32",     "fchown32",     "setxattr",     "lsetxattr",  "fsetxattr",
        "removexattr", "lremovexattr", "fremovexattr", "utime",        "utimes",     "futimesat",
        "mq_open",     "mq_unlink",    "memfd_create", "memfd_secret", "add_key",    "request_key",
};

/* A client of the network, never a server. */
static const char *const no_server[] = { "listen", "accept", "accept4" };

/* SEC-13. The database, the bus and the session files need nothing of these. */
static const char *const refused_to_manager[] = {
        "add_key",  "request_key", "keyctl", "listen",  "accept",       "accept4",
        "truncate", "truncate64",  "mknod",  "mknodat", "memfd_secret",
};

static int refuse(scmp_filter_ctx filter, int error, const char *name, unsigned conditions,
                  const struct scmp_arg_cmp *condition)
{
        int r, nr = seccomp_syscall_resolve_name(name);

        if (nr == __NR_SCMP_ERROR) /* newer than the library: beyond NEWEST_CALL, or unused */
                return 0;
        r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint16_t)error), nr, conditions,
                                   condition);
        /* This processor does not have the call, or another table has refused it already. */
        return r == -EDOM || r == -EEXIST ? 0 : r;
}

static int refuse_if(scmp_filter_ctx filter, int error, const char *name,
                     struct scmp_arg_cmp condition)
{
        return refuse(filter, error, name, 1, &condition);
}

static int refuse_table(scmp_filter_ctx filter, int error, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                int r = refuse(filter, error, names[i], 0, NULL);

                if (r < 0)
                        return r;
        }
        return 0;
}

#define REFUSE_TABLE(filter, error, table) refuse_table(filter, error, table, ELEMENTS(table))

/* clone() makes a thread or nothing, a signal reaches this process or nobody. */
static int refuse_processes(scmp_filter_ctx filter)
{
#if defined(__s390x__)
        struct scmp_arg_cmp no_thread = SCMP_A1(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
#else
        struct scmp_arg_cmp no_thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
#endif
        struct scmp_arg_cmp others = SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid());
        int r;

        r = refuse_if(filter, EPERM, "clone", no_thread);
        if (r >= 0)
                r = refuse(filter, ENOSYS, "clone3", 0, NULL);
        if (r >= 0)
                r = refuse_if(filter, EPERM, "kill", others);
        if (r >= 0)
                r = refuse_if(filter, EPERM, "tgkill", others);
        /* Characters typed into the terminal from which the program was started. */
        if (r >= 0)
                r = refuse_if(filter, EPERM, "ioctl",
                              SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI));
        return r;
}

static bool is_one_of(int value, const int *values, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (values[i] == value)
                        return true;
        return false;
}

/* A filter compares one value at a time, so the complement of a short list is spelled out. */
static int refuse_other_families(scmp_filter_ctx filter, const int *families, size_t n)
{
        static const char *const makers[] = { "socket", "socketpair" };
        int r, last = 0;

        for (size_t i = 0; i < n; i++)
                last = MAX(last, families[i]);
        for (size_t m = 0; m < ELEMENTS(makers); m++) {
                r = refuse_if(filter, EPERM, makers[m], SCMP_A0(SCMP_CMP_GT, (scmp_datum_t)last));
                for (int family = 0; r >= 0 && family < last; family++)
                        if (!is_one_of(family, families, n))
                                r = refuse_if(filter, EPERM, makers[m],
                                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The access mode and the flags that change something by the act of opening. O_TMPFILE needs one
   of the two modes. openat2() keeps its flags in memory. */
static int refuse_open_for_writing(scmp_filter_ctx filter)
{
        static const scmp_datum_t changing[] = { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(changing); i++) {
                r = refuse_if(filter, EACCES, "open",
                              SCMP_A1(SCMP_CMP_MASKED_EQ, changing[i], changing[i]));
                if (r >= 0)
                        r = refuse_if(filter, EACCES, "openat",
                                      SCMP_A2(SCMP_CMP_MASKED_EQ, changing[i], changing[i]));
        }
        return r < 0 ? r : refuse(filter, ENOSYS, "openat2", 0, NULL);
}

/* SEC-87. Keyrings may hold the identity's Kerberos tickets: they can be found and read, and
   nothing in them can be changed. */
static int refuse_keyring_changes(scmp_filter_ctx filter)
{
        static const int reading[] = { KEYCTL_GET_KEYRING_ID, KEYCTL_DESCRIBE, KEYCTL_SEARCH,
                                       KEYCTL_READ, KEYCTL_GET_PERSISTENT };
        int r = refuse_if(filter, EPERM, "keyctl",
                          SCMP_A0(SCMP_CMP_GT, (scmp_datum_t)KEYCTL_GET_PERSISTENT));

        for (int call = 0; r >= 0 && call < KEYCTL_GET_PERSISTENT; call++)
                if (!is_one_of(call, reading, ELEMENTS(reading)))
                        r = refuse_if(filter, EPERM, "keyctl",
                                      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)call));
        return r;
}

static int refuse_for_net(scmp_filter_ctx filter, bool landlocked)
{
        static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
        struct scmp_arg_cmp other_netlink[] = {
                SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                SCMP_A2(SCMP_CMP_NE, NETLINK_ROUTE), /* the resolver asks for the addresses */
        };
        int r;

        r = REFUSE_TABLE(filter, EACCES, refused_to_net);
        if (r >= 0)
                r = REFUSE_TABLE(filter, EPERM, no_server);
        if (r >= 0)
                r = refuse_open_for_writing(filter);
        if (r >= 0)
                r = refuse_keyring_changes(filter);
        /* With a path it would be utimes(); without, it is futimens() on a descriptor. */
        if (r >= 0)
                r = refuse_if(filter, EACCES, "utimensat", SCMP_A1(SCMP_CMP_NE, 0));
        if (r >= 0)
                r = refuse_other_families(filter, families, ELEMENTS(families));
        if (r >= 0)
                r = refuse(filter, EPERM, "socket", ELEMENTS(other_netlink), other_netlink);
        /* SEC-18. The sockets of service managers and container engines make whoever is uid 0 into
           root with everything. Resolvers fall back to DNS; a pair of sockets stays possible. */
        if (r >= 0 && geteuid() == 0)
                r = refuse_if(filter, EPERM, "socket", SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
        /* bind() can make a path, and only Landlock can tell. The resolver lives without it. */
        if (r >= 0 && !landlocked)
                r = refuse(filter, EPERM, "bind", 0, NULL);
        return r;
}

static int refuse_for_manager(scmp_filter_ctx filter)
{
        static const int families[] = { AF_UNIX };
        int r = REFUSE_TABLE(filter, EPERM, refused_to_manager);

        return r < 0 ? r : refuse_other_families(filter, families, ELEMENTS(families));
}

/* SEC-242. Neither a socket nor a path, not even for reading. */
static int refuse_for_speaker(scmp_filter_ctx filter)
{
        static const char *const opening[] = { "open", "openat" };
        int r = REFUSE_TABLE(filter, EPERM, refused_to_file);

        if (r >= 0)
                r = REFUSE_TABLE(filter, EACCES, refused_to_net);
        if (r >= 0)
                r = REFUSE_TABLE(filter, EACCES, opening);
        if (r >= 0)
                r = refuse_if(filter, EACCES, "utimensat", SCMP_A1(SCMP_CMP_NE, 0));
        return r < 0 ? r : refuse(filter, ENOSYS, "openat2", 0, NULL);
}

static int refuse_for_profile(scmp_filter_ctx filter, SandboxProfile profile, bool landlocked)
{
        switch (profile) {
        case SANDBOX_FILE:
                return REFUSE_TABLE(filter, EPERM, refused_to_file);
        case SANDBOX_NET:
                return refuse_for_net(filter, landlocked);
        case SANDBOX_MANAGER:
                return refuse_for_manager(filter);
        case SANDBOX_SPEAKER:
        case SANDBOX_SCRIPT:
                return refuse_for_speaker(filter);
        case SANDBOX_PROFILE_MAX:
        case SANDBOX_PROFILE_INVALID:
                break;
        }
        assert(false);
        return -EINVAL;
}

/* SEC-16. libseccomp cannot compare the number of a call, so these four instructions are written
   out. The other filter checks the architecture. */
static int refuse_newer_calls(void)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_CALL, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = ELEMENTS(code), .filter = code };

        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
                return -errno;
        return 0;
}

static void filter_release(scmp_filter_ctx *filter)
{
        if (*filter)
                seccomp_release(*filter);
}

static int permit(scmp_filter_ctx filter, const char *name, unsigned conditions,
                  const struct scmp_arg_cmp *condition)
{
        int r, nr = seccomp_syscall_resolve_name(name);

        if (nr == __NR_SCMP_ERROR)
                return 0;
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, nr, conditions, condition);
        return r == -EDOM ? 0 : r;
}

/* SEC-440. Whoever runs code of a stranger's needs little, and knows what. */
static const char *const permitted_to_script[] = {
        "read",
        "write",
        "recvmsg",
        "sendmsg",
        "close",
        "munmap",
        "mremap",
        "brk",
        "madvise",
        "exit",
        "exit_group",
        "clock_gettime",
        "time",
        "gettimeofday",
        "restart_syscall",
        "futex",
        "rt_sigreturn",
        "getpid",
        "gettid",
        "geteuid",
        "getrandom",
        "sched_yield",
        "sigaltstack",
        "writev",
        /* For the filter that comes after this one, and the proof. Neither gives anything. */
        "seccomp",
        "prctl",
        "capget",
        "getrlimit",
        "ugetrlimit",
};

/* A filter below the other, which says in its own way what it refuses. */
static int permit_for_script(void)
{
        _cleanup_(filter_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        static const char *const mapping[] = { "mmap", "mmap2", "mprotect" };
        struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
        struct scmp_arg_cmp version = SCMP_A0(SCMP_CMP_EQ, 0);
        struct scmp_arg_cmp asking[] = { SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0) };
        int r = filter ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(permitted_to_script); i++)
                r = permit(filter, permitted_to_script[i], 0, NULL);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(mapping); i++)
                r = permit(filter, mapping[i], 1, &no_code);
        if (r >= 0) /* whether the kernel has Landlock */
                r = permit(filter, "landlock_create_ruleset", 1, &version);
        if (r >= 0) /* its limits, which it cannot change */
                r = permit(filter, "prlimit64", ELEMENTS(asking), asking);
        return r < 0 ? r : seccomp_load(filter);
}

int seccomp_enter(SandboxProfile profile, bool landlocked)
{
        _cleanup_(filter_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int r;

        if (!filter)
                return -ENOMEM;
        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r >= 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
        if (r >= 0)
                r = REFUSE_TABLE(filter, EPERM, refused_to_all);
        if (r >= 0)
                r = refuse_processes(filter);
        if (r >= 0)
                r = refuse_for_profile(filter, profile, landlocked);
        if (r >= 0 && profile == SANDBOX_SCRIPT)
                r = permit_for_script();
        if (r >= 0)
                r = refuse_newer_calls();
        if (r >= 0)
                r = seccomp_load(filter);
        return r < 0 ? log_errno(LOG_ERR, r, "Cannot load the system call filter") : 0;
}
