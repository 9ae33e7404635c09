/*
 * A client with mounts of its own (PrivateTmp=, a container, a chroot) names directories that are
 * others for the workers. Nobody but the client can say which one it means, and nobody but the
 * identity that will do the work which one it is.
 *
 * Only that is answered here: a directory that is not there, or not to be searched, is AddFile's to
 * refuse.
 */
#include "bus/place.h"

#include "core/policy.h"

typedef struct Question {
        BusContext *context;
        sd_bus_message *call;
        uid_t opener; /* the call is charged to him */
        Worker *worker;
        char *name;
} Question;

static void question_free(Question *q)
{
        if (!q)
                return;
        worker_release(q->worker);
        handles_discharge(q->context->handles, q->opener);
        sd_bus_message_unref(q->call);
        free(q->name);
        free(q);
}
DEFINE_CLEANUP(Question, question_free);

/* FIL-370 */
static void on_answer(void *userdata, FileAnswer *answer)
{
        _cleanup_(question_freep) Question *q = userdata;
        _cleanup_free_ char *detail = NULL;
        bool fatal;

        if (answer->result != WORK_DONE) {
                bus_reply_failure(q->call, engine_work_result_code(answer->result, &fatal), NULL);
                return;
        }
        if (answer->error != EXDEV) {
                (void)sd_bus_reply_method_return(q->call, "");
                return;
        }
        if (asprintf(&detail,
                     "the directory of '%.200s' is another one for this program than for the "
                     "service: it has mounts of its own (PrivateTmp=, a container); name a place "
                     "that both see",
                     q->name) < 0)
                detail = NULL;
        bus_reply_failure(q->call, BITS_E_INVALID_ARGUMENT, detail);
}

static int question_new(const Handle *handle, sd_bus_message *call, const char *name,
                        const WorkerIdentity *identity, Question **ret)
{
        _cleanup_(question_freep) Question *q = calloc(1, sizeof(*q));

        if (!q) {
                handles_discharge(handle->handles, handle->opener);
                return -ENOMEM;
        }
        q->context = handle_context(handle);
        q->opener = handle->opener;
        q->call = sd_bus_message_ref(call);
        q->name = strdup(name);
        q->worker = worker_acquire(q->context->workers, WORKER_FILE, identity);
        if (!q->name || !q->worker)
                return -ENOMEM;
        *ret = TAKE_PTR(q);
        return 0;
}

int bus_check_directory(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        _cleanup_(question_freep) Question *q = NULL;
        Purpose purpose =
                job_is_upload(handle->job) ? PURPOSE_READ_SOURCE : PURPOSE_CHECK_LOCAL_FILE;
        WorkerIdentity identity;
        const char *name, *why = NULL;
        uint64_t device, inode;
        BitsCode code;
        int r = sd_bus_message_read(m, "stt", &name, &device, &inode);

        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r < 0)
                return r;
        code = policy_check_local_name(name, &why);
        if (code != 0)
                return bus_fail(error, code, "local name '%.200s': %s", name, why);
        if (!engine_identity(handle->job, purpose, &identity))
                return bus_fail(error, BG_E_TOKEN_REQUIRED,
                                "local files are the helper's work, but the job has no helper "
                                "token: set it first");
        r = handle_charge(handle, error);
        if (r >= 0)
                r = question_new(handle, m, name, &identity, &q);
        if (r >= 0)
                r = worker_same(
                        q->worker,
                        &(FileSame){ .local_name = q->name, .device = device, .inode = inode },
                        on_answer, q);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 1;
}
