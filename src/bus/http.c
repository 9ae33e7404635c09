/*
 * org.openbits.BITS1.HttpOptions: what a job shows of itself to servers over HTTP, and how it
 * judges them (reference 03 section 9). Certificate and headers are the owner's alone: an
 * administrator who may do everything else with the job neither reads nor replaces them, and loses
 * them by taking it.
 *
 * A certificate's files are read once when they are named, by whoever will read them for each
 * transfer: a name that cannot be right is better refused now than in the middle of the night. What
 * is in them is judged when it is used.
 */
#include "bus/properties.h"

#include "basic/secret.h"
#include "bus/change.h"
#include "manager/certificate.h"
#include "store/vault.h"

#include <stdio.h>

static int require_owner_to_read(const Handle *handle, sd_bus_error *error)
{
        int r = handle_require(handle, RIGHT_READ, error);

        if (r >= 0 && !(handle->rights & RIGHT_OWNER))
                return bus_fail(error, BITS_E_ACCESS_DENIED,
                                "client certificate and custom headers are the owner's alone");
        return r;
}

static int require_owner(const Handle *handle, sd_bus_error *error)
{
        int r = bus_require(handle, RIGHT_READ, error);

        return r < 0 ? r : require_owner_to_read(handle, error);
}

/* SEC-82: "" is no box. */
static int seal(BusContext *context, const Job *job, const char *text, uint8_t **ret,
                size_t *ret_size)
{
        *ret = NULL;
        *ret_size = 0;
        return *text ? vault_seal(store_vault(context->store), job->id, (const uint8_t *)text,
                                  strlen(text), ret, ret_size)
                     : 0;
}

/* ---- client certificate ---- */

/* A SetClientCertificate that waits for bits-file. The handle may be gone by then. */
typedef struct SetCertificate {
        BusContext *context;
        sd_bus_message *call;
        char job_id[JOB_ID_CHARACTERS + 1];
        uid_t owner, opener;
        bool charged;
        char *certificate, *key;
        char *passphrase; /* secret */
        CertificateReading *reading;
} SetCertificate;

static void set_certificate_free(SetCertificate *set)
{
        if (set->charged)
                handles_discharge(set->context->handles, set->opener);
        certificate_reading_free(set->reading);
        sd_bus_message_unref(set->call);
        free(set->certificate);
        free(set->key);
        if (set->passphrase)
                secret_free(set->passphrase, strlen(set->passphrase));
        free(set);
}
DEFINE_CLEANUP(SetCertificate, set_certificate_free);

/* Takes the names; what is on its way goes on as it is told then, from the kept bytes. */
static int change_certificate(SetCertificate *set, Job *job)
{
        HttpOptions *http = &job->http;
        uint8_t *box;
        size_t size;
        int r = seal(set->context, job, set->passphrase, &box, &size);

        if (r < 0)
                return r;
        http_options_set_passphrase(http, box, size);
        free(http->certificate);
        free(http->certificate_key);
        http->certificate = TAKE_PTR(set->certificate);
        http->certificate_key = TAKE_PTR(set->key);
        return 0;
}

static void finish_set(SetCertificate *set)
{
        Job *job = job_table_find(set->context->jobs, set->job_id);
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        BitsCode code = 0;

        if (!job || job_state_is_final(job->state) || job->pending != PENDING_NONE ||
            job->owner != set->owner)
                code = BG_E_INVALID_STATE;
        else if (change_begin(&change, set->context, job) < 0 || change_certificate(set, job) < 0)
                code = BITS_E_UNEXPECTED;
        if (code != 0)
                bus_reply_failure(set->call, code, NULL);
        else
                (void)change_answer(&change, set->call);
}

/* SEC-158 */
static void on_read(void *userdata, CertificateAnswer *answer)
{
        _cleanup_(set_certificate_freep) SetCertificate *set = userdata;
        _cleanup_free_ char *detail = NULL;
        bool fatal;

        if (answer->result != WORK_DONE)
                bus_reply_failure(set->call, engine_work_result_code(answer->result, &fatal),
                                  engine_work_result_text(answer->result));
        else if (answer->error != 0) {
                if (asprintf(&detail, "cannot read %s: %s", answer->name, strerror(answer->error)) <
                    0)
                        detail = NULL;
                bus_reply_failure(set->call, certificate_code(answer->error, false), detail);
        } else
                finish_set(set);
}

static int new_set(Handle *handle, sd_bus_message *m, const char *certificate, const char *key,
                   const char *passphrase, SetCertificate **ret)
{
        _cleanup_(set_certificate_freep) SetCertificate *set = calloc(1, sizeof(*set));

        if (!set)
                return -ENOMEM;
        set->context = handle_context(handle);
        set->call = sd_bus_message_ref(m);
        memcpy(set->job_id, handle->job->id, sizeof(set->job_id));
        set->owner = handle->job->owner;
        set->opener = handle->opener;
        set->certificate = strdup(certificate);
        set->key = strdup(key);
        set->passphrase = strdup(passphrase);
        if (!set->certificate || !set->key || !set->passphrase)
                return -ENOMEM;
        *ret = TAKE_PTR(set);
        return 0;
}

/* TOK-150, SEC-150 */
static int on_set_client_certificate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(set_certificate_freep) SetCertificate *set = NULL;
        const char *certificate, *key, *passphrase, *why = NULL;
        WorkerIdentity identity;
        BitsCode code;
        int r = sd_bus_message_sensitive(m);

        if (r >= 0)
                r = sd_bus_message_read(m, "sss", &certificate, &key, &passphrase);
        if (r >= 0)
                r = require_owner(handle, error);
        if (r < 0)
                return r;
        code = http_check_certificate(certificate, key, passphrase, &why);
        if (code != 0)
                return bus_fail(error, code, "%s", why);
        r = new_set(handle, m, certificate, key, passphrase, &set);
        if (r < 0)
                return r;
        if (string_equal(certificate, CERTIFICATE_NONE)) {
                finish_set(set);
                return 1;
        }
        if (!engine_identity(handle->job, PURPOSE_CLIENT_CERTIFICATE, &identity))
                return bus_fail(error, BG_E_TOKEN_REQUIRED,
                                "reading the certificate is the helper's work, but the job has no "
                                "helper token: set it first");
        r = handle_charge(handle, error);
        if (r < 0)
                return r;
        set->charged = true;
        r = certificate_read(context->workers, &identity, certificate, key, on_read, set,
                             &set->reading);
        if (r < 0)
                return r;
        TAKE_PTR(set);
        return 1;
}

static int on_remove_client_certificate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        HttpOptions *http = &handle->job->http;
        _cleanup_(change_done) Change change = { 0 };
        bool was_set = *http->certificate;
        int r = require_owner(handle, error);

        if (r >= 0)
                r = change_begin(&change, context, handle->job);
        if (r < 0)
                return r;
        if (was_set) {
                http->certificate[0] = http->certificate_key[0] = 0;
                http_options_set_passphrase(http, NULL, 0);
                change.follow = engine_identity_changed;
        }
        r = change_commit(&change, error);
        return r < 0 ? r : sd_bus_reply_method_return(m, "u", was_set ? 0 : S_FALSE);
}

/* The names; nothing gives back what is in the files, or the passphrase. SEC-150 */
static int on_get_client_certificate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const HttpOptions *http = &handle->job->http;
        int r = handle_require(handle, RIGHT_READ, error);

        if (r < 0)
                return r;
        if (!*http->certificate)
                return bus_fail(error, BITS_E_BAD_STUB_DATA, "the job has no client certificate");
        return sd_bus_reply_method_return(m, "ss", http->certificate, http->certificate_key);
}

/* ---- custom headers ---- */

/* NET-152 */
static int on_set_custom_headers(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        const char *headers, *why = NULL;
        uint8_t *box;
        BitsCode code;
        size_t size;
        int r = sd_bus_message_sensitive(m);

        if (r >= 0)
                r = sd_bus_message_read(m, "s", &headers);
        if (r >= 0)
                r = require_owner(handle, error);
        if (r < 0)
                return r;
        code = http_check_headers(headers, &why);
        if (code != 0)
                return bus_fail(error, code, "%s", why);
        r = change_begin(&change, context, handle->job);
        if (r >= 0)
                r = seal(context, handle->job, headers, &box, &size);
        if (r < 0)
                return r;
        http_options_set_headers(&handle->job->http, box, size);
        (void)change_answer(&change, m);
        return 1;
}

static int reply_headers(const Handle *handle, sd_bus_message *m)
{
        BusContext *context = handle_context(handle);
        const HttpOptions *http = &handle->job->http;
        sd_bus_message *reply = NULL;
        uint8_t *bytes = NULL;
        size_t size = 0;
        int r = vault_open(store_vault(context->store), handle->job->id, http->headers,
                           http->headers_size, &bytes, &size);
        _cleanup_free_ char *text = r >= 0 ? strndup((const char *)bytes, size) : NULL;

        secret_free(bytes, size);
        if (r >= 0 && !text)
                r = -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_sensitive(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", text);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (text)
                explicit_bzero(text, strlen(text));
        sd_bus_message_unref(reply);
        return r;
}

/* NET-157, JOB-410 */
static int on_get_custom_headers(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const HttpOptions *http = &handle->job->http;
        int r = require_owner_to_read(handle, error);

        if (r < 0)
                return r;
        if (http->headers_write_only)
                return bus_fail(error, BITS_E_ACCESS_DENIED,
                                "the custom headers of the job were made write-only");
        return http->headers ? reply_headers(handle, m) : sd_bus_reply_method_return(m, "s", "");
}

/* NET-157 */
static int on_make_custom_headers_write_only(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        _cleanup_(change_done) Change change = { 0 };
        int r = require_owner(handle, error);

        if (r >= 0)
                r = change_begin(&change, handle_context(handle), handle->job);
        if (r < 0)
                return r;
        handle->job->http.headers_write_only = true;
        (void)change_answer(&change, m);
        return 1;
}

/* ---- security ---- */

static BUS_GETTER(get_security_flags)
{
        const Handle *handle = userdata;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "u", handle->job->http.security_flags);
}

/* NET-150 */
static BUS_SETTER(set_security_flags)
{
        Handle *handle = userdata;
        _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
        const char *why = NULL;
        uint32_t flags;
        BitsCode code;
        int r = sd_bus_message_read(value, "u", &flags);

        (void)bus, (void)path, (void)interface, (void)property;
        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r < 0)
                return r;
        code = http_check_security_flags(flags, &why);
        if (code != 0)
                return bus_fail(error, code, "%s", why);
        if (flags == handle->job->http.security_flags)
                return 0;
        r = change_begin(&change, handle_context(handle), handle->job);
        if (r < 0)
                return r;
        handle->job->http.security_flags = flags;
        return change_commit(&change, error);
}

/* ---- method ---- */

static BUS_GETTER(get_method)
{
        const Handle *handle = userdata;
        const Job *job = handle->job;
        const char *standard = job->type == JOB_DOWNLOAD ? "GET" : "BITS_POST";

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(
                reply, "s", http_has_custom_method(&job->http) ? job->http.method : standard);
}

static int check_method(const Job *job, const char *method, bool standard, sd_bus_error *error)
{
        const char *why = NULL;
        BitsCode code = http_check_method(method, &why);

        if (code != 0)
                return bus_fail(error, code, "%s", why);
        if (standard)
                return 0;
        if (job->type != JOB_DOWNLOAD)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "an upload has the method of its protocol");
        if (job->dynamic_content || job->on_demand)
                return bus_fail(error, BG_E_UNSUPPORTED_JOB_CONFIGURATION,
                                "DynamicContent and OnDemandMode do not go with a method other "
                                "than GET");
        return 0;
}

/* NET-159 */
static BUS_SETTER(set_method)
{
        Handle *handle = userdata;
        Job *job = handle->job;
        _cleanup_(change_done) Change change = { 0 };
        const char *method;
        bool standard;
        int r = sd_bus_message_read(value, "s", &method);

        (void)bus, (void)path, (void)interface, (void)property;
        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r < 0)
                return r;
        standard =
                !*method || string_equal(method, job->type == JOB_DOWNLOAD ? "GET" : "BITS_POST");
        r = check_method(job, method, standard, error);
        if (r < 0)
                return r;
        if (standard ? !http_has_custom_method(&job->http) : string_equal(method, job->http.method))
                return 0;
        if (job->resumed)
                return bus_fail_code(error, BG_E_READ_ONLY_PROPERTY_AFTER_RESUME);
        r = change_begin(&change, handle_context(handle), job);
        if (r >= 0)
                r = string_replace(&job->http.method, standard ? "" : method);
        if (r < 0)
                return r;
        if (!standard && job->priority != PRIORITY_FOREGROUND) {
                job->priority = PRIORITY_FOREGROUND;
                change.follow = engine_priority_changed;
        }
        return change_commit(&change, error);
}

/* ---- the judge of certificates ---- */

/* NET-162 */
static int on_set_server_certificate_validation(sd_bus_message *m, void *userdata,
                                                sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        Job *job = handle->job;
        _cleanup_(change_done) Change change = { 0 };
        int enable, r = sd_bus_message_read(m, "b", &enable);

        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r < 0)
                return r;
        if (job->state != STATE_SUSPENDED && job->state != STATE_ERROR &&
            job->state != STATE_TRANSFERRED)
                return bus_fail_code(error, BG_E_READ_ONLY_WHEN_JOB_ACTIVE);
        r = change_begin(&change, context, job);
        if (r < 0)
                return r;
        job->http.validated = enable;
        r = change_commit(&change, error);
        if (r >= 0 && enable)
                r = validation_set(context->validations, handle);
        else if (r >= 0)
                validation_clear(job);
        return r < 0 ? r : sd_bus_reply_method_return(m, "");
}

/* NET-160 */
static int on_answer_server_certificate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        uint64_t request;
        BitsCode code;
        int r = sd_bus_message_read(m, "tu", &request, &code);

        if (r >= 0)
                r = handle_require(handle, RIGHT_READ, error);
        if (r < 0)
                return r;
        code = validation_answer(handle, request, code);
        return code != 0 ? bus_fail_code(error, code) : sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable http_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("SetClientCertificate", "sss", "", on_set_client_certificate,
                      SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD("RemoveClientCertificate", "", "u", on_remove_client_certificate,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetClientCertificate", "", "ss", on_get_client_certificate,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetCustomHeaders", "s", "", on_set_custom_headers,
                      SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD("GetCustomHeaders", "", "s", on_get_custom_headers,
                      SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD("MakeCustomHeadersWriteOnly", "", "", on_make_custom_headers_write_only,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("SecurityFlags", "u", get_security_flags, set_security_flags, 0,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("HttpMethod", "s", get_method, set_method, 0,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetServerCertificateValidation", "b", "",
                      on_set_server_certificate_validation, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AnswerServerCertificate", "tu", "", on_answer_server_certificate,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("ValidateServerCertificate", "tussss", 0),
        SD_BUS_VTABLE_END,
};

int bus_http_register(BusContext *context)
{
        return sd_bus_add_fallback_vtable(context->bus, NULL, BUS_JOB_PREFIX, BUS_HTTP_OPTIONS,
                                          http_vtable, bus_find_handle, context);
}

int bus_http_serve(sd_bus *peer, const char *path, Handle *handle)
{
        return sd_bus_add_object_vtable(peer, NULL, path, BUS_HTTP_OPTIONS, http_vtable, handle);
}
