#include "manager/bus-names.h"

#include "basic/utf8.h"

#include <stdarg.h>
#include <stdio.h>

void bus_job_path(const Job *job, char ret[BUS_JOB_PATH_MAX])
{
        char compact[2 * JOB_ID_BYTES + 1];

        job_id_compact(job->id, compact);
        snprintf(ret, BUS_JOB_PATH_MAX, "%s/%s", BUS_JOB_PREFIX, compact);
}

const char *error_text_of(BitsCode code)
{
        const char *text = error_text(code);

        return text ? text : "The call failed.";
}

int bus_fail(sd_bus_error *error, BitsCode code, const char *format, ...)
{
        char name[sizeof(BUS_ERROR_PREFIX) + 64], buffer[32];
        _cleanup_free_ char *text = NULL;
        va_list args;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        if (text)
                utf8_scrub(text); /* names of callers are quoted, perhaps cut */
        snprintf(name, sizeof(name), "%s%s", BUS_ERROR_PREFIX, error_bus_name(code, buffer));
        return sd_bus_error_set(error, name, text ? text : error_text_of(code));
}

void bus_reply_failure(sd_bus_message *call, BitsCode code, const char *detail)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        (void)bus_fail(&error, code, "%s", string_empty(detail) ? error_text_of(code) : detail);
        (void)sd_bus_reply_method_error(call, &error);
        sd_bus_error_free(&error);
}
