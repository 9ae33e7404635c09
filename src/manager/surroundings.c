/*
 * One row for each object that is looked at, one for each of its properties. A signal of a change
 * (the login manager has one of its own for sleep), and the coming of a service, only make us ask
 * for all properties of the object anew: so there is one way in which a value gets here. When a
 * service leaves the bus, what it said is forgotten.
 */
#include "manager/surroundings.h"

#include "basic/log.h"

#include <stdio.h>

enum {
        FIRST_ANSWER_USEC = 500 * 1000,
};

typedef struct Object {
        const char *service, *path, *interface;
        const char *signal; /* of that interface; NULL: PropertiesChanged */
} Object;

static const Object objects[] = {
        { "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager",
          "org.freedesktop.NetworkManager" },
        { "org.freedesktop.UPower", "/org/freedesktop/UPower", "org.freedesktop.UPower" },
        { "org.freedesktop.UPower", "/org/freedesktop/UPower/devices/DisplayDevice",
          "org.freedesktop.UPower.Device" },
        { "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
          "PrepareForSleep" },
};

static const struct {
        size_t object;
        const char *name;
        char type;
        size_t offset;
} properties[] = {
        { 0, "Startup", 'b', offsetof(Surroundings, network_starting) },
        { 0, "State", 'u', offsetof(Surroundings, network_state) },
        { 0, "Metered", 'u', offsetof(Surroundings, metered) },
        { 1, "OnBattery", 'b', offsetof(Surroundings, on_battery) },
        { 2, "WarningLevel", 'u', offsetof(Surroundings, warning_level) },
        { 3, "PreparingForSleep", 'b', offsetof(Surroundings, going_to_sleep) },
};

#define PROPERTIES "org.freedesktop.DBus.Properties"

typedef struct Watched {
        Watch *watch;
        const Object *object;
        sd_bus_slot *owner, *changes, *question;
} Watched;

struct Watch {
        sd_bus *bus;
        SurroundingsChanged on_changed;
        void *userdata;
        Surroundings now;
        Watched watched[ELEMENTS(objects)];
};

static uint32_t *place(Watch *watch, size_t property)
{
        return (uint32_t *)((char *)&watch->now + properties[property].offset);
}

static void forget(Watched *watched)
{
        Watch *watch = watched->watch;

        watched->question = sd_bus_slot_unref(watched->question);
        for (size_t i = 0; i < ELEMENTS(properties); i++)
                if (&objects[properties[i].object] == watched->object)
                        *place(watch, i) = 0;
        watch->on_changed(watch->userdata, &watch->now);
}

/* ---- the answer ---- */

/* A property of another type than it should have is passed over. */
static int take_value(Watched *watched, sd_bus_message *m, const char *name)
{
        for (size_t i = 0; i < ELEMENTS(properties); i++) {
                char type[2] = { properties[i].type };
                const char *contents;
                char kind;
                int r;

                if (&objects[properties[i].object] != watched->object ||
                    strcmp(properties[i].name, name) != 0)
                        continue;
                r = sd_bus_message_peek_type(m, &kind, &contents);
                if (r < 0 || !contents || strcmp(contents, type) != 0)
                        break;
                return sd_bus_message_read(m, "v", type, place(watched->watch, i));
        }
        return sd_bus_message_skip(m, "v");
}

static int take_values(Watched *watched, sd_bus_message *m)
{
        const char *name;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = take_value(watched, m, name);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static void take_answer(Watched *watched, sd_bus_message *m)
{
        Watch *watch = watched->watch;

        if (take_values(watched, m) < 0)
                log_notice("%s said something that makes no sense", watched->object->service);
        watch->on_changed(watch->userdata, &watch->now);
}

static int on_values(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Watched *watched = userdata;

        (void)error;
        watched->question = sd_bus_slot_unref(watched->question);
        /* An error: it is not there, or says nothing to us. */
        if (!sd_bus_message_is_method_error(m, NULL))
                take_answer(watched, m);
        return 0;
}

/* ---- asking ---- */

static int make_question(const Watched *watched, sd_bus_message **ret)
{
        const Object *object = watched->object;
        int r = sd_bus_message_new_method_call(watched->watch->bus, ret, object->service,
                                               object->path, PROPERTIES, "GetAll");

        if (r >= 0)
                r = sd_bus_message_set_auto_start(*ret, false);
        return r < 0 ? r : sd_bus_message_append(*ret, "s", object->interface);
}

static int ask(Watched *watched)
{
        sd_bus_message *m = NULL;
        int r = make_question(watched, &m);

        watched->question = sd_bus_slot_unref(watched->question);
        if (r >= 0)
                r = sd_bus_call_async(watched->watch->bus, &watched->question, m, on_values,
                                      watched, 0);
        sd_bus_message_unref(m);
        return r;
}

/* The first time, before anything runs that they might forbid. */
static int ask_and_wait(Watched *watched)
{
        sd_bus_message *m = NULL, *answer = NULL;
        int r = make_question(watched, &m);

        if (r >= 0 && sd_bus_call(watched->watch->bus, m, FIRST_ANSWER_USEC, NULL, &answer) >= 0)
                take_answer(watched, answer);
        sd_bus_message_unref(answer);
        sd_bus_message_unref(m);
        return r;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Watched *watched = userdata;
        const char *interface;

        (void)error;
        if (watched->object->signal || (sd_bus_message_read(m, "s", &interface) >= 0 &&
                                        strcmp(interface, watched->object->interface) == 0))
                (void)ask(watched);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Watched *watched = userdata;
        const char *name, *before, *after;

        (void)error;
        if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0)
                return 0;
        if (*before)
                forget(watched);
        if (*after)
                (void)ask(watched);
        return 0;
}

static int watch_object(Watched *watched)
{
        const Object *object = watched->object;
        sd_bus *bus = watched->watch->bus;
        char rule[256];
        int r;

        snprintf(rule, sizeof(rule),
                 "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                 "member='NameOwnerChanged',arg0='%s'",
                 object->service);
        r = sd_bus_add_match_async(bus, &watched->owner, rule, on_owner, NULL, watched);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, &watched->changes, object->service, object->path,
                                              object->signal ? object->interface : PROPERTIES,
                                              object->signal ? object->signal : "PropertiesChanged",
                                              on_change, NULL, watched);
        return r < 0 ? r : ask_and_wait(watched);
}

int watch_new(sd_bus *bus, SurroundingsChanged on_changed, void *userdata, Watch **ret)
{
        _cleanup_(watch_freep) Watch *watch = calloc(1, sizeof(*watch));
        int r = 0;

        if (!watch)
                return -ENOMEM;
        watch->bus = sd_bus_ref(bus);
        watch->on_changed = on_changed;
        watch->userdata = userdata;
        for (size_t i = 0; i < ELEMENTS(objects) && r >= 0; i++) {
                watch->watched[i] = (Watched){ .watch = watch, .object = &objects[i] };
                r = bus ? watch_object(&watch->watched[i]) : 0;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

void watch_free(Watch *watch)
{
        if (!watch)
                return;
        for (size_t i = 0; i < ELEMENTS(objects); i++) {
                sd_bus_slot_unref(watch->watched[i].owner);
                sd_bus_slot_unref(watch->watched[i].changes);
                sd_bus_slot_unref(watch->watched[i].question);
        }
        sd_bus_unref(watch->bus);
        free(watch);
}
