/*
 * The order of the questions is that of how much a person can do about it: the machine sleeps, no
 * network, no bandwidth at this hour, too expensive a network, no power.
 *
 * A network manager that says "disconnected" may simply not be in charge of the network that there
 * is. So it is believed only if it was seen connected before: a machine whose network it does not
 * manage never is. Where nobody is believed the kernel's routes say whether there is a network:
 * that there is none they cannot be wrong about, since without a route no connection is made.
 */
#include "core/machine.h"

#include "basic/loopback.h"
#include "core/remote-name.h"

#include <stdio.h>

void machine_init(Machine *machine)
{
        *machine = (Machine){ .rates_until = BANDWIDTH_STEADY, .rates.all = RATE_UNLIMITED };
        for (int p = 0; p < PRIORITY_MAX; p++)
                machine->rates.of[p] = RATE_UNLIMITED;
}

bool machine_goes_by_routes(const Machine *machine)
{
        return !machine->seen_connected || machine->network_state == NETWORK_STATE_UNKNOWN;
}

/* POL-380 */
static bool judge(Machine *machine)
{
        bool before = machine->offline;

        machine->offline = machine_goes_by_routes(machine) ? machine->reach == REACH_NOTHING
                                                           : machine->disconnected;
        return machine->offline != before;
}

/* POL-217 */
bool machine_set_network(Machine *machine, uint32_t state)
{
        machine->network_state = state;
        if (state >= NETWORK_STATE_CONNECTED)
                machine->seen_connected = true;
        if (state == NETWORK_STATE_UNKNOWN || state >= NETWORK_STATE_CONNECTED)
                machine->disconnected = false;
        else if (state <= NETWORK_STATE_DISCONNECTING)
                machine->disconnected = machine->seen_connected;
        return judge(machine);
}

bool machine_set_reach(Machine *machine, Reach reach)
{
        machine->reach = reach;
        return judge(machine);
}

uint32_t machine_cost_state(const Machine *machine, const Config *config)
{
        return machine->metered == METERED_YES || machine->metered == METERED_GUESS_YES
                       ? config->metered_state
                       : COST_UNRESTRICTED;
}

/* ---- which jobs need what ---- */

/* NET-380: names that are this machine, whatever the network. */
static bool is_here(const Machine *machine, const char *url)
{
        char host[LOOPBACK_HOST_MAX];

        return loopback_host(url, host) &&
               (loopback_is_host(host) || (machine->hosts && hosts_has(machine->hosts, host)));
}

/* NET-381: a proxy on this machine has ways of its own. */
static bool has_proxy_here(const Machine *machine, const Job *job)
{
        static const char *const schemes[] = { "http", "https" };
        char proxy[PROXY_URL_MAX];

        if (job->proxy_usage == PROXY_PRECONFIG)
                return machine->local_proxy;
        if (job->proxy_usage != PROXY_OVERRIDE)
                return false;
        for (size_t s = 0; s < ELEMENTS(schemes); s++)
                for (unsigned i = 0; proxy_select(job->proxy_list, schemes[s], i, proxy) > 0; i++)
                        if (is_here(machine, proxy))
                                return true;
        return false;
}

typedef enum Need {
        NEED_NETWORK, /* to other machines */
        NEED_HTTP,
} Need;

static bool needs(const Machine *machine, const Job *job, Need need)
{
        for (size_t i = 0; i < job->n_files; i++) {
                const char *url = job->files[i]->remote_name;

                if (job->files[i]->transferred || remote_name_is_file(url))
                        continue;
                if (need == NEED_HTTP || !is_here(machine, url))
                        return true;
        }
        return false;
}

static bool is_cut_off(const Machine *machine, const Job *job)
{
        return machine->offline && needs(machine, job, NEED_NETWORK) &&
               !has_proxy_here(machine, job);
}

/* ---- the obstacles ---- */

/* POL-216 */
static const char *no_bandwidth(const Machine *machine)
{
        static char text[128];
        struct tm local = { 0 };
        char at[32];

        if (machine->rates_until == BANDWIDTH_STEADY)
                return "the configuration gives background jobs of this priority no bandwidth";
        (void)localtime_r(&machine->rates_until, &local);
        strftime(at, sizeof(at), "%A %H:%M", &local);
        snprintf(text, sizeof(text),
                 "the configuration gives background jobs of this priority no bandwidth until %s",
                 at);
        return text;
}

/* POL-218 */
static bool is_too_expensive(const Machine *machine, const Config *config, const Job *job)
{
        uint32_t permitted = config_cost_flags(config, job->priority, job->cost_flags);

        return (permitted & machine_cost_state(machine, config)) == 0;
}

/* POL-219 */
static BitsCode power_obstacle(const Machine *machine, const Config *config, const Job *job,
                               const char **ret_why)
{
        if (!machine->on_battery)
                return 0;
        if (config_waits((ConfigWaiting)config->wait_on_battery, job->priority)) {
                *ret_why = "the machine runs on its battery";
                return BG_E_BLOCKED_BY_BATTERY_POLICY;
        }
        if (machine->battery_warning < WARNING_LOW ||
            !config_waits((ConfigWaiting)config->wait_on_low_battery, job->priority))
                return 0;
        *ret_why = "the battery of the machine is nearly empty";
        return BG_E_BLOCKED_BY_BATTERY_SAVER;
}

BitsCode machine_obstacle(const Machine *machine, const Config *config, const Job *job,
                          const char **ret_why)
{
        if (machine->asleep) { /* POL-383 */
                *ret_why = "the machine is going to sleep";
                return BG_E_STANDBY_MODE;
        }
        if (is_cut_off(machine, job)) {
                *ret_why = machine_goes_by_routes(machine)
                                   ? "this machine has no route to any other"
                                   : "NetworkManager says that the machine is not connected";
                return BG_E_NETWORK_DISCONNECTED;
        }
        if (rates_for(&machine->rates, job->priority) == 0 && needs(machine, job, NEED_HTTP)) {
                *ret_why = no_bandwidth(machine);
                return BG_E_BLOCKED_BY_POLICY;
        }
        if (is_too_expensive(machine, config, job) && needs(machine, job, NEED_HTTP)) {
                *ret_why = "the network is metered, and the job's cost flags do not permit that";
                return BG_E_BLOCKED_BY_COST_TRANSFER_POLICY;
        }
        return power_obstacle(machine, config, job, ret_why);
}
