/*
 * May this job run now, and if not, why? The Gate that the engine asks, and what moves it: the
 * clock with the hours of the bandwidth policies, NetworkManager or the kernel's routes, UPower,
 * the login manager, the configuration.
 */
#pragma once

#include "core/machine.h"
#include "core/wait.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Conditions Conditions;

/* Told from the loop, or from within conditions_configured(). */
typedef struct ConditionsListener {
        /* The gate may answer otherwise now, for any job. */
        void (*on_changed)(void *userdata);
        /* There is a network again, and has been for a moment. */
        void (*on_network_back)(void *userdata);
        /* The machine goes to sleep, or is awake again. The gate knows it already. */
        void (*on_sleep)(void *userdata, bool asleep);
        /* How fast background jobs may be. */
        void (*on_rates)(void *userdata, const Rates *rates);
} ConditionsListener;

/* `bus`: where NetworkManager and UPower are, NULL: nowhere. `config` has to outlive this. Call
   conditions_configured() when the listener is ready. 0 or -errno. */
int conditions_new(sd_event *event, sd_bus *bus, const Config *config,
                   const ConditionsListener *listener, void *userdata, Conditions **ret);
void conditions_free(Conditions *conditions);
DEFINE_CLEANUP(Conditions, conditions_free);

/* What is in the configuration has changed. */
void conditions_configured(Conditions *conditions);

/* How far the kernel's routes lead, and whether workers find a proxy of this machine in their
   environment. */
void conditions_set_reach(Conditions *conditions, Reach reach, bool local_proxy);

/* Lives as long as `conditions`. */
const Gate *conditions_gate(const Conditions *conditions);
