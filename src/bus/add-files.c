#include "bus/add-files.h"

#include "basic/log.h"
#include "basic/random.h"
#include "bus/change.h"
#include "core/remote-name.h"

#include <stdio.h>

struct AddFiles {
        BusContext *context;
        sd_bus_message *call; /* NULL for a draft */
        Job *draft;           /* NULL: the job is one of the table */
        AddFilesDone on_done;
        void *userdata;
        char job_id[JOB_ID_CHARACTERS + 1];
        uid_t owner;  /* at the call */
        uid_t opener; /* the call is charged to him */
        bool reading; /* the files are sources */
        Worker *worker;
        File **files;
        size_t n_files, room;
        size_t unanswered;
        BitsCode failure;
        char *detail;
};

/* One check under way. */
typedef struct Check {
        AddFiles *add;
        File *file;
} Check;

static int add_files_new(const Handle *handle, sd_bus_message *call, AddFiles **ret)
{
        AddFiles *add = calloc(1, sizeof(*add));

        if (!add)
                return -ENOMEM;
        add->context = handle_context(handle);
        add->opener = handle->opener;
        add->call = sd_bus_message_ref(call);
        add->owner = handle->job->owner;
        add->reading = job_is_upload(handle->job);
        memcpy(add->job_id, handle->job->id, sizeof(add->job_id));
        *ret = add;
        return 0;
}

int add_files_new_draft(BusContext *context, Job *job, AddFilesDone on_done, void *userdata,
                        AddFiles **ret)
{
        AddFiles *add = calloc(1, sizeof(*add));

        if (!add)
                return -ENOMEM;
        add->context = context;
        add->draft = job;
        add->reading = job_is_upload(job);
        add->owner = add->opener = job->owner;
        add->on_done = on_done;
        add->userdata = userdata;
        *ret = add;
        return 0;
}

static Job *job_of(const AddFiles *add)
{
        return add->draft ? add->draft : job_table_find(add->context->jobs, add->job_id);
}

int add_files_begin(const Handle *handle, sd_bus_message *call, AddFiles **ret, sd_bus_error *error)
{
        int r = handle_charge(handle, error);

        if (r >= 0 && (r = add_files_new(handle, call, ret)) < 0)
                handles_discharge(handle->handles, handle->opener);
        return r;
}

void add_files_free(AddFiles *add)
{
        if (!add)
                return;
        for (size_t i = 0; i < add->n_files; i++)
                file_free(add->files[i]);
        free(add->files);
        worker_release(add->worker);
        if (!add->draft)
                handles_discharge(add->context->handles, add->opener);
        sd_bus_message_unref(add->call);
        free(add->detail);
        free(add);
}

/* LIM-22, LIM-120 */
static int check_limit(const Job *job, size_t more, sd_bus_error *error)
{
        uint32_t limit = policy_limit(LIMIT_FILES_PER_JOB, job->owner);

        if (job_is_upload(job) && job->n_files + more > 1)
                return bus_fail(error, BG_E_TOO_MANY_FILES, "a job of type %s has exactly one file",
                                job_type_name(job->type));
        if (job->n_files + more <= limit)
                return 0;
        return bus_fail(error, policy_limit_code(LIMIT_FILES_PER_JOB),
                        "a job may have %u files (MaxFilesPerJob); use another job for the rest",
                        limit);
}

/* FIL-111: a file of this machine has nobody who could answer, and comes whole. */
static int check_kind(const Job *job, const char *remote_name, sd_bus_error *error)
{
        if (job->on_demand && remote_name_is_file(remote_name))
                return bus_fail(error, BG_E_UNSUPPORTED_JOB_CONFIGURATION,
                                "OnDemandMode is for http and https");
        if (job->type != JOB_UPLOAD_REPLY || !remote_name_is_file(remote_name))
                return 0;
        return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                        "a job of type upload-reply needs a server that answers: use http or "
                        "https");
}

int add_files_add(AddFiles *add, const char *remote_name, const char *local_name,
                  sd_bus_error *error)
{
        Job *job = job_of(add);
        const char *why = NULL;
        uint8_t random[NAME_RANDOM_BYTES];
        BitsCode code = policy_check_remote_name(remote_name, &why);
        int r;

        if (code != 0)
                return bus_fail(error, code, "remote name '%.200s': %s", remote_name, why);
        code = policy_check_local_name(local_name, &why);
        if (code != 0)
                return bus_fail(error, code, "local name '%.200s': %s", local_name, why);
        r = job ? check_limit(job, add->n_files + 1, error) : -ESTALE;
        if (r >= 0)
                r = check_kind(job, remote_name, error);
        if (r < 0)
                return r;
        if (add->n_files == add->room) {
                size_t room = MAX(add->room * 2, (size_t)8);
                File **files = reallocarray(add->files, room, sizeof(*files));

                if (!files)
                        return -ENOMEM;
                add->files = files;
                add->room = room;
        }
        if (random_bytes(random, sizeof(random)) < 0)
                return -EIO;
        r = file_new(remote_name, local_name, random, &add->files[add->n_files]);
        if (r >= 0)
                add->n_files++;
        return r;
}

/* UPL-121: beside the file that is sent, until somebody says otherwise. */
static BitsCode name_reply(Job *job)
{
        uint8_t random[NAME_RANDOM_BYTES];

        if (job->type != JOB_UPLOAD_REPLY || !string_empty(job->upload.reply_name))
                return 0;
        if (random_bytes(random, sizeof(random)) < 0)
                return BITS_E_OUT_OF_MEMORY;
        return upload_set_reply_name(job, NULL, random);
}

int add_files_set_ranges(AddFiles *add, const Ranges *ranges)
{
        return file_set_wanted(add->files[add->n_files - 1], ranges);
}

/* POL-207 */
static void warn_of_limit(const Job *job, size_t before)
{
        uint32_t limit = policy_limit(LIMIT_FILES_PER_JOB, job->owner);

        if (policy_limit_is_near(limit, before, job->n_files))
                log_warning("job %s has %zu of at most %u files", job->id, job->n_files, limit);
}

/* The job may have changed while the checks ran. DUR-16, DUR-17. HND-36: another owner's identity
   was not asked, and did not want these files; nor did an administrator's helper. */
static BitsCode append_all(AddFiles *add, Job *job)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!job || job_state_is_final(job->state) || job->pending != PENDING_NONE ||
            job->owner != add->owner || !handle_may_name_files(add->opener, job))
                return BG_E_INVALID_STATE;
        if (check_limit(job, add->n_files, &error) < 0) {
                sd_bus_error_free(&error);
                return job_is_upload(job) ? BG_E_TOO_MANY_FILES
                                          : policy_limit_code(LIMIT_FILES_PER_JOB);
        }
        if (job_reserve_files(job, add->n_files) < 0)
                return BITS_E_OUT_OF_MEMORY;
        for (size_t i = 0; i < add->n_files; i++) {
                (void)job_append_file(job, add->files[i]); /* there is room: all or none */
                if (!add->draft)
                        store_mark_file(add->context->store, add->files[i], STORE_PROMISED);
                add->files[i] = NULL;
        }
        warn_of_limit(job, job->n_files - add->n_files);
        add->n_files = 0;
        return name_reply(job);
}

static void finish_call(AddFiles *add, Job *job)
{
        _cleanup_(change_done) Change change = { .follow = engine_files_added };
        BitsCode code = add->failure;

        if (code == 0 && job && change_begin(&change, add->context, job) < 0)
                code = BITS_E_OUT_OF_MEMORY;
        if (code == 0)
                code = append_all(add, job);
        if (code != 0)
                bus_reply_failure(add->call, code, add->detail);
        else
                (void)change_answer(&change, add->call);
}

static void finish(AddFiles *add)
{
        Job *job = job_of(add);

        if (add->draft)
                add->on_done(add->userdata, job,
                             add->failure != 0 ? add->failure : append_all(add, job), add->detail);
        else
                finish_call(add, job);
        add_files_free(add);
}

/* JOB-73 */
static void on_checked(void *userdata, FileAnswer *answer)
{
        Check *check = userdata;
        AddFiles *add = check->add;
        bool fatal;

        if (answer->result != WORK_DONE && add->failure == 0)
                add->failure = engine_work_result_code(answer->result, &fatal);
        else if (answer->error != 0 && add->failure == 0) {
                add->failure = add->reading ? upload_source_code(answer->error)
                                            : code_from_errno(answer->error);
                if (asprintf(&add->detail, "cannot %s %s: %s", add->reading ? "read" : "write to",
                             check->file->local_name,
                             add->reading ? upload_source_text(answer->error)
                                          : destination_text(answer->error)) < 0)
                        add->detail = NULL;
        } else if (add->reading && answer->result == WORK_DONE)
                file_set_total(check->file, answer->source.size);
        free(check);
        if (--add->unanswered == 0)
                finish(add);
}

/* What is read is opened, and closed again: there is no better question. UPL-131 */
static int start_check(AddFiles *add, Check *check)
{
        const char *name = check->file->local_name;

        if (add->reading)
                return worker_open_source(add->worker, &(FileOpenSource){ name, 0 }, on_checked,
                                          check);
        return worker_check(add->worker, &(FileCheck){ name, 0 }, on_checked, check);
}

static int start_checks(AddFiles *add)
{
        int r = 0;

        add->unanswered = 1; /* ours, so that a quick answer does not end it too early */
        for (size_t i = 0; i < add->n_files && r >= 0; i++) {
                Check *check = malloc(sizeof(*check));

                if (!check)
                        return -ENOMEM;
                *check = (Check){ add, add->files[i] };
                r = start_check(add, check);
                if (r >= 0)
                        add->unanswered++;
                else
                        free(check);
        }
        return r;
}

int add_files_run(AddFiles *add, sd_bus_error *error)
{
        Job *job = job_of(add);
        WorkerIdentity identity;
        int r;

        if (!job ||
            !engine_identity(job, add->reading ? PURPOSE_READ_SOURCE : PURPOSE_CHECK_LOCAL_FILE,
                             &identity)) {
                r = bus_fail(error, job ? BG_E_TOKEN_REQUIRED : BG_E_INVALID_STATE, "%s",
                             job ? NO_TOKEN_FOR_LOCAL_FILES : "the job is gone");
                add_files_free(add);
                return r;
        }
        add->worker = worker_acquire(add->context->workers, WORKER_FILE, &identity);
        r = add->worker ? start_checks(add) : -ENOMEM;
        if (r < 0 && add->failure == 0)
                add->failure = BITS_E_OUT_OF_MEMORY;
        if (!add->worker) {
                add_files_free(add);
                return r;
        }
        if (--add->unanswered == 0)
                finish(add);
        return 1;
}
