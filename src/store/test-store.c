/*
 * The store: everything comes back, in order; a commit that fails loses nothing; a database that
 * cannot be read is kept for people.
 */
#include "store/service-clock.h"
#include "store/store.h"

#include "basic/clock.h"
#include "basic/macros.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

enum {
        MANY = 10000,
};

typedef struct Case {
        char directory[64], path[96];
        Store *store;
        Job **loaded;
        size_t n_loaded, room;
} Case;

static void open_case(Case *c)
{
        *c = (Case){ 0 };
        strcpy(c->directory, "/tmp/openbits-test-XXXXXX");
        assert_non_null(mkdtemp(c->directory));
        snprintf(c->path, sizeof(c->path), "%s/jobs.sqlite", c->directory);
        assert_int_equal(store_open(c->directory, &c->store), 0);
}

static void forget_loaded(Case *c)
{
        for (size_t i = 0; i < c->n_loaded; i++)
                job_free(c->loaded[i]);
        free(c->loaded);
        c->loaded = NULL;
        c->n_loaded = c->room = 0;
}

static int on_job(void *userdata, Job *job)
{
        Case *c = userdata;

        if (c->n_loaded == c->room) {
                c->room = c->room * 2 + 16;
                c->loaded = reallocarray(c->loaded, c->room, sizeof(*c->loaded));
        }
        c->loaded[c->n_loaded++] = job;
        return 0;
}

static void load(Case *c)
{
        forget_loaded(c);
        assert_int_equal(store_load(c->store, on_job, c), 0);
}

static void reopen(Case *c)
{
        store_close(c->store);
        assert_int_equal(store_open(c->directory, &c->store), 0);
        load(c);
}

/* Empties the directory; how many names began so. */
static unsigned clear_directory(const Case *c, const char *prefix)
{
        DIR *d = opendir(c->directory);
        struct dirent *entry;
        unsigned n = 0;

        assert_non_null(d);
        while ((entry = readdir(d))) {
                n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
                (void)unlinkat(dirfd(d), entry->d_name, 0);
        }
        closedir(d);
        return n;
}

static void close_case(Case *c)
{
        forget_loaded(c);
        store_close(c->store);
        (void)clear_directory(c, "-");
        assert_int_equal(rmdir(c->directory), 0);
}

static Job *make_job(uint32_t number)
{
        uint8_t random[JOB_ID_BYTES] = { 0 };
        Job *job;

        memcpy(random, &number, sizeof(number));
        assert_int_equal(job_new(random, 1000 + number % 7, JOB_DOWNLOAD, "name", number, &job), 0);
        return job;
}

static File *make_file(Job *job, const char *local)
{
        static const uint8_t random[NAME_RANDOM_BYTES] = { 1, 2, 3 };
        File *file;

        assert_int_equal(file_new("http://h/x", local, random, &file), 0);
        assert_int_equal(job_append_file(job, file), 0);
        return file;
}

static void execute(const Case *c, const char *sql)
{
        sqlite3 *db;

        assert_int_equal(sqlite3_open(c->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

/* The same while the store is closed, and opens it again. */
static void execute_closed(Case *c, const char *sql)
{
        store_close(c->store);
        c->store = NULL;
        execute(c, sql);
        assert_int_equal(store_open(c->directory, &c->store), 0);
        load(c);
}

static void fill_job(Job *job)
{
        job->owner = 4294967294u;
        job->type = JOB_UPLOAD;
        job->priority = PRIORITY_LOW;
        job->state = STATE_TRANSIENT_ERROR;
        job->pending = PENDING_CANCEL;
        free(job->display_name);
        job->display_name = strdup("näme 'quoted'");
        free(job->description);
        job->description = strdup("d");
        job->minimum_retry_delay = UINT32_MAX;
        job->no_progress_timeout = UINT32_MAX - 1;
        job->maximum_download_time = UINT32_MAX - 2;
        job->timers = (Timers){ 11, 12, 13, 14, 15, 16, 0, 0 };
        job->notify_flags = NOTIFY_FLAGS_ALL;
        job->file_acl_flags = COPY_FILE_OWNER | COPY_FILE_SACL;
        job->token_flags = TOKEN_FLAGS_ALL;
        job->created = 1;
        job->modified = 2;
        job->transfer_completed = 3;
        job->error_count = 4;
        job_set_fault(job, job->files[1], CONTEXT_LOCAL_FILE, BITS_E_DISK_FULL, "full");
}

static void fill_file(File *file)
{
        file->device = UINT64_MAX;
        file->inode = UINT64_MAX - 1;
        file->birth = UINT64_MAX - 2;
        file_set_total(file, 1u << 31);
        file_set_kept(file, 12345);
        assert_int_equal(file_set_version(file, "\"e\"", "Mon", true), 0);
        file->modification_time = 9;
        file->completed = true;
}

static void assert_jobs_equal(const Job *a, const Job *b)
{
        assert_string_equal(a->id, b->id);
        assert_int_equal(a->owner, b->owner);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->priority, b->priority);
        assert_int_equal(a->state, b->state);
        assert_int_equal(a->pending, b->pending);
        assert_string_equal(a->display_name, b->display_name);
        assert_string_equal(a->description, b->description);
        assert_int_equal(a->minimum_retry_delay, b->minimum_retry_delay);
        assert_int_equal(a->no_progress_timeout, b->no_progress_timeout);
        assert_int_equal(a->maximum_download_time, b->maximum_download_time);
        assert_memory_equal(&a->timers, &b->timers, sizeof(a->timers)); /* ENG-220 */
        assert_int_equal(a->notify_flags, b->notify_flags);
        assert_int_equal(a->file_acl_flags, b->file_acl_flags);
        assert_int_equal(a->token_flags, b->token_flags);
        assert_int_equal(a->created, b->created);
        assert_int_equal(a->modified, b->modified);
        assert_int_equal(a->transfer_completed, b->transfer_completed);
        assert_int_equal(a->error_count, b->error_count);
        assert_int_equal(a->fault.context, b->fault.context);
        assert_int_equal(a->fault.code, b->fault.code);
        assert_true(string_equal(a->fault.detail, b->fault.detail));
        assert_int_equal(a->fault_file, b->fault_file);
        assert_int_equal(a->n_files, b->n_files);
        assert_int_equal(a->n_transferred, b->n_transferred);
        assert_int_equal(a->bytes_written, b->bytes_written);
        assert_int_equal(job_bytes_total(a), job_bytes_total(b));
}

static void assert_files_equal(const File *a, const File *b)
{
        assert_string_equal(a->remote_name, b->remote_name);
        assert_string_equal(a->local_name, b->local_name);
        assert_string_equal(a->temporary_name, b->temporary_name);
        assert_true(a->device == b->device || (b->device == 0 && a->birth != 0)); /* FIL-220 */
        assert_int_equal(a->inode, b->inode);
        assert_int_equal(a->birth, b->birth);
        assert_int_equal(a->kept, b->kept);
        assert_int_equal(a->total, b->total);
        assert_true(string_equal(a->etag, b->etag));
        assert_true(string_equal(a->last_modified, b->last_modified));
        assert_int_equal(a->modification_time, b->modification_time);
        assert_int_equal(a->resumable, b->resumable);
        assert_int_equal(a->transferred, b->transferred);
        assert_int_equal(a->completed, b->completed);
        assert_int_equal(b->stored_written, a->kept);
        assert_int_equal(b->written, a->kept);
}

/* UPL-122: the session and the reply come back, and the reply is not one of the files. */
static void test_upload(void **state)
{
        static const uint8_t random[NAME_RANDOM_BYTES] = { 1 };
        Case c;
        Job *job = make_job(1), *found;

        (void)state;
        open_case(&c);
        job->type = JOB_UPLOAD_REPLY;
        make_file(job, "/a");
        assert_int_equal(upload_set_session(job, "{s}", "node", 17, "http://h/r", true), 0);
        assert_int_equal(upload_set_reply_name(job, "/r", random), 0);
        job->upload.source_known = true;
        job->upload.source_time = UINT64_MAX;
        job->upload.cancel_until = 99;
        assert_int_equal(upload_make_reply(job, random), 0);
        store_mark_job(c.store, job, STORE_PROMISED);
        for (size_t i = 0; i < 2; i++)
                store_mark_file(c.store, job_file(job, i), STORE_PROMISED);
        assert_int_equal(store_commit(c.store), 0);
        reopen(&c);
        assert_int_equal(c.n_loaded, 1);
        found = c.loaded[0];
        assert_int_equal(found->n_files, 1);
        assert_non_null(found->reply);
        assert_string_equal(found->reply->local_name, "/r");
        assert_string_equal(found->reply->remote_name, "http://h/r");
        assert_string_equal(found->upload.session, "{s}");
        assert_string_equal(found->upload.host, "node");
        assert_int_equal(found->upload.host_fallback, 17);
        assert_string_equal(found->upload.reply_url, "http://h/r");
        assert_string_equal(found->upload.reply_name, "/r");
        assert_true(found->upload.closing);
        assert_true(found->upload.source_known);
        assert_int_equal(found->upload.source_time, UINT64_MAX);
        assert_int_equal(found->upload.cancel_until, 99);
        job_free(job);
        close_case(&c);
}

/* A job whose every field is set, with two files, is on the disk. */
static void store_filled(Case *c, Job *job)
{
        fill_file(make_file(job, "/a"));
        file_set_transferred(make_file(job, "/b"), true);
        fill_job(job);
        store_mark_job(c->store, job, STORE_PROMISED);
        for (size_t i = 0; i < 2; i++)
                store_mark_file(c->store, job->files[i], STORE_PROMISED);
        assert_int_equal(store_commit(c->store), 0);
}

/* DUR-43: every field comes back; written, but not kept, does not. */
static void test_round_trip(void **state)
{
        Case c;
        Job *job = make_job(1);

        (void)state;
        open_case(&c);
        store_filled(&c, job);
        assert_int_equal(job->files[0]->stored_written, 12345);
        file_set_written(job->files[0], 20000);
        store_mark_file(c.store, job->files[0], STORE_LAZY);
        assert_int_equal(store_commit(c.store), 0);
        file_set_written(job->files[0], 12345);
        execute_closed(&c, "UPDATE facts SET value = 'another boot'");
        assert_int_equal(c.n_loaded, 1);
        assert_jobs_equal(job, c.loaded[0]);
        for (size_t i = 0; i < 2; i++)
                assert_files_equal(job->files[i], c.loaded[0]->files[i]);
        job_free(job);
        close_case(&c);
}

/* DUR-51: what was written but not synced counts while the machine is up, and only then: also when
   two starts follow a boot. */
static void test_unsynced_bytes(void **state)
{
        Case c;
        Job *job = make_job(1);
        File *file = make_file(job, "/a");

        (void)state;
        open_case(&c);
        file->device = 7;
        file->inode = 8;
        file->birth = 9;
        file_set_kept(file, 1000);
        file_set_written(file, 3000);
        store_mark_job(c.store, job, STORE_PROMISED);
        store_mark_file(c.store, file, STORE_LAZY);
        assert_int_equal(store_commit(c.store), 0);
        reopen(&c);
        assert_int_equal(c.loaded[0]->files[0]->kept, 1000);
        assert_int_equal(c.loaded[0]->files[0]->written, 3000);
        assert_int_equal(c.loaded[0]->files[0]->stored_written, 3000);
        assert_int_equal(c.loaded[0]->files[0]->device, 7);
        execute_closed(&c, "UPDATE facts SET value = 'another boot'");
        assert_int_equal(c.loaded[0]->files[0]->written, 1000);
        assert_int_equal(c.loaded[0]->files[0]->device, 0); /* FIL-220 */
        assert_int_equal(c.loaded[0]->files[0]->birth, 9);
        reopen(&c);
        assert_int_equal(c.loaded[0]->files[0]->written, 1000);
        job_free(job);
        close_case(&c);
}

/* DUR-44: marks: lazy ones promise nothing, a commit takes all of them together. */
static void test_marks(void **state)
{
        Case c;
        Job *a = make_job(1), *b = make_job(2);

        (void)state;
        open_case(&c);
        assert_false(store_is_dirty(c.store));
        store_mark_job(c.store, a, STORE_LAZY);
        store_mark_job(c.store, a, STORE_LAZY);
        assert_true(store_is_dirty(c.store));
        assert_false(store_has_promises(c.store));
        store_mark_job(c.store, b, STORE_PROMISED);
        assert_true(store_has_promises(c.store));
        assert_int_equal(store_commit(c.store), 0);
        assert_false(store_is_dirty(c.store));
        assert_false(store_has_promises(c.store));
        reopen(&c);
        assert_int_equal(c.n_loaded, 2);
        job_free(a);
        job_free(b);
        close_case(&c);
}

static void limit_file_size(rlim_t bytes)
{
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = bytes;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* DUR-45: a disk that takes no more: nothing is written, nothing is forgotten, the next commit
   writes all of it. The newest job was removed in the same breath: its row is not confused with the
   new one's. */
static void test_failed_commit(void **state)
{
        Case c;
        Job *old = make_job(1), *fresh = make_job(2);

        (void)state;
        open_case(&c);
        make_file(old, "/old");
        store_mark_job(c.store, old, STORE_PROMISED);
        store_mark_file(c.store, old->files[0], STORE_PROMISED);
        assert_int_equal(store_commit(c.store), 0);

        old->state = STATE_CANCELLED;
        store_remove_job(c.store, old);
        make_file(fresh, "/fresh");
        store_mark_job(c.store, fresh, STORE_PROMISED);
        store_mark_file(c.store, fresh->files[0], STORE_PROMISED);
        (void)signal(SIGXFSZ, SIG_IGN);
        limit_file_size(100);
        assert_true(store_commit(c.store) < 0);
        assert_true(store_commit(c.store) < 0);
        assert_true(store_has_promises(c.store));
        assert_int_equal(fresh->row, 0);
        assert_int_equal(fresh->files[0]->row, 0);
        limit_file_size(RLIM_INFINITY);
        assert_int_equal(store_commit(c.store), 0);
        reopen(&c);
        assert_int_equal(c.n_loaded, 1);
        assert_string_equal(c.loaded[0]->id, fresh->id);
        assert_int_equal(c.loaded[0]->n_files, 1);
        job_free(old);
        job_free(fresh);
        close_case(&c);
}

/* DUR-46: a removed job and its files are gone, and so are its marks. */
static void test_removal(void **state)
{
        Case c;
        Job *a = make_job(1), *b = make_job(2), *never = make_job(3);

        (void)state;
        open_case(&c);
        for (unsigned i = 0; i < 3; i++)
                store_mark_file(c.store, make_file(a, "/x"), STORE_PROMISED);
        store_mark_job(c.store, a, STORE_PROMISED);
        store_mark_job(c.store, b, STORE_PROMISED);
        store_mark_job(c.store, never, STORE_PROMISED);
        never->state = STATE_CANCELLED;
        store_remove_job(c.store, never);
        assert_int_equal(store_commit(c.store), 0);
        store_mark_file(c.store, a->files[1], STORE_PROMISED);
        a->state = STATE_ACKNOWLEDGED;
        store_remove_job(c.store, a);
        store_mark_job(c.store, a, STORE_PROMISED);
        job_free(a);
        job_free(never);
        assert_int_equal(store_commit(c.store), 0);
        reopen(&c);
        assert_int_equal(c.n_loaded, 1);
        assert_string_equal(c.loaded[0]->id, b->id);
        assert_int_equal(c.loaded[0]->n_files, 0);
        job_free(b);
        close_case(&c);
}

/* Of this process: whatever else the machine does meanwhile. */
static double seconds_since(const struct timespec *began)
{
        struct timespec now;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

/* DUR-47: ten thousand jobs come back in the order they were made, soon. */
static void test_many(void **state)
{
        Case c;
        Job **jobs = calloc(MANY, sizeof(*jobs));
        struct timespec began;
        double took;

        (void)state;
        open_case(&c);
        for (uint32_t i = 0; i < MANY; i++) {
                jobs[i] = make_job(i * 2654435761u);
                make_file(jobs[i], "/a");
                make_file(jobs[i], "/b");
                store_mark_job(c.store, jobs[i], STORE_PROMISED);
                store_mark_file(c.store, jobs[i]->files[0], STORE_PROMISED);
                store_mark_file(c.store, jobs[i]->files[1], STORE_PROMISED);
        }
        assert_int_equal(store_commit(c.store), 0);
        store_close(TAKE_PTR(c.store));
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
        assert_int_equal(store_open(c.directory, &c.store), 0);
        load(&c);
        took = seconds_since(&began);
        print_message("%d jobs with 2 files each: opened and loaded in %.0f ms\n", MANY,
                      took * 1e3);
        assert_true(took < 10);
        assert_int_equal(c.n_loaded, MANY);
        for (size_t i = 0; i < MANY; i++) {
                assert_string_equal(c.loaded[i]->id, jobs[i]->id);
                assert_string_equal(c.loaded[i]->files[1]->local_name, "/b");
                job_free(jobs[i]);
        }
        free(jobs);
        close_case(&c);
}

static void set_aside_after(void (*spoil)(const Case *c))
{
        Case c;
        Job *job = make_job(1);

        open_case(&c);
        store_mark_job(c.store, job, STORE_PROMISED);
        assert_int_equal(store_commit(c.store), 0);
        store_close(TAKE_PTR(c.store));
        spoil(&c);
        assert_int_equal(store_open(c.directory, &c.store), 0);
        load(&c);
        assert_int_equal(c.n_loaded, 0);
        job->row = 0;
        store_mark_job(c.store, job, STORE_PROMISED);
        assert_int_equal(store_commit(c.store), 0);
        job_free(job);
        forget_loaded(&c);
        store_close(TAKE_PTR(c.store));
        assert_true(clear_directory(&c, "jobs.sqlite.unreadable-") > 0);
        close_case(&c);
}

static void overwrite(const char *path, off_t offset, size_t size)
{
        char noise[4096];
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        memset(noise, 0xA5, sizeof(noise));
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, noise, size, offset), size);
        close(fd);
}

static void spoil_header(const Case *c)
{
        overwrite(c->path, 0, 512);
}

/* The table of jobs is unreadable, although the database opens. */
static void spoil_page(const Case *c)
{
        overwrite(c->path, 4096, 4096);
}

/* DUR-48: what cannot be read is set aside, and the service begins anew. */
static void test_unreadable(void **state)
{
        (void)state;
        set_aside_after(spoil_header);
        set_aside_after(spoil_page);
}

/* DUR-56: what an earlier version wrote is brought to this one, with its values, once. */
static void test_earlier_version(void **state)
{
        Case c;
        Job *job = make_job(7);

        (void)state;
        open_case(&c);
        store_filled(&c, job);
        execute_closed(&c, "PRAGMA user_version = 1");
        reopen(&c);
        assert_int_equal(c.n_loaded, 1);
        assert_jobs_equal(job, c.loaded[0]);
        for (size_t i = 0; i < 2; i++)
                assert_files_equal(job->files[i], c.loaded[0]->files[i]);
        job_free(job);
        close_case(&c);
}

/* DUR-394: nothing starts with it, and it is as it was. */
static void test_later_version(void **state)
{
        Case c;
        Job *job = make_job(1);

        (void)state;
        open_case(&c);
        store_mark_job(c.store, job, STORE_PROMISED);
        assert_int_equal(store_commit(c.store), 0);
        store_close(TAKE_PTR(c.store));
        execute(&c, "PRAGMA user_version = 4711");
        assert_int_equal(store_open(c.directory, &c.store), -EPROTONOSUPPORT);
        execute(&c, "PRAGMA user_version = 2");
        assert_int_equal(store_open(c.directory, &c.store), 0);
        assert_null(store_set_aside(c.store));
        load(&c);
        assert_int_equal(c.n_loaded, 1);
        assert_jobs_equal(job, c.loaded[0]);
        job_free(job);
        close_case(&c);
}

/* DUR-49: one row that makes no sense is left out; the other jobs are there, each with its files.
   */
static void test_senseless_row(void **state)
{
        static const char *const rows[] = {
                "UPDATE jobs SET state = 99 WHERE row = 1",
                "UPDATE jobs SET pending = 99 WHERE row = 1",
                "UPDATE jobs SET token_flags = 99 WHERE row = 1",
                "UPDATE jobs SET fault_context = 99 WHERE row = 1",
                "UPDATE jobs SET id = 'x' WHERE row = 1",
                "UPDATE files SET wanted = 'nonsense' WHERE job = 1",
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Case c;
                Job *a = make_job(1), *b = make_job(2);

                open_case(&c);
                make_file(a, "/a");
                make_file(b, "/b");
                store_mark_job(c.store, a, STORE_PROMISED);
                store_mark_job(c.store, b, STORE_PROMISED);
                store_mark_file(c.store, a->files[0], STORE_PROMISED);
                store_mark_file(c.store, b->files[0], STORE_PROMISED);
                assert_int_equal(store_commit(c.store), 0);
                store_close(TAKE_PTR(c.store));
                execute(&c, rows[i]);
                assert_int_equal(store_open(c.directory, &c.store), 0);
                load(&c);
                assert_int_equal(c.n_loaded, 1);
                assert_int_equal(c.loaded[0]->n_files, 1);
                assert_string_equal(c.loaded[0]->files[0]->local_name, "/b");
                job_free(a);
                job_free(b);
                close_case(&c);
        }
}

static void assert_clock_at(const Case *c, uint64_t point, uint64_t began)
{
        uint64_t now = service_clock_now(store_clock(c->store));

        assert_in_range(now, point, point + clock_usec(CLOCK_BOOTTIME) - began);
        assert_true(service_clock_to_boottime(store_clock(c->store), 0) > 0);
}

/* ENG-223: it begins with no 0, goes on where it was, and believes no nonsense. */
static void test_clock(void **state)
{
        uint64_t began = clock_usec(CLOCK_BOOTTIME);
        Case c;

        (void)state;
        open_case(&c);
        assert_clock_at(&c, 1000000, began);
        execute_closed(&c, "REPLACE INTO facts VALUES ('clock', '77000000000')");
        assert_clock_at(&c, 77000000000, began);
        store_close(c.store);
        assert_int_equal(store_open(c.directory, &c.store), 0);
        assert_clock_at(&c, 77000000000, began);
        execute_closed(&c, "REPLACE INTO facts VALUES ('clock', '-5')");
        assert_clock_at(&c, 1000000, began);
        execute_closed(&c, "REPLACE INTO facts VALUES ('clock', 'noon')");
        assert_clock_at(&c, 1000000, began);
        close_case(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_unsynced_bytes),
                cmocka_unit_test(test_marks),           cmocka_unit_test(test_failed_commit),
                cmocka_unit_test(test_removal),         cmocka_unit_test(test_many),
                cmocka_unit_test(test_unreadable),      cmocka_unit_test(test_later_version),
                cmocka_unit_test(test_earlier_version), cmocka_unit_test(test_senseless_row),
                cmocka_unit_test(test_clock),           cmocka_unit_test(test_upload),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
