/*
 * The properties of org.openbits.BITS1.Job: getters and setters for the vtable of job.c. One
 * that is a plain number is a row of the table in properties.c.
 */
#pragma once

#include "bus/bus.h"

#define BUS_GETTER(function)                                                                     \
        int function(sd_bus *bus, const char *path, const char *interface, const char *property, \
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
#define BUS_SETTER(function)                                                                     \
        int function(sd_bus *bus, const char *path, const char *interface, const char *property, \
                     sd_bus_message *value, void *userdata, sd_bus_error *error)

/* Numbers, of D-Bus's types b, u and t. */
BUS_GETTER(bus_get_number);
BUS_SETTER(bus_set_number);
BUS_GETTER(bus_get_timing);

/* policy.c */
BUS_GETTER(bus_get_cost_flags);
BUS_SETTER(bus_set_cost_flags);

BUS_GETTER(bus_get_text);
BUS_SETTER(bus_set_text);
BUS_SETTER(bus_set_priority);
BUS_GETTER(bus_get_progress);
BUS_GETTER(bus_get_times);
