/*
 * The life of a job against an expectation that was written from reference 02 section 3 state by
 * state, the other way round than the table in state.c: what each state does with each call.
 */
#include "core/state.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NO    (-1)
#define EMPTY (-2)

typedef struct Expectation {
        JobState from;
        /* calls */
        int resume, resume_empty, resume_transferred, suspend, cancel, complete, complete_upload;
        /* events of the service: those not named cannot happen */
        struct {
                JobEvent event;
                JobState to;
        } service[8];
} Expectation;

#define END                                  \
        {                                    \
                EVENT_INVALID, STATE_INVALID \
        }

/* clang-format off */
static const Expectation expectations[] = {
        { STATE_QUEUED, STATE_QUEUED, EMPTY, STATE_QUEUED, STATE_SUSPENDED, STATE_CANCELLED,
          STATE_ACKNOWLEDGED, NO,
          { { EVENT_PICKED, STATE_CONNECTING },
            { EVENT_FAILED_TRANSIENT, STATE_TRANSIENT_ERROR },
            { EVENT_FAILED_FATAL, STATE_ERROR },
            { EVENT_TOKEN_REQUIRED, STATE_ERROR },
            { EVENT_EXPIRED, STATE_CANCELLED },
            END } },
        { STATE_CONNECTING, STATE_CONNECTING, EMPTY, STATE_CONNECTING, STATE_SUSPENDED,
          STATE_CANCELLED, STATE_ACKNOWLEDGED, NO,
          { { EVENT_CONNECTED, STATE_TRANSFERRING },
            { EVENT_YIELDED, STATE_QUEUED },
            { EVENT_FINISHED, STATE_TRANSFERRED },
            { EVENT_FAILED_TRANSIENT, STATE_TRANSIENT_ERROR },
            { EVENT_FAILED_FATAL, STATE_ERROR },
            { EVENT_TOKEN_REQUIRED, STATE_ERROR },
            { EVENT_EXPIRED, STATE_CANCELLED },
            END } },
        { STATE_TRANSFERRING, STATE_TRANSFERRING, EMPTY, STATE_TRANSFERRING, STATE_SUSPENDED,
          STATE_CANCELLED, STATE_ACKNOWLEDGED, NO,
          { { EVENT_CONNECTED, STATE_TRANSFERRING },
            { EVENT_YIELDED, STATE_QUEUED },
            { EVENT_FINISHED, STATE_TRANSFERRED },
            { EVENT_FAILED_TRANSIENT, STATE_TRANSIENT_ERROR },
            { EVENT_FAILED_FATAL, STATE_ERROR },
            { EVENT_TOKEN_REQUIRED, STATE_ERROR },
            { EVENT_EXPIRED, STATE_CANCELLED },
            END } },
        { STATE_SUSPENDED, STATE_QUEUED, EMPTY, STATE_TRANSFERRED, STATE_SUSPENDED,
          STATE_CANCELLED, STATE_ACKNOWLEDGED, NO,
          { { EVENT_EXPIRED, STATE_CANCELLED }, END } },
        { STATE_ERROR, STATE_QUEUED, EMPTY, STATE_TRANSFERRED, STATE_SUSPENDED, STATE_CANCELLED,
          STATE_ACKNOWLEDGED, NO,
          { { EVENT_EXPIRED, STATE_CANCELLED }, END } },
        { STATE_TRANSIENT_ERROR, STATE_QUEUED, EMPTY, STATE_TRANSFERRED, STATE_SUSPENDED,
          STATE_CANCELLED, STATE_ACKNOWLEDGED, NO,
          { { EVENT_RETRY, STATE_QUEUED },
            { EVENT_TIMED_OUT, STATE_ERROR },
            { EVENT_TOKEN_REQUIRED, STATE_ERROR },
            { EVENT_EXPIRED, STATE_CANCELLED },
            END } },
        { STATE_TRANSFERRED, STATE_QUEUED, EMPTY, STATE_TRANSFERRED, STATE_TRANSFERRED,
          STATE_CANCELLED, STATE_ACKNOWLEDGED, STATE_ACKNOWLEDGED,
          { { EVENT_EXPIRED, STATE_CANCELLED }, END } },
        { STATE_ACKNOWLEDGED, NO, NO, NO, NO, NO, NO, NO, { END } },
        { STATE_CANCELLED, NO, NO, NO, NO, NO, NO, NO, { END } },
};
/* clang-format on */
static_assert_table(expectations, STATE_MAX);

static int service_expectation(const Expectation *x, JobEvent event)
{
        for (size_t i = 0; x->service[i].event != EVENT_INVALID; i++)
                if (x->service[i].event == event)
                        return x->service[i].to;
        return NO;
}

static int expectation(const Expectation *x, JobEvent event)
{
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
        case EVENT_PICKED:
        case EVENT_CONNECTED:
        case EVENT_YIELDED:
        case EVENT_FINISHED:
        case EVENT_FAILED_TRANSIENT:
        case EVENT_FAILED_FATAL:
        case EVENT_RETRY:
        case EVENT_TIMED_OUT:
        case EVENT_TOKEN_REQUIRED:
        case EVENT_EXPIRED:
                return service_expectation(x, event);
        case EVENT_MAX:
        case EVENT_INVALID:
                break;
        }
        fail();
        return NO;
}

/* JOB-01, JOB-02: every cell. */
static void every_transition_is_as_expected(void **state)
{
        (void)state;
        for (size_t i = 0; i < ELEMENTS(expectations); i++)
                for (JobEvent e = 0; e < EVENT_MAX; e++) {
                        const Expectation *x = &expectations[i];
                        JobState to = STATE_INVALID;
                        BitsCode code = job_state_next(x->from, e, &to);
                        int want = expectation(x, e);
                        int have = code == 0                    ? (int)to
                                   : code == BG_E_INVALID_STATE ? NO
                                   : code == BG_E_EMPTY         ? EMPTY
                                                                : -3;

                        if (have != want || (code != 0 && to != STATE_INVALID))
                                fail_msg("%s in %s: %d instead of %d", job_event_name(e),
                                         job_state_name(x->from), have, want);
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
