/*
 * The many steps of Complete and Cancel, over workers and daemons that die.
 */
#include "manager/test-case.h"

/* The directories are synced, then Complete answers. */
static void expect_end(Case *c, BitsCode code)
{
        expect_local(c, MESSAGE_FILE_SYNC_DIRECTORIES);
        answer_result(c, 0);
        world_wait_for(&c->w, c->answer != NO_ANSWER);
        assert_int_equal(c->answer, code);
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
        expect_end(&c, BITS_E_ACCESS_DENIED);
        assert_int_equal(c.job->state, STATE_TRANSFERRED);
        assert_int_equal(c.job->pending, PENDING_NONE);
        c.answer = NO_ANSWER;
        assert_int_equal(complete(&c), 0);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_commit(&c, "/srv/b");
        answer_result(&c, 0);
        expect_end(&c, 0);
        close_case(&c);
}

/* ENG-53: Complete while transfers wind down: what arrives in time counts. */
static void test_complete_while_winding_down(void **state)
{
        QueueMove move;
        Case c;

        (void)state;
        open_case(&c, 1);
        start_first(&c, 7);
        assert_int_equal(complete(&c), 0);
        assert_int_equal(engine_resume(c.engine, c.job, &move), BG_E_INVALID_STATE);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        send_done(&c, NET_COMPLETE, BYTES, 0);
        sync_next(&c);
        expect_commit(&c, "/srv/a");
        answer_result(&c, 0);
        expect_end(&c, 0);
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
                cmocka_unit_test(test_complete),
                cmocka_unit_test(test_complete_over_a_death),
                cmocka_unit_test(test_complete_after_a_crash),
                cmocka_unit_test(test_complete_fails),
                cmocka_unit_test(test_complete_while_winding_down),
                cmocka_unit_test(test_cancel_with_a_dying_worker),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
