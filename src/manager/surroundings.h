/*
 * What other services of the machine say about it: NetworkManager of the network, UPower of the
 * power, the login manager of sleep. Each may be there or not, come and go; nobody is started by
 * being asked. What nobody says is 0.
 */
#pragma once

#include "basic/macros.h"

#include <systemd/sd-bus.h>

typedef struct Surroundings {
        uint32_t network_starting; /* NetworkManager does not know yet how things are */
        uint32_t network_state;    /* NetworkManager's State */
        uint32_t metered;          /* and Metered */
        uint32_t on_battery;       /* UPower's OnBattery */
        uint32_t warning_level;    /* and the WarningLevel of its display device */
        uint32_t going_to_sleep;   /* the login manager's PreparingForSleep */
} Surroundings;

typedef struct Watch Watch;

/* From the loop, whenever something may be another. */
typedef void (*SurroundingsChanged)(void *userdata, const Surroundings *now);

/* `bus`: where those services are; NULL: nowhere. What they say now is known when it returns, and
   told from within: they are waited for, but not for long. 0 or -errno. */
int watch_new(sd_bus *bus, SurroundingsChanged on_changed, void *userdata, Watch **ret);
void watch_free(Watch *watch);
DEFINE_CLEANUP(Watch, watch_free);
