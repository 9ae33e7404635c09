/*
 * The table of all jobs: owns them, finds them by id, counts them per user. A job that left the
 * queue stays here, unlisted, as long as somebody holds a handle to it.
 */
#pragma once

#include "core/job.h"

typedef struct JobTable JobTable;

TAILQ_HEAD(JobList, Job);

int job_table_new(JobTable **ret);
void job_table_free(JobTable *table);
DEFINE_CLEANUP(JobTable, job_table_free);

/* Takes the job; on -ENOMEM it stays the caller's. */
int job_table_add(JobTable *table, Job *job);
/* Takes that back, for a job that nobody has heard of; it is the caller's again. */
void job_table_remove(JobTable *table, Job *job);
/* The job left the queue: it counts no more and is listed no more. */
void job_table_retire(JobTable *table, Job *job);
/* A queued job changes its owner by job_take(): it counts for the new one from the first of these
   on, and no more for whom the second names: the old one, or, if nothing came of it, the new. 0 or
   -ENOMEM. */
int job_table_reserve(JobTable *table, uid_t owner);
void job_table_unreserve(JobTable *table, uid_t owner);
/* Frees a retired job that nobody holds or works on; any other call does nothing. */
void job_table_release(JobTable *table, Job *job);

/* By id text as job_id_parse() gives it. job_table_find() sees queued jobs only; _find_any() also
   retired ones that somebody still holds. */
Job *job_table_find(const JobTable *table, const char *id);
Job *job_table_find_any(const JobTable *table, const char *id);

/* In the order of creation. */
const struct JobList *job_table_list(const JobTable *table);
size_t job_table_count(const JobTable *table);
size_t job_table_count_of(const JobTable *table, uid_t owner);
const struct JobList *job_table_retired(const JobTable *table);
