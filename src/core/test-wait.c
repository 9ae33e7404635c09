/*
 * Words and codes of what a job waits for, and what of it counts as an error.
 */
#include "core/job.h"
#include "core/wait.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* JOB-222: the three that reference 02 section 7 names, and the codes of the same family. */
static void states_of_the_machine_are_known(void **state)
{
        (void)state;
        assert_int_equal(wait_kind_of(BG_E_NETWORK_DISCONNECTED), WAIT_NETWORK);
        assert_int_equal(wait_kind_of(BG_E_DESTINATION_LOCKED), WAIT_VOLUME);
        assert_int_equal(wait_kind_of(BG_E_BLOCKED_BY_POLICY), WAIT_POLICY);
        assert_int_equal(wait_kind_of(BG_E_BLOCKED_BY_COST_TRANSFER_POLICY), WAIT_COST);
        assert_int_equal(wait_kind_of(BG_E_BLOCKED_BY_BATTERY_POLICY), WAIT_POWER);
        assert_int_equal(wait_kind_of(BG_E_STANDBY_MODE), WAIT_STANDBY);
        assert_int_equal(wait_kind_of(BITS_E_CANNOT_CONNECT), WAIT_NOTHING);
        assert_int_equal(wait_kind_of(0), WAIT_NOTHING);
        assert_false(wait_is_counted(BG_E_NETWORK_DISCONNECTED));
        assert_false(wait_is_counted(BG_E_DESTINATION_LOCKED));
        assert_false(wait_is_counted(BG_E_BLOCKED_BY_POLICY));
        assert_true(wait_is_counted(BG_E_BLOCKED_BY_COST_TRANSFER_POLICY));
        assert_true(wait_is_counted(BITS_E_CANNOT_CONNECT));
}

static void every_state_of_the_machine_is_transient(void **state)
{
        (void)state;
        for (BitsCode code = 0x80200001u; code < 0x80200080u; code++)
                if (wait_kind_of(code) != WAIT_NOTHING)
                        assert_true(error_is_transient(code));
}

/* JOB-224 */
static void kinds_have_words(void **state)
{
        (void)state;
        for (WaitKind k = 0; k < WAIT_MAX; k++)
                assert_true(wait_kind_name(k) && wait_kind_text(k));
        assert_string_equal(wait_kind_name(WAIT_NOTHING), "");
        assert_string_equal(wait_kind_name(WAIT_SIGN_ON), "sign-on");
        assert_null(wait_kind_name(WAIT_MAX));
        assert_null(wait_kind_name(WAIT_INVALID));
}

/* How much `event` with `code` adds to the error count of a job in that state. */
static uint32_t counted(JobState from, JobEvent event, BitsCode code)
{
        static const uint8_t random[JOB_ID_BYTES];
        _cleanup_(job_freep) Job *job = NULL;

        assert_int_equal(job_new(random, 1000, JOB_DOWNLOAD, "j", 1, &job), 0);
        job->state = from;
        job_set_fault(job, NULL, CONTEXT_GENERAL_QUEUE_MANAGER, code, NULL);
        assert_int_equal(job_transition(job, event, 2), 0);
        return job->error_count;
}

/* JOB-63, JOB-222 */
static void failures_are_counted_and_waiting_is_not(void **state)
{
        const JobState busy = STATE_TRANSFERRING;

        (void)state;
        assert_int_equal(counted(busy, EVENT_FAILED_TRANSIENT, BITS_E_CANNOT_CONNECT), 1);
        assert_int_equal(counted(busy, EVENT_FAILED_FATAL, BITS_E_HTTP(404)), 1);
        assert_int_equal(counted(STATE_CONNECTING, EVENT_FAILED_TRANSIENT, BITS_E_TIMEOUT), 1);
        assert_int_equal(counted(busy, EVENT_OUT_OF_TIME, BG_E_MAXDOWNLOAD_TIMEOUT), 1);
        assert_int_equal(counted(busy, EVENT_NETWORK_LOST, BG_E_NETWORK_DISCONNECTED), 0);
        assert_int_equal(counted(busy, EVENT_BLOCKED, BG_E_BLOCKED_BY_POLICY), 0);
        assert_int_equal(counted(busy, EVENT_FAILED_TRANSIENT, BG_E_DESTINATION_LOCKED), 0);
        assert_int_equal(counted(busy, EVENT_BLOCKED, BG_E_BLOCKED_BY_COST_TRANSFER_POLICY), 1);
        assert_int_equal(counted(STATE_QUEUED, EVENT_BLOCKED, BG_E_BLOCKED_BY_BATTERY_POLICY), 0);
        assert_int_equal(counted(STATE_TRANSIENT_ERROR, EVENT_TIMED_OUT, BITS_E_TIMEOUT), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(states_of_the_machine_are_known),
                cmocka_unit_test(every_state_of_the_machine_is_transient),
                cmocka_unit_test(kinds_have_words),
                cmocka_unit_test(failures_are_counted_and_waiting_is_not),
        };

        return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}
