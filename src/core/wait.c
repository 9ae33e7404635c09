#include "core/wait.h"

static const char *const kind_names[] = {
        [WAIT_NOTHING] = "",        [WAIT_TURN] = "turn",       [WAIT_SIGN_ON] = "sign-on",
        [WAIT_NETWORK] = "network", [WAIT_POLICY] = "policy",   [WAIT_COST] = "cost",
        [WAIT_POWER] = "power",     [WAIT_VOLUME] = "volume",   [WAIT_RETRY] = "retry",
        [WAIT_TOKEN] = "token",     [WAIT_STANDBY] = "standby",
};
static_assert_table(kind_names, WAIT_MAX);

static const char *const kind_texts[] = {
        [WAIT_NOTHING] = "",
        [WAIT_TURN] = "waits for its turn",
        [WAIT_SIGN_ON] = "waits until its owner signs on",
        [WAIT_NETWORK] = "waits for a network",
        [WAIT_POLICY] = "waits until the configuration permits transfers",
        [WAIT_COST] = "waits for a network that costs less",
        [WAIT_POWER] = "waits for external power",
        [WAIT_STANDBY] = "waits until the machine wakes up",
        [WAIT_VOLUME] = "waits until its volume can be written to",
        [WAIT_RETRY] = "will be tried again",
        [WAIT_TOKEN] = "waits for a helper token",
};
static_assert_table(kind_texts, WAIT_MAX);

/* JOB-221, JOB-222, JOB-224 */
static const struct {
        BitsCode code;
        WaitKind kind;
        bool counted;
} states_of_the_machine[] = {
        { BG_E_DESTINATION_LOCKED, WAIT_VOLUME, false },
        { BG_E_NETWORK_DISCONNECTED, WAIT_NETWORK, false },
        { BG_E_BLOCKED_BY_POLICY, WAIT_POLICY, false },
        { BG_E_BLOCKED_BY_COST_TRANSFER_POLICY, WAIT_COST, true },
        { BG_E_STANDBY_MODE, WAIT_STANDBY, true },
        { BG_E_BLOCKED_BY_BATTERY_POLICY, WAIT_POWER, true },
        { BG_E_BLOCKED_BY_BATTERY_SAVER, WAIT_POWER, true },
        { BG_E_BLOCKED_BY_SYSTEM_POLICY, WAIT_POLICY, true },
};

const char *wait_kind_name(WaitKind kind)
{
        return kind >= 0 && kind < WAIT_MAX ? kind_names[kind] : NULL;
}

const char *wait_kind_text(WaitKind kind)
{
        return kind >= 0 && kind < WAIT_MAX ? kind_texts[kind] : NULL;
}

WaitKind wait_kind_of(BitsCode code)
{
        for (size_t i = 0; i < ELEMENTS(states_of_the_machine); i++)
                if (states_of_the_machine[i].code == code)
                        return states_of_the_machine[i].kind;
        return WAIT_NOTHING;
}

bool wait_is_counted(BitsCode code)
{
        for (size_t i = 0; i < ELEMENTS(states_of_the_machine); i++)
                if (states_of_the_machine[i].code == code)
                        return states_of_the_machine[i].counted;
        return true;
}
