/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Only effective ids are switched, in the order that the kernel allows: groups and gid while still
 * root, the uid last; the other way round on the way back.
 */
#include "cli/users.h"

#include "cli/format.h"
#include "cli/report.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

void user_done(User *user)
{
        free(user->groups);
        *user = (User){};
}

static int user_groups(const char *name, User *user)
{
        int n = 32;

        for (;;) {
                gid_t *groups = reallocarray(user->groups, (size_t)n, sizeof(gid_t));
                int wanted = n;

                if (!groups)
                        return report_error("out of memory");
                user->groups = groups;
                if (getgrouplist(name, user->gid, groups, &wanted) >= 0) {
                        user->n_groups = wanted;
                        return EXIT_OK;
                }
                n = wanted > n ? wanted : n * 2;
        }
}

/* CLI-12 */
int user_parse(const char *text, User *ret_user)
{
        struct passwd *entry = getpwnam(text);
        User user = {};
        uint32_t uid;
        int r;

        if (!entry && parse_uint32(text, &uid)) {
                /* The kernel reads -1 as "leave it". */
                if (uid == UINT32_MAX)
                        return report_error("%s is not a user's number", text);
                entry = getpwuid(uid);
                if (!entry) {
                        *ret_user = (User){ .uid = uid, .gid = uid };
                        return EXIT_OK;
                }
        }
        if (!entry)
                return report_error("there is no user '%s' on this machine", text);
        user.uid = entry->pw_uid;
        user.gid = entry->pw_gid;
        r = user_groups(entry->pw_name, &user);
        if (r != EXIT_OK) {
                user_done(&user);
                return r;
        }
        *ret_user = user;
        return EXIT_OK;
}

static int save_identity(User *ret_saved)
{
        User saved = { .uid = geteuid(), .gid = getegid() };
        int n = getgroups(0, NULL);

        if (n > 0) {
                saved.groups = calloc((size_t)n, sizeof(gid_t));
                if (!saved.groups)
                        return report_error("out of memory");
                n = getgroups(n, saved.groups);
        }
        if (n < 0) {
                free(saved.groups);
                return report_error("cannot read this process's groups: %s", strerror(errno));
        }
        saved.n_groups = n;
        *ret_saved = saved;
        return EXIT_OK;
}

int user_become(const User *user, User *ret_saved)
{
        User saved;
        int r;

        if (user->uid == geteuid() && geteuid() != 0) {
                *ret_saved = (User){ .uid = geteuid(), .gid = getegid(), .n_groups = -1 };
                return EXIT_OK;
        }
        if (geteuid() != 0)
                return report_error(
                        "only root may act as another user (uid %u): run this with sudo",
                        (unsigned)user->uid);
        r = save_identity(&saved);
        if (r != EXIT_OK)
                return r;

        if (setgroups((size_t)user->n_groups, user->groups) < 0 ||
            setresgid((gid_t)-1, user->gid, (gid_t)-1) < 0 ||
            setresuid((uid_t)-1, user->uid, (uid_t)-1) < 0) {
                r = errno;
                user_revert(&saved);
                return report_error("cannot become uid %u: %s", (unsigned)user->uid, strerror(r));
        }
        *ret_saved = saved;
        return EXIT_OK;
}

void user_revert(User *saved)
{
        /* Nothing was switched. */
        if (saved->n_groups >= 0 && (setresuid((uid_t)-1, saved->uid, (uid_t)-1) < 0 ||
                                     setresgid((gid_t)-1, saved->gid, (gid_t)-1) < 0 ||
                                     setgroups((size_t)saved->n_groups, saved->groups) < 0)) {
                fprintf(stderr, "bits: cannot become uid %u again: %s\n", (unsigned)saved->uid,
                        strerror(errno));
                abort();
        }
        user_done(saved);
}

int user_set_helper_token(bits_token_options *options, const User *user)
{
        User saved;
        int r, e;

        if (!user) {
                if (bits_token_options_set_helper_token(options) < 0)
                        return report_failure("cannot set the helper token");
                return EXIT_OK;
        }
        r = user_become(user, &saved);
        if (r != EXIT_OK)
                return r;
        e = bits_token_options_set_helper_token(options);
        user_revert(&saved);
        if (e < 0)
                return report_failure("cannot make uid %u the job's helper", (unsigned)user->uid);
        return EXIT_OK;
}
