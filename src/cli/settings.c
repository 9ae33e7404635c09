/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/settings.h"

#include "cli/credentials.h"
#include "cli/format.h"
#include "cli/http-settings.h"
#include "cli/http.h"
#include "cli/notify-command.h"
#include "cli/ranges.h"
#include "cli/suggest.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- those that are more than one call ---- */

static bool is_priority(const char *text)
{
        bits_job_priority priority;

        return parse_priority(text, &priority);
}

static int set_priority(bits_job *job, const char *text)
{
        bits_job_priority priority = BITS_PRIORITY_NORMAL;

        (void)parse_priority(text, &priority);
        return bits_job_set_priority(job, priority);
}

static int get_priority(bits_job *job, char **ret_text)
{
        bits_job_priority priority;
        int r = bits_job_get_priority(job, &priority);

        return r < 0 ? r : string_copy(bits_job_priority_name(priority), ret_text);
}

static int get_proxy(bits_job *job, char **ret_text)
{
        static const char *const names[] = {
                [BITS_PROXY_PRECONFIG] = "preconfig",
                [BITS_PROXY_NO_PROXY] = "no-proxy",
                [BITS_PROXY_AUTODETECT] = "autodetect",
        };
        _cleanup_free_ char *list = NULL, *bypass = NULL;
        bits_proxy_usage usage;
        int r = bits_job_get_proxy_settings(job, &usage, &list, &bypass);

        return r < 0 ? r
                     : string_copy(usage == BITS_PROXY_OVERRIDE ? list : names[usage], ret_text);
}

static int get_bypass(bits_job *job, char **ret_text)
{
        _cleanup_free_ char *list = NULL, *bypass = NULL;
        bits_proxy_usage usage;
        int r = bits_job_get_proxy_settings(job, &usage, &list, &bypass);

        return r < 0 ? r : string_copy(bypass, ret_text);
}

static int set_helper_cache(bits_job *job, const char *name)
{
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;
        int r = bits_job_query_token_options(job, &options);

        return r < 0 ? r : bits_token_options_set_helper_credential_cache(options, name);
}

static int get_helper_cache(bits_job *job, char **ret_text)
{
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;
        int r = bits_job_query_token_options(job, &options);

        return r < 0 ? r : bits_token_options_get_helper_credential_cache(options, ret_text);
}

static int number_text(uint64_t number, char **ret_text)
{
        return asprintf(ret_text, "%" PRIu64, number) < 0 ? -ENOMEM : 0;
}

/* CLI-173 */
static bool is_size(const char *text)
{
        uint64_t bytes;

        return string_equal(text, "unlimited") || bytes_parse(text, &bytes);
}

static int set_max_size(bits_job *job, const char *text)
{
        uint64_t bytes = UINT64_MAX;

        if (!string_equal(text, "unlimited"))
                (void)bytes_parse(text, &bytes);
        return bits_job_set_max_download_size(job, bytes);
}

static int get_max_size(bits_job *job, char **ret_text)
{
        uint64_t bytes;
        int r = bits_job_get_max_download_size(job, &bytes);

        if (r < 0)
                return r;
        return bytes == UINT64_MAX ? string_copy("unlimited", ret_text)
                                   : number_text(bytes, ret_text);
}

/* CLI-330 */
static bool is_stored_target(const char *text)
{
        return string_equal(text, "none") || string_equal(text, "proxy");
}

static int set_stored(bits_job *job, const char *text)
{
        return bits_job_set_use_stored_credentials(job, string_equal(text, "proxy"));
}

static int get_stored(bits_job *job, char **ret_text)
{
        int for_proxies, r = bits_job_get_use_stored_credentials(job, &for_proxies);

        return r < 0 ? r : string_copy(for_proxies ? "proxy" : "none", ret_text);
}

/* Nothing for any other type of job. CLI-121 */
static int without_reply(int r, char **ret_text)
{
        return bits_error_code() == BITS_CODE_NOT_IMPLEMENTED ? string_copy("", ret_text) : r;
}

static int get_reply_name(bits_job *job, char **ret_text)
{
        _cleanup_free_ char *name = NULL;
        int r = bits_job_get_reply_file_name(job, &name);

        return r < 0 ? without_reply(r, ret_text) : string_copy(name, ret_text);
}

static int get_reply_progress(bits_job *job, char **ret_text)
{
        uint64_t total, transferred;
        int r = bits_job_get_reply_progress(job, &total, &transferred);

        if (r < 0)
                return without_reply(r, ret_text);
        if (total == BITS_SIZE_UNKNOWN && transferred == 0)
                return string_copy("", ret_text);
        if (total == BITS_SIZE_UNKNOWN)
                r = asprintf(ret_text, "%" PRIu64 " bytes", transferred);
        else
                r = asprintf(ret_text, "%" PRIu64 " of %" PRIu64 " bytes", transferred, total);
        return r < 0 ? -ENOMEM : 0;
}

/* ---- what the service says ---- */

static int get_state(bits_job *job, char **ret_text)
{
        bits_job_state state;
        int r = bits_job_get_state(job, &state);

        return r < 0 ? r : string_copy(bits_job_state_name(state), ret_text);
}

static int get_type(bits_job *job, char **ret_text)
{
        bits_job_type type;
        int r = bits_job_get_type(job, &type);

        return r < 0 ? r : string_copy(bits_job_type_name(type), ret_text);
}

/* "0x80190194"; nothing without an error. */
static int get_error(bits_job *job, char **ret_text)
{
        bits_job_error error;
        int r = bits_job_get_error(job, &error);

        if (r < 0)
                return bits_error_code() == BITS_CODE_ERROR_INFORMATION_UNAVAILABLE
                               ? string_copy("", ret_text)
                               : r;
        r = asprintf(ret_text, "0x%08X", error.code);
        bits_job_error_done(&error);
        return r < 0 ? -ENOMEM : 0;
}

static int get_bytes_transferred(bits_job *job, uint64_t *ret_bytes)
{
        bits_progress progress;
        int r = bits_job_get_progress(job, &progress);

        *ret_bytes = r < 0 ? 0 : progress.bytes_transferred;
        return r;
}

static int get_bytes_total(bits_job *job, char **ret_text)
{
        bits_progress progress;
        int r = bits_job_get_progress(job, &progress);

        if (r < 0)
                return r;
        return progress.bytes_total == BITS_SIZE_UNKNOWN
                       ? string_copy("", ret_text)
                       : number_text(progress.bytes_total, ret_text);
}

/* ---- the table ---- */

/* CLI-23 */
const Setting settings[] = {
        { .key = "display-name",
          .apart = true,
          .values = "a text of at most 256 characters",
          .set_text = bits_job_set_display_name,
          .get_text = bits_job_get_display_name },
        { .key = "description",
          .apart = true,
          .values = "a text of at most 1024 characters",
          .quiet = true,
          .set_text = bits_job_set_description,
          .get_text = bits_job_get_description },
        { .key = "priority",
          .apart = true,
          .values = "foreground, high, normal or low",
          .allowed = is_priority,
          .set_text = set_priority,
          .get_text = get_priority },
        { .key = "minimum-retry-delay",
          .values = "a number of seconds",
          .unit = "s",
          .kind = SETTING_NUMBER,
          .set_number = bits_job_set_minimum_retry_delay,
          .get_number = bits_job_get_minimum_retry_delay },
        { .key = "no-progress-timeout",
          .values = "a number of seconds, 0 for no second try",
          .unit = "s",
          .kind = SETTING_NUMBER,
          .set_number = bits_job_set_no_progress_timeout,
          .get_number = bits_job_get_no_progress_timeout },
        { .key = "maximum-download-time",
          .values = "a number of seconds, 0 for what the machine's policy says",
          .unit = "s",
          .kind = SETTING_NUMBER,
          .set_number = bits_job_set_maximum_download_time,
          .get_number = bits_job_get_maximum_download_time },
        { .key = "notify-flags",
          .values = "a number: 1 transferred, 2 error, 3 both, 4 none, 8 changes, 16 each file, "
                    "32 ranges",
          .kind = SETTING_NUMBER,
          .hexadecimal = true,
          .set_number = bits_job_set_notify_flags,
          .get_number = bits_job_get_notify_flags },
        { .key = "minimum-notification-interval",
          .values = "a number of milliseconds",
          .unit = "ms",
          .kind = SETTING_NUMBER,
          .set_number = bits_job_set_minimum_notification_interval,
          .get_number = bits_job_get_minimum_notification_interval },
        { .key = "dynamic-content",
          .values = "yes or no, before the first resume",
          .kind = SETTING_SWITCH,
          .set_switch = bits_job_set_dynamic_content,
          .get_switch = bits_job_get_dynamic_content },
        { .key = "high-performance",
          .values = "yes or no, before the first file",
          .kind = SETTING_SWITCH,
          .set_switch = bits_job_set_high_performance,
          .get_switch = bits_job_get_high_performance },
        { .key = "on-demand-mode",
          .values = "yes or no",
          .kind = SETTING_SWITCH,
          .set_switch = bits_job_set_on_demand_mode,
          .get_switch = bits_job_get_on_demand_mode },
        { .key = "max-download-size",
          .values = "a number of bytes (K, M, G, T) or unlimited, before the first resume",
          .allowed = is_size,
          .set_text = set_max_size,
          .get_text = get_max_size },
        { .key = "peer-caching-flags",
          .values = "a number: 1 client, 2 server, 4 no BranchCache; without effect",
          .kind = SETTING_NUMBER,
          .hexadecimal = true,
          .set_number = bits_job_set_peer_caching_flags,
          .get_number = bits_job_get_peer_caching_flags },
        { .key = "notify-command",
          .values = "a full path and its parameters, or nothing",
          .quiet = true,
          .set_text = notify_command_set,
          .get_text = notify_command_get },
        { .key = "notify-command-author", .quiet = true, .get_text = notify_author_get },
        { .key = "notify-command-runs", .quiet = true, .get_text = notify_runs_get },
        { .key = "notify-command-last", .quiet = true, .get_text = notify_last_run_get },
        { .key = "notify-command-result", .quiet = true, .get_text = notify_result_get },
        { .key = "notify-command-refused", .quiet = true, .get_text = notify_objection_get },
        { .key = "reply-file-name",
          .values = "a full path, or nothing for a name beside the file that is sent",
          .quiet = true,
          .set_text = bits_job_set_reply_file_name,
          .get_text = get_reply_name },
        { .key = "reply-progress", .quiet = true, .get_text = get_reply_progress },
        { .key = "cost-flags",
          .values = "a mask of networks: 0x800000ff always, 0x80000021 unrestricted ones, 0 as "
                    "bitsd.conf has it",
          .kind = SETTING_NUMBER,
          .hexadecimal = true,
          .set_number = bits_job_set_cost_flags,
          .get_number = bits_job_get_cost_flags },
        { .key = "proxy",
          .values = "preconfig, no-proxy, autodetect, or a list of proxies",
          .set_text = proxy_set,
          .get_text = get_proxy },
        { .key = "proxy-bypass",
          .values = "hosts, with * at the far left, and <local>",
          .quiet = true,
          .set_text = proxy_set_bypass,
          .get_text = get_bypass },
        { .key = "use-stored-credentials",
          .values = "none, or proxy: Kerberos tickets for proxies that ask for them",
          .allowed = is_stored_target,
          .set_text = set_stored,
          .get_text = get_stored },
        { .key = "credential-cache",
          .values = "FILE:/PATH, DIR:/PATH, KEYRING:… or KCM:…",
          .quiet = true,
          .set_text = bits_job_set_credential_cache,
          .get_text = bits_job_get_credential_cache },
        { .key = "helper-credential-cache",
          .values = "FILE:/PATH, DIR:/PATH, KEYRING:… or KCM:…",
          .quiet = true,
          .set_text = set_helper_cache,
          .get_text = get_helper_cache },
        { .key = "client-certificate",
          .values = "the path of a file with certificate and key, \"none\", or nothing; see bits "
                    "certificate",
          .quiet = true,
          .set_text = http_set_certificate,
          .get_text = http_get_certificate },
        { .key = "client-certificate-key", .quiet = true, .get_text = http_get_certificate_key },
        { .key = "custom-headers",
          .values = "\"Name: value\", several divided by \\n",
          .quiet = true,
          .set_text = http_set_headers,
          .get_text = http_get_headers },
        { .key = "custom-headers-write-only",
          .values = "yes, and never no again",
          .kind = SETTING_SWITCH,
          .set_switch = http_set_headers_write_only },
        { .key = "http-method",
          .values = "GET or another method, before the first resume",
          .set_text = http_set_method,
          .get_text = http_get_method },
        { .key = "security-flags",
          .values = HTTP_SECURITY_VALUES,
          .allowed = http_is_security,
          .set_text = http_set_security,
          .get_text = http_get_security },
        { .key = "file-acl-flags",
          .values = "none, or letters: o owner, g group, d permissions, s nothing here",
          .allowed = acl_is_flags,
          .set_text = acl_set_flags,
          .get_text = acl_get_flags },
        /* Read only, CLI-333 */
        { .key = "state", .apart = true, .get_text = get_state },
        { .key = "type", .apart = true, .get_text = get_type },
        { .key = "owner", .apart = true, .get_text = bits_job_get_owner },
        { .key = "owner-uid",
          .apart = true,
          .kind = SETTING_NUMBER,
          .get_number = bits_job_get_owner_uid },
        { .key = "bytes-total", .apart = true, .get_text = get_bytes_total },
        { .key = "bytes-transferred",
          .apart = true,
          .kind = SETTING_LARGE,
          .get_large = get_bytes_transferred },
        { .key = "error", .apart = true, .get_text = get_error },
        { .key = "error-count",
          .apart = true,
          .kind = SETTING_NUMBER,
          .get_number = bits_job_get_error_count },
        { .key = "wait-reason", .apart = true, .get_text = bits_job_get_wait_reason },
        { .key = "waiting-for", .apart = true, .get_text = bits_job_get_waiting_for },
        { .key = "next-attempt",
          .apart = true,
          .kind = SETTING_LARGE,
          .get_large = bits_job_get_next_attempt },
};
const size_t n_settings = ELEMENTS(settings);

const Setting *setting_find(const char *key, size_t length)
{
        for (size_t i = 0; i < n_settings; i++)
                if (strlen(settings[i].key) == length && strncmp(settings[i].key, key, length) == 0)
                        return &settings[i];
        return NULL;
}

const char *setting_suggest(const char *key, size_t length, char *buffer, size_t size)
{
        Suggestion suggestion = { .typed = strndupa(key, length) };

        for (size_t i = 0; i < n_settings; i++)
                suggest_consider(&suggestion, settings[i].key);
        return suggest_text(&suggestion, "", buffer, size);
}

bool setting_can_be_set(const Setting *setting)
{
        return setting->set_text || setting->set_number || setting->set_large ||
               setting->set_switch;
}

bool setting_can_be_read(const Setting *setting)
{
        return setting->get_text || setting->get_number || setting->get_large ||
               setting->get_switch;
}

/* ---- text and value ---- */

static bool parse_large(const char *text, uint64_t *ret)
{
        unsigned long long value;
        char *end;

        if (*text < '0' || *text > '9')
                return false;
        errno = 0;
        value = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
        *ret = value;
        return errno == 0 && !*end;
}

static bool parse_switch(const char *text, int *ret)
{
        static const char *const on[] = { "yes", "true", "on", "1" };
        static const char *const off[] = { "no", "false", "off", "0" };

        for (size_t i = 0; i < ELEMENTS(on); i++)
                if (string_equal(text, on[i]) || string_equal(text, off[i])) {
                        *ret = string_equal(text, on[i]);
                        return true;
                }
        return false;
}

bool setting_allows(const Setting *setting, const char *text)
{
        uint64_t number;
        int on;

        if (setting->allowed)
                return setting->allowed(text);
        switch (setting->kind) {
        case SETTING_TEXT:
                return true;
        case SETTING_NUMBER:
                return parse_large(text, &number) && number <= UINT32_MAX;
        case SETTING_LARGE:
                return parse_large(text, &number);
        case SETTING_SWITCH:
                return parse_switch(text, &on);
        }
        return false;
}

int setting_apply(const Setting *setting, bits_job *job, const char *text)
{
        uint64_t number = 0;
        int on = 0;

        switch (setting->kind) {
        case SETTING_TEXT:
                return setting->set_text(job, text);
        case SETTING_NUMBER:
                return parse_large(text, &number) ? setting->set_number(job, (uint32_t)number)
                                                  : -EINVAL;
        case SETTING_LARGE:
                return parse_large(text, &number) ? setting->set_large(job, number) : -EINVAL;
        case SETTING_SWITCH:
                return parse_switch(text, &on) ? setting->set_switch(job, on) : -EINVAL;
        }
        return -EINVAL;
}

int setting_read(const Setting *setting, bits_job *job, char **ret_text)
{
        uint64_t large;
        uint32_t number;
        int on, r;

        *ret_text = NULL;
        switch (setting->kind) {
        case SETTING_TEXT:
                r = setting->get_text(job, ret_text);
                return r >= 0 && !*ret_text ? string_copy("", ret_text) : r;
        case SETTING_NUMBER:
                r = setting->get_number(job, &number);
                return r < 0 ? r : number_text(number, ret_text);
        case SETTING_LARGE:
                r = setting->get_large(job, &large);
                return r < 0 ? r : number_text(large, ret_text);
        case SETTING_SWITCH:
                r = setting->get_switch(job, &on);
                return r < 0 ? r : string_copy(on ? "true" : "false", ret_text);
        }
        return -EINVAL;
}
