/*
 * CheckDirectory of org.openbits.BITS1.Job: whether a name means the same place to the caller and
 * to who will work there.
 */
#pragma once

#include "bus/bus.h"

int bus_check_directory(sd_bus_message *m, void *userdata, sd_bus_error *error);
