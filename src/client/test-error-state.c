/* The library's last error: per thread, in BITS's numbers, with the service's own words. */
#include "client/error-state.h"
#include "client/words.h"

#include "openbits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* LIB-02 */
static void test_service_error(void **state _unused_)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(
                "org.openbits.BITS1.Error.TokenRequired", "job waits: alice is not signed on");

        assert_int_equal(error_state_from_bus(-EIO, &error), -EIO);
        assert_int_equal(bits_error_code(), 0x80200056);
        assert_string_equal(bits_error_message(), "job waits: alice is not signed on");
        assert_string_equal(bits_code_name(bits_error_code()), "BG_E_TOKEN_REQUIRED");
}

static void test_service_error_without_words(void **state _unused_)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error =
                SD_BUS_ERROR_MAKE_CONST("org.openbits.BITS1.Error.NotFound", NULL);

        assert_true(error_state_from_bus(-EIO, &error) < 0);
        assert_int_equal(bits_error_code(), 0x80200001);
        assert_string_equal(bits_error_message(), bits_code_text(0x80200001));
}

static void test_unknown_service_error(void **state _unused_)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error =
                SD_BUS_ERROR_MAKE_CONST("org.openbits.BITS1.Error.FromTheFuture", "surprise");

        assert_true(error_state_from_bus(-EIO, &error) < 0);
        assert_int_equal(bits_error_code(), 0x8000FFFF);
        assert_string_equal(bits_error_message(), "surprise");
}

/* LIB-03 */
static void test_unreachable(void **state _unused_)
{
        static const char *const names[] = {
                SD_BUS_ERROR_SERVICE_UNKNOWN,
                SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                "org.freedesktop.DBus.Error.Spawn.ExecFailed",
        };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(names[i], "x");

                assert_true(error_state_from_bus(-EHOSTUNREACH, &error) < 0);
                assert_int_equal(bits_error_code(), CLIENT_E_UNREACHABLE);
                assert_non_null(strstr(bits_error_message(), "cannot reach the OpenBITS service"));
                assert_non_null(strstr(bits_error_message(), "systemctl start bitsd"));
        }
        assert_int_equal(error_state_from_bus(-ECONNRESET, NULL), -ECONNRESET);
        assert_int_equal(bits_error_code(), CLIENT_E_UNREACHABLE);
        assert_non_null(bits_code_name(CLIENT_E_UNREACHABLE));
        assert_non_null(bits_code_text(CLIENT_E_UNREACHABLE));
}

static void test_access_denied_by_the_bus(void **state _unused_)
{
        sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_ACCESS_DENIED, "policy");

        assert_true(error_state_from_bus(-EACCES, &error) < 0);
        assert_int_equal(bits_error_code(), 0x80070005);
        assert_non_null(strstr(bits_error_message(), "bus policy"));
}

static void *other_thread(void *userdata)
{
        bool *ok = userdata;

        *ok = bits_error_code() == 0 && bits_error_message()[0] == '\0';
        error_state_set(-EIO, 0x80200003, "mine");
        *ok = *ok && bits_error_code() == 0x80200003;
        return NULL;
}

static void test_each_thread_has_its_own(void **state _unused_)
{
        pthread_t thread;
        bool ok = false;

        error_state_set(-EIO, 0x80200001, "here");
        assert_int_equal(pthread_create(&thread, NULL, other_thread, &ok), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(ok);
        assert_int_equal(bits_error_code(), 0x80200001);
        assert_string_equal(bits_error_message(), "here");
}

/* LIB-04 */
static void test_null_arguments(void **state _unused_)
{
        bits_manager *manager;
        bits_job *job;

        assert_true(bits_manager_open(NULL) < 0);
        assert_int_equal(bits_error_code(), 0x80070057);
        assert_true(bits_manager_create_job(NULL, "x", BITS_JOB_DOWNLOAD, &job) < 0);
        assert_true(bits_manager_get_job(NULL, "x", &job) < 0);
        assert_true(bits_manager_process(NULL) < 0);
        assert_true(bits_job_resume(NULL) < 0);
        assert_true(bits_job_add_file(NULL, "a", "b") < 0);
        assert_true(bits_job_wait(NULL, 0, NULL) < 0);
        assert_true(bits_job_get_owner(NULL, NULL) < 0);
        assert_true(bits_token_options_set_helper_token(NULL) < 0);
        assert_int_equal(bits_error_code(), 0x80070057);
        assert_null(bits_job_id(NULL));
        assert_int_equal(bits_job_list_count(NULL), 0);
        assert_null(bits_file_list_get(NULL, 0));
        bits_manager_close(NULL);
        bits_job_free(NULL);
        bits_job_list_free(NULL);
        bits_file_list_free(NULL);
        bits_token_options_free(NULL);
        bits_job_error_done(NULL);

        setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
        assert_true(bits_manager_open(&manager) < 0);
        assert_int_equal(bits_error_code(), CLIENT_E_UNREACHABLE);
        assert_non_null(strstr(bits_error_message(), "cannot reach the OpenBITS service"));
}

static void test_words(void **state _unused_)
{
        bits_job_state s = BITS_STATE_ERROR;

        assert_true(word_to_state("transient-error", &s));
        assert_int_equal(s, BITS_STATE_TRANSIENT_ERROR);
        assert_false(word_to_state("TRANSFERRED", &s));
        assert_false(word_to_state("", &s));
        assert_false(word_to_state(NULL, &s));
        assert_string_equal(bits_job_state_name(BITS_STATE_CANCELLED), "cancelled");
        assert_null(bits_job_state_name((bits_job_state)9));
        assert_null(bits_job_priority_name((bits_job_priority)-1));
        assert_null(bits_job_type_name((bits_job_type)3));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_service_error),
                cmocka_unit_test(test_service_error_without_words),
                cmocka_unit_test(test_unknown_service_error),
                cmocka_unit_test(test_unreachable),
                cmocka_unit_test(test_access_denied_by_the_bus),
                cmocka_unit_test(test_each_thread_has_its_own),
                cmocka_unit_test(test_null_arguments),
                cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
