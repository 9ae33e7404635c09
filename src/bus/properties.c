#include "bus/properties.h"

#include "bus/change.h"
#include "core/remote-name.h"

#include "manager/waiting.h"

/* ---- numbers ---- */

/* What a setter makes of a number: 0, or the code that refuses it with *ret_why. It may change the
   number. `job` has the old one. */
typedef BitsCode (*NumberRule)(const Job *job, uint64_t *number, const char **ret_why);

typedef struct Number {
        const char *name;
        char type; /* of D-Bus: b, u or t */
        size_t offset;
        NumberRule rule; /* NULL: read only */
        unsigned right;  /* to set it; 0: RIGHT_MODIFY */
} Number;

static BitsCode any_number(const Job *job, uint64_t *number, const char **ret_why)
{
        (void)job, (void)number, (void)ret_why;
        return 0;
}

static BitsCode retry_delay(const Job *job, uint64_t *number, const char **ret_why)
{
        (void)job, (void)ret_why;
        *number = MAX(*number, (uint64_t)LEAST_MINIMUM_RETRY_DELAY);
        return 0;
}

static BitsCode notify_flags(const Job *job, uint64_t *number, const char **ret_why)
{
        (void)job;
        *ret_why = "there are unknown flags: 1 transferred, 2 error, 4 nothing at all, 8 "
                   "modification, 16 file, 32 ranges";
        return (*number & ~(uint64_t)NOTIFY_FLAGS_ALL) != 0 ? BITS_E_NOT_IMPLEMENTED : 0;
}

/* JOB-100: what is done cannot be asked for any more. */
static BitsCode file_acl_flags(const Job *job, uint64_t *number, const char **ret_why)
{
        if ((*number & ~(uint64_t)COPY_FILE_ALL) != 0) {
                *ret_why = "there are unknown flags: 1 owner, 2 group, 4 rights, 8 audit entries";
                return BITS_E_INVALID_ARGUMENT;
        }
        return job_call_check(job, NULL, CALL_SET_FILE_ACL_FLAGS, ret_why);
}

static BitsCode only_download(const Job *job, const char **ret_why)
{
        *ret_why = "only downloads have this property";
        return job->type != JOB_DOWNLOAD ? BG_E_PROPERTY_SUPPORTED_FOR_DOWNLOAD_JOBS_ONLY : 0;
}

static BitsCode before_resume(const Job *job, const char **ret_why)
{
        BitsCode code = only_download(job, ret_why);

        return code != 0 ? code : job_call_check(job, NULL, CALL_SET_BEFORE_RESUME, ret_why);
}

static bool has_ranges(const Job *job)
{
        for (size_t i = 0; i < job->n_files; i++)
                if (job->files[i]->wanted.count > 0)
                        return true;
        return false;
}

static bool has_files_of_machine(const Job *job)
{
        for (size_t i = 0; i < job->n_files; i++)
                if (remote_name_is_file(job->files[i]->remote_name))
                        return true;
        return false;
}

/* NET-159 */
static BitsCode without_method(const Job *job, const uint64_t *number, const char **ret_why)
{
        *ret_why = "the job has an HTTP method of its own";
        return *number != 0 && http_has_custom_method(&job->http)
                       ? BG_E_NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD
                       : 0;
}

/* RNG-183, RNG-184 */
static BitsCode dynamic_content(const Job *job, uint64_t *number, const char **ret_why)
{
        BitsCode code = before_resume(job, ret_why);

        if (code == 0)
                code = without_method(job, number, ret_why);
        if (code == 0 && *number != 0 && (job->on_demand || has_ranges(job))) {
                *ret_why = "dynamic content does not go with ranges or OnDemandMode";
                code = BG_E_UNSUPPORTED_JOB_CONFIGURATION;
        }
        return code;
}

static BitsCode on_demand(const Job *job, uint64_t *number, const char **ret_why)
{
        BitsCode code = only_download(job, ret_why);

        if (code == 0)
                code = without_method(job, number, ret_why);
        if (code == 0 && *number != 0 &&
            (job->dynamic_content || has_ranges(job) || has_files_of_machine(job))) {
                *ret_why = "OnDemandMode does not go with DynamicContent, ranges, or files of "
                           "this machine";
                code = BG_E_UNSUPPORTED_JOB_CONFIGURATION;
        }
        return code;
}

/* RNG-186 */
static BitsCode high_performance(const Job *job, uint64_t *number, const char **ret_why)
{
        BitsCode code = only_download(job, ret_why);

        (void)number;
        return code != 0 ? code : job_call_check(job, NULL, CALL_SET_HIGH_PERFORMANCE, ret_why);
}

/* RNG-185 */
static BitsCode max_download_size(const Job *job, uint64_t *number, const char **ret_why)
{
        BitsCode code = before_resume(job, ret_why);

        if (code == 0 && *number == 0) {
                *ret_why = "the limit is at least one byte";
                code = BG_E_MAX_DOWNLOAD_SIZE_INVALID_VALUE;
        }
        return code;
}

/* RNG-178 */
static BitsCode peer_caching_flags(const Job *job, uint64_t *number, const char **ret_why)
{
        (void)job;
        *ret_why = "there are unknown flags: 1 from peers, 2 to peers, 4 no branch "
                   "cache";
        return (*number & ~(uint64_t)PEER_CACHING_ALL) != 0 ? BITS_E_INVALID_ARGUMENT : 0;
}

/* JOB-56, HND-43 */
static const Number numbers[] = {
        { "OwnerUid", 'u', offsetof(Job, owner), NULL },
        { "OwnerElevated", 'b', offsetof(Job, owner_elevated), NULL },
        { "OwnerIntegrityLevel", 'u', offsetof(Job, owner_integrity), NULL },
        { "ErrorCount", 'u', offsetof(Job, error_count), NULL },
        { "ErrorTime", 't', offsetof(Job, failed), NULL },
        { "MinimumRetryDelay", 'u', offsetof(Job, minimum_retry_delay), retry_delay },
        { "NoProgressTimeout", 'u', offsetof(Job, no_progress_timeout), any_number },
        { "MaximumDownloadTime", 'u', offsetof(Job, maximum_download_time), any_number },
        { "NotifyFlags", 'u', offsetof(Job, notify_flags), notify_flags },
        { "MinimumNotificationInterval", 'u', offsetof(Job, notify_interval), any_number },
        /* TOK-462: whose the files are, and who may read them, is said by who names them. */
        { "FileACLFlags", 'u', offsetof(Job, file_acl_flags), file_acl_flags, RIGHT_FILES },
        { "DynamicContent", 'b', offsetof(Job, dynamic_content), dynamic_content },
        { "HighPerformance", 'b', offsetof(Job, high_performance), high_performance },
        { "OnDemandMode", 'b', offsetof(Job, on_demand), on_demand },
        { "MaxDownloadSize", 't', offsetof(Job, max_download_size), max_download_size },
        { "PeerCachingFlags", 'u', offsetof(Job, peer_caching_flags), peer_caching_flags },
};

static const Number *find_number(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                if (string_equal(numbers[i].name, name))
                        return &numbers[i];
        assert(false);
        return NULL;
}

static uint64_t load(const Number *n, const Job *job)
{
        const char *member = (const char *)job + n->offset;

        return n->type == 'b'   ? *(const bool *)member
               : n->type == 'u' ? *(const uint32_t *)member
                                : *(const uint64_t *)member;
}

static void store(const Number *n, Job *job, uint64_t value)
{
        char *member = (char *)job + n->offset;

        if (n->type == 'b')
                *(bool *)member = value != 0;
        else if (n->type == 'u')
                *(uint32_t *)member = (uint32_t)value;
        else
                *(uint64_t *)member = value;
}

BUS_GETTER(bus_get_number)
{
        const Handle *handle = userdata;
        const Number *n = find_number(property);
        uint64_t value = load(n, handle->job);

        (void)bus, (void)path, (void)interface, (void)error;
        if (n->type == 't')
                return sd_bus_message_append(reply, "t", value);
        return sd_bus_message_append(reply, n->type == 'b' ? "b" : "u", (uint32_t)value);
}

static int read_number(sd_bus_message *m, char type, uint64_t *ret)
{
        uint32_t narrow = 0;
        int r;

        if (type == 't')
                return sd_bus_message_read_basic(m, type, ret);
        r = sd_bus_message_read_basic(m, type, &narrow);
        *ret = narrow;
        return r;
}

BUS_SETTER(bus_set_number)
{
        Handle *handle = userdata;
        const Number *n = find_number(property);
        _cleanup_(change_done) Change change = { 0 };
        const char *why = NULL;
        uint64_t number;
        BitsCode code;
        int r = read_number(value, n->type, &number);

        (void)bus, (void)path, (void)interface;
        if (r >= 0)
                r = bus_require(handle, n->right ? n->right : RIGHT_MODIFY, error);
        if (r < 0)
                return r;
        code = n->rule(handle->job, &number, &why);
        if (code != 0)
                return why ? bus_fail(error, code, "%s", why) : bus_fail_code(error, code);
        r = change_begin(&change, handle_context(handle), handle->job);
        if (r < 0)
                return r;
        store(n, handle->job, number);
        return change_commit(&change, error);
}

/* JOB-223, JOB-225: numbers that only the engine knows. */
BUS_GETTER(bus_get_timing)
{
        const Handle *handle = userdata;
        const BusContext *context = handle_context(handle);
        const Engine *engine = context->engine;

        (void)bus, (void)path, (void)interface, (void)error;
        if (string_equal(property, "NextAttempt"))
                return sd_bus_message_append(reply, "t", engine_next_attempt(engine, handle->job));
        return sd_bus_message_append(reply, "u", engine_download_time(engine, handle->job));
}

/* ---- texts ---- */

BUS_GETTER(bus_get_text)
{
        const Handle *handle = userdata;
        const Job *job = handle->job;
        const BusContext *context = handle_context(handle);
        _cleanup_free_ char *reason = NULL;
        char sid[IDENTITY_SID_MAX];
        const char *value;

        (void)bus, (void)path, (void)interface, (void)error;
        if (string_equal(property, "Id"))
                value = job->id;
        else if (string_equal(property, "Type"))
                value = job_type_name(job->type);
        else if (string_equal(property, "State"))
                value = job_state_name(job->state);
        else if (string_equal(property, "Priority"))
                value = job_priority_name(job->priority);
        else if (string_equal(property, "DisplayName"))
                value = job->display_name;
        else if (string_equal(property, "Description"))
                value = job->description;
        else if (string_equal(property, "WaitingFor"))
                value = wait_kind_name(engine_wait_kind(context->engine, job));
        else if (string_equal(property, "WaitReason"))
                value = reason = waiting_sentence(context->engine, job,
                                                  (handle->rights & RIGHT_HELPER) != 0);
        else {
                identity_sid(job->owner, sid);
                value = sid;
        }
        return value ? sd_bus_message_append(reply, "s", value) : -ENOMEM;
}

BUS_SETTER(bus_set_text)
{
        Handle *handle = userdata;
        Job *job = handle->job;
        bool name = string_equal(property, "DisplayName");
        _cleanup_(change_done) Change change = { 0 };
        const char *text, *why;
        BitsCode code;
        int r = sd_bus_message_read(value, "s", &text);

        (void)bus, (void)path, (void)interface;
        if (r >= 0)
                r = bus_require(handle, RIGHT_MODIFY, error);
        if (r < 0)
                return r;
        code = name ? policy_check_display_name(text, &why) : policy_check_description(text, &why);
        if (code != 0)
                return bus_fail(error, code, "%s", why);
        r = change_begin(&change, handle_context(handle), job);
        if (r >= 0)
                r = string_replace(name ? &job->display_name : &job->description, text);
        return r < 0 ? r : change_commit(&change, error);
}

BUS_SETTER(bus_set_priority)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { 0 };
        JobPriority priority;
        const char *text;
        int r = sd_bus_message_read(value, "s", &text);

        (void)bus, (void)path, (void)interface, (void)property;
        if (r >= 0)
                r = bus_require(handle, RIGHT_MODIFY, error);
        if (r < 0)
                return r;
        priority = job_priority_parse(text);
        if (priority != PRIORITY_FOREGROUND && http_has_custom_method(&handle->job->http))
                return bus_fail(error, BG_E_NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD,
                                "a job with an HTTP method of its own is a foreground job");
        if (priority == PRIORITY_INVALID)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "unknown priority '%.100s': foreground, high, normal or low", text);
        if (priority == handle->job->priority)
                return 0;
        r = change_begin(&change, context, handle->job);
        if (r < 0)
                return r;
        handle->job->priority = priority;
        r = change_commit(&change, error);
        if (r < 0)
                return r;
        engine_priority_changed(context->engine, handle->job);
        engine_reconsider(context->engine, handle->job); /* policies are those of a priority */
        return 0;
}

/* ---- structures ---- */

BUS_GETTER(bus_get_progress)
{
        const Handle *handle = userdata;
        const Job *job = handle->job;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "(ttuu)", job_bytes_total(job), job->bytes_written,
                                     (uint32_t)job->n_files, (uint32_t)job->n_transferred);
}

/* JOB-54 */
BUS_GETTER(bus_get_times)
{
        const Handle *handle = userdata;
        const Job *job = handle->job;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "(ttt)", job->created, job->modified,
                                     job->transfer_completed);
}
