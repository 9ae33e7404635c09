/*
 * Names, paths and errors of the bus interface, for whoever speaks on it.
 */
#pragma once

#include "core/job.h"

#include <systemd/sd-bus.h>

#define BUS_NAME          "org.openbits.BITS1"
#define BUS_ROOT_PATH     "/org/openbits/BITS1"
#define BUS_JOB_PREFIX    "/org/openbits/BITS1/job"
#define BUS_MANAGER       "org.openbits.BITS1.Manager"
#define BUS_JOB           "org.openbits.BITS1.Job"
#define BUS_FILE          "org.openbits.BITS1.File"
#define BUS_TOKEN_OPTIONS "org.openbits.BITS1.TokenOptions"
#define BUS_HTTP_OPTIONS  "org.openbits.BITS1.HttpOptions"
#define BUS_ERROR_PREFIX  "org.openbits.BITS1.Error."

enum {
        BUS_JOB_PATH_MAX = sizeof(BUS_JOB_PREFIX "/") + 2 * JOB_ID_BYTES,
};

void bus_job_path(const Job *job, char ret[BUS_JOB_PATH_MAX]);

/* Sets the error for a BITS code, with a sentence (or the code's own text), and returns what a
   handler returns. */
int bus_fail(sd_bus_error *error, BitsCode code, const char *format, ...) _printf_(3, 4);
#define bus_fail_code(error, code) bus_fail(error, code, "%s", error_text_of(code))
const char *error_text_of(BitsCode code);

/* Answers a call that has waited, with an error for a BITS code. */
void bus_reply_failure(sd_bus_message *call, BitsCode code, const char *detail);
