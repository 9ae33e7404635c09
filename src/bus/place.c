/*
 * A client with mounts of its own (PrivateTmp=, a container, a chroot) names directories that are
 * others for the workers. Nobody but the client can say which one it means, and nobody but the
 * identity that will do the work which one it is.
 *
 * Only that is answered here: a directory that is not there, or not to be searched, is AddFile's to
 * refuse.
 */
#include "bus/place.h"

#include "bus/question.h"
#include "core/policy.h"

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

int bus_check_directory(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        _cleanup_(question_freep) Question *q = NULL;
        Purpose purpose =
                job_is_upload(handle->job) ? PURPOSE_READ_SOURCE : PURPOSE_CHECK_LOCAL_FILE;
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
        r = question_new(handle, m, purpose, name, NO_TOKEN_FOR_LOCAL_FILES, &q, error);
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
