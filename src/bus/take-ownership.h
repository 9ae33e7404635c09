/*
 * TakeOwnership: a job gets another owner. He must be able to go on with the files that are there,
 * which his own bits-file is asked; then the job is his, without the helper and the other secrets
 * of the old owner, and what was on its way goes on under him.
 */
#pragma once

#include "bus/bus.h"

/* Answers `call` when it is done: 1, or the error set. The rights are checked already. */
int take_ownership(BusContext *context, Job *job, uid_t new_owner, sd_bus_message *call,
                   sd_bus_error *error);
