#include "bus/create-jobs.h"

#include "basic/clock.h"
#include "basic/random.h"
#include "bus/add-files.h"
#include "manager/news.h"

#include <time.h>

/* ---- arguments ---- */

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
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "unknown priority '%.100s': foreground, high, normal or low",
                                value);
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
static int check_quota(BusContext *context, uid_t uid, size_t more, sd_bus_error *error)
{
        uint32_t user = policy_limit(LIMIT_JOBS_PER_USER, uid);
        uint32_t machine = policy_limit(LIMIT_JOBS_PER_MACHINE, uid);
        size_t n = job_table_count_of(context->jobs, uid);

        if (n + more > user)
                return bus_fail(error, policy_limit_code(LIMIT_JOBS_PER_USER),
                                "a user may have %u jobs (MaxJobsPerUser), and you have %zu; "
                                "complete or cancel some",
                                user, n);
        if (job_table_count(context->jobs) + more > machine)
                return bus_fail(error, policy_limit_code(LIMIT_JOBS_PER_MACHINE),
                                "all users together may have %u jobs (MaxJobsPerMachine); "
                                "complete or cancel some",
                                machine);
        return 0;
}

/* CreateJob says E_INVALIDARG for every fault of the name. */
static int check_job(const char *name, const char *type, sd_bus_error *error)
{
        const char *why;

        if (policy_check_display_name(name, &why) != 0)
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "%s", why);
        if (job_type_parse(type) == JOB_TYPE_INVALID)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "unknown job type '%.100s': download, upload or upload-reply",
                                type);
        return 0;
}

/* The arguments of CreateJob; the job that they describe is nobody's yet. */
static int read_job(sd_bus_message *m, uid_t owner, Job **ret, sd_bus_error *error)
{
        _cleanup_(job_freep) Job *job = NULL;
        CreateOptions options = { .priority = PRIORITY_NORMAL };
        uint8_t random[JOB_ID_BYTES];
        const char *name, *type;
        int r = sd_bus_message_read(m, "ss", &name, &type);

        if (r >= 0)
                r = read_options(m, &options, error);
        if (r >= 0)
                r = check_job(name, type, error);
        if (r < 0)
                return r;
        if (random_bytes(random, sizeof(random)) < 0)
                return -EIO;
        r = job_new(random, owner, job_type_parse(type), name, clock_usec(CLOCK_REALTIME), &job);
        if (r < 0)
                return r;
        job->priority = options.priority;
        if (options.description) {
                free(job->description);
                job->description = strdup(options.description);
                if (!job->description)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(job);
        return 0;
}

/* ---- into the queue ---- */

static int adopt(BusContext *context, Job *job)
{
        int r = engine_adopt(context->engine, job);

        if (r >= 0 && (r = job_table_add(context->jobs, job)) < 0)
                engine_release(context->engine, job);
        return r;
}

/* The job is still there: until the first commit that works nothing ends it. DUR-266: its caller
   hears that it was not made, and makes another one. */
static void on_outcome(void *userdata, uint64_t id, bool stored)
{
        BusContext *context = userdata;
        Job *job = (Job *)(uintptr_t)id;

        if (stored)
                news_added(context->news, job);
        else
                finisher_take_back(context->finisher, job);
}

static void mark_and_announce(BusContext *context, Job *job)
{
        (void)turn_on_outcome(context->turn, on_outcome, context, (uintptr_t)job);
        store_mark_job(context->store, job, STORE_PROMISED);
        for (size_t i = 0; i < job->n_files; i++)
                store_mark_file(context->store, job->files[i], STORE_PROMISED);
}

static int append_job(sd_bus_message *reply, const Job *job, const char *types)
{
        char path[BUS_JOB_PATH_MAX];

        bus_job_path(job, path);
        return sd_bus_message_append(reply, types, job->id, path);
}

/* ---- one ---- */

int bus_create_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusContext *context = userdata;
        _cleanup_(job_freep) Job *job = NULL;
        sd_bus_message *reply = NULL;
        Client *client;
        int r = handles_client(context->handles, m, &client);

        if (r >= 0)
                r = read_job(m, client->uid, &job, error);
        if (r >= 0)
                r = check_quota(context, client->uid, 1, error);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_job(reply, job, "so");
        if (r >= 0)
                r = adopt(context, job);
        if (r >= 0) {
                r = turn_reply(context->turn, m, reply);
                mark_and_announce(context, TAKE_PTR(job));
        }
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* ---- many ---- */

typedef struct Batch {
        BusContext *context;
        sd_bus_message *call;
        uid_t owner;
        Job **jobs;
        AddFiles **adds; /* NULL: a job without files, or under way */
        size_t n, room;
        size_t unanswered;
        sd_bus_error failure;
} Batch;

static void batch_free(Batch *batch)
{
        if (!batch)
                return;
        for (size_t i = 0; i < batch->n; i++) {
                add_files_free(batch->adds[i]);
                job_free(batch->jobs[i]);
        }
        free(batch->jobs);
        free(batch->adds);
        sd_bus_error_free(&batch->failure);
        sd_bus_message_unref(batch->call);
        handles_discharge(batch->context->handles, batch->owner);
        free(batch);
}
DEFINE_CLEANUP(Batch, batch_free);

/* LIM-32 */
static int batch_new(BusContext *context, sd_bus_message *m, Batch **ret, sd_bus_error *error)
{
        Client *client;
        Batch *batch;
        int r = handles_client(context->handles, m, &client);

        if (r >= 0)
                r = handles_charge(context->handles, client->uid, error);
        if (r < 0)
                return r;
        batch = calloc(1, sizeof(*batch));
        if (!batch) {
                handles_discharge(context->handles, client->uid);
                return -ENOMEM;
        }
        batch->context = context;
        batch->call = sd_bus_message_ref(m);
        batch->owner = client->uid;
        *ret = batch;
        return 0;
}

static int make_room(Batch *batch)
{
        size_t room = MAX(batch->room * 2, (size_t)16);
        Job **jobs;
        AddFiles **adds;

        if (batch->n < batch->room)
                return 0;
        jobs = reallocarray(batch->jobs, room, sizeof(Job *));
        if (!jobs)
                return -ENOMEM;
        batch->jobs = jobs;
        adds = reallocarray(batch->adds, room, sizeof(AddFiles *));
        if (!adds)
                return -ENOMEM;
        batch->adds = adds;
        batch->room = room;
        return 0;
}

/* The sentence says which of the jobs is meant, counted from 1. */
static void fail(Batch *batch, const Job *job, const char *name, const char *text)
{
        size_t number = 0;

        if (sd_bus_error_is_set(&batch->failure))
                return;
        while (number < batch->n && batch->jobs[number] != job)
                number++;
        (void)sd_bus_error_setf(&batch->failure, name, "job %zu: %s", number + 1, text);
}

static int give_up(Batch *batch, int r, const sd_bus_error *why, sd_bus_error *error)
{
        if (!sd_bus_error_is_set(why))
                return r;
        return sd_bus_error_setf(error, why->name, "job %zu: %s", batch->n + 1, why->message);
}

static void on_files(void *userdata, Job *job, BitsCode code, const char *detail);

static int read_files(Batch *batch, sd_bus_message *m, Job *job, AddFiles **ret,
                      sd_bus_error *error)
{
        _cleanup_(add_files_freep) AddFiles *add = NULL;
        const char *remote_name, *local_name;
        int r = sd_bus_message_enter_container(m, 'a', "(ss)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", &remote_name, &local_name)) > 0) {
                if (!add)
                        r = add_files_new_draft(batch->context, job, on_files, batch, &add);
                if (r >= 0)
                        r = add_files_add(add, remote_name, local_name, error);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                *ret = TAKE_PTR(add);
        return r;
}

/* LIM-260 */
static int read_one(Batch *batch, sd_bus_message *m, sd_bus_error *error)
{
        _cleanup_(job_freep) Job *job = NULL;
        AddFiles *add = NULL;
        int r;

        if (batch->n >= policy_limit(LIMIT_JOBS_PER_CALL, batch->owner))
                return bus_fail(error, policy_limit_code(LIMIT_JOBS_PER_CALL),
                                "one call makes at most %u jobs",
                                policy_limit(LIMIT_JOBS_PER_CALL, batch->owner));
        r = check_quota(batch->context, batch->owner, batch->n + 1, error);
        if (r >= 0)
                r = make_room(batch);
        if (r >= 0)
                r = read_job(m, batch->owner, &job, error);
        if (r >= 0)
                r = read_files(batch, m, job, &add, error);
        if (r < 0)
                return r;
        batch->jobs[batch->n] = TAKE_PTR(job);
        batch->adds[batch->n++] = add;
        return 0;
}

static int read_batch(Batch *batch, sd_bus_message *m, sd_bus_error *error)
{
        sd_bus_error why = SD_BUS_ERROR_NULL;
        int r = sd_bus_message_enter_container(m, 'a', "(ssa{sv}a(ss))");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ssa{sv}a(ss)")) > 0) {
                r = read_one(batch, m, &why);
                if (r < 0)
                        r = give_up(batch, r, &why, error);
                else
                        r = sd_bus_message_exit_container(m);
        }
        sd_bus_error_free(&why);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0 && batch->n == 0)
                r = bus_fail(error, BITS_E_INVALID_ARGUMENT, "the list of jobs is empty");
        return r;
}

/* All or none. The quota may have been used up while the files were looked at. */
static int adopt_all(Batch *batch, sd_bus_error *error)
{
        BusContext *context = batch->context;
        int r = check_quota(context, batch->owner, batch->n, error);
        size_t done = 0;

        while (r >= 0 && done < batch->n && (r = adopt(context, batch->jobs[done])) >= 0)
                done++;
        if (r < 0)
                while (done-- > 0) {
                        job_table_remove(context->jobs, batch->jobs[done]);
                        engine_release(context->engine, batch->jobs[done]);
                }
        return r;
}

static int make_reply(const Batch *batch, sd_bus_message **ret)
{
        int r = sd_bus_message_new_method_return(batch->call, ret);

        if (r >= 0)
                r = sd_bus_message_open_container(*ret, 'a', "(so)");
        for (size_t i = 0; r >= 0 && i < batch->n; i++)
                r = append_job(*ret, batch->jobs[i], "(so)");
        return r < 0 ? r : sd_bus_message_close_container(*ret);
}

/* LIB-260, DUR-264 */
static void finish(Batch *batch)
{
        sd_bus_message *reply = NULL;
        int r = sd_bus_error_is_set(&batch->failure) ? -ECANCELED : make_reply(batch, &reply);

        if (r >= 0)
                r = adopt_all(batch, &batch->failure);
        if (r >= 0) {
                (void)turn_reply(batch->context->turn, batch->call, reply);
                for (size_t i = 0; i < batch->n; i++)
                        mark_and_announce(batch->context, TAKE_PTR(batch->jobs[i]));
                turn_schedule(batch->context->turn);
        } else if (sd_bus_error_is_set(&batch->failure))
                (void)sd_bus_reply_method_error(batch->call, &batch->failure);
        else
                bus_reply_failure(batch->call, BITS_E_OUT_OF_MEMORY, NULL);
        sd_bus_message_unref(reply);
        batch_free(batch);
}

static void on_files(void *userdata, Job *job, BitsCode code, const char *detail)
{
        Batch *batch = userdata;
        sd_bus_error error = SD_BUS_ERROR_NULL;

        if (code != 0) {
                (void)bus_fail(&error, code, "%s", detail ? detail : error_text_of(code));
                fail(batch, job, error.name, error.message);
                sd_bus_error_free(&error);
        }
        if (--batch->unanswered == 0)
                finish(batch);
}

static void run(Batch *batch)
{
        batch->unanswered = 1; /* ours, so that quick answers do not end it too early */
        for (size_t i = 0; i < batch->n && !sd_bus_error_is_set(&batch->failure); i++) {
                sd_bus_error error = SD_BUS_ERROR_NULL;

                if (!batch->adds[i])
                        continue;
                batch->unanswered++;
                if (add_files_run(TAKE_PTR(batch->adds[i]), &error) >= 0)
                        continue;
                batch->unanswered--;
                if (!sd_bus_error_is_set(&error))
                        (void)bus_fail_code(&error, BITS_E_OUT_OF_MEMORY);
                fail(batch, batch->jobs[i], error.name, error.message);
                sd_bus_error_free(&error);
        }
        if (--batch->unanswered == 0)
                finish(batch);
}

int bus_create_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(batch_freep) Batch *batch = NULL;
        int r = batch_new(userdata, m, &batch, error);

        if (r >= 0)
                r = read_batch(batch, m, error);
        if (r < 0)
                return r;
        run(TAKE_PTR(batch));
        return 1;
}
