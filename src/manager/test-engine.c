/*
 * Jobs under the engine and the finisher, with a broker and workers played by the test: turns,
 * failures, delays, holding, other identities, and the many steps of Complete.
 */
#include "manager/finish.h"
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

static void on_modified(void *userdata, Job *job)
{
        (void)userdata;
        (void)job;
}

static void on_transferred(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_transferred++;
}

static void on_error(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_errors++;
}

static void on_file_transferred(void *userdata, Job *job, const File *file)
{
        (void)job;
        (void)file;
        ((Case *)userdata)->n_files++;
}

static void on_inactive(void *userdata, Job *job)
{
        finisher_expire(((Case *)userdata)->finisher, job);
}

static void on_removed(void *userdata, Job *job, bool known)
{
        (void)known;
        (void)job;
        ((Case *)userdata)->n_removed++;
}

static void on_finished(void *userdata, BitsCode code, const char *detail)
{
        (void)detail;
        ((Case *)userdata)->answer = code;
}

static void on_stopped(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_stopped++;
}

static void add_file(Case *c, const char *name)
{
        static const uint8_t random[6];
        File *file;

        assert_int_equal(file_new("http://h/f", name, random, &file), 0);
        assert_int_equal(job_append_file(c->job, file), 0);
        store_mark_file(c->store, file, STORE_PROMISED);
}

static void open_case(Case *c, unsigned n_files)
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

static void close_case(Case *c)
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

static void resume(Case *c)
{
        QueueMove move;

        assert_int_equal(engine_resume(c->engine, c->job, &move), 0);
        engine_follow(c->engine, c->job, &move);
}

static BitsCode complete(Case *c)
{
        int error;

        return finisher_complete(c->finisher, c->job, on_finished, c, &error);
}

static BitsCode cancel(Case *c)
{
        int error;

        return finisher_cancel(c->finisher, c->job, on_finished, c, &error);
}

static void expect_local(Case *c, uint16_t type)
{
        if (c->local < 0)
                c->local = world_start_worker(&c->w, WORKER_FILE);
        world_expect(&c->w, c->local, type);
        c->serial = c->w.in.serial;
}

static void answer_open(Case *c, uint64_t inode, uint64_t size)
{
        FileOpened opened = { .fresh = size == 0, .device = 1, .inode = inode, .size = size };
        int fd = memfd_create("file", MFD_CLOEXEC);

        opened.file.items[opened.file.count++] = fd;
        file_opened_write(&c->w.out, c->serial, &opened);
        world_send(&c->w, c->local);
        fd_close(fd);
}

static void open_next(Case *c, uint64_t inode)
{
        expect_local(c, MESSAGE_FILE_OPEN);
        answer_open(c, inode, 0);
}

static void expect_start(Case *c)
{
        if (c->net < 0)
                c->net = world_start_worker(&c->w, WORKER_NET);
        world_expect(&c->w, c->net, MESSAGE_NET_START);
        assert_int_equal(net_start_read(&c->w.in, &c->start), 0);
        fd_close(c->start.file);
}

static void send_started(Case *c)
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

static void send_done(Case *c, NetOutcome outcome, uint64_t written, BitsCode code)
{
        net_done_write(&c->w.out, 0,
                       &(NetDone){ .transfer = c->start.transfer,
                                   .outcome = outcome,
                                   .context = outcome == NET_FAILED ? CONTEXT_REMOTE_FILE : 0,
                                   .code = code,
                                   .written = written });
        world_send(&c->w, c->net);
}

static void sync_next(Case *c)
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
static void fetch_whole(Case *c, uint64_t inode)
{
        open_next(c, inode);
        expect_start(c);
        send_started(c);
        send_done(c, NET_COMPLETE, BYTES, 0);
        sync_next(c);
}

static void fail_fetch(Case *c, uint64_t inode, BitsCode code)
{
        open_next(c, inode);
        expect_start(c);
        send_done(c, NET_FAILED, 0, code);
}

static void answer_result(Case *c, uint32_t error)
{
        file_result_write(&c->w.out, c->serial, &(FileResult){ .error = error });
        world_send(&c->w, c->local);
}

/* A job with files that are all transferred. */
static void open_transferred(Case *c, unsigned n_files)
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

static void expect_commit(Case *c, const char *name)
{
        FileCommit commit;

        expect_local(c, MESSAGE_FILE_COMMIT);
        assert_int_equal(file_commit_read(&c->w.in, &commit), 0);
        assert_string_equal(commit.local_name, name);
}

/* ENG-43: from resumed to transferred, told once. */
static void test_whole_job(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        resume(&c);
        open_next(&c, 7);
        expect_start(&c);
        assert_int_equal(c.job->state, STATE_CONNECTING);
        send_started(&c);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRING);
        send_done(&c, NET_COMPLETE, BYTES, 0);
        sync_next(&c);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRED);
        assert_int_equal(c.n_transferred, 1);
        assert_int_equal(c.n_files, 1);
        assert_int_equal(c.n_errors, 0);
        close_case(&c);
}

/* ENG-44: a transient error is tried again after the delay; a fatal one is not; resume forgets. */
static void test_failures(void **state)
{
        _cleanup_free_ char *reason = NULL;
        Case c;

        (void)state;
        open_case(&c, 1);
        c.job->minimum_retry_delay = 1;
        resume(&c);
        fail_fetch(&c, 7, BITS_E_CANNOT_CONNECT);
        world_wait_for(&c.w, c.job->state == STATE_TRANSIENT_ERROR);
        assert_int_equal(c.job->fault.code, BITS_E_CANNOT_CONNECT);
        assert_int_equal(c.n_errors, 0);
        reason = waiting_sentence(c.engine, c.job);
        assert_non_null(strstr(reason, "tried again in"));
        assert_int_equal(engine_wait_kind(c.engine, c.job), WAIT_RETRY); /* JOB-224 */
        assert_true(engine_next_attempt(c.engine, c.job) > clock_usec(CLOCK_REALTIME));
        world_wait_for(&c.w, c.job->state == STATE_CONNECTING);
        fail_fetch(&c, 8, BITS_E_HTTP(404));
        world_wait_for(&c.w, c.job->state == STATE_ERROR);
        assert_int_equal(c.n_errors, 1);
        assert_int_equal(c.job->error_count, 2);
        resume(&c);
        fetch_whole(&c, 9);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRED);
        close_case(&c);
}

/* ENG-45: with no progress for the timeout, the transient error becomes a fatal one; with a timeout
   of 0 every error is fatal. */
static void test_no_progress(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        c.job->minimum_retry_delay = 1;
        c.job->no_progress_timeout = 1;
        resume(&c);
        fail_fetch(&c, 7, BITS_E_CANNOT_CONNECT);
        world_wait_for(&c.w, c.job->state == STATE_TRANSIENT_ERROR);
        world_wait_for(&c.w, c.job->state == STATE_ERROR);
        assert_int_equal(c.n_errors, 1);
        c.job->no_progress_timeout = 0;
        resume(&c);
        fail_fetch(&c, 8, BITS_E_CANNOT_CONNECT);
        world_wait_for(&c.w, c.job->state == STATE_ERROR);
        assert_int_equal(c.n_errors, 2);
        close_case(&c);
}

/* JOB-223, JOB-225: the time that a job may take ends it, also in the middle of a transfer; Resume
   gives it anew. */
static void test_download_time(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        assert_int_equal(engine_download_time(c.engine, c.job), 7776000);
        c.job->maximum_download_time = 1;
        resume(&c);
        open_next(&c, 7);
        expect_start(&c);
        send_started(&c);
        world_wait_for(&c.w, c.job->state == STATE_ERROR);
        assert_int_equal(c.job->fault.code, BG_E_MAXDOWNLOAD_TIMEOUT);
        assert_int_equal(c.n_errors, 1);
        assert_int_equal(engine_next_attempt(c.engine, c.job), 0);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, 0, 0);
        world_run(&c.w);
        resume(&c);
        fetch_whole(&c, 8);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRED);
        close_case(&c);
}

/* ENG-222: a job to which nothing happens is cancelled, with what it had on the disk; one that runs
   is not. */
static void test_inactive(void **state)
{
        Config config = { .max_background_jobs = 1, .max_download_time = 1000 };
        Case c;

        (void)state;
        open_transferred(&c, 1);
        engine_set_config(c.engine, &config); /* of no days at all */
        expect_local(&c, MESSAGE_FILE_DISCARD);
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        answer_result(&c, 0);
        world_wait_for(&c.w, c.n_removed == 1);
        assert_int_equal(c.n_errors, 0);
        assert_int_equal(job_table_count(c.jobs), 0);
        close_case(&c);
}

/* ENG-46: flags without a token stop the job at once, running or not; nothing falls back. */
static void test_token_required(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        c.job->token_flags = TOKEN_NETWORK;
        resume(&c);
        world_wait_for(&c.w, c.job->state == STATE_ERROR);
        assert_int_equal(c.job->fault.code, BG_E_TOKEN_REQUIRED);
        world_expect_nothing(&c.w, c.w.broker);
        c.job->token_flags = 0;
        resume(&c);
        open_next(&c, 7);
        expect_start(&c);
        c.job->token_flags = TOKEN_NETWORK;
        engine_identity_changed(c.engine, c.job);
        assert_int_equal(c.job->state, STATE_ERROR);
        assert_int_equal(c.n_errors, 2);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, 0, 0);
        world_run(&c.w);
        close_case(&c);
}

/* ENG-47: a new identity takes over from the kept bytes. */
static void test_identity_change(void **state)
{
        Case c;
        int token[2];

        (void)state;
        open_case(&c, 1);
        resume(&c);
        open_next(&c, 7);
        expect_start(&c);
        send_started(&c);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRING);
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, token), 0);
        c.job->token = calloc(1, sizeof(Token));
        *c.job->token = (Token){ .fd = token[0], .cookie = 5, .uid = 2000 };
        c.job->token_flags = TOKEN_NETWORK;
        engine_identity_changed(c.engine, c.job);
        assert_int_equal(c.job->state, STATE_TRANSFERRING);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, 300, 0);
        sync_next(&c);
        expect_local(&c, MESSAGE_FILE_OPEN);
        answer_open(&c, 7, 300);
        world_expect(&c.w, c.w.broker, MESSAGE_BROKER_START_TOKEN);
        fd_close(c.net);
        c.net = world_give_worker(&c.w);
        world_worker_hello(&c.w, c.net, WORKER_NET, 2000);
        expect_start(&c);
        assert_int_equal(c.start.offset, 300);
        send_done(&c, NET_FAILED, 300, BITS_E_HTTP(404));
        world_wait_for(&c.w, c.job->state == STATE_ERROR);
        fd_close(token[1]);
        close_case(&c);
}

/* ENG-48: suspend and resume while the transfer winds down: it goes on, once. */
static void test_resume_while_winding_down(void **state)
{
        QueueMove move;
        Case c;

        (void)state;
        open_case(&c, 1);
        resume(&c);
        open_next(&c, 7);
        expect_start(&c);
        send_started(&c);
        assert_int_equal(engine_suspend(c.engine, c.job, &move), 0);
        engine_follow(c.engine, c.job, &move);
        resume(&c);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        world_run(&c.w);
        send_done(&c, NET_STOPPED, 0, 0);
        fetch_whole(&c, 8);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRED);
        assert_int_equal(c.n_transferred, 1);
        close_case(&c);
}

/* ENG-49: another priority while it runs: the job takes its new place and goes on. */
static void test_priority_change(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        resume(&c);
        open_next(&c, 7);
        expect_start(&c);
        c.job->priority = PRIORITY_FOREGROUND;
        engine_priority_changed(c.engine, c.job);
        assert_int_equal(c.job->state, STATE_QUEUED);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, 0, 0);
        open_next(&c, 8);
        expect_start(&c);
        assert_int_equal(c.start.flags & NET_FLAG_BACKGROUND, 0);
        send_done(&c, NET_FAILED, 0, BITS_E_HTTP(404));
        world_wait_for(&c.w, c.job->state == STATE_ERROR);
        close_case(&c);
}

static BitsCode check_gate(void *userdata, const Job *job, const char **ret_detail)
{
        (void)job;
        *ret_detail = "a sentence";
        return *(const BitsCode *)userdata;
}

/* JOB-221: what keeps a job back is seen before its turn and during it, is not tried again by time,
   is no failure, and when it ends the job goes on. */
static void test_gate(void **state)
{
        BitsCode blocked = BG_E_BLOCKED_BY_POLICY;
        const Gate gate = { check_gate, &blocked };
        _cleanup_free_ char *reason = NULL;
        Case c;

        (void)state;
        open_case(&c, 1);
        c.job->minimum_retry_delay = 1;
        engine_set_gate(c.engine, &gate);
        resume(&c);
        assert_int_equal(c.job->state, STATE_TRANSIENT_ERROR);
        assert_int_equal(c.job->fault.code, BG_E_BLOCKED_BY_POLICY);
        assert_string_equal(c.job->fault.detail, "a sentence");
        reason = waiting_sentence(c.engine, c.job);
        assert_non_null(strstr(reason, "configuration"));
        world_expect_nothing(&c.w, c.w.broker);
        blocked = 0;
        engine_reconsider(c.engine, c.job);
        assert_int_equal(c.job->state, STATE_QUEUED);
        open_next(&c, 7);
        expect_start(&c);
        send_started(&c);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRING);
        blocked = BG_E_NETWORK_DISCONNECTED;
        engine_reconsider(c.engine, c.job);
        assert_int_equal(c.job->state, STATE_TRANSIENT_ERROR);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, 0, 0);
        world_run(&c.w);
        blocked = 0;
        engine_network_back(c.engine, c.job);
        fetch_whole(&c, 8);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRED);
        assert_int_equal(c.job->error_count, 0);
        assert_int_equal(c.n_errors, 0);
        close_case(&c);
}

/* ENG-50: holding ends when nothing runs any more, and keeps the job out until the end of it. */
static void test_hold(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 2);
        resume(&c);
        open_next(&c, 7);
        open_next(&c, 8);
        expect_start(&c);
        expect_start(&c);
        engine_hold(c.engine, c.job, on_stopped, &c);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, 0, 0);
        world_run(&c.w);
        assert_int_equal(c.n_stopped, 0);
        c.start.transfer--;
        send_done(&c, NET_STOPPED, 0, 0);
        world_wait_for(&c.w, c.n_stopped == 1);
        resume(&c);
        world_expect_nothing(&c.w, c.local);
        engine_unhold(c.engine, c.job);
        expect_local(&c, MESSAGE_FILE_OPEN);
        assert_int_equal(c.n_stopped, 1);
        close_case(&c);
}

/* ENG-51: a worker that breaks its protocol under a job with several files: an error, no crash, and
   the job is tried again. */
static void test_breach_under_a_job(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 3);
        c.job->minimum_retry_delay = 1;
        resume(&c);
        for (unsigned i = 0; i < 3; i++)
                open_next(&c, 7 + i);
        for (unsigned i = 0; i < 3; i++)
                expect_start(&c);
        net_progress_write(&c.w.out, 0, &(NetProgress){ 99999, 1, 0 });
        world_send(&c.w, c.net);
        world_expect(&c.w, c.w.broker, MESSAGE_BROKER_END_WORKER);
        world_wait_for(&c.w, c.job->state == STATE_TRANSIENT_ERROR);
        assert_int_equal(c.job->fault.code, BITS_E_PROCESS_ABORTED);
        c.net = fd_close(c.net);
        world_wait_for(&c.w, c.job->state == STATE_CONNECTING);
        for (unsigned i = 0; i < 3; i++)
                open_next(&c, 17 + i);
        expect_start(&c);
        close_case(&c);
}

/* DUR-37: Complete renames, syncs the directories, and answers after the job left the store. */
static void test_complete(void **state)
{
        Case c;

        (void)state;
        open_transferred(&c, 2);
        assert_int_equal(complete(&c), 0);
        assert_int_equal(cancel(&c), BG_E_INVALID_STATE);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_commit(&c, "/srv/b");
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        assert_int_equal(c.answer, NO_ANSWER);
        answer_result(&c, 0);
        world_wait_for(&c.w, c.answer != NO_ANSWER);
        assert_int_equal(c.answer, 0);
        assert_int_equal(c.n_removed, 1);
        assert_int_equal(job_table_count(c.jobs), 0);
        close_case(&c);
}

/* DUR-38: a worker that dies after a rename knew which directory to sync: everything is done again,
   by one process, before the job may be forgotten. */
static void test_complete_over_a_death(void **state)
{
        Case c;

        (void)state;
        open_transferred(&c, 2);
        assert_int_equal(complete(&c), 0);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_commit(&c, "/srv/b");
        world_wait_for(&c.w, c.job->files[0]->completed);
        c.local = fd_close(c.local);
        expect_commit(&c, "/srv/b");
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        answer_result(&c, 0);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_commit(&c, "/srv/b");
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        assert_int_equal(c.answer, NO_ANSWER);
        answer_result(&c, 0);
        world_wait_for(&c.w, c.answer != NO_ANSWER);
        assert_int_equal(c.answer, 0);
        close_case(&c);
}

/* DUR-39: after a crash in Complete the stored "has its name" may be ahead of the directory:
   renamed again. Whoever took the file away meanwhile is not held against it. */
static void test_complete_after_a_crash(void **state)
{
        Case c;

        (void)state;
        open_transferred(&c, 2);
        c.job->files[0]->completed = true;
        c.job->pending = PENDING_COMPLETE;
        finisher_go_on(c.finisher, c.job);
        expect_commit(&c, "/srv/a");
        answer_result(&c, ESTALE);
        expect_commit(&c, "/srv/b");
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        answer_result(&c, 0);
        world_wait_for(&c.w, c.n_removed == 1);
        close_case(&c);
}

/* ENG-52: a file that cannot be renamed leaves the job; the next Complete goes on. */
static void test_complete_fails(void **state)
{
        Case c;

        (void)state;
        open_transferred(&c, 2);
        assert_int_equal(complete(&c), 0);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_commit(&c, "/srv/b");
        answer_result(&c, EACCES);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        answer_result(&c, 0);
        world_wait_for(&c.w, c.answer != NO_ANSWER);
        assert_int_equal(c.answer, BITS_E_ACCESS_DENIED);
        assert_int_equal(c.job->state, STATE_TRANSFERRED);
        assert_int_equal(c.job->pending, PENDING_NONE);
        c.answer = NO_ANSWER;
        assert_int_equal(complete(&c), 0);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_commit(&c, "/srv/b");
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        answer_result(&c, 0);
        world_wait_for(&c.w, c.answer != NO_ANSWER);
        assert_int_equal(c.answer, 0);
        close_case(&c);
}

/* ENG-53: Complete while transfers wind down: what arrives in time counts. */
static void test_complete_while_winding_down(void **state)
{
        QueueMove move;
        Case c;

        (void)state;
        open_case(&c, 1);
        resume(&c);
        open_next(&c, 7);
        expect_start(&c);
        send_started(&c);
        assert_int_equal(complete(&c), 0);
        assert_int_equal(engine_resume(c.engine, c.job, &move), BG_E_INVALID_STATE);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_COMPLETE, BYTES, 0);
        sync_next(&c);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        answer_result(&c, 0);
        world_wait_for(&c.w, c.answer != NO_ANSWER);
        assert_int_equal(c.answer, 0);
        close_case(&c);
}

/* ENG-54: Cancel ends although the worker dies whenever it is asked to sync. */
static void test_cancel_with_a_dying_worker(void **state)
{
        Case c;

        (void)state;
        open_transferred(&c, 1);
        assert_int_equal(cancel(&c), 0);
        expect_local(&c, MESSAGE_FILE_DISCARD);
        answer_result(&c, 0);
        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        for (unsigned i = 0; i < 10; i++) {
                assert_int_equal(c.answer, NO_ANSWER);
                c.local = fd_close(c.local);
                if (i < 9)
                        expect_local(&c, MESSAGE_FILE_SYNC_DIRECTORIES);
        }
        world_wait_for(&c.w, c.answer != NO_ANSWER);
        assert_int_equal(c.answer, 0);
        close_case(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_job),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_no_progress),
                cmocka_unit_test(test_download_time),
                cmocka_unit_test(test_inactive),
                cmocka_unit_test(test_token_required),
                cmocka_unit_test(test_identity_change),
                cmocka_unit_test(test_resume_while_winding_down),
                cmocka_unit_test(test_priority_change),
                cmocka_unit_test(test_gate),
                cmocka_unit_test(test_hold),
                cmocka_unit_test(test_breach_under_a_job),
                cmocka_unit_test(test_complete),
                cmocka_unit_test(test_complete_over_a_death),
                cmocka_unit_test(test_complete_after_a_crash),
                cmocka_unit_test(test_complete_fails),
                cmocka_unit_test(test_complete_while_winding_down),
                cmocka_unit_test(test_cancel_with_a_dying_worker),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
