/*
 * org.openbits.BITS1.Manager: finding and listing jobs (reference 03 section 3); making them is
 * create-jobs.h's. Jobs that the caller may not see do not exist here.
 */
#include "bus/bus.h"
#include "bus/create-jobs.h"

#include "basic/clock.h"
#include "basic/fd.h"

/* Who calls, and whose id it is about. */
typedef struct Caller {
        Client *client;
        Job *job; /* NULL: there is none */
} Caller;

/* BUS-10 */
static int read_caller(BusContext *context, sd_bus_message *m, Caller *ret, sd_bus_error *error)
{
        char parsed[JOB_ID_CHARACTERS + 1];
        const char *id;
        int r = sd_bus_message_read(m, "s", &id);

        if (r >= 0)
                r = handles_client(context->handles, m, &ret->client);
        if (r < 0)
                return r;
        if (!job_id_parse(id, parsed))
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "'%.100s' is no job id", id);
        ret->job = job_table_find(context->jobs, parsed);
        return 0;
}

static int not_found(sd_bus_message *m, sd_bus_error *error)
{
        char parsed[JOB_ID_CHARACTERS + 1] = "";
        const char *id;

        if (sd_bus_message_rewind(m, true) >= 0 && sd_bus_message_read(m, "s", &id) > 0)
                (void)job_id_parse(id, parsed);
        return bus_fail(error, BG_E_NOT_FOUND, "there is no job with the id %s", parsed);
}

static int needs_authentication(sd_bus_message *m, sd_bus_error *error)
{
        bool asked = sd_bus_message_get_allow_interactive_authorization(m) > 0;

        return bus_fail(error, BITS_E_ACCESS_DENIED,
                        asked ? "to manage other users' jobs you have to authenticate, but no "
                                "authentication agent of your session could ask you: start one "
                                "(pkttyagent), or call as root"
                              : "to manage other users' jobs you have to authenticate: allow "
                                "interactive authorization in the call, or call as root");
}

/* SEC-91: the same for a job of somebody else and for no job, and before it is looked for.
   Whoever is not ready to authenticate hears that there is none; one who is learns that he would
   have to, for any id. */
static int refuse_job(sd_bus_message *m, Verdict verdict, sd_bus_error *error)
{
        if (verdict == VERDICT_CHALLENGE &&
            sd_bus_message_get_allow_interactive_authorization(m) > 0)
                return needs_authentication(m, error);
        return not_found(m, error);
}

/* What the caller reaches without being let manage all jobs. SEC-62, BUS-301 */
static bool is_his(const Caller *caller)
{
        return caller->job && policy_rights(caller->client->uid, caller->job->owner) != 0;
}

/* ---- GetJob, OpenJob ---- */

static int get_job(sd_bus_message *m, const Caller *caller, bool authorized, sd_bus_error *error)
{
        char path[BUS_JOB_PATH_MAX];
        Handle *handle;
        /* HND-400: from now on his calls on the job's path are heard, also when it has ended. */
        int r = authorized ? handle_of_authorized_client(caller->client, caller->job, &handle)
                           : handle_of_client(caller->client, caller->job, &handle);

        if (r == -EDQUOT)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "You hold too many jobs open at the same time.");
        if (r < 0)
                return r;
        bus_job_path(caller->job, path);
        return sd_bus_reply_method_return(m, "o", path);
}

static int open_job(sd_bus_message *m, const Caller *caller, bool authorized, sd_bus_error *error)
{
        HandleFacts facts = handle_decide(caller->client->uid, caller->job, authorized);
        _cleanup_close_ int fd = -EBADF;
        int r = handle_open(caller->client->handles, caller->job, &facts, &fd);

        if (r == -EDQUOT)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "You hold too many handles at the same time: close some.");
        return r < 0 ? r : sd_bus_reply_method_return(m, "h", fd);
}

typedef int (*JobAnswer)(sd_bus_message *m, const Caller *caller, bool authorized,
                         sd_bus_error *error);

/* The second half, when the caller has no right of his own. */
static int answer_authorized(sd_bus_message *m, BusContext *context, Verdict verdict,
                             JobAnswer answer, sd_bus_error *error)
{
        Caller caller;
        int r;

        if (verdict != VERDICT_ALLOWED)
                return refuse_job(m, verdict, error);
        r = read_caller(context, m, &caller, error);
        if (r < 0)
                return r;
        if (!caller.job)
                return not_found(m, error);
        return answer(m, &caller, true, error);
}

static int on_authorized_get(sd_bus_message *m, void *userdata, Verdict verdict,
                             sd_bus_error *error)
{
        return answer_authorized(m, userdata, verdict, get_job, error);
}

static int on_authorized_open(sd_bus_message *m, void *userdata, Verdict verdict,
                              sd_bus_error *error)
{
        return answer_authorized(m, userdata, verdict, open_job, error);
}

/* The first half: at once, or when polkit has been asked. */
static int answer_caller(sd_bus_message *m, BusContext *context, JobAnswer answer,
                         AuthorizedCall second_half, sd_bus_error *error)
{
        Caller caller;
        int r = read_caller(context, m, &caller, error);

        if (r < 0)
                return r;
        if (is_his(&caller))
                return answer(m, &caller, false, error);
        return authorize(context->authorizer, m, caller.client->uid, second_half, context, error);
}

static int on_get_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return answer_caller(m, userdata, get_job, on_authorized_get, error);
}

static int on_open_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return answer_caller(m, userdata, open_job, on_authorized_open, error);
}

/* ---- ListJobs ---- */

typedef struct ListFilter {
        int all_users;
        JobState state; /* INVALID: any */
} ListFilter;

/* BUS-07 */
static int read_filter(sd_bus_message *m, ListFilter *filter, sd_bus_error *error)
{
        const char *key, *value;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        break;
                if (string_equal(key, "AllUsers"))
                        r = sd_bus_message_read(m, "v", "b", &filter->all_users);
                else if (string_equal(key, "State")) {
                        r = sd_bus_message_read(m, "v", "s", &value);
                        if (r >= 0 && (filter->state = job_state_parse(value)) == STATE_INVALID)
                                return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                                                "unknown state '%.100s'", value);
                } else
                        return bus_fail(error, BITS_E_INVALID_ARGUMENT, "unknown filter '%.100s'",
                                        key);
                if (r < 0)
                        return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                                        "filter '%s' has the wrong type", key);
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int append_job(sd_bus_message *reply, const Job *job)
{
        char path[BUS_JOB_PATH_MAX], sid[IDENTITY_SID_MAX];
        bool failed = job->state == STATE_ERROR || job->state == STATE_TRANSIENT_ERROR;

        bus_job_path(job, path);
        identity_sid(job->owner, sid);
        return sd_bus_message_append(
                reply, "a{sv}", 13, "Id", "s", job->id, "Path", "o", path, "DisplayName", "s",
                job->display_name, "Type", "s", job_type_name(job->type), "State", "s",
                job_state_name(job->state), "Priority", "s", job_priority_name(job->priority),
                "Owner", "s", sid, "OwnerUid", "u", (uint32_t)job->owner, "BytesTotal", "t",
                job_bytes_total(job), "BytesTransferred", "t", job->bytes_written, "FilesTotal",
                "u", (uint32_t)job->n_files, "FilesTransferred", "u", (uint32_t)job->n_transferred,
                "ErrorCode", "u", failed ? job->fault.code : 0);
}

static int append_jobs(sd_bus_message *reply, BusContext *context, uid_t uid,
                       const ListFilter *filter)
{
        Job *job;
        int r = 0;

        TAILQ_FOREACH (job, job_table_list(context->jobs), table_entries) {
                /* SEC-60 */
                if (!filter->all_users && job->owner != uid)
                        continue;
                if (filter->state != STATE_INVALID && job->state != filter->state)
                        continue;
                r = append_job(reply, job);
                if (r < 0)
                        break;
        }
        return r;
}

static int list_jobs(sd_bus_message *m, BusContext *context, uid_t uid, const ListFilter *filter)
{
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        if (r >= 0)
                r = append_jobs(reply, context, uid, filter);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* SEC-61, BUS-300 */
static int on_authorized_list(sd_bus_message *m, void *userdata, Verdict verdict,
                              sd_bus_error *error)
{
        ListFilter filter = { .state = STATE_INVALID };
        BusContext *context = userdata;
        Client *client;
        int r = read_filter(m, &filter, error);

        if (r < 0)
                return r;
        if (verdict == VERDICT_CHALLENGE)
                return needs_authentication(m, error);
        if (verdict != VERDICT_ALLOWED)
                return bus_fail(error, BITS_E_ACCESS_DENIED,
                                "only an administrator may list the jobs of all users");
        r = handles_client(context->handles, m, &client);
        if (r < 0)
                return r;
        client->sees_all = true;
        return list_jobs(m, context, 0, &filter);
}

static int on_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusContext *context = userdata;
        ListFilter filter = { .state = STATE_INVALID };
        Client *client;
        int r = read_filter(m, &filter, error);

        if (r >= 0)
                r = handles_client(context->handles, m, &client);
        if (r < 0)
                return r;
        if (!filter.all_users)
                return list_jobs(m, context, client->uid, &filter);
        return authorize(context->authorizer, m, client->uid, on_authorized_list, context, error);
}

/* ---- the rest ---- */

static int on_get_error_description(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *locale, *text;
        uint32_t code;
        int r = sd_bus_message_read(m, "us", &code, &locale);

        (void)userdata;
        if (r < 0)
                return r;
        r = error_text_in(code, locale, &text);
        if (r == -ENOENT)
                return bus_fail(error, BITS_E_LANGUAGE_NOT_FOUND,
                                "there are no texts for the locale '%.50s'", locale);
        if (r < 0)
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "0x%08x is no known code", code);
        return sd_bus_reply_method_return(m, "s", text);
}

static int set_subscribed(sd_bus_message *m, BusContext *context, bool subscribed)
{
        Client *client;
        int r = handles_client(context->handles, m, &client);

        if (r < 0)
                return r;
        client->subscribed = subscribed;
        return sd_bus_reply_method_return(m, NULL);
}

static int on_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)error;
        return set_subscribed(m, userdata, true);
}

static int on_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)error;
        return set_subscribed(m, userdata, false);
}

/* JOB-59 */
static int get_constant(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        BusContext *context = userdata;
        const char *value = PROJECT_VERSION;

        (void)bus;
        (void)path;
        (void)interface;
        (void)error;
        if (string_equal(property, "Mode"))
                value = context->user_mode ? "user" : "system";
        else if (string_equal(property, "TokenSocket"))
                value = context->token_socket;
        return sd_bus_message_append(reply, "s", value);
}

/* OPS-260 */
static int get_set_aside(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const BusContext *context = userdata;
        const char *aside = store_set_aside(context->store);

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "s", aside ? aside : "");
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CreateJob", "ssa{sv}", "so", bus_create_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("CreateJobs", "a(ssa{sv}a(ss))", "a(so)", bus_create_jobs,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetJob", "s", "o", on_get_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("OpenJob", "s", "h", on_open_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListJobs", "a{sv}", "aa{sv}", on_list_jobs, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetErrorDescription", "us", "s", on_get_error_description,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetPolicy", "", "a(ssssu)", bus_get_policy, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Unsubscribe", "", "", on_unsubscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", get_constant, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mode", "s", get_constant, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("TokenSocket", "s", get_constant, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("StoreSetAside", "s", get_set_aside, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_SIGNAL("JobAdded", "so", 0),
        SD_BUS_SIGNAL("JobRemoved", "so", 0),
        SD_BUS_SIGNAL("Changed", "", 0),
        SD_BUS_VTABLE_END,
};

int bus_manager_register(BusContext *context)
{
        return sd_bus_add_object_vtable(context->bus, NULL, BUS_ROOT_PATH, BUS_MANAGER,
                                        manager_vtable, context);
}
