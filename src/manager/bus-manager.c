/*
 * org.openbits.BITS1.Manager: making, finding and listing jobs (reference 03 section 3). Jobs that
 * the caller may not see do not exist here.
 */
#include "manager/bus.h"

#include "basic/fd.h"
#include "manager/news.h"

#include <stdio.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

static uint64_t now_realtime(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* The job with that id, if the caller may see it; else it does not exist. BUS-10, SEC-62 */
static int find_job(BusContext *context, sd_bus_message *m, const char *id, Client **ret_client,
                    Job **ret, sd_bus_error *error)
{
        char parsed[JOB_ID_CHARACTERS + 1];
        Job *job = NULL;
        int r = handles_client(context->handles, m, ret_client);

        if (r < 0)
                return r;
        if (!job_id_parse(id, parsed))
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "'%.100s' is no job id", id);
        job = job_table_find(context->jobs, parsed);
        if (!job || policy_rights((*ret_client)->uid, job->owner) == 0)
                return bus_fail(error, BG_E_NOT_FOUND, "there is no job with the id %s", parsed);
        *ret = job;
        return 0;
}

/* ---- CreateJob ---- */

typedef struct CreateOptions {
        const char *description;
        JobPriority priority;
} CreateOptions;

/* BUS-07: what is not known is refused, never guessed. */
static int read_option(sd_bus_message *m, const char *key, CreateOptions *options,
                       sd_bus_error *error)
{
        const char *value, *why;
        BitsCode code;
        int r;

        if (!string_equal(key, "Description") && !string_equal(key, "Priority"))
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "unknown option '%.100s'", key);
        r = sd_bus_message_read(m, "v", "s", &value);
        if (r < 0)
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "option '%s' is a string", key);
        if (string_equal(key, "Description")) {
                code = policy_check_description(value, &why);
                if (code != 0)
                        return bus_fail(error, code, "%s", why);
                options->description = value;
                return 0;
        }
        options->priority = job_priority_parse(value);
        if (options->priority == PRIORITY_INVALID)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED, "unknown priority '%.100s'", value);
        return 0;
}

static int read_options(sd_bus_message *m, CreateOptions *options, sd_bus_error *error)
{
        const char *key;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = read_option(m, key, options, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* LIM-20, LIM-21 */
static int check_quota(BusContext *context, uid_t uid, sd_bus_error *error)
{
        if (job_table_count_of(context->jobs, uid) >= policy_limit(LIMIT_JOBS_PER_USER, uid))
                return bus_fail_code(error, policy_limit_code(LIMIT_JOBS_PER_USER));
        if (job_table_count(context->jobs) >= policy_limit(LIMIT_JOBS_PER_MACHINE, uid))
                return bus_fail_code(error, policy_limit_code(LIMIT_JOBS_PER_MACHINE));
        return 0;
}

static int make_job(BusContext *context, uid_t owner, JobType type, const char *name,
                    const CreateOptions *options, Job **ret)
{
        _cleanup_(job_freep) Job *job = NULL;
        uint8_t random[JOB_ID_BYTES];
        int r;

        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        r = job_new(random, owner, type, name, now_realtime(), &job);
        if (r < 0)
                return r;
        job->priority = options->priority;
        if (options->description) {
                free(job->description);
                job->description = strdup(options->description);
                if (!job->description)
                        return -ENOMEM;
        }
        r = engine_adopt(context->engine, job);
        if (r >= 0 && (r = job_table_add(context->jobs, job)) < 0)
                engine_release(context->engine, job);
        if (r >= 0)
                *ret = TAKE_PTR(job);
        return r;
}

static int on_create_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusContext *context = userdata;
        CreateOptions options = { .priority = PRIORITY_NORMAL };
        sd_bus_message *reply = NULL;
        char path[BUS_JOB_PATH_MAX];
        const char *name, *type, *why;
        Client *client;
        BitsCode code;
        Job *job;
        int r = sd_bus_message_read(m, "ss", &name, &type);

        if (r >= 0)
                r = read_options(m, &options, error);
        if (r >= 0)
                r = handles_client(context->handles, m, &client);
        if (r < 0)
                return r;
        code = policy_check_display_name(name, &why);
        if (code != 0) /* CreateJob says E_INVALIDARG for every fault of the name */
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "%s", why);
        if (job_type_parse(type) == JOB_TYPE_INVALID)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED, "unknown job type '%.100s'", type);
        if (job_type_parse(type) != JOB_DOWNLOAD)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "jobs of type '%s' are not implemented yet", type);
        r = check_quota(context, client->uid, error);
        if (r >= 0)
                r = make_job(context, client->uid, job_type_parse(type), name, &options, &job);
        if (r < 0)
                return r;
        store_mark_job(context->store, job, STORE_PROMISED);
        bus_job_path(job, path);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "so", job->id, path);
        if (r >= 0)
                r = turn_reply(context->turn, m, reply);
        sd_bus_message_unref(reply);
        news_added(context->news, job);
        return r < 0 ? r : 1;
}

/* ---- GetJob, OpenJob ---- */

static int on_get_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusContext *context = userdata;
        char path[BUS_JOB_PATH_MAX];
        const char *id;
        Client *client;
        Job *job = NULL;
        int r = sd_bus_message_read(m, "s", &id);

        if (r >= 0)
                r = find_job(context, m, id, &client, &job, error);
        if (r < 0)
                return r;
        bus_job_path(job, path);
        return sd_bus_reply_method_return(m, "o", path);
}

static int on_open_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusContext *context = userdata;
        _cleanup_close_ int fd = -EBADF;
        const char *id;
        Client *client;
        Job *job = NULL;
        int r = sd_bus_message_read(m, "s", &id);

        if (r >= 0)
                r = find_job(context, m, id, &client, &job, error);
        if (r >= 0)
                r = handle_open(context->handles, job, policy_rights(client->uid, job->owner),
                                client->uid, client->uid == job->owner, &fd);
        if (r == -EDQUOT)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "You hold too many handles at the same time.");
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "h", fd);
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

static int on_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusContext *context = userdata;
        ListFilter filter = { .state = STATE_INVALID };
        sd_bus_message *reply = NULL;
        Client *client;
        Job *job;
        int r = read_filter(m, &filter, error);

        if (r >= 0)
                r = handles_client(context->handles, m, &client);
        /* SEC-61 */
        if (r >= 0 && filter.all_users && !identity_is_administrator(client->uid))
                r = bus_fail(error, BITS_E_ACCESS_DENIED,
                             "only an administrator may list the jobs of all users");
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        if (r < 0)
                goto finish;
        TAILQ_FOREACH (job, job_table_list(context->jobs), table_entries) {
                /* SEC-60 */
                if (!filter.all_users && job->owner != client->uid)
                        continue;
                if (filter.state != STATE_INVALID && job->state != filter.state)
                        continue;
                r = append_job(reply, job);
                if (r < 0)
                        goto finish;
        }
        r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
finish:
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
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
        if (*locale && strncasecmp(locale, "en", 2) != 0 && !string_equal(locale, "C") &&
            !string_equal(locale, "POSIX") && !string_equal(locale, "C.UTF-8"))
                return bus_fail(error, BITS_E_LANGUAGE_NOT_FOUND,
                                "there are no texts for the locale '%.50s'", locale);
        text = error_text(code);
        if (!text)
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

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CreateJob", "ssa{sv}", "so", on_create_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetJob", "s", "o", on_get_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("OpenJob", "s", "h", on_open_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListJobs", "a{sv}", "aa{sv}", on_list_jobs, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetErrorDescription", "us", "s", on_get_error_description,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Unsubscribe", "", "", on_unsubscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", get_constant, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mode", "s", get_constant, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("TokenSocket", "s", get_constant, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_SIGNAL("JobAdded", "so", 0),
        SD_BUS_SIGNAL("JobRemoved", "so", 0),
        SD_BUS_VTABLE_END,
};

int bus_manager_register(BusContext *context)
{
        return sd_bus_add_object_vtable(context->bus, NULL, BUS_ROOT_PATH, BUS_MANAGER,
                                        manager_vtable, context);
}
