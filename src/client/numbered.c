/*
 * The properties that BITS knows by a number. The service knows each number's type; here stands
 * only in which member of the union a value of it lies.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/job.h"

static const char *const targets[] = {
        [0] = "none",
        [BITS_AUTH_SERVER] = "server",
        [BITS_AUTH_PROXY] = "proxy",
};

static int read_text(sd_bus_message *reply, bits_job_property_id id,
                     bits_job_property_value *ret_value)
{
        const char *text;
        int r = sd_bus_message_read_basic(reply, 's', &text);

        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (id == BITS_JOB_PROPERTY_NOTIFICATION_CLSID && strlen(text) < sizeof(ret_value->clsid)) {
                strcpy(ret_value->clsid, text);
                return 1;
        }
        for (uint32_t i = 0; i < ELEMENTS(targets); i++)
                if (string_equal(text, targets[i])) {
                        ret_value->target = i;
                        return 1;
                }
        return -EBADMSG;
}

static int read_value(sd_bus_message *reply, bits_job_property_id id,
                      bits_job_property_value *ret_value)
{
        const char *type;
        int r = sd_bus_message_peek_type(reply, NULL, &type);

        if (r > 0)
                r = sd_bus_message_enter_container(reply, 'v', type);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (string_equal(type, "u"))
                return sd_bus_message_read_basic(reply, 'u', &ret_value->dword);
        if (string_equal(type, "b"))
                return sd_bus_message_read_basic(reply, 'b', &ret_value->enable);
        if (string_equal(type, "t"))
                return sd_bus_message_read_basic(reply, 't', &ret_value->uint64);
        return string_equal(type, "s") ? read_text(reply, id, ret_value) : -EBADMSG;
}

/* LIB-416 */
int bits_job_get_property(bits_job *job, bits_job_property_id id,
                          bits_job_property_value *ret_value)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        bits_job_property_value value = {};
        int r;

        if (!job || !ret_value)
                return error_state_null("job and ret_value");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetProperty", "u", (uint32_t)id);
        if (r < 0)
                return r;
        r = read_value(reply, id, &value);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_value = value;
        return 0;
}

/* LIB-416 */
int bits_job_set_property(bits_job *job, bits_job_property_id id,
                          const bits_job_property_value *value)
{
        static const char call[] = "SetProperty";

        if (!job || !value)
                return error_state_null("job and value");
        switch (id) {
        case BITS_JOB_PROPERTY_NOTIFICATION_CLSID:
                if (!memchr(value->clsid, 0, sizeof(value->clsid)))
                        return error_state_set(-EINVAL, BITS_E_INVALID_ARGUMENT,
                                               "the class identifier has no end");
                return handle_call(job->handle, NULL, JOB_INTERFACE, call, "uv", (uint32_t)id, "s",
                                   value->clsid);
        case BITS_JOB_PROPERTY_USE_STORED_CREDENTIALS:
                return handle_call(job->handle, NULL, JOB_INTERFACE, call, "uv", (uint32_t)id, "s",
                                   value->target < ELEMENTS(targets) ? targets[value->target]
                                                                     : "unknown");
        case BITS_JOB_PROPERTY_DYNAMIC_CONTENT:
        case BITS_JOB_PROPERTY_HIGH_PERFORMANCE:
        case BITS_JOB_PROPERTY_ON_DEMAND_MODE:
                return handle_call(job->handle, NULL, JOB_INTERFACE, call, "uv", (uint32_t)id, "b",
                                   value->enable != 0);
        case BITS_JOB_PROPERTY_MAX_DOWNLOAD_SIZE:
                return handle_call(job->handle, NULL, JOB_INTERFACE, call, "uv", (uint32_t)id, "t",
                                   value->uint64);
        case BITS_JOB_PROPERTY_COST_FLAGS:
        case BITS_JOB_PROPERTY_MINIMUM_NOTIFICATION_INTERVAL_MS:
                break;
        }
        /* An unknown number, too: the service says so. */
        return handle_call(job->handle, NULL, JOB_INTERFACE, call, "uv", (uint32_t)id, "u",
                           value->dword);
}
