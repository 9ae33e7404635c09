/*
 * Snapshots of many jobs or files. A list keeps the reply of the service and points into it: one
 * allocation for thousands of entries.
 */
#pragma once

#include "openbits.h"

#include <systemd/sd-bus.h>

/* From the reply of ListJobs and ListFiles; take their own reference. 0 or negative with the
   thread's error set. */
int job_list_new(sd_bus_message *reply, bits_job_list **ret_list);
int file_list_new(sd_bus_message *reply, bits_file_list **ret_list);
