/*
 * IBackgroundCopyJobHttpOptions: what a job shows of itself over HTTP, and how it judges servers.
 * The interface is a handle of its own, like that of the token.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/job.h"

#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

struct bits_http_options {
        Handle *handle;
        bits_certificate_judge judge;
        void *judge_userdata;
        bool *freed; /* set when this is freed while its judge is asked */
};

/* LIB-154: the answer goes out without waiting for the reply; what it could say is too late. */
static void answer(bits_http_options *options, uint64_t request, uint32_t code)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;

        if (handle_message(options->handle, HTTP_INTERFACE, "AnswerServerCertificate", &message) >=
                    0 &&
            sd_bus_message_append(message, "tu", request, code) >= 0 &&
            sd_bus_message_set_expect_reply(message, false) >= 0)
                (void)sd_bus_send(options->handle->bus, message, NULL);
}

static void on_news(const char *member, sd_bus_message *signal, void *userdata)
{
        bits_http_options *options = userdata;
        bits_server_certificate certificate = { 0 };
        bool gone = false;
        uint64_t request;
        uint32_t code;

        if (!string_equal(member, "ValidateServerCertificate") || !options->judge ||
            sd_bus_message_read(signal, "tussss", &request, &certificate.file_index,
                                &certificate.remote_name, &certificate.peer,
                                &certificate.fingerprint, &certificate.chain) <= 0)
                return;
        options->freed = &gone;
        code = options->judge(options, &certificate, options->judge_userdata);
        if (gone)
                return;
        options->freed = NULL;
        answer(options, request, code);
}

int bits_job_query_http_options(bits_job *job, bits_http_options **ret_options)
{
        bits_http_options *options;
        int r;

        if (!job || !ret_options)
                return error_state_null("job and ret_options");
        options = calloc(1, sizeof(*options));
        if (!options)
                return error_state_oom();
        r = job_query_interface(job, HTTP_INTERFACE, on_news, options, &options->handle);
        if (r < 0) {
                free(options);
                return r;
        }
        *ret_options = options;
        return 0;
}

void bits_http_options_free(bits_http_options *options)
{
        if (!options)
                return;
        if (options->freed)
                *options->freed = true;
        handle_free(options->handle);
        free(options);
}

static const char *text(const char *may_be_null)
{
        return may_be_null ? may_be_null : "";
}

static int copy_text(const char *value, char **ret)
{
        *ret = NULL;
        if (!*value)
                return 0;
        *ret = strdup(value);
        return *ret ? 0 : error_state_oom();
}

/* LIB-150 */
int bits_http_options_set_client_certificate(bits_http_options *options, const char *certificate,
                                             const char *key, const char *passphrase)
{
        if (!options || !certificate)
                return error_state_null("options and certificate");
        return handle_call(options->handle, NULL, HTTP_INTERFACE, "SetClientCertificate", "sss",
                           certificate, text(key), text(passphrase));
}

int bits_http_options_remove_client_certificate(bits_http_options *options)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t code;
        int r;

        if (!options)
                return error_state_null("options");
        r = handle_call(options->handle, &reply, HTTP_INTERFACE, "RemoveClientCertificate", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'u', &code);
        if (r <= 0)
                return error_state_bad_reply(r);
        return code != 0;
}

int bits_http_options_get_client_certificate(bits_http_options *options, char **ret_certificate,
                                             char **ret_key)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *certificate, *key;
        int r;

        if (!options || !ret_certificate || !ret_key)
                return error_state_null("options, ret_certificate and ret_key");
        r = handle_call(options->handle, &reply, HTTP_INTERFACE, "GetClientCertificate", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ss", &certificate, &key);
        if (r <= 0)
                return error_state_bad_reply(r);
        r = copy_text(certificate, ret_certificate);
        return r < 0 ? r : copy_text(key, ret_key);
}

/* LIB-151 */
int bits_http_options_set_custom_headers(bits_http_options *options, const char *headers)
{
        if (!options)
                return error_state_null("options");
        return handle_call(options->handle, NULL, HTTP_INTERFACE, "SetCustomHeaders", "s",
                           text(headers));
}

int bits_http_options_get_custom_headers(bits_http_options *options, char **ret_headers)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *headers;
        int r;

        if (!options || !ret_headers)
                return error_state_null("options and ret_headers");
        r = handle_call(options->handle, &reply, HTTP_INTERFACE, "GetCustomHeaders", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 's', &headers);
        if (r <= 0)
                return error_state_bad_reply(r);
        r = copy_text(headers, ret_headers);
        return r < 0 ? r : !*ret_headers;
}

int bits_http_options_make_custom_headers_write_only(bits_http_options *options)
{
        if (!options)
                return error_state_null("options");
        return handle_call(options->handle, NULL, HTTP_INTERFACE, "MakeCustomHeadersWriteOnly", "");
}

/* LIB-152 */
int bits_http_options_set_security_flags(bits_http_options *options, uint32_t flags)
{
        if (!options)
                return error_state_null("options");
        return handle_call(options->handle, NULL, PROPERTIES_INTERFACE, "Set", "ssv",
                           HTTP_INTERFACE, "SecurityFlags", "u", flags);
}

int bits_http_options_get_security_flags(bits_http_options *options, uint32_t *ret_flags)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (!options || !ret_flags)
                return error_state_null("options and ret_flags");
        r = handle_call(options->handle, &reply, PROPERTIES_INTERFACE, "Get", "ss", HTTP_INTERFACE,
                        "SecurityFlags");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "u", ret_flags);
        return r <= 0 ? error_state_bad_reply(r) : 0;
}

/* LIB-153 */
int bits_http_options_set_http_method(bits_http_options *options, const char *method)
{
        if (!options)
                return error_state_null("options");
        return handle_call(options->handle, NULL, PROPERTIES_INTERFACE, "Set", "ssv",
                           HTTP_INTERFACE, "HttpMethod", "s", text(method));
}

int bits_http_options_get_http_method(bits_http_options *options, char **ret_method)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *method;
        int r;

        if (!options || !ret_method)
                return error_state_null("options and ret_method");
        r = handle_call(options->handle, &reply, PROPERTIES_INTERFACE, "Get", "ss", HTTP_INTERFACE,
                        "HttpMethod");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &method);
        return r <= 0 ? error_state_bad_reply(r) : copy_text(method, ret_method);
}

/* LIB-154 */
int bits_http_options_set_server_certificate_validation(bits_http_options *options,
                                                        bits_certificate_judge judge,
                                                        void *userdata)
{
        int r;

        if (!options)
                return error_state_null("options");
        r = handle_call(options->handle, NULL, HTTP_INTERFACE, "SetServerCertificateValidation",
                        "b", judge != NULL);
        if (r < 0)
                return r;
        options->judge = judge;
        options->judge_userdata = userdata;
        return 0;
}
