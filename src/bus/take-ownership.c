/*
 * While the new owner's worker looks, the old owner's may make another temporary file. So what was
 * looked at is compared with what is there then, and looked at again if it is not the same. The
 * change itself happens in one step of the loop.
 */
#include "bus/take-ownership.h"

#include "basic/log.h"
#include "bus/change.h"
#include "manager/news.h"
#include "manager/notifier.h"

#include <stdio.h>

enum {
        ROUNDS_MAX = 10,
};

typedef struct Take {
        BusContext *context;
        sd_bus_message *call;
        char job_id[JOB_ID_CHARACTERS + 1];
        uid_t old_owner, new_owner;
        Worker *worker;
        uint64_t seen; /* of the files that were looked at */
        size_t unanswered;
        unsigned rounds;
        BitsCode failure;
        char *detail;
} Take;

/* One question under way. */
typedef struct Look {
        Take *take;
        uint32_t index;
} Look;

static void take_free(Take *take)
{
        worker_release(take->worker);
        sd_bus_message_unref(take->call);
        free(take->detail);
        free(take);
}

/* What matters of the files: how many there are, and which temporary files. */
static uint64_t fingerprint(const Job *job)
{
        uint64_t sum = job->n_files;
        const File *file;

        for (size_t i = 0; (file = job_file(job, i)); i++)
                sum = sum * UINT64_C(1099511628211) ^ file->inode ^ file->device << 32 ^
                      (uint64_t)file->transferred;
        return sum;
}

static void fail(Take *take, BitsCode code, const char *detail)
{
        if (take->failure != 0)
                return;
        take->failure = code;
        take->detail = detail ? strdup(detail) : NULL;
}

/* TOK-82, HND-35. The token, which the store does not know, is let go when the rest is stored. */
static void follow(Take *take, Job *job, Token *token, bool command_kept, uid_t author)
{
        BusContext *context = take->context;

        token_free(token);
        job_table_unreserve(context->jobs, take->old_owner);
        news_removed(context->news, job, take->old_owner);
        notifier_command_changed(context->notifier, job, author, command_kept); /* NTF-252 */
        handles_owner_changed(job);
        engine_identity_changed(context->engine, job);
        news_added(context->news, job);
        log_notice("job %s of uid %u belongs to uid %u now", job->id, (unsigned)take->old_owner,
                   (unsigned)take->new_owner);
}

/* HND-40, HND-43. 0: the call has its answer. */
static BitsCode hand_over(Take *take, Job *job)
{
        _cleanup_(change_done) Change change = { 0 };
        JobTable *jobs = take->context->jobs;
        bool kept = job->command.kept;
        uid_t author = job->command.author;
        Token *token;

        if (change_begin(&change, take->context, job) < 0 ||
            job_table_reserve(jobs, take->new_owner) < 0)
                return BITS_E_OUT_OF_MEMORY;
        token = TAKE_PTR(job->token);
        job_take(job, take->new_owner);
        if (change_answer(&change, take->call)) {
                follow(take, job, token, kept, author);
                return 0;
        }
        job->token = token;
        job_table_unreserve(jobs, take->new_owner);
        return 0;
}

static void finish(Take *take, Job *job)
{
        if (take->failure == 0)
                fail(take, hand_over(take, job), NULL);
        if (take->failure != 0)
                bus_reply_failure(take->call, take->failure, take->detail);
        take_free(take);
}

static void look_at_all(Take *take, Job *job);

static void on_all_answered(Take *take)
{
        Job *job = job_table_find(take->context->jobs, take->job_id);

        if (!job || job->pending != PENDING_NONE || job->owner != take->old_owner)
                fail(take, BG_E_INVALID_STATE, NULL);
        else if (take->failure == 0 && fingerprint(job) != take->seen) {
                if (++take->rounds < ROUNDS_MAX) {
                        look_at_all(take, job);
                        return;
                }
                fail(take, BG_E_INVALID_STATE,
                     "the files of the job change too fast; suspend it and try again");
        }
        finish(take, job);
}

/* HND-41 */
static void on_answer(void *userdata, FileAnswer *answer)
{
        Look *look = userdata;
        Take *take = look->take;
        const Job *job = job_table_find(take->context->jobs, take->job_id);
        const File *file = job ? job_file(job, look->index) : NULL;
        const char *name = file ? file->local_name : "a file";
        _cleanup_free_ char *detail = NULL;
        bool fatal;

        if (answer->result != WORK_DONE)
                fail(take, engine_work_result_code(answer->result, &fatal),
                     "no worker of the new owner could be started");
        else if (answer->error != 0) {
                if (asprintf(&detail, "the new owner has no access to what is there for %s: %s",
                             name, strerror(answer->error)) < 0)
                        detail = NULL;
                fail(take, BG_E_NEW_OWNER_NO_FILE_ACCESS, detail);
        }
        free(look);
        if (--take->unanswered == 0)
                on_all_answered(take);
}

static int look_at(Take *take, const File *file)
{
        FileAccess access = { .local_name = file->local_name,
                              .temporary_name = file->temporary_name,
                              .device = file->device,
                              .inode = file->inode,
                              .birth = file->birth,
                              .writing = !file->transferred };
        Look *look = malloc(sizeof(*look));
        int r;

        if (!look)
                return -ENOMEM;
        *look = (Look){ take, file->index };
        r = file_is_fetched(file)
                    ? worker_access(take->worker, &access, on_answer, look)
                    : worker_open_source(take->worker,
                                         &(FileOpenSource){ .local_name = file->local_name },
                                         on_answer, look); /* UPL-131 */
        if (r < 0)
                free(look);
        else
                take->unanswered++;
        return r;
}

static void look_at_all(Take *take, Job *job)
{
        const File *file;

        take->seen = fingerprint(job);
        take->unanswered = 1; /* ours */
        for (size_t i = 0; take->failure == 0 && (file = job_file(job, i)); i++)
                if (!file->completed && look_at(take, file) < 0)
                        fail(take, BITS_E_OUT_OF_MEMORY, NULL);
        if (--take->unanswered == 0)
                on_all_answered(take);
}

static int check_quota(BusContext *context, const Job *job, uid_t new_owner, sd_bus_error *error)
{
        if (new_owner != job->owner && job_table_count_of(context->jobs, new_owner) >=
                                               policy_limit(LIMIT_JOBS_PER_USER, new_owner))
                return bus_fail_code(error, policy_limit_code(LIMIT_JOBS_PER_USER));
        return 0;
}

int take_ownership(BusContext *context, Job *job, uid_t new_owner, sd_bus_message *call,
                   sd_bus_error *error)
{
        WorkerIdentity identity = { .uid = new_owner, .token = -EBADF };
        Take *take;
        int r = check_quota(context, job, new_owner, error);

        if (r < 0)
                return r;
        take = calloc(1, sizeof(*take));
        if (!take)
                return -ENOMEM;
        take->context = context;
        take->call = sd_bus_message_ref(call);
        memcpy(take->job_id, job->id, sizeof(take->job_id));
        take->old_owner = job->owner;
        take->new_owner = new_owner;
        take->worker = worker_acquire(context->workers, WORKER_FILE, &identity);
        if (!take->worker) {
                take_free(take);
                return -ENOMEM;
        }
        look_at_all(take, job);
        return 1;
}
