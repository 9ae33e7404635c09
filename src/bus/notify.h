/*
 * The members of org.openbits.BITS1.Job that are about events: the notification command line, and
 * who receives and acknowledges them. Handlers for the vtable of job.c.
 */
#pragma once

#include "bus/properties.h"

int bus_set_notify_cmd_line(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_set_sealed_notify_cmd_line(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_get_notify_cmd_line(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_acknowledge(sd_bus_message *m, void *userdata, sd_bus_error *error);

BUS_GETTER(bus_get_notify_cmd_line_state);
BUS_GETTER(bus_get_notification_clsid);
BUS_SETTER(bus_set_notification_clsid);
