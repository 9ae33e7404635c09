/*
 * The order of the questions is that of how much a person can do about it: no network, no bandwidth
 * at this hour, too expensive a network, no power.
 *
 * A network manager that says "disconnected" may simply not be in charge of the network that there
 * is. So it is believed only if it was seen connected before: a machine whose network it does not
 * manage never is, and a laptop that was started far from any network finds out by trying.
 */
#include "core/machine.h"

#include "core/remote-name.h"

#include <stdio.h>
#include <strings.h>

void machine_init(Machine *machine)
{
        *machine = (Machine){ .rates_until = BANDWIDTH_STEADY, .rates.all = RATE_UNLIMITED };
        for (int p = 0; p < PRIORITY_MAX; p++)
                machine->rates.of[p] = RATE_UNLIMITED;
}

/* POL-217 */
bool machine_set_network(Machine *machine, uint32_t state)
{
        bool before = machine->offline;

        machine->network_state = state;
        if (state >= NETWORK_STATE_CONNECTED)
                machine->seen_connected = true;
        if (state == NETWORK_STATE_UNKNOWN || state >= NETWORK_STATE_CONNECTED)
                machine->offline = false;
        else if (state <= NETWORK_STATE_DISCONNECTING)
                machine->offline = machine->seen_connected;
        return machine->offline != before;
}

uint32_t machine_cost_state(const Machine *machine, const Config *config)
{
        return machine->metered == METERED_YES || machine->metered == METERED_GUESS_YES
                       ? config->metered_state
                       : COST_UNRESTRICTED;
}

/* ---- which jobs need what ---- */

/* Names that are this machine, whatever the network (RFC 6761, and what goes over lo). */
static bool is_loopback(const char *url)
{
        const char *host = strstr(url, "://"), *end, *at;
        size_t n;

        if (!host)
                return false;
        host += 3;
        end = host + strcspn(host, "/?#");
        at = memrchr(host, '@', (size_t)(end - host));
        host = at ? at + 1 : host;
        n = *host == '[' ? strcspn(host, "]/?#") + 1 : strcspn(host, ":/?#");
        if (*host == '[')
                return n == 5 && strncmp(host, "[::1]", n) == 0;
        if (n >= 9 && strncasecmp(host + n - 9, "localhost", 9) == 0)
                return n == 9 || host[n - 10] == '.';
        return n > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= n;
}

typedef enum Need {
        NEED_NETWORK, /* to other machines */
        NEED_HTTP,
} Need;

static bool needs(const Job *job, Need need)
{
        for (size_t i = 0; i < job->n_files; i++) {
                const char *url = job->files[i]->remote_name;

                if (job->files[i]->transferred || remote_name_is_file(url))
                        continue;
                if (need == NEED_HTTP || !is_loopback(url))
                        return true;
        }
        return false;
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
        if (machine->offline && needs(job, NEED_NETWORK)) {
                *ret_why = "NetworkManager says that the machine is not connected";
                return BG_E_NETWORK_DISCONNECTED;
        }
        if (rates_for(&machine->rates, job->priority) == 0 && needs(job, NEED_HTTP)) {
                *ret_why = no_bandwidth(machine);
                return BG_E_BLOCKED_BY_POLICY;
        }
        if (is_too_expensive(machine, config, job) && needs(job, NEED_HTTP)) {
                *ret_why = "the network is metered, and the job's cost flags do not permit that";
                return BG_E_BLOCKED_BY_COST_TRANSFER_POLICY;
        }
        return power_obstacle(machine, config, job, ret_why);
}
