/*
 * How and as whom a job reaches the network: credentials, proxies, credential caches. A password
 * passes through one message, which sd-bus wipes when it is freed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/job.h"

static const char *const target_words[] = {
        [BITS_AUTH_SERVER] = "server",
        [BITS_AUTH_PROXY] = "proxy",
};

static const char *const scheme_words[] = {
        [BITS_AUTH_BASIC] = "basic",       [BITS_AUTH_DIGEST] = "digest",
        [BITS_AUTH_NTLM] = "ntlm",         [BITS_AUTH_NEGOTIATE] = "negotiate",
        [BITS_AUTH_PASSPORT] = "passport",
};

static const char *const usage_words[] = {
        [BITS_PROXY_PRECONFIG] = "preconfig",
        [BITS_PROXY_NO_PROXY] = "no-proxy",
        [BITS_PROXY_OVERRIDE] = "override",
        [BITS_PROXY_AUTODETECT] = "autodetect",
};

/* A number without a word is the service's to refuse, with its code. */
#define word_of(words, number) \
        ((unsigned)(number) < ELEMENTS(words) && (words)[number] ? (words)[number] : "unknown")

/* LIB-30, LIB-31 */
int bits_job_set_credentials(bits_job *job, bits_auth_target target, bits_auth_scheme scheme,
                             const char *user, const char *password)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        if (!job)
                return error_state_null("job");
        if (!user != !password)
                return error_state_set(-EINVAL, BITS_E_INVALID_ARGUMENT,
                                       "user and password are both given, or both NULL for the "
                                       "identity that makes the connection");
        r = handle_message(job->handle, JOB_INTERFACE, "SetCredentials", &call);
        if (r < 0)
                return r;
        r = sd_bus_message_sensitive(call);
        if (r >= 0)
                r = sd_bus_message_append(call, "ssbss", word_of(target_words, target),
                                          word_of(scheme_words, scheme), !user, user ? user : "",
                                          password ? password : "");
        if (r < 0)
                return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                       "the credentials cannot be sent: they must be UTF-8");
        return handle_send(job->handle, call, NULL);
}

/* LIB-156 */
int bits_job_set_use_stored_credentials(bits_job *job, int for_proxies)
{
        if (!job)
                return error_state_null("job");
        return handle_set(job->handle, "UseStoredCredentials", "s", for_proxies ? "proxy" : "none");
}

int bits_job_get_use_stored_credentials(bits_job *job, int *ret_for_proxies)
{
        _cleanup_free_ char *target = NULL;
        int r;

        if (!job || !ret_for_proxies)
                return error_state_null("job and ret_for_proxies");
        r = handle_get_string(job->handle, "UseStoredCredentials", &target);
        if (r < 0)
                return r;
        *ret_for_proxies = string_equal(target, "proxy");
        return 0;
}

int bits_job_remove_credentials(bits_job *job, bits_auth_target target, bits_auth_scheme scheme)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t code;
        int r;

        if (!job)
                return error_state_null("job");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "RemoveCredentials", "ss",
                        word_of(target_words, target), word_of(scheme_words, scheme));
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'u', &code);
        if (r <= 0)
                return error_state_bad_reply(r);
        return code == 0 ? 0 : 1;
}

/* LIB-32 */
int bits_job_set_proxy_settings(bits_job *job, bits_proxy_usage usage, const char *list,
                                const char *bypass)
{
        if (!job)
                return error_state_null("job");
        return handle_call(job->handle, NULL, JOB_INTERFACE, "SetProxySettings", "sss",
                           word_of(usage_words, usage), list ? list : "", bypass ? bypass : "");
}

static int copy_or_null(const char *text, char **ret)
{
        *ret = *text ? strdup(text) : NULL;
        return *text && !*ret ? error_state_oom() : 0;
}

int bits_job_get_proxy_settings(bits_job *job, bits_proxy_usage *ret_usage, char **ret_list,
                                char **ret_bypass)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *word, *list, *bypass;
        char *own_list, *own_bypass;
        size_t usage = 0;
        int r;

        if (!job || !ret_usage || !ret_list || !ret_bypass)
                return error_state_null("job and the places for the result");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetProxySettings", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "sss", &word, &list, &bypass);
        if (r <= 0)
                return error_state_bad_reply(r);
        while (usage < ELEMENTS(usage_words) && !string_equal(word, usage_words[usage]))
                usage++;
        if (usage == ELEMENTS(usage_words))
                return error_state_bad_reply(-EBADMSG);
        r = copy_or_null(list, &own_list);
        if (r < 0)
                return r;
        r = copy_or_null(bypass, &own_bypass);
        if (r < 0) {
                free(own_list);
                return r;
        }
        *ret_usage = (bits_proxy_usage)usage;
        *ret_list = own_list;
        *ret_bypass = own_bypass;
        return 0;
}

/* LIB-33 */
int bits_job_set_credential_cache(bits_job *job, const char *name)
{
        if (!job)
                return error_state_null("job");
        return handle_set(job->handle, "CredentialCache", "s", name ? name : "");
}

int bits_job_get_credential_cache(bits_job *job, char **ret_name)
{
        if (!job || !ret_name)
                return error_state_null("job and ret_name");
        return handle_get_string(job->handle, "CredentialCache", ret_name);
}
