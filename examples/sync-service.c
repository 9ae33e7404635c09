/*
 * sync-service URL FILE USER: what a service does that keeps a download with two identities going,
 * whatever happens to it, to its helper or to OpenBITS. LIB-40
 *
 * It runs as root. The file is root's, the connection is USER's. A helper token is not kept for
 * ever: it is gone when the machine restarts, when OpenBITS restarts without a service manager
 * that keeps descriptors, and when the login session in which it was captured ends. The job then
 * stops with BG_E_TOKEN_REQUIRED. It has lost nothing but the token: LIB-41 is to capture a fresh
 * one, which takes no password, and to resume.
 *
 * All else follows from the job's state, so there is one loop and no memory: LIB-42. A service
 * that was killed finds its job by name and goes on wherever it stands; a handle that ended with
 * a restart of OpenBITS is opened again.
 *
 * Only the calling thread changes its identity here, by raw system calls, because setresuid() of
 * the C library changes every thread of the process. A service with a single thread may use the
 * plain functions, as vault-sync.c does.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <openbits.h>

#define MOST_GROUPS      1024
#define PATIENCE_SECONDS 60

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        fputs("sync-service: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
}

static _Noreturn void fail_bits(const char *what)
{
        say("%s: %s (0x%08X)", what, bits_error_message(), bits_error_code());
        exit(EXIT_FAILURE);
}

/* ---- the identity of one thread ---- */

typedef struct identity {
        uid_t uid;
        gid_t gid;
        gid_t groups[MOST_GROUPS];
        int n_groups;
} identity;

static void look_up(const char *name, identity *ret)
{
        const struct passwd *user = getpwnam(name);

        *ret = (identity){ .n_groups = MOST_GROUPS };
        if (!user || getgrouplist(name, user->pw_gid, ret->groups, &ret->n_groups) < 0) {
                say("there is no user '%s', or he is in too many groups", name);
                exit(EXIT_FAILURE);
        }
        ret->uid = user->pw_uid;
        ret->gid = user->pw_gid;
}

static void look_at_oneself(identity *ret)
{
        *ret = (identity){ .uid = geteuid(), .gid = getegid() };
        ret->n_groups = getgroups(MOST_GROUPS, ret->groups);
        if (ret->n_groups < 0) {
                say("cannot read the own groups: %s", strerror(errno));
                exit(EXIT_FAILURE);
        }
}

/* Effective ids alone, so that the way back stays open. Whoever has a user id that is not root's
   can change nothing else: hence the order, and none who fails halfway goes on. */
static void become(const identity *who, int back)
{
        if ((back && syscall(SYS_setresuid, -1, who->uid, -1) < 0) ||
            syscall(SYS_setgroups, who->n_groups, who->groups) < 0 ||
            syscall(SYS_setresgid, -1, who->gid, -1) < 0 ||
            (!back && syscall(SYS_setresuid, -1, who->uid, -1) < 0)) {
                say("cannot change the identity: %s", strerror(errno));
                abort();
        }
}

/* ---- the job ---- */

/* The rights on the helper are decided when its interface is asked for, as root; what is captured
   is who the thread is at the call in the middle. */
static int give_helper(bits_job *job, const identity *helper)
{
        bits_token_options *options;
        identity own;
        int r;

        if (bits_job_query_token_options(job, &options) < 0)
                return -1;

        look_at_oneself(&own);
        become(helper, 0);
        r = bits_token_options_set_helper_token(options);
        become(&own, 1);

        if (r >= 0)
                r = bits_token_options_set_helper_token_flags(options, BITS_TOKEN_NETWORK);
        bits_token_options_free(options);
        return r;
}

/* The job that an earlier run left, or NULL. */
static bits_job *find_job(bits_manager *m, const char *name)
{
        bits_job_list *list;
        bits_job *job = NULL;

        if (bits_manager_list_jobs(m, 0, &list) < 0)
                fail_bits("cannot list the jobs");
        for (size_t i = 0; i < bits_job_list_count(list); i++) {
                const bits_job_summary *summary = bits_job_list_get(list, i);

                if (strcmp(summary->display_name, name) != 0)
                        continue;
                if (bits_manager_get_job(m, summary->id, &job) < 0)
                        fail_bits("cannot open the job");
                say("going on with job %s", summary->id);
                break;
        }
        bits_job_list_free(list);
        return job;
}

static bits_job *make_job(bits_manager *m, const char *name, const char *url, const char *file)
{
        bits_job *job;

        if (bits_manager_create_job(m, name, BITS_JOB_DOWNLOAD, &job) < 0)
                fail_bits("cannot make a job");
        if (bits_job_add_file(job, url, file) < 0) {
                /* Said first: the next call has an error of its own. */
                say("cannot add the file: %s (0x%08X)", bits_error_message(), bits_error_code());
                (void)bits_job_cancel(job, NULL);
                exit(EXIT_FAILURE);
        }
        say("job %s", bits_job_id(job));
        return job;
}

/* The job lives on in a service that restarts; only the handle has ended. */
static bits_job *open_again(bits_manager *m, bits_job *job)
{
        bits_job *again = NULL;

        say("the service has restarted");
        for (int i = 0; i < PATIENCE_SECONDS; i++) {
                if (bits_manager_get_job(m, bits_job_id(job), &again) >= 0)
                        break;
                if (bits_error_code() != BITS_CODE_UNREACHABLE)
                        fail_bits("the job cannot be opened again");
                sleep(1);
        }
        if (!again)
                fail_bits("the service does not come back");
        bits_job_free(job);
        return again;
}

/* 1: the job may go on; 0: it is over, and has said why. */
static int repair(bits_job *job, const identity *helper)
{
        bits_job_error error;
        int required;

        if (bits_job_get_error(job, &error) < 0)
                return -1;
        required = error.code == BITS_CODE_TOKEN_REQUIRED;
        if (required)
                say("the helper's token is gone: a fresh one");
        else
                say("%s (0x%08X) %s %s", error.text, error.code, error.remote_name,
                    error.local_name);
        bits_job_error_done(&error);

        if (!required) {
                (void)bits_job_cancel(job, NULL); /* nobody would look after it */
                return 0;
        }
        if (give_helper(job, helper) < 0 || bits_job_resume(job) < 0)
                return -1;
        return 1;
}

/* One step from wherever the job stands. 1: go on; 0: over, *ret_done says how; negative: the
   library failed. */
static int step(bits_job *job, const identity *helper, int *ret_done)
{
        bits_job_state state;

        if (bits_job_wait(job, UINT64_MAX, &state) < 0)
                return -1;
        switch (state) {
        case BITS_STATE_SUSPENDED: /* it is new, or an earlier run got no further */
                return give_helper(job, helper) < 0 || bits_job_resume(job) < 0 ? -1 : 1;
        case BITS_STATE_ERROR:
                return repair(job, helper);
        case BITS_STATE_TRANSFERRED:
                if (bits_job_complete(job, NULL) < 0)
                        return -1;
                *ret_done = 1;
                return 0;
        case BITS_STATE_ACKNOWLEDGED:
        case BITS_STATE_CANCELLED:
        case BITS_STATE_QUEUED:
        case BITS_STATE_CONNECTING:
        case BITS_STATE_TRANSFERRING:
        case BITS_STATE_TRANSIENT_ERROR:
                break;
        }
        say("somebody else made the job %s", bits_job_state_name(state));
        return 0;
}

int main(int argc, char **argv)
{
        char name[256]; /* a display name has at most that many characters */
        bits_manager *m;
        identity helper;
        int r, done = 0;

        if (argc != 4) {
                fprintf(stderr, "usage: sync-service URL FILE USER\n");
                return 2;
        }
        look_up(argv[3], &helper);
        if (snprintf(name, sizeof name, "sync-service %s", argv[2]) >= (int)sizeof name) {
                say("the path is too long");
                return 2;
        }

        if (bits_manager_open(&m) < 0)
                fail_bits("no service");
        bits_job *job = find_job(m, name);
        if (!job)
                job = make_job(m, name, argv[1], argv[2]);

        while ((r = step(job, &helper, &done)) != 0)
                if (r < 0) {
                        if (bits_error_code() != BITS_CODE_UNREACHABLE)
                                fail_bits("the job cannot go on");
                        job = open_again(m, job);
                }

        if (done)
                printf("%s\n", argv[2]);
        bits_job_free(job);
        bits_manager_close(m);
        return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
