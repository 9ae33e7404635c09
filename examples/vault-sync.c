/*
 * vault-sync URL FILE USER: fetches a file into a directory that only this program's user may
 * write, while the download is made by another user. LIB-15
 *
 * It shows the one thing that OpenBITS has and others do not, a job with two identities. The
 * program runs as root (say, a backup service). The job belongs to root, so root's identity makes
 * the file. The connection is made by a process of USER: his Kerberos tickets, his firewall rules,
 * his rights on the network, and none of root's.
 *
 * The order matters. The rights on the job's helper are decided when its interface is asked for, as
 * root. Only then does the thread become USER, for the length of one call, in which the kernel
 * tells the service who he is. No password and no name is passed: what counts is who the thread is.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* setresuid() */
#endif

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openbits.h>

static void fail(const char *what)
{
        fprintf(stderr, "vault-sync: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static void fail_bits(const char *what)
{
        fprintf(stderr, "vault-sync: %s: %s (0x%08X)\n", what, bits_error_message(),
                bits_error_code());
        exit(EXIT_FAILURE);
}

/* ---- becoming another user for a moment: the caller's own business ---- */

static gid_t own_groups[65536];
static int n_own_groups;

static void impersonate(const char *name)
{
        const struct passwd *user = getpwnam(name);
        gid_t groups[1024];
        int n = 1024;

        if (!user) {
                fprintf(stderr, "vault-sync: there is no user '%s'\n", name);
                exit(EXIT_FAILURE);
        }
        if (getgrouplist(name, user->pw_gid, groups, &n) < 0) {
                fprintf(stderr, "vault-sync: '%s' is in too many groups\n", name);
                exit(EXIT_FAILURE);
        }
        n_own_groups = getgroups(65536, own_groups);
        if (n_own_groups < 0)
                fail("cannot read the own groups");

        /* The user id last: without root's the others could not be changed. Real and saved ids
           stay, so that there is a way back. */
        if (setgroups((size_t)n, groups) < 0 || setresgid((gid_t)-1, user->pw_gid, (gid_t)-1) < 0 ||
            setresuid((uid_t)-1, user->pw_uid, (uid_t)-1) < 0)
                fail("cannot impersonate");
}

static void revert(void)
{
        /* Real ids were never changed. Going on as somebody else would be worse than ending. */
        if (setresuid((uid_t)-1, getuid(), (uid_t)-1) < 0 ||
            setresgid((gid_t)-1, getgid(), (gid_t)-1) < 0 ||
            setgroups((size_t)n_own_groups, own_groups) < 0)
                fail("cannot revert");
}

/* ---- the job ---- */

static void report(bits_job *job)
{
        bits_job_error error;

        if (bits_job_get_error(job, &error) < 0)
                fail_bits("the job failed, and why cannot be read");
        fprintf(stderr, "vault-sync: %s (0x%08X) %s %s\n", error.text, error.code,
                error.remote_name, error.local_name);
        bits_job_error_done(&error);
}

int main(int argc, char **argv)
{
        bits_manager *m;
        bits_job *job;
        bits_token_options *token;
        bits_job_state state;

        if (argc != 4) {
                fprintf(stderr, "usage: vault-sync URL FILE USER\n");
                return 2;
        }

        if (bits_manager_open(&m) < 0)
                fail_bits("no service");
        if (bits_manager_create_job(m, "vault-sync", BITS_JOB_DOWNLOAD, &job) < 0)
                fail_bits("cannot make a job");
        if (bits_job_add_file(job, argv[1], argv[2]) < 0)
                fail_bits("cannot add the file");
        if (bits_job_query_token_options(job, &token) < 0)
                fail_bits("cannot get at the helper");

        impersonate(argv[3]);
        int r = bits_token_options_set_helper_token(token);
        revert();
        if (r < 0)
                fail_bits("cannot set the helper");

        if (bits_token_options_set_helper_token_flags(token, BITS_TOKEN_NETWORK) < 0)
                fail_bits("cannot set the helper's part");
        bits_token_options_free(token);

        if (bits_job_resume(job) < 0)
                fail_bits("cannot start the job");
        if (bits_job_wait(job, UINT64_MAX, &state) < 0)
                fail_bits("cannot wait for the job");
        if (state != BITS_STATE_TRANSFERRED) {
                if (state == BITS_STATE_ERROR)
                        report(job);
                else
                        fprintf(stderr, "vault-sync: the job is %s\n", bits_job_state_name(state));
                /* What cannot be repaired here shall not stay in the queue. */
                (void)bits_job_cancel(job, NULL);
                return EXIT_FAILURE;
        }
        if (bits_job_complete(job, NULL) < 0)
                fail_bits("cannot give the file its name");

        printf("%s\n", argv[2]);
        bits_job_free(job);
        bits_manager_close(m);
        return EXIT_SUCCESS;
}
