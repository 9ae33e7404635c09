/*
 * The members of org.openbits.BITS1.Job about the reply of an upload-reply job (reference 03
 * section 5). For any other job they answer NotImplemented. Handlers for the vtable of job.c.
 */
#pragma once

#include "bus/bus.h"

int bus_set_reply_file_name(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_get_reply_file_name(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_get_reply_progress(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_get_reply_data(sd_bus_message *m, void *userdata, sd_bus_error *error);
