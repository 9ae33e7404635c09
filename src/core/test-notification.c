/*
 * What is done about an event: each row of the order of delivery, and one event's whole way.
 */
#include "core/notification.h"

#include "core/job.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
        NOW = 1000,
};

/* NTF-242 */
static void test_rows(void **state)
{
        static const struct {
                NotificationView view;
                NotificationStep step;
        } rows[] = {
                /* event, flags, receivers, command, running, told, not_before */
                { { 0, 3, true, true, false, false, 0 }, NOTIFICATION_NOTHING },
                { { 1, 3, false, false, false, false, 0 }, NOTIFICATION_NOTHING },
                { { 1, 3, true, false, false, false, 0 }, NOTIFICATION_TELL },
                { { 1, 3, false, true, false, false, 0 }, NOTIFICATION_RUN },
                { { 1, 3, true, true, false, false, 0 }, NOTIFICATION_TELL }, /* they come first */
                { { 1, 3, true, true, false, true, NOW }, NOTIFICATION_RUN }, /* nobody answered */
                { { 1, 3, true, false, false, true, NOW }, NOTIFICATION_TELL }, /* once more */
                { { 1, 3, true, true, false, true, NOW + 1 }, NOTIFICATION_WAIT },
                { { 1, 3, false, true, false, false, NOW + 1 }, NOTIFICATION_WAIT },
                { { 1, 3, true, true, true, false, 0 }, NOTIFICATION_NOTHING },
                { { 2, 3, false, true, false, false, 0 }, NOTIFICATION_RUN },
                { { 2, 1, true, true, false, false, 0 }, NOTIFICATION_NOTHING },
                { { 1, 2, true, true, false, false, 0 }, NOTIFICATION_NOTHING },
                { { 1, 3 | NOTIFY_DISABLE, true, true, false, false, 0 }, NOTIFICATION_NOTHING },
                { { 1, NOTIFY_DISABLE, true, true, false, false, 0 }, NOTIFICATION_NOTHING },
                { { 1, 0, false, true, false, false, 0 }, NOTIFICATION_NOTHING },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                uint64_t when = 0;

                assert_int_equal(notification_next(&rows[i].view, NOW, &when), rows[i].step);
                assert_int_equal(when,
                                 rows[i].step == NOTIFICATION_WAIT ? rows[i].view.not_before : 0);
        }
}

/* JOB-80 */
static void test_flags(void **state)
{
        (void)state;
        assert_true(notification_wanted(3, NOTIFY_JOB_TRANSFERRED));
        assert_true(notification_wanted(NOTIFY_FILE_TRANSFERRED, NOTIFY_FILE_TRANSFERRED));
        assert_false(notification_wanted(3, NOTIFY_JOB_MODIFICATION));
        assert_false(notification_wanted(NOTIFY_FLAGS_ALL, NOTIFY_JOB_ERROR)); /* DISABLE */
        assert_false(notification_wanted(3, 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows),
                                            cmocka_unit_test(test_flags) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
