/*
 * Landlock: which paths and ports a profile may touch, decided by the kernel at the moment of
 * opening. Descriptors that were opened elsewhere and passed here keep the rights of their opener;
 * that is how bits-net writes a file whose path it could not open.
 *
 * The system headers of our oldest platform describe ABI 2, kernels in the field have more; so the
 * newer constants stand here, and each is used only if the running kernel says that it knows it.
 *
 * A rule is tied to an inode. Where a file is usually replaced by rename (resolv.conf, hosts), the
 * rule has to name its directory, or the program would lose the file at the first replacement.
 */
#include "sandbox/layers.h"

#include "basic/fd.h"
#include "basic/log.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr as of ABI 6. Older kernels accept it when the tail is zero. */
typedef struct RulesetAttr {
        uint64_t handled_access_fs;
        uint64_t handled_access_net;
        uint64_t scoped;
} RulesetAttr;

#define FS_TRUNCATE         (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV        (UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND_TCP        (UINT64_C(1) << 0)  /* ABI 4 */
#define NET_CONNECT_TCP     (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0) /* ABI 6 */
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)

#define FS_READ             (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_CHANGE                                                        \
        (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
         LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |     \
         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
         LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define FS_ALL                                                                         \
        (FS_READ | FS_CHANGE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REFER | \
         FS_TRUNCATE | FS_IOCTL_DEV)

/* What a database in its own directory needs. */
#define FS_OWN                                                                      \
        (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
         LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |              \
         LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)

/* What applies to a file that is not a directory; the kernel refuses other bits in its rule. */
#define FS_ON_FILE                                                      \
        (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
         LANDLOCK_ACCESS_FS_EXECUTE | FS_TRUNCATE | FS_IOCTL_DEV)

/* Programs, shared objects, their data; randomness; how many processors there are. */
static const char *const readable_by_both[] = {
        "/usr",        "/lib",         "/lib32",
        "/lib64",      "/libx32",      "/dev/null",
        "/dev/random", "/dev/urandom", "/sys/devices/system/cpu",
        "/proc/sys",   "/run/nscd",    "/var/lib/sss/mc",
        NULL
};

/* Trust anchors that live outside of /etc and /usr, resolver state, Kerberos hints of SSSD. */
static const char *const readable_by_net[] = { "/proc/self",           "/run/systemd/resolve",
                                               "/run/resolvconf",      "/run/NetworkManager",
                                               "/run/connman",         "/var/lib/ca-certificates",
                                               "/var/lib/sss/pubconf", NULL };

/* Sessions, D-Bus sockets' directories, and the facts about a caller that sd-login reads. */
static const char *const readable_by_manager[] = { "/etc",      "/proc",         "/run/systemd",
                                                   "/run/dbus", "/run/openbits", "/var/lib/dbus",
                                                   NULL };

static const char *const all_of_etc[] = { "/etc", NULL };

/* SEC-18. For a network worker of uid 0, to which /etc would open shadow, keytabs and host keys:
   the owner of a file needs no capability to read it. The price: files in this list that are
   replaced by rename are lost to the worker until the next one starts. */
static const char *const etc_for_root[] = { "/etc/ca-certificates",
                                            "/etc/crypto-policies",
                                            "/etc/gai.conf",
                                            "/etc/gnutls",
                                            "/etc/group",
                                            "/etc/gss",
                                            "/etc/host.conf",
                                            "/etc/hostname",
                                            "/etc/hosts",
                                            "/etc/krb5.conf",
                                            "/etc/krb5.conf.d",
                                            "/etc/ld.so.cache",
                                            "/etc/ld.so.conf",
                                            "/etc/ld.so.conf.d",
                                            "/etc/localtime",
                                            "/etc/machine-id",
                                            "/etc/networks",
                                            "/etc/nsswitch.conf",
                                            "/etc/passwd",
                                            "/etc/pkcs11",
                                            "/etc/pki/ca-trust",
                                            "/etc/pki/tls/cert.pem",
                                            "/etc/pki/tls/certs",
                                            "/etc/pki/tls/openssl.cnf",
                                            "/etc/protocols",
                                            "/etc/resolv.conf",
                                            "/etc/resolvconf",
                                            "/etc/services",
                                            "/etc/ssl/ca-bundle.pem",
                                            "/etc/ssl/cert.pem",
                                            "/etc/ssl/certs",
                                            "/etc/ssl/openssl.cnf",
                                            NULL };

int landlock_abi(void)
{
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

        return abi > 0 ? (int)abi : 0;
}

static uint64_t known_files(int abi)
{
        uint64_t access = FS_ALL;

        if (abi < 2)
                access &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
        if (abi < 3)
                access &= ~FS_TRUNCATE;
        if (abi < 5)
                access &= ~FS_IOCTL_DEV;
        return access;
}

/* SEC-12, SEC-13. What the profile wants governed, whether or not this kernel can. */
static RulesetAttr wanted(SandboxProfile profile)
{
        switch (profile) {
        case SANDBOX_FILE:
                return (RulesetAttr){ .handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP,
                                      .scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL };
        case SANDBOX_NET:
                return (RulesetAttr){ .handled_access_fs = FS_ALL,
                                      .handled_access_net = NET_BIND_TCP,
                                      .scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL };
        case SANDBOX_MANAGER: /* a bus or a service manager may listen on an abstract address */
                return (RulesetAttr){ .handled_access_fs = FS_ALL,
                                      .handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP,
                                      .scoped = SCOPE_SIGNAL };
        case SANDBOX_SPEAKER:
        case SANDBOX_SCRIPT:
                return (RulesetAttr){ .handled_access_fs = FS_ALL,
                                      .handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP,
                                      .scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL };
        case SANDBOX_PROFILE_MAX:
        case SANDBOX_PROFILE_INVALID:
                break;
        }
        assert(false);
        return (RulesetAttr){};
}

/* 0 also when there is no such path: it cannot be read then either. */
static int allow_path(int ruleset, const char *path, uint64_t access)
{
        struct landlock_path_beneath_attr rule = { .allowed_access = access };
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (string_empty(path))
                return 0;
        fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0) {
                log_debug("Not in the sandbox's list: %s: %m", path);
                return 0;
        }
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                rule.allowed_access &= FS_ON_FILE;
        rule.parent_fd = fd;
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                return -errno;
        return 0;
}

static int allow_paths(int ruleset, const char *const *paths, uint64_t access)
{
        for (; paths && *paths; paths++) {
                int r = allow_path(ruleset, *paths, access);

                if (r < 0)
                        return log_errno(LOG_ERR, r, "Cannot allow %s", *paths);
        }
        return 0;
}

static int allow_files(int ruleset, SandboxProfile profile, const SandboxPaths *paths, int abi)
{
        uint64_t read = FS_READ & known_files(abi), own = FS_OWN & known_files(abi);
        const char *const *lists[4] = { readable_by_both };
        int r;

        if (profile == SANDBOX_SPEAKER || profile == SANDBOX_SCRIPT) /* SEC-242: no path at all */
                return 0;
        if (profile == SANDBOX_NET) {
                lists[1] = readable_by_net;
                lists[2] = geteuid() == 0 ? etc_for_root : all_of_etc;
        } else
                lists[1] = readable_by_manager;
        lists[3] = paths ? paths->readable : NULL;

        for (size_t i = 0; i < ELEMENTS(lists); i++) {
                r = allow_paths(ruleset, lists[i], read);
                if (r < 0)
                        return r;
        }
        if (profile != SANDBOX_MANAGER || !paths)
                return 0;
        return allow_paths(ruleset, paths->writable, own);
}

/* SEC-15. Strips what the kernel does not know, and says so. */
static void fit_to_kernel(RulesetAttr *attr, int abi, SandboxProfile profile)
{
        const char *name = sandbox_profile_to_string(profile);

        attr->handled_access_fs &= known_files(abi);
        if (abi < 4 && attr->handled_access_net) {
                log_notice("Sandbox %s: no Landlock rules for ports (kernel has ABI %d, needs 4); "
                           "the system call filter stands alone",
                           name, abi);
                attr->handled_access_net = 0;
        }
        if (abi < 6 && attr->scoped) {
                log_notice("Sandbox %s: no Landlock scopes for signals and abstract sockets "
                           "(kernel has ABI %d, needs 6)",
                           name, abi);
                attr->scoped = 0;
        }
}

int landlock_enter(SandboxProfile profile, const SandboxPaths *paths, uint32_t *layers)
{
        RulesetAttr attr = wanted(profile);
        _cleanup_close_ int ruleset = -EBADF;
        int r, abi = landlock_abi();

        if (abi < 1) {
                log_notice("Sandbox %s: this kernel has no Landlock; the system call filter stands "
                           "alone",
                           sandbox_profile_to_string(profile));
                return 0;
        }
        fit_to_kernel(&attr, abi, profile);
        if (!attr.handled_access_fs && !attr.handled_access_net && !attr.scoped)
                return 0;

        ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        if (ruleset < 0)
                return log_errno(LOG_ERR, -errno, "Cannot create a Landlock ruleset");
        if (attr.handled_access_fs) {
                r = allow_files(ruleset, profile, paths, abi);
                if (r < 0)
                        return r;
        }
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return log_errno(LOG_ERR, -errno, "Cannot enter a Landlock ruleset");

        *layers |= (attr.handled_access_fs ? SANDBOX_LAYER_LANDLOCK_FILES : 0) |
                   (attr.handled_access_net ? SANDBOX_LAYER_LANDLOCK_NETWORK : 0) |
                   (attr.scoped ? SANDBOX_LAYER_LANDLOCK_SCOPES : 0);
        return 0;
}
