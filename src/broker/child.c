/*
 * Order matters. Descriptors go first, so that nothing below can reach the broker's sockets.
 * Account databases are asked here and not in the broker: their modules are code of others, may
 * talk to slow servers, and answer for this one start only, so that no stale group is ever used.
 * Then groups, group, user, in the one order in which each step still has the right to do the
 * next; then the proof. A child that could become root again never reaches execve().
 */
#include "broker/child.h"

#include "basic/signals.h"
#include "broker/privilege.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        STATUS_FD = WORKER_COMMAND_FD + 1,
        PASSWD_BYTES_MAX = 1024 * 1024,
        VARIABLES_MAX = 32,
        VARIABLE_BYTES = 4096,
        WORKER_UMASK = 022,
};

/* 4: what a command line's worker reads; closed in all others. */
static int arrange_command(const WorkerPlan *plan, int command)
{
        if (plan->kind == WORKER_COMMAND)
                return dup2(command, WORKER_COMMAND_FD) < 0 ? -errno : 0;
        (void)close(WORKER_COMMAND_FD);
        return 0;
}

/* 0, 1: /dev/null; 2: as inherited; 3: the channel; 5: the status pipe until execve(); no other. */
static int arrange_descriptors(const WorkerPlan *plan)
{
        int channel, status, command, null, r;

        /* Out of the way of the numbers that are about to be filled. */
        channel = fcntl(plan->channel, F_DUPFD_CLOEXEC, STATUS_FD + 1);
        status = fcntl(plan->status, F_DUPFD_CLOEXEC, STATUS_FD + 1);
        command = fcntl(plan->command, F_DUPFD_CLOEXEC, STATUS_FD + 1);
        if (channel < 0 || status < 0 || dup3(status, STATUS_FD, O_CLOEXEC) < 0)
                return -errno;
        if (dup2(channel, WORKER_CHANNEL_FD) < 0)
                return -errno;
        r = arrange_command(plan, command);
        if (r < 0)
                return r;
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0)
                return -errno;
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fd == STDERR_FILENO && fcntl(fd, F_GETFD) >= 0)
                        break;
                if (null != fd ? dup2(null, fd) < 0 : fcntl(fd, F_SETFD, 0) < 0)
                        return -errno;
        }
        return close_range(STATUS_FD + 1, UINT_MAX, 0) < 0 ? -errno : 0;
}

/* 1 and the account, 0 when there is none, -errno when nobody could say. `buffer` becomes the
   caller's and holds the strings. */
static int find_account(uid_t uid, struct passwd *ret, char **buffer)
{
        for (size_t size = 4096; size <= PASSWD_BYTES_MAX; size *= 4) {
                struct passwd *found = NULL;
                char *larger = realloc(*buffer, size);
                int error;

                if (!larger)
                        return -ENOMEM;
                *buffer = larger;
                error = getpwuid_r(uid, ret, *buffer, size, &found);
                if (error == ERANGE)
                        continue;
                if (error == 0 || error == ENOENT || error == ESRCH)
                        return found ? 1 : 0;
                return -error;
        }
        return -ERANGE;
}

static int account_groups(const struct passwd *account, Identity *ret)
{
        int n = 64;

        for (;;) {
                int room = n;
                gid_t *groups = reallocarray(ret->groups, (size_t)n, sizeof(gid_t));

                if (!groups)
                        return -ENOMEM;
                ret->groups = groups;
                if (getgrouplist(account->pw_name, account->pw_gid, groups, &n) >= 0) {
                        ret->n_groups = (size_t)n;
                        return 0;
                }
                if (n <= room) /* asks for more without saying how much */
                        n = room * 2;
                if (n > IDENTITY_GROUPS_MAX)
                        return -EINVAL;
        }
}

/* SEC-51: the owner as the account database knows him at this moment, or as his number and the
   group of his first presentation, without any other group. */
static int owner_identity(const WorkerPlan *plan, Identity *ret)
{
        struct passwd account;
        char *buffer = NULL; /* lives as long as this process image */
        int r = find_account(plan->uid, &account, &buffer);

        if (r < 0)
                return r;
        ret->uid = plan->uid;
        if (r > 0) {
                ret->gid = account.pw_gid;
                return account_groups(&account, ret);
        }
        if (!plan->has_fallback_gid)
                return -ESRCH;
        ret->gid = plan->fallback_gid;
        return 0;
}

static bool became(const Identity *identity)
{
        uid_t ruid, euid, suid;
        gid_t rgid, egid, sgid;

        if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
                return false;
        if (ruid != identity->uid || euid != identity->uid || suid != identity->uid)
                return false;
        if (rgid != identity->gid || egid != identity->gid || sgid != identity->gid)
                return false;
        if ((size_t)getgroups(0, NULL) != identity->n_groups)
                return false;
        /* Whoever is not root must have no way back. */
        return identity->uid == 0 || setresuid(0, 0, 0) < 0;
}

/* TOK-17, TOK-42, TOK-86, TOK-87, SEC-42, SEC-43 */
static int become(const Identity *identity)
{
        if (identity->uid == (uid_t)-1 || identity->gid == (gid_t)-1)
                return -EINVAL; /* setresuid() would take it as "leave as it is" */
        if (setgroups(identity->n_groups, identity->groups) < 0)
                return -errno;
        if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
                return -errno;
        if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
                return -errno;
        return 0;
}

static int take_identity(const WorkerPlan *plan)
{
        Identity owner = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
        const Identity *identity = plan->token ? plan->token : &owner;
        int r;

        if (plan->switch_identity) {
                r = plan->token ? 0 : owner_identity(plan, &owner);
                if (r < 0)
                        return r;
                r = become(identity);
                if (r < 0)
                        return r;
        }
        r = privilege_drop_all();
        if (r < 0)
                return r;
        return plan->switch_identity && !became(identity) ? -EPERM : 0;
}

/* SEC-49: what a worker may know of the broker's environment. HTTP_PROXY is missing on purpose:
   web servers let strangers set it. */
static char **clean_environment(const WorkerPlan *plan)
{
        static const char *const inherited[] = {
                "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy",    "https_proxy",    "HTTPS_PROXY",
                "no_proxy",      "NO_PROXY",     "all_proxy",     "ALL_PROXY",      "RES_OPTIONS",
                "LOCALDOMAIN",   "ASAN_OPTIONS", "UBSAN_OPTIONS", "JOURNAL_STREAM", "KRB5_CONFIG",
        };
        static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        static char language[] = "LANG=C.UTF-8";
        static char *environment[VARIABLES_MAX] = { path, language };
        size_t n = 2;

        static_assert(ELEMENTS(inherited) + 4 <= VARIABLES_MAX, "no room for the environment");
        for (size_t i = 0; i < ELEMENTS(inherited); i++) {
                const char *value = getenv(inherited[i]);

                if (!value || strlen(value) > VARIABLE_BYTES)
                        continue;
                if (asprintf(&environment[n], "%s=%s", inherited[i], value) < 0)
                        break;
                n++;
        }
        /* TOK-33: read by the worker under its own identity, with that identity's rights. */
        if (!string_empty(plan->ccache) &&
            asprintf(&environment[n], "KRB5CCNAME=%s", plan->ccache) >= 0)
                n++;
        environment[n] = NULL;
        return environment;
}

static int prepare(const WorkerPlan *plan)
{
        int r;

        if (setsid() < 0)
                return -errno;
        signals_reset();
        r = arrange_descriptors(plan);
        if (r < 0)
                return r;
        if (chdir("/") < 0)
                return -errno;
        umask(WORKER_UMASK);
        if (setrlimit(RLIMIT_NOFILE, &plan->files) < 0)
                return -errno;
        r = take_identity(plan);
        if (r < 0)
                return r;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        /* Whatever the account database's modules left open. */
        return close_range(STATUS_FD + 1, UINT_MAX, 0) < 0 ? -errno : 0;
}

void worker_child(const WorkerPlan *plan)
{
        char *arguments[] = { (char *)worker_kind_name(plan->kind), NULL };
        int status = plan->status, r;

        r = prepare(plan);
        if (r >= 0) {
                status = STATUS_FD;
                execve(plan->program, arguments, clean_environment(plan));
                r = -errno;
        }
        /* The pipe may stand at either number, depending on how far we came. */
        if (write(STATUS_FD, &r, sizeof(r)) < 0 && write(status, &r, sizeof(r)) < 0)
                _exit(126);
        _exit(127);
}
