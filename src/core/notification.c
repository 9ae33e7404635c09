#include "core/notification.h"

#include "core/job.h"

/* JOB-80 */
bool notification_wanted(uint32_t flags, uint32_t event)
{
        return event != 0 && (flags & (event | NOTIFY_DISABLE)) == event;
}

/* NTF-242 */
NotificationStep notification_next(const NotificationView *view, uint64_t now, uint64_t *ret_when)
{
        if (!notification_wanted(view->flags, view->event) || view->running)
                return NOTIFICATION_NOTHING;
        if (!view->receivers && !view->command)
                return NOTIFICATION_NOTHING;
        if (now < view->not_before) {
                *ret_when = view->not_before;
                return NOTIFICATION_WAIT;
        }
        if (view->receivers && !(view->told && view->command))
                return NOTIFICATION_TELL;
        return NOTIFICATION_RUN;
}
