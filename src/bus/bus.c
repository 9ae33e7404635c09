#include "bus/bus.h"

int bus_find_handle(sd_bus *bus, const char *path, const char *interface, void *userdata,
                    void **ret_found, sd_bus_error *error)
{
        BusContext *context = userdata;
        sd_bus_message *m = sd_bus_get_current_message(bus);
        char id[JOB_ID_CHARACTERS + 1];
        Handle *handle = NULL;
        Client *client;
        Job *job;
        int r;

        (void)interface;
        if (!m || strncmp(path, BUS_JOB_PREFIX "/", sizeof(BUS_JOB_PREFIX)) != 0 ||
            !job_id_parse(path + sizeof(BUS_JOB_PREFIX), id))
                return 0;
        job = job_table_find_any(context->jobs, id);
        if (!job)
                return 0;
        r = handles_client(context->handles, m, &client);
        if (r >= 0)
                r = handle_of_client(client, job, &handle);
        if (r == -EDQUOT)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "You hold too many jobs open at the same time.");
        if (r < 0)
                return r;
        *ret_found = handle;
        return handle ? 1 : 0; /* SEC-62, SEC-63: as if there were no such object */
}

/* JOB-57, TOK-56, BUS-11, HND-11. HND-36: whoever names a file chooses what the owner's identity
   writes, hence RIGHT_FILES. */
int bus_require(const Handle *handle, unsigned rights, sd_bus_error *error)
{
        return bus_require_call(handle, rights, CALL_SET, NULL, error);
}

int bus_require_call(const Handle *handle, unsigned rights, JobCall call, const File *file,
                     sd_bus_error *error)
{
        const char *why;
        BitsCode code;
        int r = handle_require(handle, rights, error);

        if (r < 0)
                return r;
        code = job_call_check(handle->job, file, call, &why);
        return code != 0 ? bus_fail(error, code, "%s", why) : 0;
}
