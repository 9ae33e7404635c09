/*
 * IBitsTokenOptions: the second identity of a job. The interface is a handle of its own, made while
 * the thread is still who it is; setting the token is "connect to the broker as whoever I am now,
 * hand the descriptor over", so that the caller's code reads impersonate, call, revert.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "basic/fd.h"
#include "client/error-state.h"
#include "client/job.h"
#include "client/token-socket.h"

#define CAPTURE_TIMEOUT_MS   10000
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

struct bits_token_options {
        Handle *handle;
        char *token_socket;
};

int bits_job_query_token_options(bits_job *job, bits_token_options **ret_options)
{
        bits_token_options *options;
        int r;

        if (!job || !ret_options)
                return error_state_null("job and ret_options");
        if (!job->handle->manager)
                return error_state_set(-ENOTCONN, CLIENT_E_UNREACHABLE,
                                       "the manager of this job is closed; open a new one");

        options = calloc(1, sizeof(*options));
        if (!options)
                return error_state_oom();
        options->token_socket = strdup(job->handle->manager->token_socket);
        r = options->token_socket
                    ? job_query_interface(job, TOKEN_INTERFACE, NULL, NULL, &options->handle)
                    : error_state_oom();
        if (r < 0) {
                bits_token_options_free(options);
                return r;
        }
        *ret_options = options;
        return 0;
}

void bits_token_options_free(bits_token_options *options)
{
        if (!options)
                return;
        handle_free(options->handle);
        free(options->token_socket);
        free(options);
}

/* LIB-10, LIB-11 */
int bits_token_options_set_helper_token(bits_token_options *options)
{
        _cleanup_close_ int token = -EBADF;
        int r;

        if (!options)
                return error_state_null("options");
        r = token_socket_capture(options->token_socket, CAPTURE_TIMEOUT_MS, &token);
        if (r < 0)
                return r;
        return handle_call(options->handle, NULL, TOKEN_INTERFACE, "SetHelperToken", "h", token);
}

int bits_token_options_clear_helper_token(bits_token_options *options)
{
        if (!options)
                return error_state_null("options");
        return handle_call(options->handle, NULL, TOKEN_INTERFACE, "ClearHelperToken", "");
}

int bits_token_options_set_helper_token_flags(bits_token_options *options, uint32_t flags)
{
        if (!options)
                return error_state_null("options");
        return handle_call(options->handle, NULL, TOKEN_INTERFACE, "SetHelperTokenFlags", "u",
                           flags);
}

int bits_token_options_get_helper_token_flags(bits_token_options *options, uint32_t *ret_flags)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t flags;
        int r;

        if (!options || !ret_flags)
                return error_state_null("options and ret_flags");
        r = handle_call(options->handle, &reply, TOKEN_INTERFACE, "GetHelperTokenFlags", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'u', &flags);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_flags = flags;
        return 0;
}

int bits_token_options_get_helper_token_sid(bits_token_options *options, char **ret_sid)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *sid;
        char *copy = NULL;
        int r;

        if (!options || !ret_sid)
                return error_state_null("options and ret_sid");
        r = handle_call(options->handle, &reply, TOKEN_INTERFACE, "GetHelperTokenSid", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 's', &sid);
        if (r <= 0)
                return error_state_bad_reply(r);
        if (*sid) {
                copy = strdup(sid);
                if (!copy)
                        return error_state_oom();
        }
        *ret_sid = copy;
        return 0;
}

/* LIB-33 */
int bits_token_options_set_helper_credential_cache(bits_token_options *options, const char *name)
{
        if (!options)
                return error_state_null("options");
        return handle_call(options->handle, NULL, PROPERTIES_INTERFACE, "Set", "ssv",
                           TOKEN_INTERFACE, "HelperCredentialCache", "s", name ? name : "");
}

int bits_token_options_get_helper_credential_cache(bits_token_options *options, char **ret_name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        char *copy;
        int r;

        if (!options || !ret_name)
                return error_state_null("options and ret_name");
        r = handle_call(options->handle, &reply, PROPERTIES_INTERFACE, "Get", "ss", TOKEN_INTERFACE,
                        "HelperCredentialCache");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &name);
        if (r <= 0)
                return error_state_bad_reply(r);
        copy = strdup(name);
        if (!copy)
                return error_state_oom();
        *ret_name = copy;
        return 0;
}
