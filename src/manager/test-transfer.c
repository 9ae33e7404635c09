/*
 * One file's way through the two workers, both played by the test: what is kept, what is begun
 * anew, and that every way of ending ends once.
 */
#include "manager/transfer.h"
#include "workers/test-world.h"

enum {
        VERSIONS = 5, /* as in transfer.c */
        LOSSES = 10,
        BYTES = 1000,
        BIRTH = 123,
        /* enough for a sync in passing */
        MUCH = 300 * 1024 * 1024,
};

typedef struct Case {
        World w;
        Store *store;
        Turn *turn;
        Job *job;
        File *file;
        Worker *local_seat, *net_seat;
        int local, net; /* the workers' ends */
        Transfer *transfer;
        unsigned n_connected, n_progress, n_ended;
        TransferReport report;
        uint64_t id; /* of the NET_START read last */
        NetStart start;
        uint32_t sync_serial;
} Case;

static void on_connected(void *userdata, Transfer *transfer)
{
        (void)transfer;
        ((Case *)userdata)->n_connected++;
}

static void on_progress(void *userdata, Transfer *transfer)
{
        (void)transfer;
        ((Case *)userdata)->n_progress++;
}

static void on_end(void *userdata, Transfer *transfer, const TransferReport *report)
{
        Case *c = userdata;

        c->n_ended++;
        c->report = *report;
        c->report.detail = NULL;
        transfer_free(transfer);
        c->transfer = NULL;
}

static const TransferListener listener = { on_connected, on_progress, on_end };

static void begin(Case *c)
{
        c->n_ended = 0;
        assert_int_equal(transfer_new(c->file, c->local_seat, c->net_seat, c->store, c->turn,
                                      &listener, c, &c->transfer),
                         0);
}

static void open_case(Case *c)
{
        static const uint8_t random[JOB_ID_BYTES] = { 1 };
        const WorkerIdentity owner = { .uid = WORLD_OWNER, .token = -EBADF };

        *c = (Case){ .local = -EBADF, .net = -EBADF };
        world_open(&c->w);
        assert_int_equal(store_open(c->w.directory, &c->store), 0);
        assert_int_equal(turn_new(c->w.event, c->store, &c->turn), 0);
        assert_int_equal(job_new(random, WORLD_OWNER, JOB_DOWNLOAD, "j", 1, &c->job), 0);
        assert_int_equal(file_new("http://h/f", "/srv/f", random, &c->file), 0);
        assert_int_equal(job_append_file(c->job, c->file), 0);
        store_mark_job(c->store, c->job, STORE_PROMISED);
        store_mark_file(c->store, c->file, STORE_PROMISED);
        assert_int_equal(store_commit(c->store), 0);
        c->local_seat = worker_acquire(c->w.pool, WORKER_FILE, &owner);
        c->net_seat = worker_acquire(c->w.pool, WORKER_NET, &owner);
}

static void close_case(Case *c)
{
        assert_null(c->transfer);
        assert_null(c->file->transfer);
        worker_release(c->local_seat);
        worker_release(c->net_seat);
        turn_free(c->turn);
        store_close(c->store);
        job_free(c->job);
        fd_close(c->local);
        fd_close(c->net);
        world_close(&c->w);
}

/* ---- the file worker ---- */

static FileOpen expect_open(Case *c)
{
        FileOpen open;

        if (c->local < 0)
                c->local = world_start_worker(&c->w, WORKER_FILE);
        world_expect(&c->w, c->local, MESSAGE_FILE_OPEN);
        assert_int_equal(file_open_read(&c->w.in, &open), 0);
        return open;
}

static void answer_opened(Case *c, FileOpened opened)
{
        int fd = memfd_create("file", MFD_CLOEXEC);

        opened.file.items[opened.file.count++] = fd;
        file_opened_write(&c->w.out, c->w.in.serial, &opened);
        world_send(&c->w, c->local);
        fd_close(fd);
}

static void answer_open(Case *c, bool fresh, uint64_t inode, uint64_t size)
{
        answer_opened(c, (FileOpened){ .fresh = fresh,
                                       .device = 1,
                                       .inode = inode,
                                       .birth = BIRTH,
                                       .size = size });
}

static void expect_sync(Case *c)
{
        FileSync sync;

        world_expect(&c->w, c->local, MESSAGE_FILE_SYNC);
        assert_int_equal(file_sync_read(&c->w.in, &sync), 0);
        assert_int_equal(sync.files.count, 1);
        fd_close(sync.files.items[0]);
        c->sync_serial = c->w.in.serial;
}

static void answer_sync(Case *c, int error)
{
        FileSynced synced = { .errors = { { (uint32_t)error }, 1 } };

        file_synced_write(&c->w.out, c->sync_serial, &synced);
        world_send(&c->w, c->local);
}

/* ---- the network worker ---- */

static void expect_start(Case *c, uint64_t offset)
{
        if (c->net < 0)
                c->net = world_start_worker(&c->w, WORKER_NET);
        world_expect(&c->w, c->net, MESSAGE_NET_START);
        assert_int_equal(net_start_read(&c->w.in, &c->start), 0);
        fd_close(c->start.file);
        c->id = c->start.transfer;
        assert_int_equal(c->start.offset, offset);
}

static void send_started(Case *c, uint64_t total, bool resumable)
{
        net_started_write(&c->w.out, 0,
                          &(NetStarted){ .transfer = c->id,
                                         .status = 200,
                                         .offset = c->start.offset,
                                         .total = total,
                                         .etag = "\"v1\"",
                                         .resumable = resumable });
        world_send(&c->w, c->net);
}

static void send_progress(Case *c, uint64_t written)
{
        net_progress_write(&c->w.out, 0, &(NetProgress){ c->id, written, 0 });
        world_send(&c->w, c->net);
        world_wait_for(&c->w, c->file->written == written);
}

static void send_done(Case *c, NetOutcome outcome, uint64_t written)
{
        net_done_write(&c->w.out, 0,
                       &(NetDone){ .transfer = c->id,
                                   .outcome = outcome,
                                   .context = outcome == NET_FAILED ? CONTEXT_REMOTE_FILE : 0,
                                   .code = outcome == NET_FAILED ? BITS_E_HTTP(404) : 0,
                                   .written = written });
        world_send(&c->w, c->net);
}

/* Opened, started, some bytes there. */
static void fetch_some(Case *c, uint64_t bytes)
{
        begin(c);
        (void)expect_open(c);
        answer_open(c, true, 7, 0);
        expect_start(c, 0);
        send_started(c, 2 * (uint64_t)MUCH, true);
        if (bytes > 0)
                send_progress(c, bytes);
}

static void expect_end(Case *c, TransferEnd end)
{
        world_wait_for(&c->w, c->n_ended > 0);
        world_run(&c->w);
        assert_int_equal(c->n_ended, 1);
        assert_int_equal(c->report.end, end);
}

/* DUR-31: done is what was synced after the last byte. */
static void test_whole_way(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        begin(&c);
        assert_int_equal(expect_open(&c).inode, 0);
        answer_open(&c, true, 7, 0);
        expect_start(&c, 0);
        send_started(&c, BYTES, true);
        send_progress(&c, 10);
        assert_int_equal(c.file->kept, 0);
        send_done(&c, NET_COMPLETE, BYTES);
        expect_sync(&c);
        assert_int_equal(c.n_ended, 0);
        assert_int_equal(c.file->kept, 0);
        answer_sync(&c, 0);
        expect_end(&c, TRANSFER_DONE);
        assert_int_equal(c.file->kept, BYTES);
        assert_int_equal(c.file->total, BYTES);
        assert_int_equal(c.file->inode, 7);
        close_case(&c);
}

/* DUR-32: a new temporary file gets no byte before the store has forgotten those of the old one. */
static void test_fresh_waits_for_commit(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        file_set_total(c.file, BYTES);
        file_set_kept(c.file, 500);
        assert_int_equal(file_set_version(c.file, "\"v1\"", NULL, true), 0);
        c.file->device = 1;
        c.file->inode = 6;
        store_mark_file(c.store, c.file, STORE_PROMISED);
        assert_int_equal(store_commit(c.store), 0);
        assert_int_equal(c.file->stored_written, 500);
        begin(&c);
        assert_int_equal(expect_open(&c).inode, 6);
        answer_open(&c, true, 6, 0); /* the number came back */
        expect_start(&c, 0);
        assert_int_equal(c.file->stored_written, 0);
        send_done(&c, NET_FAILED, 0);
        expect_end(&c, TRANSFER_FAILED);
        assert_int_equal(c.report.code, BITS_E_HTTP(404));
        close_case(&c);
}

/* 500 bytes kept and 700 written, as the store knows. */
static void open_half_way(Case *c)
{
        open_case(c);
        file_set_total(c->file, BYTES);
        file_set_kept(c->file, 500);
        file_set_written(c->file, 700);
        assert_int_equal(file_set_version(c->file, "\"v1\"", NULL, true), 0);
        c->file->device = 1;
        c->file->inode = 6;
        c->file->birth = BIRTH;
        store_mark_file(c->store, c->file, STORE_PROMISED);
        assert_int_equal(store_commit(c->store), 0);
        assert_int_equal(c->file->stored_written, 700);
}

static void stop_at_start(Case *c, uint64_t offset)
{
        expect_start(c, offset);
        transfer_stop(c->transfer);
        world_expect(&c->w, c->net, MESSAGE_NET_STOP);
        send_done(c, NET_STOPPED, offset);
        if (offset > c->file->kept) {
                expect_sync(c);
                answer_sync(c, 0);
        }
        expect_end(c, TRANSFER_STOPPED);
}

/* DUR-54: a copy of the kept bytes is gone on with, after the store knows that it is another
   file. */
static void test_copy_waits_for_commit(void **state)
{
        Case c;
        FileOpen open;

        (void)state;
        open_half_way(&c);
        begin(&c);
        open = expect_open(&c);
        assert_int_equal(open.inode, 6);
        assert_int_equal(open.birth, BIRTH);
        assert_int_equal(open.kept, 500);
        assert_int_equal(open.written, 700);
        answer_opened(&c, (FileOpened){ .device = 1, .inode = 9, .birth = BIRTH + 1, .size = 500 });
        stop_at_start(&c, 500);
        assert_int_equal(c.file->inode, 9);
        assert_int_equal(c.file->birth, BIRTH + 1);
        assert_int_equal(c.file->stored_written, 500);
        assert_false(c.file->dirty);
        close_case(&c);
}

/* FIL-40: another number of the device is news, but no other file. */
static void test_device_got_another_number(void **state)
{
        Case c;

        (void)state;
        open_half_way(&c);
        begin(&c);
        (void)expect_open(&c);
        answer_opened(&c, (FileOpened){ .device = 2, .inode = 6, .birth = BIRTH, .size = 700 });
        stop_at_start(&c, 700);
        assert_int_equal(c.file->device, 2);
        close_case(&c);
}

/* DUR-33: a temporary file that became shorter than what is kept is not continued. */
static void test_shortened(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        file_set_kept(c.file, 500);
        assert_int_equal(file_set_version(c.file, "\"v1\"", NULL, true), 0);
        c.file->device = 1;
        c.file->inode = 6;
        begin(&c);
        assert_int_equal(expect_open(&c).inode, 6);
        answer_open(&c, false, 6, 499);
        assert_int_equal(expect_open(&c).written, 0);
        answer_open(&c, true, 8, 0);
        expect_start(&c, 0);
        transfer_stop(c.transfer);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, 0);
        expect_end(&c, TRANSFER_STOPPED);
        close_case(&c);
}

/* DUR-34: another version begins with a new file; when it never stays the same, the file fails. */
static void test_version_change(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        fetch_some(&c, 100);
        for (unsigned i = 0; i < VERSIONS; i++) {
                send_done(&c, NET_VERSION_CHANGED, 0);
                assert_int_equal(expect_open(&c).written, 0);
                answer_open(&c, true, 20 + i, 0);
                expect_start(&c, 0);
                assert_string_equal(c.start.etag, "");
                send_started(&c, BYTES, true);
                send_progress(&c, 50 + i);
        }
        send_done(&c, NET_VERSION_CHANGED, 0);
        expect_end(&c, TRANSFER_FAILED);
        assert_int_equal(c.report.code, BG_E_REMOTE_FILE_CHANGED);
        close_case(&c);
}

/* DUR-35: the last change comes while a sync is under way: the end waits for it. */
static void test_last_version_change_while_syncing(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        fetch_some(&c, 100);
        for (unsigned i = 0; i < VERSIONS; i++) {
                send_done(&c, NET_VERSION_CHANGED, 0);
                (void)expect_open(&c);
                answer_open(&c, true, 20 + i, 0);
                expect_start(&c, 0);
                send_started(&c, 2 * (uint64_t)MUCH, true);
        }
        send_progress(&c, MUCH);
        expect_sync(&c);
        send_done(&c, NET_VERSION_CHANGED, 0);
        world_run(&c.w);
        assert_int_equal(c.n_ended, 0);
        answer_sync(&c, 0);
        expect_end(&c, TRANSFER_FAILED);
        assert_int_equal(c.report.code, BG_E_REMOTE_FILE_CHANGED);
        close_case(&c);
}

/* ENG-38: a lost network worker costs nothing but time: the next goes on from what is written. */
static void test_lost_network_worker(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        fetch_some(&c, 100);
        c.net = fd_close(c.net);
        expect_start(&c, 100);
        assert_string_equal(c.start.etag, "\"v1\"");
        transfer_stop(c.transfer);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        c.net = fd_close(c.net);
        expect_sync(&c);
        answer_sync(&c, 0);
        expect_end(&c, TRANSFER_STOPPED);
        assert_int_equal(c.file->kept, 100);
        close_case(&c);
}

/* ENG-39: workers that die on it again and again: it fails, even while a sync is under way. */
static void test_lost_too_often_while_syncing(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        fetch_some(&c, MUCH);
        expect_sync(&c);
        for (unsigned i = 0; i < LOSSES; i++) {
                assert_int_equal(c.n_ended, 0);
                c.net = fd_close(c.net);
                if (i < LOSSES - 1)
                        expect_start(&c, MUCH);
        }
        world_run(&c.w);
        assert_int_equal(c.n_ended, 0);
        answer_sync(&c, 0);
        expect_end(&c, TRANSFER_UNSERVED);
        assert_int_equal(c.report.result, WORK_ABORTED);
        assert_false(c.report.local);
        assert_int_equal(c.file->kept, MUCH);
        close_case(&c);
}

/* ENG-40: also when the file cannot be resumed and each of them makes some progress. */
static void test_lost_too_often_not_resumable(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        begin(&c);
        for (unsigned i = 0; i < LOSSES; i++) {
                assert_int_equal(c.n_ended, 0);
                (void)expect_open(&c);
                answer_open(&c, true, 30 + i, 0);
                expect_start(&c, 0);
                send_started(&c, BYTES, false);
                send_progress(&c, 10);
                c.net = fd_close(c.net);
        }
        expect_end(&c, TRANSFER_UNSERVED);
        close_case(&c);
}

/* DUR-36: an error that a sync told in mid-transfer counts, although the last sync is fine. */
static void test_sync_error_is_remembered(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        fetch_some(&c, MUCH);
        expect_sync(&c);
        answer_sync(&c, EIO);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_COMPLETE, (uint64_t)MUCH + 5);
        expect_sync(&c);
        answer_sync(&c, 0);
        expect_end(&c, TRANSFER_FAILED);
        assert_int_equal(c.report.context, CONTEXT_LOCAL_FILE);
        assert_int_equal(c.report.code, BITS_E_WRITE_FAULT);
        assert_int_equal(c.file->written, c.file->kept);
        close_case(&c);
}

/* DUR-50: a process died with a sync; the next one says that all is well. It may not have been
   told. */
static void test_sync_in_doubt(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        fetch_some(&c, MUCH);
        expect_sync(&c);
        c.local = fd_close(c.local);
        world_run(&c.w);
        c.local = world_start_worker(&c.w, WORKER_FILE);
        expect_sync(&c);
        answer_sync(&c, 0);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, MUCH);
        expect_sync(&c);
        answer_sync(&c, 0);
        expect_end(&c, TRANSFER_STOPPED);
        assert_int_equal(c.file->kept, 0);
        assert_int_equal(c.file->written, 0);
        close_case(&c);
}

/* ENG-41: stop in each phase ends once, with what arrived kept. */
static void test_stop_while_opening(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        begin(&c);
        (void)expect_open(&c);
        transfer_stop(c.transfer);
        world_run(&c.w);
        assert_int_equal(c.n_ended, 0);
        answer_open(&c, true, 7, 0);
        expect_end(&c, TRANSFER_STOPPED);
        close_case(&c);
}

static void test_stop_before_a_network_worker(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        begin(&c);
        (void)expect_open(&c);
        answer_open(&c, true, 7, 0);
        world_expect(&c.w, c.w.broker, MESSAGE_BROKER_START_OWNER);
        transfer_stop(c.transfer);
        expect_end(&c, TRANSFER_STOPPED);
        close_case(&c);
}

static void test_stop_while_fetching_and_syncing(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        fetch_some(&c, MUCH);
        expect_sync(&c);
        transfer_stop(c.transfer);
        transfer_stop(c.transfer);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_STOPPED, (uint64_t)MUCH + 100);
        world_run(&c.w);
        transfer_stop(c.transfer);
        answer_sync(&c, 0);
        expect_sync(&c);
        assert_int_equal(c.file->kept, MUCH);
        answer_sync(&c, 0);
        expect_end(&c, TRANSFER_STOPPED);
        assert_int_equal(c.file->kept, (uint64_t)MUCH + 100);
        close_case(&c);
}

/* ENG-42: the file worker refuses, or cannot be had. */
static void test_local_failures(void **state)
{
        Case c;

        (void)state;
        open_case(&c);
        begin(&c);
        (void)expect_open(&c);
        file_opened_write(&c.w.out, c.w.in.serial, &(FileOpened){ .error = ENOSPC });
        world_send(&c.w, c.local);
        expect_end(&c, TRANSFER_FAILED);
        assert_int_equal(c.report.code, BITS_E_DISK_FULL);
        begin(&c);
        (void)expect_open(&c);
        c.local = fd_close(c.local);
        world_expect(&c.w, c.w.broker, MESSAGE_BROKER_START_OWNER);
        world_refuse(&c.w, REFUSED_UNKNOWN_OWNER);
        expect_end(&c, TRANSFER_UNSERVED);
        assert_true(c.report.local);
        assert_int_equal(c.report.result, WORK_UNKNOWN_OWNER);
        close_case(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_way),
                cmocka_unit_test(test_fresh_waits_for_commit),
                cmocka_unit_test(test_copy_waits_for_commit),
                cmocka_unit_test(test_device_got_another_number),
                cmocka_unit_test(test_shortened),
                cmocka_unit_test(test_version_change),
                cmocka_unit_test(test_last_version_change_while_syncing),
                cmocka_unit_test(test_lost_network_worker),
                cmocka_unit_test(test_lost_too_often_while_syncing),
                cmocka_unit_test(test_lost_too_often_not_resumable),
                cmocka_unit_test(test_sync_error_is_remembered),
                cmocka_unit_test(test_sync_in_doubt),
                cmocka_unit_test(test_stop_while_opening),
                cmocka_unit_test(test_stop_before_a_network_worker),
                cmocka_unit_test(test_stop_while_fetching_and_syncing),
                cmocka_unit_test(test_local_failures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
