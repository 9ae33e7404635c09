/*
 * How far the kernel's routes lead, where no network manager says it: in the network of the
 * workers, whose sockets the broker hands out. Nothing is asked again and again: the kernel tells
 * that something changed, and is then asked what there is.
 */
#pragma once

#include "core/machine.h"
#include "workers/broker-link.h"

#include <systemd/sd-event.h>

typedef struct Routes Routes;

/* From the loop, when either is another than before. */
typedef void (*RoutesChanged)(void *userdata, Reach reach, bool local_proxy);

/* Until the broker has answered, and where it cannot, nothing is known. 0 or -errno. */
int routes_new(sd_event *event, BrokerLink *link, RoutesChanged on_changed, void *userdata,
               Routes **ret);
void routes_free(Routes *routes);
DEFINE_CLEANUP(Routes, routes_free);
