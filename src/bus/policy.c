/*
 * What an administrator has set, for people to read, and what a job says about networks that cost.
 */
#include "bus/properties.h"

#include "bus/change.h"

/* ---- cost flags ---- */

/* The flags in force: the job's, or those of its priority. */
BUS_GETTER(bus_get_cost_flags)
{
        const Handle *handle = userdata;
        const Job *job = handle->job;
        const BusContext *context = handle_context(handle);

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "u",
                                     config_cost_flags(settings_config(context->settings),
                                                       job->priority, job->cost_flags));
}

/* POL-218: they act at once. */
BUS_SETTER(bus_set_cost_flags)
{
        Handle *handle = userdata;
        _cleanup_(change_done) Change change = { .follow = engine_reconsider };
        uint32_t flags;
        int r = sd_bus_message_read(value, "u", &flags);

        (void)bus, (void)path, (void)interface, (void)property;
        if (r >= 0)
                r = bus_require(handle, RIGHT_MODIFY, error);
        if (r < 0)
                return r;
        if (cost_check_flags(flags) != 0)
                return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                                "0x%x are no cost flags: at least one of the states 0x1 to 0x80, "
                                "with 0x%x if congestion does not matter, or 0 for those of "
                                "bitsd.conf",
                                flags, COST_OPTION_IGNORE_CONGESTION);
        r = change_begin(&change, handle_context(handle), handle->job);
        if (r < 0)
                return r;
        handle->job->cost_flags = flags;
        return change_commit(&change, error);
}

/* ---- the settings ---- */

static int append_setting(sd_bus_message *reply, const Settings *settings, ConfigKey key)
{
        const Config *config = settings_config(settings);
        const char *file = settings_file(settings, config->origins[key].file);
        char value[CONFIG_VALUE_MAX];

        config_value(config, key, value);
        return sd_bus_message_append(reply, "(ssssu)", config_section(key), config_name(key), value,
                                     file ? file : "", config->origins[key].line);
}

/* POL-206: no secret is among them; who is exempt, the file says to everybody, too. */
int bus_get_policy(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const BusContext *context = userdata;
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        (void)error;
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssssu)");
        for (int key = 0; key < CONFIG_KEY_MAX && r >= 0; key++)
                r = append_setting(reply, context->settings, (ConfigKey)key);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}
