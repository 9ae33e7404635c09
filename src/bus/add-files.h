/*
 * AddFile and AddFiles: names are checked here, the local ones also by the identity that will write
 * them (in its own bits-file), and only when all are good the job gets all of them.
 */
#pragma once

#include "bus/bus.h"

typedef struct AddFiles AddFiles;

/* For a job that can take files; the answer goes to `call`, which is charged to the handle's
   opener. 0 or the error set. */
int add_files_begin(const Handle *handle, sd_bus_message *call, AddFiles **ret,
                    sd_bus_error *error);
/* For a job that is not in the table yet: whoever makes it marks and announces it. on_done comes
   from add_files_run() or later: `code` 0, or the failure with a sentence or NULL. 0 or -ENOMEM. */
typedef void (*AddFilesDone)(void *userdata, Job *job, BitsCode code, const char *detail);
int add_files_new_draft(BusContext *context, Job *job, AddFilesDone on_done, void *userdata,
                        AddFiles **ret);
void add_files_free(AddFiles *add);
DEFINE_CLEANUP(AddFiles, add_files_free);

/* One more pair; 0 or the error set for the caller's reply. */
int add_files_add(AddFiles *add, const char *remote_name, const char *local_name,
                  sd_bus_error *error);
/* Of the pair added last: only these ranges, which were checked. 0 or -ENOMEM. */
int add_files_set_ranges(AddFiles *add, const Ranges *ranges);
/* Starts the checks and takes `add`, which answers the call (or on_done) and frees itself. 1, or
   negative with the error set (then `add` is freed too). */
int add_files_run(AddFiles *add, sd_bus_error *error);
