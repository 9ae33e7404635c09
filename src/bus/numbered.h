/*
 * GetProperty and SetProperty of org.openbits.BITS1.Job: handlers for the vtable of job.c.
 */
#pragma once

#include "bus/bus.h"

int bus_get_property(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_set_property(sd_bus_message *m, void *userdata, sd_bus_error *error);
