/*
 * org.openbits.BITS1.File: one file of a job, below the job's path, and what of the job's interface
 * is about the parts and names of its files.
 */
#pragma once

#include "bus/properties.h"

int bus_add_file_with_ranges(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_replace_remote_prefix(sd_bus_message *m, void *userdata, sd_bus_error *error);
BUS_SETTER(bus_set_on_demand);
