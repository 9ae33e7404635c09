/*
 * CreateJob and CreateJobs: a job, or a thousand with their files in one call. All jobs of a call
 * are made, or none: what can be refused is refused before the first one exists, and one commit
 * stores all of them.
 */
#pragma once

#include "bus/bus.h"

/* Handlers of org.openbits.BITS1.Manager; userdata is the BusContext. */
int bus_create_job(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_create_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error);
