/*
 * Entering: the order of the steps, and those that need no table. Everything here is for good: no
 * step has an inverse, and the last one forbids the calls of the earlier ones.
 *
 * A program under uid 0 is treated like any other. It ends with no capability, and the rule by
 * which root regains them at exec is switched off (and exec itself refused).
 *
 * Not a core dump, because a worker's memory holds credentials and a user's data; for the same
 * reason other processes of the same user cannot trace it. Root still can.
 */
#include "sandbox/layers.h"

#include "basic/log.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The leak checker of a sanitizer build traces its process from a clone of it at exit: both are
   refused by then, and it would end each worker with a failure. Unit tests that do not enter a
   sandbox keep their leak checks. */
#if defined(__SANITIZE_ADDRESS__)
static bool leak_checker_off;

__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
        return leak_checker_off;
}
#define LEAK_CHECKER_OFF() (leak_checker_off = true)
#else
#define LEAK_CHECKER_OFF() ((void)0)
#endif

const char *sandbox_profile_to_string(SandboxProfile profile)
{
        static const char *const names[] = {
                [SANDBOX_FILE] = "file",       [SANDBOX_NET] = "net",
                [SANDBOX_MANAGER] = "manager", [SANDBOX_SPEAKER] = "speaker",
                [SANDBOX_SCRIPT] = "script",
        };
        static_assert_table(names, SANDBOX_PROFILE_MAX);

        assert(profile >= 0 && profile < SANDBOX_PROFILE_MAX);
        return names[profile];
}

/* SEC-19. Landlock and capabilities belong to a thread: a second one would stay outside. A
   directory has two links and one more for each directory in it. */
static bool is_single_threaded(void)
{
#if defined(__SANITIZE_THREAD__)
        return true; /* the sanitizer has a thread of its own */
#else
        struct stat st;

        return stat("/proc/self/task", &st) < 0 || st.st_nlink <= 3;
#endif
}

/* True if nothing is left in it. Without CAP_SETPCAP it stays as it is, which gives nobody a
   capability: no_new_privs keeps an exec from reaching it. */
static bool empty_bounding_set(void)
{
        bool empty = true;

        for (int cap = 0;; cap++) {
                int held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

                if (held < 0)
                        return empty;
                if (held > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
                        empty = false;
        }
}

/* SEC-10 */
static int drop_capabilities(uint32_t *layers)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

        if (empty_bounding_set())
                *layers |= SANDBOX_LAYER_BOUNDING_SET;
        else
                log_debug("The capability bounding set stays: no CAP_SETPCAP");
        /* Needs CAP_SETPCAP as well, and is the second of two locks. */
        if (prctl(PR_SET_SECUREBITS, SECURE_ALL_BITS | SECURE_ALL_LOCKS, 0, 0, 0) < 0)
                log_debug("The rule of root's capabilities at exec stays: %m");
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        if (syscall(SYS_capset, &header, none) < 0)
                return -errno;
        *layers |= SANDBOX_LAYER_NO_CAPABILITIES;
        return 0;
}

/* SEC-17 */
static int forbid_dumps(void)
{
        const struct rlimit none = { 0, 0 };

        if (setrlimit(RLIMIT_CORE, &none) < 0)
                return -errno;
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        return 0;
}

int sandbox_enter(SandboxProfile profile, const SandboxPaths *paths, uint32_t *ret_layers)
{
        const char *name = sandbox_profile_to_string(profile);
        uint32_t layers = SANDBOX_LAYER_NO_NEW_PRIVS;
        int r;

        if (!is_single_threaded())
                return log_errno(LOG_ERR, -EBUSY, "Sandbox %s: there are threads already", name);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_errno(LOG_ERR, -errno, "Sandbox %s: no_new_privs", name);
        r = drop_capabilities(&layers);
        if (r < 0)
                return log_errno(LOG_ERR, r, "Sandbox %s: cannot drop capabilities", name);
        r = forbid_dumps();
        if (r < 0)
                return log_errno(LOG_ERR, r, "Sandbox %s: cannot forbid core dumps", name);
        r = landlock_enter(profile, paths, &layers);
        if (r < 0)
                return r;
        r = seccomp_enter(profile, layers & SANDBOX_LAYER_LANDLOCK_FILES);
        if (r < 0)
                return r;
        layers |= SANDBOX_LAYER_SECCOMP;
        LEAK_CHECKER_OFF();

        log_debug("Sandbox %s: layers 0x%x", name, layers);
        if (ret_layers)
                *ret_layers = layers;
        return 0;
}
