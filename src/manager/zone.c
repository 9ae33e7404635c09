/*
 * The C library reads the file anew only when TZ is not set. Without it, though, it looks at the
 * file whenever local time is asked for, and takes a file that is not there at that moment for
 * Greenwich. So TZ names the file at all times but while it is read.
 */
#include "manager/zone.h"

#include "basic/log.h"

#include <sys/inotify.h>
#include <time.h>

#define ZONE_DIRECTORY "/etc"
#define ZONE_NAME      "localtime"
#define ZONE_FILE      ":" ZONE_DIRECTORY "/" ZONE_NAME

struct Zone {
        ZoneChanged on_changed;
        void *userdata;
        sd_event_source *source;
};

void zone_remember(void)
{
        (void)setenv("TZ", ZONE_FILE, false);
        tzset();
}

/* POL-386 */
static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Zone *zone = userdata;

        (void)source;
        if (event->len == 0 || strcmp(event->name, ZONE_NAME) != 0)
                return 0;
        (void)unsetenv("TZ");
        tzset();
        zone_remember();
        log_info("the time zone is %s now", tzname[0]);
        zone->on_changed(zone->userdata);
        return 0;
}

int zone_new(sd_event *event, ZoneChanged on_changed, void *userdata, Zone **ret)
{
        _cleanup_(zone_freep) Zone *zone = calloc(1, sizeof(*zone));
        const char *named = getenv("TZ");
        int r = 0;

        if (!zone)
                return -ENOMEM;
        zone->on_changed = on_changed;
        zone->userdata = userdata;
        if (named && strcmp(named, ZONE_FILE) == 0)
                r = sd_event_add_inotify(event, &zone->source, ZONE_DIRECTORY,
                                         IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE, on_change, zone);
        if (r < 0)
                log_errno(LOG_NOTICE, r, "another time zone will not be noticed");
        *ret = TAKE_PTR(zone);
        return 0;
}

void zone_free(Zone *zone)
{
        if (!zone)
                return;
        sd_event_source_disable_unref(zone->source);
        free(zone);
}
