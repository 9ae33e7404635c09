/*
 * What a program may do and better did not: free the job that it waits for, close the manager while
 * it is told something, take everything along over a fork(), open jobs without end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (30 * 1000000ull)

static bits_job *started(bits_manager *manager, const char *url, const char *folder, int number)
{
        bits_job *job = new_job(manager);
        char path[4096];

        snprintf(path, sizeof(path), "%s/bad-%d", folder, number);
        CHECK(bits_job_add_file(job, url, path) == 0);
        return job;
}

static void free_it(bits_job *job, bits_event event, void *userdata)
{
        bool *freed = userdata;

        (void)event;
        *freed = true;
        bits_job_cancel(job, NULL);
        bits_job_free(job);
}

static int take_and_free_it(bits_job *job, bits_event event, void *userdata)
{
        free_it(job, event, userdata);
        return 0;
}

/* LIB-411: by a callback, and by a receiver, who says that he has taken the event. */
static void freed_while_waited_for(const char *url, const char *folder, bool by_receiver)
{
        bits_manager *manager = open_manager();
        bits_job *job = started(manager, url, folder, 8 + by_receiver);
        bool freed = false;

        if (by_receiver)
                CHECK(bits_job_set_receiver(job, take_and_free_it, &freed) == 0);
        else
                CHECK(bits_job_set_callback(job, free_it, &freed) == 0);
        CHECK(bits_job_resume(job) == 0);
        while (!freed && !failures) {
                int r = bits_job_wait(job, PATIENCE, NULL);

                /* The state may be there before the event: then it is told by the next call. */
                CHECK(r == 1 || (freed && bits_error_code() == BITS_CODE_INVALID_STATE));
                while (!freed && bits_manager_process(manager) > 0)
                        ;
        }
        CHECK(freed);
        bits_manager_close(manager);
}

static void close_it(bits_job *job, bits_event event, void *userdata)
{
        bits_manager **manager = userdata;

        (void)job, (void)event;
        bits_manager_close(*manager);
        *manager = NULL;
}

/* LIB-411: by the waited-for job's own news, and by another's. */
static void manager_closed_while_waiting(const char *url, const char *folder, bool own)
{
        bits_manager *manager = open_manager();
        bits_job *job = started(manager, url, folder, 2 + own);
        bits_job *other = started(manager, url, folder, 4 + own);

        CHECK(bits_job_set_callback(own ? job : other, close_it, &manager) == 0);
        CHECK(bits_job_set_priority(own ? job : other, BITS_PRIORITY_FOREGROUND) == 0);
        CHECK(bits_job_resume(other) == 0);
        CHECK(bits_job_resume(job) == 0);
        FAILS(bits_job_wait(job, PATIENCE, NULL), BITS_CODE_UNREACHABLE);
        CHECK(!manager);
        CHECK(bits_job_cancel(job, NULL) == 0 && bits_job_cancel(other, NULL) == 0);
        bits_job_free(job);
        bits_job_free(other);
}

static void count(bits_job *job, bits_event event, void *userdata)
{
        (void)job, (void)event;
        ++*(int *)userdata;
}

/* The child of forked(): what it brought along fails, what it opens itself works. */
static void child(bits_manager *manager, bits_job *job)
{
        bits_job_state state;
        char id[BITS_JOB_ID_SIZE];

        strcpy(id, bits_job_id(job));
        CHECK(bits_job_get_state(job, &state) < 0);
        CHECK(strstr(bits_error_message(), "fork"));
        CHECK(bits_manager_process(manager) < 0);
        bits_job_free(job);
        bits_manager_close(manager);

        manager = open_manager();
        CHECK(bits_manager_get_job(manager, id, &job) == 0);
        CHECK(bits_job_set_description(job, "by the child") == 0);
        bits_job_free(job);
        bits_manager_close(manager);
        fflush(stdout);
        _exit(failures > 0);
}

/* LIB-410: the parent hears what it waited for before, without having called anything. */
static void forked(void)
{
        bits_manager *manager = open_manager();
        bits_job *job = new_job(manager);
        int told = 0, status = 1;
        struct pollfd poller;
        pid_t pid;

        CHECK(bits_job_set_callback(job, count, &told) == 0);
        while (bits_manager_process(manager) > 0)
                ;
        told = 0;
        poller = (struct pollfd){ bits_manager_fd(manager), POLLIN, 0 };
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                child(manager, job);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(poll(&poller, 1, 10000) == 1);
        while (bits_manager_process(manager) > 0)
                ;
        CHECK(told > 0);
        CHECK(bits_job_cancel(job, NULL) == 0);
        bits_job_free(job);
        bits_manager_close(manager);
}

/* Objects in any order, and calls through those that are left. */
static void in_any_order(void)
{
        bits_manager *manager = open_manager();
        bits_job *job = new_job(manager);
        bits_http_options *http = NULL;
        bits_token_options *token = NULL;
        uint32_t flags;

        CHECK(bits_job_query_http_options(job, &http) == 0);
        CHECK(bits_job_query_token_options(job, &token) == 0);
        bits_manager_close(manager);
        CHECK(bits_job_cancel(job, NULL) == 0);
        bits_job_free(job);
        CHECK(bits_http_options_get_security_flags(http, &flags) == 0 && flags == 0);
        FAILS(bits_http_options_set_security_flags(http, 1), BITS_CODE_INVALID_STATE);
        bits_http_options_free(http);
        bits_token_options_free(token);
}

void bad_days(const char *url, const char *folder)
{
        freed_while_waited_for(url, folder, false);
        freed_while_waited_for(url, folder, true);
        manager_closed_while_waiting(url, folder, true);
        manager_closed_while_waiting(url, folder, false);
        forked();
        in_any_order();
}

/* LIB-413: how many objects of one job there are before somebody refuses another, and what he
   says; afterwards there is room again. */
void open_many(int wanted)
{
        bits_manager *manager = open_manager();
        bits_job *job = new_job(manager), **jobs = calloc((size_t)wanted, sizeof(*jobs));
        char id[BITS_JOB_ID_SIZE];
        int n = 0;

        if (!jobs)
                exit(2);
        strcpy(id, bits_job_id(job));
        while (n < wanted && bits_manager_get_job(manager, id, &jobs[n]) == 0)
                n++;
        printf("%d 0x%08X %s\n", n, n < wanted ? bits_error_code() : 0,
               n < wanted ? bits_error_message() : "");
        CHECK(bits_job_set_description(job, "still there") == 0);
        for (int i = 0; i < n; i++)
                bits_job_free(jobs[i]);
        free(jobs);
        CHECK(bits_job_cancel(job, NULL) == 0);
        bits_job_free(job);
        bits_manager_close(manager);
}
