/*
 * The service's settings, as a snapshot: it keeps the reply and points into it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/manager.h"

struct bits_policy {
        sd_bus_message *reply;
        bits_setting *settings;
        size_t n;
};

DEFINE_CLEANUP(bits_policy, bits_policy_free);

static int read_settings(bits_policy *policy)
{
        bits_setting setting, *larger;
        int r = sd_bus_message_enter_container(policy->reply, 'a', "(ssssu)");

        while (r >= 0 &&
               (r = sd_bus_message_read(policy->reply, "(ssssu)", &setting.section, &setting.name,
                                        &setting.value, &setting.file, &setting.line)) > 0) {
                larger = reallocarray(policy->settings, policy->n + 1, sizeof(*larger));
                if (!larger)
                        return error_state_oom();
                policy->settings = larger;
                larger[policy->n++] = setting;
        }
        return r < 0 ? error_state_bad_reply(r) : 0;
}

/* POL-206 */
int bits_manager_get_policy(bits_manager *manager, bits_policy **ret_policy)
{
        _cleanup_(bits_policy_freep) bits_policy *policy = NULL;
        int r;

        if (!manager || !ret_policy)
                return error_state_null("manager and ret_policy");
        policy = calloc(1, sizeof(*policy));
        if (!policy)
                return error_state_oom();
        r = manager_call(manager, &policy->reply, "GetPolicy", "");
        if (r >= 0)
                r = read_settings(policy);
        if (r < 0)
                return r;
        *ret_policy = TAKE_PTR(policy);
        return 0;
}

size_t bits_policy_count(const bits_policy *policy)
{
        return policy ? policy->n : 0;
}

const bits_setting *bits_policy_get(const bits_policy *policy, size_t index)
{
        return policy && index < policy->n ? &policy->settings[index] : NULL;
}

void bits_policy_free(bits_policy *policy)
{
        if (!policy)
                return;
        sd_bus_message_unref(policy->reply);
        free(policy->settings);
        free(policy);
}
