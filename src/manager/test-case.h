/*
 * A job under the engine and the finisher, for tests, with a broker and workers played by the test:
 * what the job asks of them, step by step, and what it tells.
 */
#pragma once

#include "manager/finish.h"
#include "manager/test-resume.h"
#include "manager/waiting.h"
#include "workers/test-world.h"

#include "basic/clock.h"

enum {
        BYTES = 1000,
        NO_ANSWER = 1, /* a BitsCode that nobody answers with */
};

typedef struct Case {
        World w;
        Store *store;
        Turn *turn;
        JobTable *jobs;
        Engine *engine;
        Finisher *finisher;
        Job *job;
        int local, net;
        unsigned n_transferred, n_errors, n_files, n_removed, n_stopped;
        BitsCode answer;
        NetStart start;
        uint32_t serial;
} Case;

static inline void on_modified(void *userdata, Job *job)
{
        (void)userdata;
        (void)job;
}

static inline void on_transferred(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_transferred++;
}

static inline void on_error(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_errors++;
}

static inline void on_file_transferred(void *userdata, Job *job, const File *file)
{
        (void)job;
        (void)file;
        ((Case *)userdata)->n_files++;
}

static inline void on_inactive(void *userdata, Job *job)
{
        finisher_expire(((Case *)userdata)->finisher, job);
}

static inline void on_removed(void *userdata, Job *job, bool known)
{
        (void)known;
        (void)job;
        ((Case *)userdata)->n_removed++;
}

static inline void on_finished(void *userdata, BitsCode code, const char *detail)
{
        (void)detail;
        ((Case *)userdata)->answer = code;
}

static inline void on_stopped(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_stopped++;
}

static inline void add_file(Case *c, const char *name)
{
        static const uint8_t random[NAME_RANDOM_BYTES];
        File *file;

        assert_int_equal(file_new("http://h/f", name, random, &file), 0);
        assert_int_equal(job_append_file(c->job, file), 0);
        store_mark_file(c->store, file, STORE_PROMISED);
}

static inline void open_case(Case *c, unsigned n_files)
{
        static const EngineListener engine_listener = {
                .on_modified = on_modified,
                .on_transferred = on_transferred,
                .on_error = on_error,
                .on_file_transferred = on_file_transferred,
                .on_inactive = on_inactive,
        };
        static const FinisherListener finisher_listener = { on_removed };
        static const char *const names[] = { "/srv/a", "/srv/b", "/srv/c" };
        static const uint8_t random[JOB_ID_BYTES] = { 1 };

        *c = (Case){ .local = -EBADF, .net = -EBADF, .answer = NO_ANSWER };
        world_open(&c->w);
        assert_int_equal(store_open(c->w.directory, &c->store), 0);
        assert_int_equal(turn_new(c->w.event, c->store, &c->turn), 0);
        assert_int_equal(job_table_new(&c->jobs), 0);
        assert_int_equal(engine_new(c->w.event, c->w.pool, c->store, c->turn, &engine_listener, c,
                                    &c->engine),
                         0);
        assert_int_equal(finisher_new(c->engine, c->w.pool, c->store, c->turn, c->jobs,
                                      &finisher_listener, c, &c->finisher),
                         0);
        assert_int_equal(job_new(random, WORLD_OWNER, JOB_DOWNLOAD, "j", 1, &c->job), 0);
        assert_int_equal(job_table_add(c->jobs, c->job), 0);
        store_mark_job(c->store, c->job, STORE_PROMISED);
        for (unsigned i = 0; i < n_files; i++)
                add_file(c, names[i]);
        assert_int_equal(engine_adopt(c->engine, c->job), 0);
        assert_int_equal(turn_commit(c->turn), 0);
}

static inline void close_case(Case *c)
{
        Job *job = TAILQ_FIRST(job_table_list(c->jobs));

        turn_free(c->turn);
        if (job) {
                finisher_abandon(job);
                engine_release(c->engine, job);
        }
        finisher_free(c->finisher);
        engine_free(c->engine);
        fd_close(c->local);
        fd_close(c->net);
        store_close(c->store);
        worker_pool_free(TAKE_PTR(c->w.pool));
        job_table_free(c->jobs);
        world_close(&c->w);
}

static inline void resume(Case *c)
{
        resume_job(c->engine, c->job);
}

static inline BitsCode complete(Case *c)
{
        int error;

        return finisher_complete(c->finisher, c->job, on_finished, c, &error);
}

static inline BitsCode cancel(Case *c)
{
        int error;

        return finisher_cancel(c->finisher, c->job, on_finished, c, &error);
}

static inline void expect_local(Case *c, uint16_t type)
{
        if (c->local < 0)
                c->local = world_start_worker(&c->w, WORKER_FILE);
        world_expect(&c->w, c->local, type);
        c->serial = c->w.in.serial;
}

static inline void answer_open(Case *c, uint64_t inode, uint64_t size)
{
        FileOpened opened = { .fresh = size == 0, .device = 1, .inode = inode, .size = size };
        int fd = memfd_create("file", MFD_CLOEXEC);

        opened.file.items[opened.file.count++] = fd;
        file_opened_write(&c->w.out, c->serial, &opened);
        world_send(&c->w, c->local);
        fd_close(fd);
}

static inline void open_next(Case *c, uint64_t inode)
{
        expect_local(c, MESSAGE_FILE_OPEN);
        answer_open(c, inode, 0);
}

static inline void expect_start(Case *c)
{
        if (c->net < 0)
                c->net = world_start_worker(&c->w, WORKER_NET);
        world_expect(&c->w, c->net, MESSAGE_NET_START);
        assert_int_equal(net_start_read(&c->w.in, &c->start), 0);
        fd_close(c->start.file);
}

static inline void send_started(Case *c)
{
        net_started_write(&c->w.out, 0,
                          &(NetStarted){ .transfer = c->start.transfer,
                                         .status = 200,
                                         .offset = c->start.offset,
                                         .total = BYTES,
                                         .etag = "\"v1\"",
                                         .resumable = 1 });
        world_send(&c->w, c->net);
}

/* The first file of a job that has rested is on its way. */
static inline void start_first(Case *c, uint64_t inode)
{
        resume(c);
        open_next(c, inode);
        expect_start(c);
        send_started(c);
}

static inline void send_done(Case *c, NetOutcome outcome, uint64_t written, BitsCode code)
{
        net_done_write(&c->w.out, 0,
                       &(NetDone){ .transfer = c->start.transfer,
                                   .outcome = outcome,
                                   .context = outcome == NET_FAILED ? CONTEXT_REMOTE_FILE : 0,
                                   .code = code,
                                   .written = written });
        world_send(&c->w, c->net);
}

static inline void sync_next(Case *c)
{
        FileSync sync;
        FileSynced synced = { 0 };

        expect_local(c, MESSAGE_FILE_SYNC);
        assert_int_equal(file_sync_read(&c->w.in, &sync), 0);
        for (unsigned i = 0; i < sync.files.count; i++)
                fd_close(sync.files.items[i]);
        synced.errors.count = sync.files.count;
        file_synced_write(&c->w.out, c->serial, &synced);
        world_send(&c->w, c->local);
}

/* The file that waits to be opened arrives. */
static inline void fetch_whole(Case *c, uint64_t inode)
{
        open_next(c, inode);
        expect_start(c);
        send_started(c);
        send_done(c, NET_COMPLETE, BYTES, 0);
        sync_next(c);
}

static inline void fail_fetch(Case *c, uint64_t inode, BitsCode code)
{
        open_next(c, inode);
        expect_start(c);
        send_done(c, NET_FAILED, 0, code);
}

static inline void answer_result(Case *c, uint32_t error)
{
        file_result_write(&c->w.out, c->serial, &(FileResult){ .error = error });
        world_send(&c->w, c->local);
}

/* A job with files that are all transferred. */
static inline void open_transferred(Case *c, unsigned n_files)
{
        open_case(c, n_files);
        for (unsigned i = 0; i < n_files; i++) {
                File *file = c->job->files[i];

                file->device = 1;
                file->inode = 10 + i;
                file_set_total(file, BYTES);
                file_set_kept(file, BYTES);
                file_set_transferred(file, true);
                store_mark_file(c->store, file, STORE_PROMISED);
        }
        resume(c);
        assert_int_equal(c->job->state, STATE_TRANSFERRED);
        assert_int_equal(c->n_transferred, 1);
        assert_int_equal(turn_commit(c->turn), 0);
}

static inline void expect_commit(Case *c, const char *name)
{
        FileCommit commit;

        expect_local(c, MESSAGE_FILE_COMMIT);
        assert_int_equal(file_commit_read(&c->w.in, &commit), 0);
        assert_string_equal(commit.local_name, name);
}
