/*
 * Jobs under the engine: turns, failures, delays, holding, other identities.
 */
#include "manager/test-case.h"

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
        uint64_t before = clock_usec(CLOCK_REALTIME);
        Case c;

        (void)state;
        open_case(&c, 1);
        c.job->minimum_retry_delay = 1;
        resume(&c);
        fail_fetch(&c, 7, BITS_E_CANNOT_CONNECT);
        world_wait_for(&c.w, c.job->state == STATE_TRANSIENT_ERROR);
        assert_int_equal(c.job->fault.code, BITS_E_CANNOT_CONNECT);
        assert_int_equal(c.n_errors, 0);
        reason = waiting_sentence(c.engine, c.job, true);
        assert_non_null(strstr(reason, "tried again in"));
        assert_int_equal(engine_wait_kind(c.engine, c.job), WAIT_RETRY); /* JOB-224 */
        assert_true(engine_next_attempt(c.engine, c.job) > before);
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
        c.job->maximum_download_time = 3600;
        start_first(&c, 7);
        world_wait_for(&c.w, c.job->state == STATE_TRANSFERRING);
        c.job->timers.busy += 3600 * USEC_PER_SEC; /* an hour passes */
        engine_touched(c.engine, c.job);
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
        start_first(&c, 7);
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
        start_first(&c, 7);
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
        reason = waiting_sentence(c.engine, c.job, true);
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
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
