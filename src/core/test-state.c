/*
 * The life of a job against reference 02 section 3, transcribed the way it stands there: a table of
 * calls with a row for each state, and a list of what the service does, from where to where. The
 * table in state.c is written the other way round, so that a slip in one is none in the other.
 */
#include "core/state.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NO    (-1)
#define EMPTY (-2)

enum {
        QUEUED = STATE_QUEUED,
        CONNECTING = STATE_CONNECTING,
        TRANSFERRING = STATE_TRANSFERRING,
        SUSPENDED = STATE_SUSPENDED,
        ERROR = STATE_ERROR,
        TRANSIENT_ERROR = STATE_TRANSIENT_ERROR,
        TRANSFERRED = STATE_TRANSFERRED,
        ACKNOWLEDGED = STATE_ACKNOWLEDGED,
        CANCELLED = STATE_CANCELLED,
};

/* Section 3.1. Resume has three columns here: with work left, without a file, with all there. */
typedef struct ByCalls {
        int from, resume, resume_empty, resume_transferred, suspend, cancel, complete;
        int complete_upload, invalidated;
} ByCalls;

/* clang-format off */
static const ByCalls by_calls[] = {
        { SUSPENDED, QUEUED, EMPTY, TRANSFERRED, SUSPENDED, CANCELLED, ACKNOWLEDGED, NO, ERROR },
        { QUEUED, QUEUED, EMPTY, QUEUED, SUSPENDED, CANCELLED, ACKNOWLEDGED, NO, ERROR },
        { CONNECTING, CONNECTING, EMPTY, CONNECTING, SUSPENDED, CANCELLED, ACKNOWLEDGED, NO,
          ERROR },
        { TRANSFERRING, TRANSFERRING, EMPTY, TRANSFERRING, SUSPENDED, CANCELLED, ACKNOWLEDGED, NO,
          ERROR },
        { TRANSIENT_ERROR, QUEUED, EMPTY, TRANSFERRED, SUSPENDED, CANCELLED, ACKNOWLEDGED, NO,
          ERROR },
        { ERROR, QUEUED, EMPTY, TRANSFERRED, SUSPENDED, CANCELLED, ACKNOWLEDGED, NO, ERROR },
        { TRANSFERRED, QUEUED, EMPTY, TRANSFERRED, TRANSFERRED, CANCELLED, ACKNOWLEDGED,
          ACKNOWLEDGED, ERROR },
        { ACKNOWLEDGED, NO, NO, NO, NO, NO, NO, NO, NO },
        { CANCELLED, NO, NO, NO, NO, NO, NO, NO, NO },
};

/* Section 3.2: what is not in the list cannot happen. */
static const struct {
        JobEvent why;
        int to;
        int from[8]; /* ends with NO */
} by_service[] = {
        { EVENT_PICKED, CONNECTING, { QUEUED, NO } },
        { EVENT_CONNECTED, TRANSFERRING, { CONNECTING, TRANSFERRING, NO } },
        { EVENT_FAILED_TRANSIENT, TRANSIENT_ERROR, { QUEUED, CONNECTING, TRANSFERRING, NO } },
        { EVENT_FAILED_FATAL, ERROR, { QUEUED, CONNECTING, TRANSFERRING, NO } },
        { EVENT_YIELDED, QUEUED, { CONNECTING, TRANSFERRING, NO } },
        { EVENT_FINISHED, TRANSFERRED, { CONNECTING, TRANSFERRING, NO } },
        { EVENT_RANGES_FILLED, SUSPENDED, { QUEUED, CONNECTING, TRANSFERRING, NO } },
        { EVENT_NETWORK_LOST, TRANSIENT_ERROR, { QUEUED, CONNECTING, TRANSFERRING, NO } },
        { EVENT_NETWORK_BACK, QUEUED, { TRANSIENT_ERROR, NO } },
        { EVENT_BLOCKED, TRANSIENT_ERROR, { QUEUED, CONNECTING, TRANSFERRING, NO } },
        { EVENT_UNBLOCKED, QUEUED, { TRANSIENT_ERROR, NO } },
        { EVENT_RETRY, QUEUED, { TRANSIENT_ERROR, NO } },
        { EVENT_TIMED_OUT, ERROR, { TRANSIENT_ERROR, NO } },
        { EVENT_OUT_OF_TIME, ERROR, { CONNECTING, TRANSFERRING, TRANSIENT_ERROR, NO } },
        { EVENT_TOKEN_REQUIRED, ERROR, { QUEUED, CONNECTING, TRANSFERRING, TRANSIENT_ERROR, NO } },
        { EVENT_EXPIRED, CANCELLED,
          { QUEUED, CONNECTING, TRANSFERRING, SUSPENDED, ERROR, TRANSIENT_ERROR, TRANSFERRED,
            NO } },
};
/* clang-format on */

static int after_call(JobState from, JobEvent event)
{
        const ByCalls *x = by_calls;

        while (x->from != (int)from)
                x++;
        switch (event) {
        case EVENT_RESUME:
                return x->resume;
        case EVENT_RESUME_EMPTY:
                return x->resume_empty;
        case EVENT_RESUME_TRANSFERRED:
                return x->resume_transferred;
        case EVENT_SUSPEND:
                return x->suspend;
        case EVENT_CANCEL:
                return x->cancel;
        case EVENT_COMPLETE:
                return x->complete;
        case EVENT_COMPLETE_UPLOAD:
                return x->complete_upload;
        default:
                assert_int_equal(event, EVENT_INVALIDATED);
                return x->invalidated;
        }
}

static int expectation(JobState from, JobEvent event)
{
        if (event < EVENT_PICKED)
                return after_call(from, event);
        for (size_t i = 0; i < ELEMENTS(by_service); i++) {
                if (by_service[i].why != event)
                        continue;
                for (const int *f = by_service[i].from; *f != NO; f++)
                        if (*f == (int)from)
                                return by_service[i].to;
                return NO;
        }
        fail_msg("%s is not in the list", job_event_name(event));
        return NO;
}

/* JOB-01, JOB-02: every cell. */
static void every_transition_is_as_expected(void **state)
{
        (void)state;
        for (JobState from = 0; from < STATE_MAX; from++)
                for (JobEvent e = 0; e < EVENT_MAX; e++) {
                        JobState to = STATE_INVALID;
                        BitsCode code = job_state_next(from, e, &to);
                        int want = expectation(from, e);
                        int have = code == 0                    ? (int)to
                                   : code == BG_E_INVALID_STATE ? NO
                                   : code == BG_E_EMPTY         ? EMPTY
                                                                : -3;

                        if (have != want || (code != 0 && to != STATE_INVALID))
                                fail_msg("%s in %s: %d instead of %d", job_event_name(e),
                                         job_state_name(from), have, want);
                }
}

/* JOB-03: nothing leads out of a final state. */
static void final_states_are_final(void **state)
{
        (void)state;
        for (JobState s = 0; s < STATE_MAX; s++)
                for (JobEvent e = 0; e < EVENT_MAX; e++) {
                        JobState to = s;

                        if (job_state_is_final(s))
                                assert_int_equal(job_state_next(s, e, &to), BG_E_INVALID_STATE);
                        assert_int_equal(job_state_is_final(s),
                                         s == STATE_ACKNOWLEDGED || s == STATE_CANCELLED);
                }
}

static void runnable_states_are_the_schedulers(void **state)
{
        (void)state;
        for (JobState s = 0; s < STATE_MAX; s++)
                assert_int_equal(job_state_is_runnable(s), s <= STATE_TRANSFERRING);
}

/* JOB-04: BITS's numbers are the enumerators' values, since they are stored and sent. */
static void numbers_are_those_of_bits(void **state)
{
        (void)state;
        assert_int_equal(STATE_QUEUED, 0);
        assert_int_equal(STATE_SUSPENDED, 3);
        assert_int_equal(STATE_TRANSIENT_ERROR, 5);
        assert_int_equal(STATE_CANCELLED, 8);
        assert_int_equal(JOB_UPLOAD_REPLY, 2);
        assert_int_equal(PRIORITY_FOREGROUND, 0);
        assert_int_equal(PRIORITY_LOW, 3);
}

/* JOB-05 */
static void words_come_back_as_what_they_were(void **state)
{
        (void)state;
        for (JobType t = 0; t < JOB_TYPE_MAX; t++)
                assert_int_equal(job_type_parse(job_type_name(t)), t);
        for (JobPriority p = 0; p < PRIORITY_MAX; p++)
                assert_int_equal(job_priority_parse(job_priority_name(p)), p);
        for (JobState s = 0; s < STATE_MAX; s++)
                assert_int_equal(job_state_parse(job_state_name(s)), s);
        for (JobEvent e = 0; e < EVENT_MAX; e++)
                assert_non_null(job_event_name(e));
        assert_string_equal(job_state_name(STATE_TRANSIENT_ERROR), "transient-error");
        assert_string_equal(job_type_name(JOB_UPLOAD_REPLY), "upload-reply");
}

static void other_words_and_numbers_are_refused(void **state)
{
        static const char *const words[] = { NULL, "", "Queued", "queued ", "transient_error" };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(words); i++) {
                assert_int_equal(job_type_parse(words[i]), JOB_TYPE_INVALID);
                assert_int_equal(job_priority_parse(words[i]), PRIORITY_INVALID);
                assert_int_equal(job_state_parse(words[i]), STATE_INVALID);
        }
        assert_null(job_type_name(JOB_TYPE_MAX));
        assert_null(job_type_name(JOB_TYPE_INVALID));
        assert_null(job_priority_name(PRIORITY_MAX));
        assert_null(job_state_name(STATE_INVALID));
        assert_null(job_event_name(EVENT_MAX));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_transition_is_as_expected),
                cmocka_unit_test(final_states_are_final),
                cmocka_unit_test(runnable_states_are_the_schedulers),
                cmocka_unit_test(numbers_are_those_of_bits),
                cmocka_unit_test(words_come_back_as_what_they_were),
                cmocka_unit_test(other_words_and_numbers_are_refused),
        };

        return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
