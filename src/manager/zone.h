/*
 * Which local time the hours of the policies mean: that of /etc/localtime, as it is now, unless TZ
 * names another one.
 */
#pragma once

#include "basic/macros.h"

#include <systemd/sd-event.h>

typedef struct Zone Zone;

/* From the loop: local time is another one. */
typedef void (*ZoneChanged)(void *userdata);

/* Before the sandbox is entered: the C library reads the zone's file. */
void zone_remember(void);
/* Hears of another zone from then on. 0 or -errno. */
int zone_new(sd_event *event, ZoneChanged on_changed, void *userdata, Zone **ret);
void zone_free(Zone *zone);
DEFINE_CLEANUP(Zone, zone_free);
