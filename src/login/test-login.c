/*
 * What counts as signed on, and how a picture of one moment is searched. Reading the login
 * manager's files is tested on a machine that has one.
 */
#include "login/login.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* TOK-66 */
static void test_which_sessions_count(void **state)
{
        (void)state;
        assert_true(login_session_counts("user", "active"));
        assert_true(login_session_counts("user", "online"));
        assert_true(login_session_counts("user", "opening"));
        assert_true(login_session_counts("user-early", "online"));
        assert_false(login_session_counts("user", "closing"));
        assert_false(login_session_counts("user", NULL));
        assert_false(login_session_counts("greeter", "active"));
        assert_false(login_session_counts("lock-screen", "active"));
        assert_false(login_session_counts("manager", "active"));
        assert_true(login_session_counts("background", "online"));
        assert_false(login_session_counts("background", "closing"));
        assert_false(login_session_counts(NULL, "active"));

        assert_true(login_state_lives("online"));
        assert_false(login_state_lives("closing"));
        assert_false(login_state_lives(""));
}

/* ENG-60 */
static void test_service_accounts(void **state)
{
        (void)state;
        assert_true(login_is_service(0));
        assert_true(login_is_service(999));
        assert_false(login_is_service(1000));
        assert_false(login_is_service(61183));
        assert_true(login_is_service(61184));
        assert_true(login_is_service(65519));
        assert_false(login_is_service(65534));
}

static void test_search(void **state)
{
        char *sessions[] = { "1", "12", "c3" };
        struct LoginUser users[] = { { 1000, "alice" }, { 1002, NULL } };
        LoginPicture picture = { sessions, 3, users, 2 }, empty = { 0 };

        (void)state;
        assert_true(login_picture_has_session(&picture, "12"));
        assert_false(login_picture_has_session(&picture, "2"));
        assert_false(login_picture_has_session(&picture, ""));
        assert_string_equal(login_picture_find_user(&picture, 1000)->name, "alice");
        assert_null(login_picture_find_user(&picture, 1001));
        assert_non_null(login_picture_find_user(&picture, 1002));
        assert_false(login_picture_has_session(&empty, "1"));
        assert_null(login_picture_find_user(&empty, 1000));
        login_picture_done(&empty);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_which_sessions_count),
                cmocka_unit_test(test_service_accounts),
                cmocka_unit_test(test_search),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
