/*
 * D-Bus has no NULL: whether credentials are implicit is an argument of its own. Nothing here, and
 * nothing anywhere, gives credentials back. The messages that carry them are wiped by sd-bus
 * (SD_BUS_VTABLE_SENSITIVE).
 */
#include "bus/network.h"

#include "bus/change.h"

#include <stdio.h>

/* ---- credentials ---- */

static int change_credentials(const Handle *handle, AuthTarget target, AuthScheme scheme,
                              bool remove, bool implicit, const char *user, const char *password,
                              bool *ret_removed)
{
        const BusContext *context = handle_context(handle);
        Store *store = context->store;
        Credentials all = { 0 };
        int r = store_read_credentials(store, handle->job, &all);

        /* What cannot be opened any more is lost; new ones may be set. */
        if (r < 0 && r != -ENOMEM)
                all = (Credentials){ 0 };
        else if (r < 0)
                return r;
        if (remove)
                *ret_removed = credentials_remove(&all, target, scheme);
        r = remove ? 0 : credentials_set(&all, target, scheme, implicit, user, password);
        if (r >= 0)
                r = store_write_credentials(store, handle->job, &all);
        credentials_done(&all);
        return r;
}

/* NET-50, NET-51 */
int bus_set_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        const char *target_name, *scheme_name, *user, *password, *why = NULL;
        AuthTarget target;
        AuthScheme scheme;
        BitsCode code;
        int implicit, r;

        r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_message_read(m, "ssbss", &target_name, &scheme_name, &implicit, &user,
                                        &password);
        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r < 0)
                return r;
        target = auth_target_parse(target_name);
        scheme = auth_scheme_parse(scheme_name);
        code = credentials_check(target, scheme, implicit, user, password, &why);
        if (code != 0)
                return bus_fail(error, code, "%s", why);
        r = change_begin(&change, context, handle->job);
        if (r >= 0)
                r = change_credentials(handle, target, scheme, false, implicit, user, password,
                                       NULL);
        if (r == -EMSGSIZE)
                return bus_fail(error, BG_E_PASSWORD_TOO_LARGE,
                                "all credentials of the job together are larger than 1 MiB");
        if (r < 0)
                return r;
        (void)change_answer(&change, m);
        return 1;
}

int bus_remove_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        const char *target_name, *scheme_name, *why = NULL;
        AuthTarget target;
        AuthScheme scheme;
        bool removed = false;
        BitsCode code;
        int r = sd_bus_message_read(m, "ss", &target_name, &scheme_name);

        if (r >= 0)
                r = bus_require(handle, RIGHT_MODIFY, error);
        if (r < 0)
                return r;
        target = auth_target_parse(target_name);
        scheme = auth_scheme_parse(scheme_name);
        /* The words alone are judged. */
        code = credentials_check(target, scheme, false, "x", "", &why);
        if (code != 0)
                return bus_fail(error, code, "%s", why);
        r = change_begin(&change, context, handle->job);
        if (r >= 0)
                r = change_credentials(handle, target, scheme, true, false, NULL, NULL, &removed);
        if (r >= 0)
                r = change_commit(&change, error);
        return r < 0 ? r : sd_bus_reply_method_return(m, "u", removed ? 0 : S_FALSE);
}

/* ---- proxies ---- */

/* NET-60 */
int bus_set_proxy_settings(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        Job *job = handle->job;
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        const char *usage_name, *list, *bypass, *why = NULL;
        ProxyUsage usage;
        BitsCode code;
        int r = sd_bus_message_read(m, "sss", &usage_name, &list, &bypass);

        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r < 0)
                return r;
        usage = proxy_usage_parse(usage_name);
        code = proxy_check(usage, list, bypass, &why);
        if (code != 0)
                return bus_fail(error, code, "%s", why);
        r = change_begin(&change, context, job);
        if (r >= 0)
                r = string_replace(&job->proxy_list, list);
        if (r >= 0)
                r = string_replace(&job->proxy_bypass, bypass);
        if (r < 0)
                return r;
        job->proxy_usage = usage;
        (void)change_answer(&change, m);
        return 1;
}

int bus_get_proxy_settings(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const Job *job = handle->job;
        int r = handle_require(handle, RIGHT_READ, error);

        return r < 0 ? r
                     : sd_bus_reply_method_return(m, "sss", proxy_usage_name(job->proxy_usage),
                                                  job->proxy_list, job->proxy_bypass);
}

int bus_get_use_stored_credentials(sd_bus *bus, const char *path, const char *interface,
                                   const char *property, sd_bus_message *reply, void *userdata,
                                   sd_bus_error *error)
{
        const Handle *handle = userdata;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "s", handle->job->proxy_tickets ? "proxy" : "none");
}

/* NET-163 */
int bus_set_use_stored_credentials(sd_bus *bus, const char *path, const char *interface,
                                   const char *property, sd_bus_message *value, void *userdata,
                                   sd_bus_error *error)
{
        Handle *handle = userdata;
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        const char *target;
        bool use;
        int r = sd_bus_message_read(value, "s", &target);

        (void)bus, (void)path, (void)interface, (void)property;
        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r < 0)
                return r;
        use = string_equal(target, "proxy");
        if (!use && !string_equal(target, "none"))
                return bus_fail(error, BG_E_USE_STORED_CREDENTIALS_NOT_SUPPORTED,
                                "stored credentials are for the \"proxy\", or \"none\" are used");
        if (use == handle->job->proxy_tickets)
                return 0;
        r = change_begin(&change, handle_context(handle), handle->job);
        if (r < 0)
                return r;
        handle->job->proxy_tickets = use;
        return change_commit(&change, error);
}

/* ---- credential caches ---- */

static bool is_helpers(const char *property)
{
        return string_equal(property, "HelperCredentialCache");
}

/* TOK-463 */
int bus_get_credential_cache(sd_bus *bus, const char *path, const char *interface,
                             const char *property, sd_bus_message *reply, void *userdata,
                             sd_bus_error *error)
{
        const Handle *handle = userdata;
        const Job *job = handle->job;
        int r = is_helpers(property) ? handle_require(handle, RIGHT_HELPER, error) : 0;

        (void)bus, (void)path, (void)interface;
        if (r < 0)
                return r;
        return sd_bus_message_append(reply, "s",
                                     is_helpers(property) ? job->helper_credential_cache
                                                          : job->credential_cache);
}

/* TOK-37: a type that a worker can read, and a name for it; whether it is there is found when it is
   used, by its own identity. */
static bool is_cache_name(const char *name)
{
        static const char *const types[] = { "/", "FILE:/", "DIR:/", "DIR::/", "KEYRING:", "KCM:" };

        if (strlen(name) > CREDENTIAL_CACHE_MAX)
                return false;
        for (const char *p = name; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return false;
        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (strncmp(name, types[i], strlen(types[i])) == 0)
                        return true;
        return !*name;
}

int bus_set_credential_cache(sd_bus *bus, const char *path, const char *interface,
                             const char *property, sd_bus_message *value, void *userdata,
                             sd_bus_error *error)
{
        Handle *handle = userdata;
        Job *job = handle->job;
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        char **cache =
                is_helpers(property) ? &job->helper_credential_cache : &job->credential_cache;
        const char *name;
        int r = sd_bus_message_read(value, "s", &name);

        (void)bus, (void)path, (void)interface;
        if (r >= 0)
                r = bus_require(handle,
                                is_helpers(property) ? RIGHT_HELPER | RIGHT_FILES : RIGHT_FILES,
                                error);
        if (r < 0)
                return r;
        /* TOK-461 */
        if (is_helpers(property) && policy_use_helper(handle->opener, handle_entitled(handle)) != 0)
                return bus_fail_code(error, BITS_E_ACCESS_DENIED);
        if (!is_cache_name(name))
                return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                                "a credential cache is named FILE:/PATH, DIR:/PATH, KEYRING:… or "
                                "KCM:…, or \"\" for the default");
        r = change_begin(&change, handle_context(handle), job);
        if (r >= 0)
                r = string_replace(cache, name);
        return r < 0 ? r : change_commit(&change, error);
}
