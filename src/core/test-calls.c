/*
 * Which call is possible when, against reference 02 section 3.3, transcribed call by call: for each
 * what all nine states answer, and what the condition changes.
 */
#include "core/calls.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define OK      0
#define INVALID BG_E_INVALID_STATE
#define ACTIVE  BG_E_READ_ONLY_WHEN_JOB_ACTIVE
#define NOERROR BG_E_ERROR_INFORMATION_UNAVAILABLE

/* clang-format off */
static const struct {
        JobCall call;
        BitsCode answer[STATE_MAX]; /* when the condition holds */
        BitsCode unless;            /* where the answer is OK and it does not; OK: there is none */
} expectations[] = {
        /*                  QU CO TR SU ER TE DO AC CA */
        { CALL_SET, { OK, OK, OK, OK, OK, OK, OK, INVALID, INVALID }, OK },
        { CALL_ADD_FILES, { OK, OK, OK, OK, OK, OK, OK, INVALID, INVALID }, OK },
        { CALL_SET_REPLY_FILE_NAME, { OK, OK, OK, OK, OK, OK, INVALID, INVALID, INVALID },
          INVALID },
        { CALL_SET_FILE_ACL_FLAGS, { OK, OK, OK, OK, OK, OK, INVALID, INVALID, INVALID }, OK },
        { CALL_SET_HIGH_PERFORMANCE, { OK, OK, OK, OK, OK, OK, OK, INVALID, INVALID },
          BG_E_READ_ONLY_PROPERTY_AFTER_ADDFILE },
        { CALL_SET_BEFORE_RESUME, { OK, OK, OK, OK, OK, OK, OK, INVALID, INVALID },
          BG_E_READ_ONLY_PROPERTY_AFTER_RESUME },
        { CALL_SET_CERTIFICATE_CALLBACK,
          { ACTIVE, ACTIVE, ACTIVE, OK, OK, ACTIVE, OK, INVALID, INVALID }, OK },
        { CALL_SET_VALIDATION_STATE, { OK, OK, OK, OK, OK, OK, OK, INVALID, INVALID },
          BITS_E_PENDING },
        { CALL_GET_REPLY_DATA,
          { INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, OK, OK, INVALID }, OK },
        { CALL_GET_ERROR,
          { OK, OK, OK, OK, OK, OK, NOERROR, NOERROR, NOERROR }, NOERROR },
};
/* clang-format on */
static_assert_table(expectations, CALL_MAX);

typedef struct Case {
        Job *job;
        File *file;
} Case;

/* A job in which every condition holds, or none of them. */
static Case new_case(bool holds)
{
        static const uint8_t random[JOB_ID_BYTES];
        Case c;

        assert_int_equal(job_new(random, 1000, JOB_UPLOAD_REPLY, "j", 1, &c.job), 0);
        assert_int_equal(file_new("http://h/f", "/srv/f", random, &c.file), 0);
        c.file->transferred = holds;
        if (holds) {
                job_set_fault(c.job, NULL, CONTEXT_REMOTE_FILE, BITS_E_TIMEOUT, NULL);
                return c;
        }
        c.job->resumed = true;
        assert_int_equal(job_append_file(c.job, c.file), 0);
        assert_int_equal(file_new("http://h/r", "/srv/r", random, &c.file), 0);
        assert_int_equal(job_set_reply(c.job, c.file), 0);
        c.file->inode = 1;
        return c;
}

static void free_case(Case *c, bool holds)
{
        if (holds)
                file_free(c->file);
        job_free(c->job);
}

/* JOB-227: every cell. */
static void every_call_in_every_state(void **state)
{
        (void)state;
        for (int holds = 0; holds < 2; holds++) {
                Case c = new_case(holds);

                for (size_t i = 0; i < ELEMENTS(expectations); i++)
                        for (JobState s = 0; s < STATE_MAX; s++) {
                                BitsCode want = expectations[i].answer[s], have;
                                const char *why = NULL;

                                if (!holds && want == OK)
                                        want = expectations[i].unless;
                                c.job->state = s;
                                have = job_call_check(c.job, c.file, expectations[i].call, &why);
                                if (have != want || (have != 0) != (why != NULL))
                                        fail_msg("%s in %s, conditions %d: %08x instead of %08x",
                                                 job_call_name(expectations[i].call),
                                                 job_state_name(s), holds, have, want);
                        }
                free_case(&c, holds);
        }
}

/* JOB-57: what is being completed or cancelled does not change, but can be read. */
static void nothing_changes_while_it_ends(void **state)
{
        Case c = new_case(true);
        const char *why;

        (void)state;
        c.job->pending = PENDING_CANCEL;
        c.job->state = STATE_ERROR;
        for (JobCall call = 0; call < CALL_MAX; call++)
                assert_int_equal(job_call_check(c.job, c.file, call, &why),
                                 call == CALL_GET_ERROR ? 0 : BG_E_INVALID_STATE);
        free_case(&c, true);
}

static void calls_have_names(void **state)
{
        (void)state;
        for (JobCall call = 0; call < CALL_MAX; call++)
                assert_non_null(job_call_name(call));
        assert_null(job_call_name(CALL_MAX));
        assert_null(job_call_name(CALL_INVALID));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_call_in_every_state),
                cmocka_unit_test(nothing_changes_while_it_ends),
                cmocka_unit_test(calls_have_names),
        };

        return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
