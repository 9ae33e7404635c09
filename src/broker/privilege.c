/*
 * Capabilities by the plain system calls: three sets to write and one to shrink do not justify a
 * library in the one program that everything rests on.
 *
 * The bounding set becomes empty: it limits only what a later execve() may gain, and nothing that
 * the broker executes may gain anything. It keeps its own three in the permitted set, which the
 * bounding set does not touch. SECBIT_NOROOT, inherited by every worker, makes "user 0" mean
 * nothing to execve(); no_new_privs says the same a second time, for set-user-id files and where
 * the first could not be set (a service manager that withheld CAP_SETPCAP from us).
 */
#include "broker/privilege.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct Capabilities {
        struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
} Capabilities;

#define BIT(capability) (1u << (capability))

static const uint32_t switching = BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL);

static int capabilities_get(Capabilities *ret)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

        *ret = (Capabilities){ 0 };
        return syscall(SYS_capget, &header, ret->sets) < 0 ? -errno : 0;
}

static int capabilities_set(uint32_t low)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        Capabilities c = { .sets[0] = { .effective = low, .permitted = low } };

        return syscall(SYS_capset, &header, c.sets) < 0 ? -errno : 0;
}

/* Exactly these are permitted and effective, none is inheritable. */
static bool capabilities_are(uint32_t low)
{
        Capabilities c;

        if (capabilities_get(&c) < 0)
                return false;
        return c.sets[0].permitted == low && c.sets[0].effective == low &&
               c.sets[0].inheritable == 0 && c.sets[1].permitted == 0 && c.sets[1].effective == 0 &&
               c.sets[1].inheritable == 0;
}

bool privilege_may_switch(void)
{
        Capabilities c;

        return capabilities_get(&c) == 0 && (c.sets[0].effective & switching) == switching;
}

/* Without CAP_SETPCAP the set stays as it is: no_new_privs then does its work alone. */
static int empty_bounding_set(void)
{
        for (int capability = 0; capability <= CAP_LAST_CAP || capability < 64; capability++) {
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
                        continue;
                if (errno == EINVAL) /* the first one that this kernel does not know */
                        break;
                return errno == EPERM ? 0 : -errno;
        }
        return 0;
}

static int root_means_nothing(void)
{
        unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                             SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

        if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 && errno != EPERM)
                return -errno;
        return 0;
}

int privilege_drop(bool keep_switch)
{
        uint32_t kept = keep_switch ? switching : 0;
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        r = empty_bounding_set();
        if (r < 0)
                return r;
        r = root_means_nothing();
        if (r < 0)
                return r;
        r = capabilities_set(kept);
        if (r < 0)
                return r;
        return capabilities_are(kept) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
}

int privilege_drop_all(void)
{
        int r = capabilities_set(0);

        if (r < 0)
                return r;
        return capabilities_are(0) ? 0 : -EPERM;
}
