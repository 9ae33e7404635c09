#include "bus/question.h"

void question_free(Question *q)
{
        if (!q)
                return;
        worker_release(q->worker);
        handles_discharge(q->context->handles, q->opener);
        sd_bus_message_unref(q->call);
        free(q->name);
        free(q);
}

int question_new(const Handle *handle, sd_bus_message *call, Purpose purpose, const char *name,
                 const char *no_token, Question **ret, sd_bus_error *error)
{
        _cleanup_(question_freep) Question *q = NULL;
        const Job *job = handle->job;
        WorkerIdentity identity;
        int r;

        if (!engine_identity(job, purpose, &identity))
                return bus_fail(error, BG_E_TOKEN_REQUIRED, "%s", no_token);
        r = handle_charge(handle, error);
        if (r < 0)
                return r;
        q = calloc(1, sizeof(*q));
        if (!q) {
                handles_discharge(handle->handles, handle->opener);
                return -ENOMEM;
        }
        q->context = handle_context(handle);
        q->opener = handle->opener;
        q->owner = job->owner;
        q->call = sd_bus_message_ref(call);
        memcpy(q->job_id, job->id, sizeof(q->job_id));
        q->worker = worker_acquire(q->context->workers, WORKER_FILE, &identity);
        if (!q->worker || (name && !(q->name = strdup(name))))
                return -ENOMEM;
        *ret = TAKE_PTR(q);
        return 0;
}
