/*
 * Many jobs in one call: what one call a job costs is the way there and back, and one commit each.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/manager.h"

static int append_files(sd_bus_message *message, const bits_job_spec *spec)
{
        int r;

        r = sd_bus_message_open_container(message, 'a', "(ss)");
        for (size_t i = 0; r >= 0 && i < spec->n_files; i++)
                r = sd_bus_message_append(message, "(ss)", spec->files[i].remote_name,
                                          spec->files[i].local_name);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_options(sd_bus_message *message, const bits_job_spec *spec)
{
        int r;

        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(message, "{sv}", "Priority", "s",
                                          bits_job_priority_name(spec->priority));
        if (r >= 0 && spec->description)
                r = sd_bus_message_append(message, "{sv}", "Description", "s", spec->description);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_jobs(sd_bus_message *message, const bits_job_spec *specs, size_t count)
{
        int r;

        r = sd_bus_message_open_container(message, 'a', "(ssa{sv}a(ss))");
        for (size_t i = 0; r >= 0 && i < count; i++) {
                r = sd_bus_message_open_container(message, 'r', "ssa{sv}a(ss)");
                if (r >= 0)
                        r = sd_bus_message_append(message, "ss", specs[i].display_name,
                                                  bits_job_type_name(specs[i].type));
                if (r >= 0)
                        r = append_options(message, &specs[i]);
                if (r >= 0)
                        r = append_files(message, &specs[i]);
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

/* LIB-04 */
static int check_specs(const bits_job_spec *specs, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const bits_job_spec *spec = &specs[i];

                if (!spec->display_name || (!spec->files && spec->n_files > 0))
                        return error_state_null("display_name and files");
                for (size_t f = 0; f < spec->n_files; f++)
                        if (!spec->files[f].remote_name || !spec->files[f].local_name)
                                return error_state_null("remote_name and local_name");
                if (!bits_job_type_name(spec->type))
                        return error_state_set(-EINVAL, BITS_E_NOT_IMPLEMENTED,
                                               "job %zu: unknown job type %d", i + 1,
                                               (int)spec->type);
                if (!bits_job_priority_name(spec->priority))
                        return error_state_set(-EINVAL, BITS_E_NOT_IMPLEMENTED,
                                               "job %zu: unknown priority %d", i + 1,
                                               (int)spec->priority);
        }
        return 0;
}

static int read_ids(sd_bus_message *reply, char (*ret_ids)[BITS_JOB_ID_SIZE], size_t count)
{
        const char *id;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(so)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(so)", &id, NULL)) > 0) {
                if (n >= count || strlen(id) >= BITS_JOB_ID_SIZE)
                        return error_state_bad_reply(-EBADMSG);
                if (ret_ids)
                        strcpy(ret_ids[n], id);
                n++;
        }
        return r < 0 || n != count ? error_state_bad_reply(r) : 0;
}

/* LIB-260 */
int bits_manager_create_jobs(bits_manager *manager, const bits_job_spec *specs, size_t count,
                             char (*ret_ids)[BITS_JOB_ID_SIZE])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        int r;

        if (!manager || !specs)
                return error_state_null("manager and specs");
        r = check_specs(specs, count);
        if (r < 0)
                return r;
        manager_present(manager);
        r = manager_message(manager, "CreateJobs", &message);
        if (r < 0)
                return r;
        r = append_jobs(message, specs, count);
        if (r < 0)
                return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                       "the jobs cannot be sent (%s); is all text UTF-8?",
                                       strerror(-r));
        r = manager_send(manager, message, &reply);
        return r < 0 ? r : read_ids(reply, ret_ids, count);
}
