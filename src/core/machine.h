/*
 * The state of the machine as jobs meet it: is there a network, what does it cost, where does the
 * power come from, how fast may the background be (reference 05 sections 8 to 10). Pure: whoever
 * watches the machine fills it in.
 */
#pragma once

#include "core/config.h"
#include "core/hosts.h"
#include "core/job.h"

/* As NetworkManager counts them. */
enum {
        NETWORK_STATE_UNKNOWN = 0,
        NETWORK_STATE_ASLEEP = 10,
        NETWORK_STATE_DISCONNECTED = 20,
        NETWORK_STATE_DISCONNECTING = 30,
        NETWORK_STATE_CONNECTING = 40,
        NETWORK_STATE_CONNECTED = 50, /* and above */

        METERED_YES = 1,
        METERED_GUESS_YES = 3,

        WARNING_LOW = 3, /* and above: of UPower's display device */
};

/* How far the kernel's routes lead. */
typedef enum Reach {
        REACH_UNKNOWN,
        REACH_NOTHING,    /* not beyond this machine */
        REACH_NEIGHBOURS, /* networks at hand, but there is no default route */
        REACH_EVERYWHERE,
        REACH_MAX,
        REACH_INVALID = -1,
} Reach;

typedef struct Machine {
        uint32_t network_state; /* NETWORK_STATE_…, 0: nobody knows */
        uint32_t metered;
        uint32_t on_battery; /* bool */
        uint32_t battery_warning;
        bool seen_connected; /* by whoever tells the network's state, in the life of bitsd */
        bool disconnected;   /* as he says, and is believed */
        Reach reach;
        bool local_proxy;   /* of the workers' environment: it is this machine */
        const Hosts *hosts; /* NULL: no name but localhost is this machine; borrowed */
        bool offline;
        bool asleep; /* or about to be */
        Rates rates;
        time_t rates_until; /* BANDWIDTH_STEADY: they do not change */
} Machine;

/* Nothing is in the way. */
void machine_init(Machine *machine);

/* The network's state has become another one; true: jobs that need one cannot run any more, or can
   again. */
bool machine_set_network(Machine *machine, uint32_t state);
/* The same for the kernel's routes. */
bool machine_set_reach(Machine *machine, Reach reach);
/* Whether the routes are what says that there is a network, since nobody else is believed. */
bool machine_goes_by_routes(const Machine *machine);
/* BITS_COST_STATE_… of the network at hand. */
uint32_t machine_cost_state(const Machine *machine, const Config *config);

/* Why the job may not run now, 0: it may. *ret_why: a sentence that lives until the next
   question. */
BitsCode machine_obstacle(const Machine *machine, const Config *config, const Job *job,
                          const char **ret_why);
