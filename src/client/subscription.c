/*
 * News of the whole queue: a subscription to the Manager's signals, and the bus's word on whether
 * the service is there. A service that comes back knows nothing of it, so it is asked anew, and
 * only when it has answered is its return told: what the program looks up then misses nothing.
 *
 * What comes is told outside sd_bus_process(), so that its receiver may close the manager.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/subscription.h"

#include "client/error-state.h"
#include "client/manager.h"

/* Of that name alone: connections come and go all the time. */
#define OWNER_MATCH                                                                 \
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus'," \
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" SERVICE_NAME "'"

struct Subscription {
        bits_manager *manager;
        bits_manager_callback on_event;
        void *userdata;
        sd_bus_slot *signals, *owners, *call;
        char *service; /* unique name of who was asked; NULL: nobody is there */
        /* One at a time: sd_bus_process() has one message, and then it is told. */
        bool pending;
        bits_queue_event event;
        sd_bus_message *signal;
};

static void note(Subscription *subscription, bits_queue_event event, sd_bus_message *signal)
{
        sd_bus_message_unref(subscription->signal);
        subscription->pending = true;
        subscription->event = event;
        subscription->signal = sd_bus_message_ref(signal);
}

static int note_service(Subscription *subscription, sd_bus_message *reply)
{
        free(subscription->service);
        subscription->service = strdup(sd_bus_message_get_sender(reply));
        return subscription->service ? 0 : -ENOMEM;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_)
{
        Subscription *subscription = userdata;

        /* Anybody may send anything to anybody on some buses. */
        if (!string_equal(sd_bus_message_get_sender(m), subscription->service))
                return 0;
        if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "JobAdded"))
                note(subscription, BITS_QUEUE_ADDED, m);
        else if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "JobRemoved"))
                note(subscription, BITS_QUEUE_REMOVED, m);
        else if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "Changed"))
                note(subscription, BITS_QUEUE_CHANGED, NULL);
        return 0;
}

/* The service that is back knows of us: from now on nothing is missed. */
static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_)
{
        Subscription *subscription = userdata;

        /* One that went away again is told by its name. */
        if (!sd_bus_message_is_method_error(m, NULL) && note_service(subscription, m) >= 0)
                note(subscription, BITS_QUEUE_BACK, NULL);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_)
{
        Subscription *subscription = userdata;
        const char *new_owner;

        if (sd_bus_message_read(m, "sss", NULL, NULL, &new_owner) < 0)
                return 0;
        /* The first answer to Subscribe may have been quicker than this. */
        if (string_equal(new_owner, subscription->service))
                return 0;
        subscription->call = sd_bus_slot_unref(subscription->call);
        if (subscription->service)
                note(subscription, BITS_QUEUE_GONE, NULL);
        free(subscription->service);
        subscription->service = NULL;
        if (*new_owner)
                (void)sd_bus_call_method_async(subscription->manager->bus, &subscription->call,
                                               new_owner, SERVICE_PATH, MANAGER_INTERFACE,
                                               "Subscribe", on_subscribed, subscription, "");
        return 0;
}

void subscription_free(Subscription *subscription)
{
        if (!subscription)
                return;
        sd_bus_slot_unref(subscription->signals);
        sd_bus_slot_unref(subscription->owners);
        sd_bus_slot_unref(subscription->call);
        sd_bus_message_unref(subscription->signal);
        free(subscription->service);
        free(subscription);
}

/* 0: the service knows; 1: it is not there. */
static int subscribe(Subscription *subscription)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        sd_bus *bus = subscription->manager->bus;
        int r;

        /* First of all, so that no change of hands is missed. */
        r = sd_bus_add_match(bus, &subscription->owners, OWNER_MATCH, on_owner, subscription);
        if (r >= 0)
                r = sd_bus_match_signal(bus, &subscription->signals, SERVICE_NAME, SERVICE_PATH,
                                        MANAGER_INTERFACE, NULL, on_signal, subscription);
        if (r < 0)
                return error_state_from_bus(r, NULL);
        r = manager_call(subscription->manager, &reply, "Subscribe", "");
        if (r >= 0)
                return note_service(subscription, reply) < 0 ? error_state_oom() : 0;
        return bits_error_code() == CLIENT_E_UNREACHABLE && !error_is_disconnect(r) ? 1 : r;
}

/* CLI-491 */
int bits_manager_set_callback(bits_manager *manager, bits_manager_callback on_event, void *userdata)
{
        _cleanup_(subscription_freep) Subscription *subscription = NULL;
        int r = 0;

        if (!manager)
                return error_state_null("manager");
        if (on_event && manager->subscription) {
                manager->subscription->on_event = on_event;
                manager->subscription->userdata = userdata;
                return manager->subscription->service ? 0 : 1;
        }
        if (on_event) {
                subscription = malloc(sizeof(*subscription));
                if (!subscription)
                        return error_state_oom();
                *subscription = (Subscription){ .manager = manager,
                                                .on_event = on_event,
                                                .userdata = userdata };
                r = subscribe(subscription);
                if (r >= 0)
                        manager->subscription = TAKE_PTR(subscription);
        } else if (manager->subscription) {
                r = manager->subscription->service ? manager_call(manager, NULL, "Unsubscribe", "")
                                                   : 0;
                subscription_free(TAKE_PTR(manager->subscription));
        }
        return r;
}

int subscription_tell(Subscription *subscription)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
        const char *id = NULL;

        if (!subscription || !subscription->pending)
                return 0;
        subscription->pending = false;
        signal = TAKE_PTR(subscription->signal);
        if (signal && sd_bus_message_read(signal, "s", &id) < 0)
                return 1;
        subscription->on_event(subscription->manager, subscription->event, id,
                               subscription->userdata);
        return 1;
}
