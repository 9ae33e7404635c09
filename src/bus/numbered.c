/*
 * The properties that BITS knows by a number (IBackgroundCopyJob5, reference 03 section 8). Each is
 * one of the interface's properties under another name: a row says which, and what it asks and
 * answers is what that property does. Not knowing a number is BITS's own error.
 */
#include "bus/numbered.h"

#include "bus/file.h"
#include "bus/network.h"
#include "bus/notify.h"

static const struct Numbered {
        uint32_t number;
        const char *name, *type;
        sd_bus_property_get_t get;
        sd_bus_property_set_t set;
} rows[] = {
        { 1, "CostFlags", "u", bus_get_cost_flags, bus_set_cost_flags },
        { 2, "NotificationClsid", "s", bus_get_notification_clsid, bus_set_notification_clsid },
        { 3, "DynamicContent", "b", bus_get_number, bus_set_number },
        { 4, "HighPerformance", "b", bus_get_number, bus_set_number },
        { 5, "MaxDownloadSize", "t", bus_get_number, bus_set_number },
        { 7, "UseStoredCredentials", "s", bus_get_use_stored_credentials,
          bus_set_use_stored_credentials },
        { 9, "MinimumNotificationInterval", "u", bus_get_number, bus_set_number },
        { 10, "OnDemandMode", "b", bus_get_number, bus_set_on_demand },
};

static int find(sd_bus_message *m, const struct Numbered **ret, sd_bus_error *error)
{
        uint32_t number;
        int r = sd_bus_message_read_basic(m, 'u', &number);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                if (rows[i].number == number) {
                        *ret = &rows[i];
                        return 0;
                }
        return bus_fail(error, BG_E_UNKNOWN_PROPERTY_ID, "no property has the number %u", number);
}

/* JOB-413 */
int bus_get_property(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const struct Numbered *row = NULL;
        sd_bus_message *reply = NULL;
        int r = handle_require(userdata, RIGHT_READ, error);

        if (r >= 0)
                r = find(m, &row, error);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', row->type);
        if (r >= 0)
                r = row->get(sd_bus_message_get_bus(m), sd_bus_message_get_path(m), BUS_JOB,
                             row->name, reply, userdata, error);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* JOB-413 */
int bus_set_property(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const struct Numbered *row = NULL;
        const char *type;
        int r = find(m, &row, error);

        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &type);
        if (r >= 0 && !string_equal(type, row->type))
                r = bus_fail(error, BITS_E_INVALID_ARGUMENT, "%s (%u) has the type '%s'", row->name,
                             row->number, row->type);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'v', row->type);
        if (r >= 0)
                r = row->set(sd_bus_message_get_bus(m), sd_bus_message_get_path(m), BUS_JOB,
                             row->name, m, userdata, error);
        return r < 0 ? r : sd_bus_reply_method_return(m, "");
}
