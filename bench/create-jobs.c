/*
 * Makes jobs with the library, and says how long that took:
 *
 *     create-jobs JOBS FILES BATCH DIRECTORY     prints the seconds
 *
 * Each job has FILES files, each with a local name of its own in DIRECTORY. BATCH jobs are made in
 * one call; with 0 they are made one by one, as an application does that knows nothing of batches:
 * bits_manager_create_job() and one bits_job_add_files() for each.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "openbits.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct Plan {
        size_t jobs, files, batch;
        const char *directory;
} Plan;

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *text(const char *format, const char *where, size_t job, size_t file)
{
        char *result;

        if (asprintf(&result, format, where, job, file) < 0)
                errx(1, "out of memory");
        return result;
}

static bits_file_pair *make_pairs(const Plan *plan, size_t job)
{
        bits_file_pair *pairs = calloc(plan->files + 1, sizeof(*pairs));

        if (!pairs)
                errx(1, "out of memory");
        for (size_t i = 0; i < plan->files; i++) {
                pairs[i].remote_name = text("http://%s/pool/%zu/%zu", "mirror.invalid", job, i);
                pairs[i].local_name = text("%s/%zu-%zu", plan->directory, job, i);
        }
        return pairs;
}

static void create_one_by_one(bits_manager *manager, const bits_job_spec *specs, const Plan *plan)
{
        for (size_t i = 0; i < plan->jobs; i++) {
                bits_job *job;

                if (bits_manager_create_job(manager, specs[i].display_name, BITS_JOB_DOWNLOAD,
                                            &job) < 0 ||
                    (plan->files > 0 && bits_job_add_files(job, specs[i].files, plan->files) < 0))
                        errx(1, "job %zu: %s", i, bits_error_message());
                bits_job_free(job);
        }
}

static void create_in_batches(bits_manager *manager, const bits_job_spec *specs, const Plan *plan)
{
        for (size_t done = 0; done < plan->jobs; done += plan->batch) {
                size_t left = plan->jobs - done, count = left < plan->batch ? left : plan->batch;

                if (bits_manager_create_jobs(manager, specs + done, count, NULL) < 0)
                        errx(1, "after job %zu: %s", done, bits_error_message());
        }
}

int main(int argc, char **argv)
{
        Plan plan = { 0 };
        bits_manager *manager;
        bits_job_spec *specs;
        double begin;

        if (argc != 5)
                errx(2, "usage: create-jobs JOBS FILES BATCH DIRECTORY");
        plan = (Plan){ strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10),
                       strtoul(argv[3], NULL, 10), argv[4] };
        specs = calloc(plan.jobs + 1, sizeof(*specs));
        if (!specs)
                errx(1, "out of memory");
        for (size_t i = 0; i < plan.jobs; i++) {
                specs[i].display_name = text("%s %zu", "job", i, (size_t)0);
                specs[i].type = BITS_JOB_DOWNLOAD;
                specs[i].priority = BITS_PRIORITY_NORMAL;
                specs[i].files = make_pairs(&plan, i);
                specs[i].n_files = plan.files;
        }
        if (bits_manager_open(&manager) < 0)
                errx(1, "%s", bits_error_message());
        begin = now();
        (plan.batch ? create_in_batches : create_one_by_one)(manager, specs, &plan);
        printf("%.6f\n", now() - begin);
        bits_manager_close(manager); /* the rest ends with the process */
        return 0;
}
