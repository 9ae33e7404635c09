/*
 * The store: jobs and files in SQLite (WAL, synchronous=FULL), the only module with SQL.
 *
 * Objects are marked when they change and written together by store_commit(), one transaction for
 * all of them. What a reply promises is marked STORE_PROMISED and committed before the reply goes
 * out (turn.h); progress is STORE_LAZY and may wait for a second. A commit that fails leaves every
 * mark in place: nothing is forgotten, the next commit tries again.
 */
#pragma once

#include "core/credentials.h"
#include "core/job.h"

typedef struct Store Store;
typedef struct ServiceClock ServiceClock;

typedef enum StoreUrgency {
        STORE_LAZY,
        STORE_PROMISED,
} StoreUrgency;

/* Opens or creates DIR/jobs.sqlite. A database that cannot be read is set aside under a name that
   says so, never deleted, and a new one begun. 0 or -errno. */
int store_open(const char *directory, Store **ret);
void store_close(Store *store);
/* The newest database that was set aside, now or by an earlier start, and is still there; NULL:
   none. */
const char *store_set_aside(const Store *store);
DEFINE_CLEANUP(Store, store_close);

/* The job's credentials, which it holds sealed. Reading: release with credentials_done(). Writing
   changes the job in memory; the caller marks it. As file: basic/secret.h's, for a worker; -ENODATA
   when there are none. -EMSGSIZE: more than CREDENTIALS_BYTES_MAX. All: -errno, after a line in the
   log, when they cannot be opened or sealed. */
int store_read_credentials(Store *store, const Job *job, Credentials *ret);
int store_write_credentials(Store *store, Job *job, const Credentials *credentials);
int store_credentials_to_fd(Store *store, const Job *job);

/* What seals the jobs' other secrets. */
struct Vault *store_vault(Store *store);

/* Calls on_job for every stored job, files attached; the callee owns the job. 0 or -errno. */
int store_load(Store *store, int (*on_job)(void *userdata, Job *job), void *userdata);

void store_mark_job(Store *store, Job *job, StoreUrgency urgency);
/* A file that is part of a job; a new one is inserted with its job. */
void store_mark_file(Store *store, File *file, StoreUrgency urgency);
/* The job leaves the queue; forgets every mark of it. Its files go with it. */
void store_remove_job(Store *store, Job *job);
/* The job is final, but its row stays as it is now; its files may go. */
void store_keep_job(Store *store, Job *job);

/* A file that was never committed leaves its job again; the caller frees it. */
void store_forget_file(Store *store, File *file);

/* All that the store keeps of it, as it is now, in an object that is good for recalling and freeing
   only. Recalling: the object is as it was then, and the memory has what it was meanwhile; the
   numbers of the job are its files' again. Nothing else may have changed it in between. 0 or
   -ENOMEM. */
int store_remember_job(const Job *job, Job **ret);
void store_recall_job(Job *job, Job *memory);
int store_remember_file(const File *file, File **ret);
void store_recall_file(File *file, File *memory);

/* The clock of the service (service-clock.h), which the store carries over restarts: each commit
   notes where it is. store_note_clock(): the next one, even if nothing else is marked. */
const ServiceClock *store_clock(const Store *store);
void store_note_clock(Store *store);

/* True when something promised waits for store_commit(), or anything at all. */
bool store_has_promises(const Store *store);
bool store_is_dirty(const Store *store);
/* 0 or -errno (-ENOSPC, -EIO …): then nothing was written and all marks stay. */
int store_commit(Store *store);
