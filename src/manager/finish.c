#include "manager/finish.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "core/remote-name.h"

#include <stdio.h>
#include <time.h>

enum {
        AT_ONCE = 128, /* steps on their way to the worker */
        PASSES_MAX = 10,
};

/* The steps, in this order; each is done for all files before the next. */
typedef enum Step {
        STEP_STOP,    /* transfers wind down, the intention is stored */
        STEP_RENAME,  /* finished files, for Complete */
        STEP_DISCARD, /* temporary files of the others */
        STEP_SYNC,    /* the directories */
        STEP_LEAVE,   /* the store */
} Step;

typedef struct Caller {
        STAILQ_ENTRY(Caller) entries;
        FinishCallback callback;
        void *userdata;
} Caller;

typedef struct Finish {
        Finisher *finisher;
        Job *job;
        PendingCall kind;
        Step step;
        size_t next; /* file */
        unsigned under_way;
        bool partial, leftovers;
        bool unremoved, second; /* FIL-460: files are left for the other identity; it is at it */
        BitsCode failure;
        char *detail;
        Worker *worker;
        uint64_t process; /* of this pass, 0: it has not answered yet */
        bool again;       /* another one answered in between: one more pass */
        unsigned passes;
        STAILQ_HEAD(, Caller) callers;
} Finish;

/* One step for one file. */
typedef struct Work {
        Finish *finish;
        File *file;
} Work;

struct Finisher {
        Engine *engine;
        WorkerPool *pool;
        Store *store;
        Turn *turn;
        JobTable *jobs;
        const FinisherListener *listener;
        void *userdata;
};

static void advance(Finish *finish);

int finisher_new(Engine *engine, WorkerPool *pool, Store *store, Turn *turn, JobTable *jobs,
                 const FinisherListener *listener, void *userdata, Finisher **ret)
{
        Finisher *finisher = malloc(sizeof(*finisher));

        if (!finisher)
                return -ENOMEM;
        *finisher = (Finisher){ engine, pool, store, turn, jobs, listener, userdata };
        *ret = finisher;
        return 0;
}

void finisher_free(Finisher *finisher)
{
        free(finisher);
}

static void finish_free(Finish *finish)
{
        Caller *caller;

        while ((caller = STAILQ_FIRST(&finish->callers))) {
                STAILQ_REMOVE_HEAD(&finish->callers, entries);
                free(caller);
        }
        worker_release(finish->worker);
        free(finish->detail);
        free(finish);
}

static BitsCode result_code(const Finish *finish)
{
        if (finish->failure != 0)
                return finish->failure;
        if (finish->leftovers)
                return BG_S_UNABLE_TO_DELETE_FILES;
        return finish->partial ? BG_S_PARTIAL_COMPLETE : 0;
}

/* ---- the end ---- */

static void answer_callers(Finish *finish)
{
        Caller *caller;

        while ((caller = STAILQ_FIRST(&finish->callers))) {
                STAILQ_REMOVE_HEAD(&finish->callers, entries);
                caller->callback(caller->userdata, result_code(finish), finish->detail);
                free(caller);
        }
}

static void on_left(void *userdata, uint64_t id)
{
        Finish *finish = userdata;
        Finisher *finisher = finish->finisher;
        Job *job = finish->job;

        (void)id;
        answer_callers(finish);
        job->finish = NULL;
        finish_free(finish);
        if (job_state_is_final(job->state))
                job_table_release(finisher->jobs, job);
}

/* DUR-393: however long that takes. */
static void finally(Finish *finish)
{
        Finisher *finisher = finish->finisher;

        if (turn_after_commit(finisher->turn, on_left, finish, 0) < 0)
                on_left(finish, 0);
}

/* The job stays: what was renamed is renamed, the rest can be tried again. JOB-72,
   ENG-52 */
static void give_up(Finish *finish)
{
        Finisher *finisher = finish->finisher;
        Job *job = finish->job;

        job->pending = PENDING_NONE;
        engine_lay_aside(finisher->engine, job);
        engine_unhold(finisher->engine, job);
        store_mark_job(finisher->store, job, STORE_PROMISED);
        turn_schedule(finisher->turn);
        finally(finish);
}

/* UPL-135 */
static bool is_remembered(Finisher *finisher, Job *job, JobEvent event)
{
        const FinisherListener *listener = finisher->listener;

        return event != EVENT_COMPLETE && event != EVENT_COMPLETE_UPLOAD &&
               listener->on_cancelled && listener->on_cancelled(finisher->userdata, job);
}

static void leave_queue(Finisher *finisher, Job *job, JobEvent event, bool known)
{
        (void)job_transition(job, event, clock_usec(CLOCK_REALTIME));
        job->pending = PENDING_NONE;
        engine_release(finisher->engine, job);
        if (is_remembered(finisher, job, event))
                store_keep_job(finisher->store, job);
        else {
                token_free(job->token);
                job->token = NULL;
                store_remove_job(finisher->store, job);
        }
        job_table_retire(finisher->jobs, job);
        finisher->listener->on_removed(finisher->userdata, job, known);
        turn_schedule(finisher->turn);
}

/* DUR-21, DUR-37, DUR-263: the callers hear of it after the commit. */
static void leave(Finish *finish)
{
        leave_queue(finish->finisher, finish->job,
                    finish->kind == PENDING_CANCEL ? EVENT_CANCEL : EVENT_COMPLETE, true);
        finally(finish);
}

/* DUR-266 */
void finisher_take_back(Finisher *finisher, Job *job)
{
        if (job->finish || job->row != 0 || job_state_is_final(job->state))
                return;
        leave_queue(finisher, job, EVENT_CANCEL, false);
        job_table_release(finisher->jobs, job);
}

/* ---- steps in the worker ---- */

static void fail(Finish *finish, const File *file, BitsCode code, const char *why)
{
        if (finish->failure != 0)
                return;
        finish->failure = code;
        if (asprintf(&finish->detail, "cannot give %s its name: %s",
                     file ? file->local_name : "the file", why) < 0)
                finish->detail = NULL;
}

/* A worker process remembers the directories it has changed until it has synced them, and it alone
   does. So all steps for all files, the syncing included, are the work of one process, or they are
   done again: each may be repeated. DUR-26, DUR-27, DUR-38 */
static void note_process(Finish *finish, const FileAnswer *answer)
{
        uint64_t process = worker_process(finish->worker);

        if (answer->result != WORK_DONE)
                return;
        if (finish->process != 0 && finish->process != process)
                finish->again = true;
        finish->process = process;
}

/* TOK-371: whose token ended meanwhile was not merely sent away. */
static void fail_unserved(Finish *finish, const File *file, WorkResult result)
{
        bool fatal;

        if (result == WORK_DISMISSED && job_actor(finish->job, PURPOSE_RENAME) == ACTOR_MISSING)
                fail(finish, file, BG_E_TOKEN_REQUIRED, "the helper token is gone");
        else
                fail(finish, file, engine_work_result_code(result, &fatal),
                     "the worker of the local identity cannot serve");
}

/* FIL-390, JOB-404: what is to be done, where the job can still be completed afterwards. */
static const char *rename_text(int error)
{
        switch (error) {
        case EXDEV:
                return "another volume is mounted there than the file was fetched to; nothing is "
                       "lost: mount that one again, then complete the job";
        case ESTALE:
                return "the fetched file is not there any more; bring it back (is its volume "
                       "mounted?) and complete the job, or call the file invalid "
                       "(SetValidationState, bits file) and resume to fetch it again";
        case ENOENT:
                return "its directory is not there; bring it back (is its volume mounted?), then "
                       "complete the job";
        }
        return destination_text(error);
}

static void on_renamed(void *userdata, FileAnswer *answer)
{
        Work *work = userdata;
        Finish *finish = work->finish;
        File *file = work->file;

        free(work);
        finish->under_way--;
        note_process(finish, answer);
        if (answer->result != WORK_DONE)
                fail_unserved(finish, file, answer->result);
        else if (answer->error != 0 && file->completed)
                log_debug("job %s: %s was taken away meanwhile", finish->job->id, file->local_name);
        else if (answer->error != 0)
                fail(finish, file, code_from_errno(answer->error), rename_text(answer->error));
        else {
                file->completed = true;
                store_mark_file(finish->finisher->store, file, STORE_LAZY);
        }
        advance(finish);
}

/* JOB-405 */
static void leave_behind(Finish *finish, const File *file, const char *why)
{
        const char *name = file_is_deposited(file) ? file->remote_name : file->local_name;
        const char *slash = strrchr(name, '/');

        finish->leftovers = true;
        log_notice("job %s: cannot remove %.*s/%s: %s", finish->job->id,
                   (int)(slash ? slash - name : 0), name, file->temporary_name, why);
}

static Purpose purpose_of(const Finish *finish)
{
        const Job *job = finish->job;

        if (job->n_files > 0 && file_is_deposited(job->files[0]))
                return PURPOSE_REMOTE_FILE;
        return finish->kind == PENDING_COMPLETE ? PURPOSE_RENAME : PURPOSE_DELETE_TEMPORARY;
}

/* FIL-460: who made it may be the job's other identity. */
static void not_removed(Finish *finish, const File *file, const char *why)
{
        WorkerIdentity other;

        if (!finish->second && engine_other_identity(finish->job, purpose_of(finish), &other))
                finish->unremoved = true;
        else
                leave_behind(finish, file, why);
}

static void on_discarded(void *userdata, FileAnswer *answer)
{
        Work *work = userdata;
        Finish *finish = work->finish;
        File *file = work->file;

        free(work);
        finish->under_way--;
        note_process(finish, answer);
        if (answer->result != WORK_DONE) {
                /* A file that was never begun leaves nothing behind. */
                if (file->inode != 0)
                        not_removed(finish, file, "no worker for the identity that made it");
        } else if (answer->error != 0)
                not_removed(finish, file,
                            answer->error == EXDEV ? "another volume is mounted there"
                                                   : strerror(answer->error));
        else
                file->inode = 0;
        advance(finish);
}

static void on_directories_synced(void *userdata, FileAnswer *answer)
{
        Finish *finish = userdata;

        finish->under_way--;
        note_process(finish, answer);
        if (finish->kind == PENDING_CANCEL || finish->second)
                ; /* nothing that somebody needs depends on it */
        else if (answer->result != WORK_DONE)
                fail_unserved(finish, NULL, answer->result);
        else if (answer->error != 0)
                fail(finish, NULL, code_from_errno(answer->error), strerror(answer->error));
        advance(finish);
}

/* JOB-20, JOB-22, JOB-44 */
static int begin_rename(Finish *finish, File *file, Work *work)
{
        return worker_commit(finish->worker,
                             &(FileCommit){ .local_name = file->local_name,
                                            .temporary_name = file->temporary_name,
                                            .device = file->device,
                                            .inode = file->inode,
                                            .birth = file->birth,
                                            .modification_time = file->modification_time },
                             on_renamed, work);
}

/* JOB-22, JOB-27, JOB-28 */
static int begin_discard(Finish *finish, File *file, Work *work)
{
        char path[REMOTE_PATH_MAX];
        bool deposited = file_is_deposited(file) && !remote_name_path(file->remote_name, path);

        return worker_discard(finish->worker,
                              &(FileDiscard){ .local_name = deposited ? path : file->local_name,
                                              .temporary_name = file->temporary_name,
                                              .device = file->device,
                                              .inode = file->inode,
                                              .birth = file->birth,
                                              .own = finish->second },
                              on_discarded, work);
}

/* JOB-46, JOB-76: finished files get their names, the others go. DUR-39: those that have theirs
   already are no exception, since the store may know of a rename that the directory has lost. */
static bool concerns(const Finish *finish, const File *file)
{
        bool rename = finish->kind == PENDING_COMPLETE && file->transferred;

        if (finish->second && file->inode == 0)
                return false;
        if (file_is_deposited(file)) /* FIL-113 */
                return finish->step == STEP_DISCARD && file->inode != 0 && !file->completed;
        if (!file_is_fetched(file)) /* UPL-130 */
                return false;
        return finish->step == STEP_RENAME ? rename : !rename;
}

static bool begin(Finish *finish, File *file)
{
        Work *work = malloc(sizeof(*work));
        int r = -ENOMEM;

        if (work) {
                *work = (Work){ finish, file };
                r = finish->step == STEP_RENAME ? begin_rename(finish, file, work)
                                                : begin_discard(finish, file, work);
        }
        if (r >= 0) {
                finish->under_way++;
                return true;
        }
        free(work);
        if (finish->step == STEP_RENAME)
                fail(finish, file, BITS_E_OUT_OF_MEMORY, "out of memory");
        else
                finish->leftovers = true;
        return false;
}

/* Sends what may be sent of this step; true when the step is over. */
static bool step_through_files(Finish *finish)
{
        Job *job = finish->job;
        File *file;

        while ((file = job_file(job, finish->next)) && finish->under_way < AT_ONCE &&
               finish->failure == 0) {
                finish->next++;
                if (concerns(finish, file))
                        (void)begin(finish, file);
        }
        return finish->under_way == 0 && (!file || finish->failure != 0);
}

static void sync_directories(Finish *finish)
{
        finish->step = STEP_SYNC;
        if (!finish->worker)
                return;
        if (worker_sync_directories(finish->worker, on_directories_synced, finish) >= 0)
                finish->under_way++;
        else if (finish->kind == PENDING_COMPLETE)
                fail(finish, NULL, BITS_E_OUT_OF_MEMORY, "out of memory");
}

/* ENG-54: passes have an end. */
static void begin_pass(Finish *finish)
{
        bool rename = finish->kind == PENDING_COMPLETE && !finish->second;

        finish->step = rename ? STEP_RENAME : STEP_DISCARD;
        finish->process = 0;
        finish->again = finish->unremoved = false;
}

static void leave_all_behind(Finish *finish)
{
        Job *job = finish->job;
        bool any = false;
        File *file;

        for (size_t i = 0; (file = job_file(job, i)); i++)
                any = any || (file->inode != 0 && !file->completed);
        for (size_t i = 0; any && (file = job_file(job, i)); i++)
                if (file->inode != 0 && !file->completed)
                        not_removed(finish, file, "the helper token is gone");
}

/* FIL-460: true when it has something to try. */
static bool turn_to_the_other(Finish *finish)
{
        WorkerIdentity other;

        if (!finish->unremoved || finish->failure != 0)
                return false;
        finish->second = true;
        begin_pass(finish);
        worker_release(finish->worker);
        finish->worker = NULL;
        if (engine_other_identity(finish->job, purpose_of(finish), &other))
                finish->worker = worker_acquire(finish->finisher->pool, WORKER_FILE, &other);
        if (!finish->worker) /* its token has ended meanwhile */
                leave_all_behind(finish);
        return finish->worker;
}

static void next_step(Finish *finish)
{
        finish->next = 0;
        switch (finish->step) {
        case STEP_RENAME:
                if (finish->failure == 0)
                        finish->step = STEP_DISCARD;
                else
                        sync_directories(finish);
                break;
        case STEP_DISCARD:
                sync_directories(finish);
                break;
        case STEP_SYNC:
                if (finish->again && finish->failure == 0 && ++finish->passes < PASSES_MAX) {
                        begin_pass(finish);
                        break;
                }
                if (finish->again && finish->kind == PENDING_COMPLETE && !finish->second)
                        fail(finish, NULL, BITS_E_PROCESS_ABORTED,
                             "the worker dies again and again");
                if (turn_to_the_other(finish))
                        break;
                finish->step = STEP_LEAVE;
                if (finish->failure != 0)
                        give_up(finish);
                else
                        leave(finish);
                break;
        case STEP_STOP:
        case STEP_LEAVE:
                break;
        }
}

/* Goes as far as it can without an answer. */
static void advance(Finish *finish)
{
        while (finish->step != STEP_LEAVE) {
                bool files = finish->step == STEP_RENAME || finish->step == STEP_DISCARD;

                if (files && !step_through_files(finish))
                        return;
                if (finish->under_way > 0)
                        return;
                next_step(finish);
        }
}

/* ---- the beginning ---- */

/* What the local identity has to do for the job: rename or remove. A source is nobody's affair. */
static bool has_local_work(const Job *job)
{
        File *file = job_file(job, 0);

        return file && (file_is_fetched(file) || file_is_deposited(file) || job->reply);
}

/* Complete is to give names. */
static bool has_names_to_give(const Job *job)
{
        File *file;

        for (size_t i = 0; (file = job_file(job, i)); i++)
                if (file_is_fetched(file) && file->transferred)
                        return true;
        return false;
}

static void on_intended(void *userdata, uint64_t id)
{
        Finish *finish = userdata;
        Job *job = finish->job;
        WorkerIdentity identity;

        (void)id;
        begin_pass(finish);
        /* Only now: transfers that wound down may have come to their end. */
        finish->partial = finish->kind == PENDING_COMPLETE && job->n_transferred < job->n_files;
        if (has_local_work(job) && engine_identity(job, purpose_of(finish), &identity))
                finish->worker = worker_acquire(finish->finisher->pool, WORKER_FILE, &identity);
        if (finish->worker) {
                advance(finish);
                return;
        }
        if (finish->kind == PENDING_COMPLETE && has_names_to_give(job))
                fail(finish, NULL, BG_E_TOKEN_REQUIRED, "the helper token is gone");
        else
                leave_all_behind(finish);
        finish->step = STEP_SYNC;
        advance(finish);
}

/* ENG-53 */
static void on_stopped(void *userdata, Job *job)
{
        Finish *finish = job->finish;

        (void)userdata;
        if (turn_after_commit(finish->finisher->turn, on_intended, finish, 0) < 0)
                on_intended(finish, 0);
}

static BitsCode add_caller(Finish *finish, FinishCallback callback, void *userdata)
{
        Caller *caller;

        if (!callback)
                return 0;
        caller = malloc(sizeof(*caller));
        if (!caller)
                return BITS_E_OUT_OF_MEMORY;
        *caller = (Caller){ .callback = callback, .userdata = userdata };
        STAILQ_INSERT_TAIL(&finish->callers, caller, entries);
        return 0;
}

static BitsCode new_finish(Finisher *finisher, Job *job, PendingCall kind, FinishCallback callback,
                           void *userdata, Finish **ret)
{
        Finish *finish = calloc(1, sizeof(*finish));
        BitsCode code;

        if (!finish)
                return BITS_E_OUT_OF_MEMORY;
        STAILQ_INIT(&finish->callers);
        finish->finisher = finisher;
        finish->job = job;
        finish->kind = kind;
        code = add_caller(finish, callback, userdata);
        if (code == 0)
                *ret = finish;
        else
                finish_free(finish);
        return code;
}

static void start(Finish *finish)
{
        finish->job->finish = finish;
        engine_hold(finish->finisher->engine, finish->job, on_stopped, NULL);
}

/* DUR-390: what cannot be stored is not begun: the transfers go on. */
static BitsCode store_intention(Finisher *finisher, Job *job, PendingCall kind, int *ret_error)
{
        job->pending = kind;
        store_mark_job(finisher->store, job, STORE_PROMISED);
        *ret_error = turn_commit(finisher->turn);
        if (*ret_error >= 0)
                return 0;
        job->pending = PENDING_NONE;
        return code_from_errno(-*ret_error);
}

static BitsCode begin_call(Finisher *finisher, Job *job, PendingCall kind, JobEvent event,
                           FinishCallback callback, void *userdata, int *ret_error)
{
        Finish *finish;
        JobState next;
        BitsCode code;

        *ret_error = 0;
        if (job->finish && job->finish->kind == kind)
                return add_caller(job->finish, callback, userdata);
        if (job->finish)
                return BG_E_INVALID_STATE;
        code = job_state_next(job->state, event, &next);
        if (code == 0)
                code = new_finish(finisher, job, kind, callback, userdata, &finish);
        if (code != 0)
                return code;
        code = store_intention(finisher, job, kind, ret_error);
        if (code == 0)
                start(finish);
        else
                finish_free(finish);
        return code;
}

BitsCode finisher_complete(Finisher *finisher, Job *job, FinishCallback callback, void *userdata,
                           int *ret_error)
{
        JobEvent event = job->type == JOB_DOWNLOAD ? EVENT_COMPLETE : EVENT_COMPLETE_UPLOAD;

        *ret_error = 0;
        if (!job_state_is_final(job->state) && has_names_to_give(job) &&
            job_actor(job, PURPOSE_RENAME) == ACTOR_MISSING)
                return BG_E_TOKEN_REQUIRED;
        return begin_call(finisher, job, PENDING_COMPLETE, event, callback, userdata, ret_error);
}

BitsCode finisher_cancel(Finisher *finisher, Job *job, FinishCallback callback, void *userdata,
                         int *ret_error)
{
        return begin_call(finisher, job, PENDING_CANCEL, EVENT_CANCEL, callback, userdata,
                          ret_error);
}

/* ENG-222 */
void finisher_expire(Finisher *finisher, Job *job)
{
        int error;

        if (begin_call(finisher, job, PENDING_CANCEL, EVENT_EXPIRED, NULL, NULL, &error) == 0)
                log_notice("job %s is cancelled: nothing has happened to it for too long", job->id);
        else
                log_debug("job %s is already at its end, or cannot be stored", job->id);
}

void finisher_abandon(Job *job)
{
        if (job->finish)
                finish_free(job->finish);
        job->finish = NULL;
}

/* DUR-26, DUR-27 */
void finisher_go_on(Finisher *finisher, Job *job)
{
        Finish *finish;

        if (new_finish(finisher, job, job->pending, NULL, NULL, &finish) == 0)
                start(finish);
        else
                log_error("out of memory: job %s is not finished", job->id);
}
