/*
 * The identity that makes the reply's file is asked before its name is taken, and reads it when its
 * content is wanted: what goes to the caller is a sealed copy, which no program in between has
 * looked at.
 */
#include "bus/reply.h"

#include "bus/change.h"
#include "bus/question.h"

#include "basic/fd.h"
#include "basic/random.h"
#include "core/policy.h"

#include <inttypes.h>
#include <stdio.h>

static int require_reply(const Handle *handle, sd_bus_error *error)
{
        if (handle->job->type == JOB_UPLOAD_REPLY)
                return 0;
        return bus_fail(error, BITS_E_NOT_IMPLEMENTED, "a job of type %s has no reply",
                        job_type_name(handle->job->type));
}

/* With a worker of the identity whose file the reply is. */
static int ask(const Handle *handle, sd_bus_message *call, const char *name, Question **ret,
               sd_bus_error *error)
{
        return question_new(handle, call, PURPOSE_REPLY_FILE, name,
                            "the reply's file is the helper's, but the job has no helper token",
                            ret, error);
}

/* ---- the name ---- */

/* 0: the call has its answer. */
static BitsCode set_name(BusContext *context, Job *job, const char *name, sd_bus_message *call)
{
        _cleanup_(change_done) Change change = { 0 };
        uint8_t random[NAME_RANDOM_BYTES];
        BitsCode code;

        if (random_bytes(random, sizeof(random)) < 0 || change_begin(&change, context, job) < 0 ||
            (job->reply && change_file(&change, job->reply) < 0))
                return BITS_E_OUT_OF_MEMORY;
        code = upload_set_reply_name(job, name, random);
        if (code == 0)
                (void)change_answer(&change, call);
        return code;
}

/* The job may have changed while the worker was asked. */
static void on_checked(void *userdata, FileAnswer *answer)
{
        _cleanup_(question_freep) Question *q = userdata;
        Job *job = job_table_find(q->context->jobs, q->job_id);
        _cleanup_free_ char *detail = NULL;
        BitsCode code;
        bool fatal;

        if (answer->result != WORK_DONE)
                code = engine_work_result_code(answer->result, &fatal);
        else if (answer->error != 0) {
                code = code_from_errno(answer->error);
                if (asprintf(&detail, "cannot write to %s: %s", q->name,
                             destination_text(answer->error)) < 0)
                        detail = NULL;
        } else if (!job || job->pending != PENDING_NONE || job->owner != q->owner ||
                   !handle_may_name_files(q->opener, job))
                code = BG_E_INVALID_STATE;
        else
                code = set_name(q->context, job, q->name, q->call);
        if (code != 0)
                bus_reply_failure(q->call, code, detail);
}

/* UPL-121 */
int bus_set_reply_file_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(question_freep) Question *q = NULL;
        const char *name, *why = NULL;
        BitsCode code;
        int r = sd_bus_message_read(m, "s", &name);

        if (r >= 0)
                r = handle_require(handle, RIGHT_FILES, error);
        if (r >= 0)
                r = require_reply(handle, error);
        if (r >= 0)
                r = bus_require_call(handle, RIGHT_FILES, CALL_SET_REPLY_FILE_NAME, NULL, error);
        if (r < 0)
                return r;
        if (!*name) {
                code = set_name(context, handle->job, NULL, m);
                return code != 0 ? bus_fail_code(error, code) : 1;
        }
        code = policy_check_local_name(name, &why);
        if (code != 0)
                return bus_fail(error, code, "reply file name '%.200s': %s", name, why);
        r = ask(handle, m, name, &q, error);
        if (r < 0)
                return r;
        r = worker_check(q->worker, &(FileCheck){ .local_name = q->name }, on_checked, q);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 1;
}

int bus_get_reply_file_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        int r = handle_require(handle, RIGHT_READ, error);

        if (r >= 0)
                r = require_reply(handle, error);
        return r < 0 ? r : sd_bus_reply_method_return(m, "s", handle->job->upload.reply_name);
}

/* ---- what there is of it ---- */

/* UPL-137: unknown until it has begun, which tells whose fault an error is. */
int bus_get_reply_progress(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const File *reply = handle->job->reply;
        int r = handle_require(handle, RIGHT_READ, error);

        if (r >= 0)
                r = require_reply(handle, error);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "tt", reply ? reply->total : JOB_SIZE_UNKNOWN,
                                          reply ? reply->written : (uint64_t)0);
}

static void on_read(void *userdata, FileAnswer *answer)
{
        _cleanup_(question_freep) Question *q = userdata;
        _cleanup_free_ char *detail = NULL;
        bool fatal;

        if (answer->result != WORK_DONE)
                bus_reply_failure(q->call, engine_work_result_code(answer->result, &fatal), NULL);
        else if (answer->error != 0) {
                if (asprintf(&detail, "cannot read the reply: %s", strerror(answer->error)) < 0)
                        detail = NULL;
                bus_reply_failure(q->call, code_from_errno(answer->error), detail);
        } else if (answer->source.file.count == 0) {
                if (asprintf(&detail,
                             "the reply has %" PRIu64 " bytes, and at most %d are given by value; "
                             "read its file",
                             answer->source.size, REPLY_DATA_MAX) < 0)
                        detail = NULL;
                bus_reply_failure(q->call, BG_E_TOO_LARGE, detail);
        } else
                (void)sd_bus_reply_method_return(q->call, "ht", answer->source.file.items[0],
                                                 answer->source.size);
}

/* UPL-123. SEC-121: the content of a file, so more than reading the job's properties. */
int bus_get_reply_data(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const Job *job = handle->job;
        _cleanup_(question_freep) Question *q = NULL;
        const char *why = "";
        BitsCode code;
        int r = handle_require(handle, RIGHT_FILES, error);

        if (r >= 0)
                r = require_reply(handle, error);
        if (r < 0)
                return r;
        code = job_call_check(job, NULL, CALL_GET_REPLY_DATA, &why);
        if (code != 0 || !job->reply)
                return bus_fail(error, BG_E_INVALID_STATE, "the reply is not there: %s",
                                code != 0 ? why : "the job is over for too long");
        r = ask(handle, m, NULL, &q, error);
        if (r >= 0)
                r = worker_read_reply(
                        q->worker,
                        &(FileReadReply){ .local_name = job->reply->local_name,
                                          .temporary_name = job->reply->temporary_name,
                                          .device = job->reply->device,
                                          .inode = job->reply->inode,
                                          .birth = job->reply->birth,
                                          .limit = REPLY_DATA_MAX },
                        on_read, q);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 1;
}
