#include "manager/jobs.h"

#include "basic/log.h"
#include "basic/tally.h"
#include "core/policy.h"

#include <search.h>

struct JobTable {
        void *by_id;            /* tsearch over Job */
        Tally counts, finished; /* per owner */
        struct JobList jobs;
        struct JobList retired;
        size_t n_jobs;
};

static int compare_ids(const void *a, const void *b)
{
        return strcmp(((const Job *)a)->id, ((const Job *)b)->id);
}

int job_table_new(JobTable **ret)
{
        JobTable *table = calloc(1, sizeof(*table));

        if (!table)
                return -ENOMEM;
        TAILQ_INIT(&table->jobs);
        TAILQ_INIT(&table->retired);
        *ret = table;
        return 0;
}

static void free_list(struct JobList *list)
{
        Job *job;

        while ((job = TAILQ_FIRST(list))) {
                TAILQ_REMOVE(list, job, table_entries);
                job_free(job);
        }
}

/* The lists own the jobs, the tree only finds them. */
static void forget(void *job)
{
        (void)job;
}

void job_table_free(JobTable *table)
{
        if (!table)
                return;
        tdestroy(table->by_id, forget);
        tally_done(&table->counts);
        tally_done(&table->finished);
        free_list(&table->jobs);
        free_list(&table->retired);
        free(table);
}

/* POL-207: before somebody is refused. */
static void warn_of_limits(const JobTable *table, uid_t owner)
{
        uint32_t per_user = policy_limit(LIMIT_JOBS_PER_USER, owner);
        uint32_t per_machine = policy_limit(LIMIT_JOBS_PER_MACHINE, owner);

        size_t n = tally_get(&table->counts, owner);

        if (policy_limit_is_near(per_user, n - 1, n))
                log_warning("uid %u has %zu of at most %u jobs", (unsigned)owner, n, per_user);
        if (policy_limit_is_near(per_machine, table->n_jobs - 1, table->n_jobs))
                log_warning("the machine has %zu of at most %u jobs", table->n_jobs, per_machine);
}

int job_table_add(JobTable *table, Job *job)
{
        if (tally_up(&table->counts, job->owner) < 0)
                return -ENOMEM;
        if (!tsearch(job, &table->by_id, compare_ids)) {
                tally_down(&table->counts, job->owner);
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&table->jobs, job, table_entries);
        table->n_jobs++;
        warn_of_limits(table, job->owner);
        return 0;
}

void job_table_remove(JobTable *table, Job *job)
{
        (void)tdelete(job, &table->by_id, compare_ids);
        TAILQ_REMOVE(&table->jobs, job, table_entries);
        table->n_jobs--;
        tally_down(&table->counts, job->owner);
}

/* HND-11: gone from the list, still there for those who hold it. */
void job_table_retire(JobTable *table, Job *job)
{
        assert(job_state_is_final(job->state));
        TAILQ_REMOVE(&table->jobs, job, table_entries);
        TAILQ_INSERT_TAIL(&table->retired, job, table_entries);
        table->n_jobs--;
        tally_down(&table->counts, job->owner);
        /* LIM-33: those who hold it may read on; the files of a few are enough. */
        if (tally_get(&table->finished, job->owner) >=
                    policy_limit(LIMIT_FINISHED_PER_USER, job->owner) ||
            tally_up(&table->finished, job->owner) < 0)
                job_forget_files(job);
        else
                job->counted_finished = true;
}

int job_table_reserve(JobTable *table, uid_t owner)
{
        return tally_up(&table->counts, owner);
}

void job_table_unreserve(JobTable *table, uid_t owner)
{
        tally_down(&table->counts, owner);
}

void job_table_release(JobTable *table, Job *job)
{
        if (!job_state_is_final(job->state) || job->engine || job->finish || job->farewell ||
            !TAILQ_EMPTY(&job->handles))
                return;
        (void)tdelete(job, &table->by_id, compare_ids);
        if (job->counted_finished)
                tally_down(&table->finished, job->owner);
        TAILQ_REMOVE(&table->retired, job, table_entries);
        job_free(job);
}

Job *job_table_find_any(const JobTable *table, const char *id)
{
        Job key;
        Job **found;

        strncpy(key.id, id, JOB_ID_CHARACTERS);
        key.id[JOB_ID_CHARACTERS] = 0;
        found = tfind(&key, &table->by_id, compare_ids);
        return found ? *found : NULL;
}

Job *job_table_find(const JobTable *table, const char *id)
{
        Job *job = job_table_find_any(table, id);

        return job && !job_state_is_final(job->state) ? job : NULL;
}

const struct JobList *job_table_list(const JobTable *table)
{
        return &table->jobs;
}

size_t job_table_count(const JobTable *table)
{
        return table->n_jobs;
}

size_t job_table_count_of(const JobTable *table, uid_t owner)
{
        return tally_get(&table->counts, owner);
}

const struct JobList *job_table_retired(const JobTable *table)
{
        return &table->retired;
}
