/*
 * What bits-file is asked: each operation is kept as its message until it is answered, and sent
 * again to the next process when one dies. Descriptors to sync are gathered into batches.
 */
#include "manager/worker-internal.h"

#include "basic/fd.h"

static void on_synced(Worker *worker, FileRequest *request, const FileAnswer *answer,
                      const U32List *errors);

static void free_syncs(struct SyncList *syncs)
{
        SyncItem *item;

        while ((item = TAILQ_FIRST(syncs))) {
                TAILQ_REMOVE(syncs, item, entries);
                free(item);
        }
}

void worker_file_free(Worker *worker)
{
        FileRequest *request;

        while ((request = TAILQ_FIRST(&worker->requests))) {
                TAILQ_REMOVE(&worker->requests, request, entries);
                if (!request->callback) {
                        free_syncs(request->userdata);
                        free(request->userdata);
                }
                free(request->bytes);
                free(request);
        }
        free_syncs(&worker->syncs);
}

static void fail_request(Worker *worker, FileRequest *request, WorkResult result)
{
        FileAnswer answer = { .result = result };

        if (request->callback)
                request->callback(request->userdata, &answer);
        else
                on_synced(worker, request, &answer, NULL);
        free(request->bytes);
        free(request);
}

/* Callbacks may make new requests: those are not touched. */
void worker_file_fail(Worker *worker, WorkResult result)
{
        TAILQ_HEAD(, FileRequest) requests = TAILQ_HEAD_INITIALIZER(requests);
        FileRequest *request;

        TAILQ_CONCAT(&requests, &worker->requests, entries);
        while ((request = TAILQ_FIRST(&requests))) {
                TAILQ_REMOVE(&requests, request, entries);
                fail_request(worker, request, result);
        }
}

/* DUR-50: the kernel tells a lost write once. A process that died may have been told. */
void worker_file_forget(Worker *worker)
{
        FileRequest *request;

        TAILQ_FOREACH (request, &worker->requests, entries) {
                request->doubtful = request->doubtful || request->sent;
                request->sent = false;
        }
}

static bool send_request(Worker *worker, FileRequest *request)
{
        Message *m = channel_draft(worker->channel);

        message_begin(m, request->type, request->serial);
        memcpy(m->data, request->bytes, request->size);
        m->size = request->size;
        for (unsigned i = 0; i < request->fds.count; i++)
                message_put_fd(m, request->fds.items[i]);
        request->sent = worker_send_draft(worker);
        return request->sent;
}

/* ENG-36: what finds no room now goes when there is some. */
bool worker_file_send(Worker *worker)
{
        FileRequest *request;

        TAILQ_FOREACH (request, &worker->requests, entries)
                if (!request->sent && !send_request(worker, request))
                        return false;
        return true;
}

static FileRequest *find_request(Worker *worker, uint32_t serial)
{
        FileRequest *request;

        /* Answered in order: the first one, as a rule. */
        TAILQ_FOREACH (request, &worker->requests, entries)
                if (request->serial == serial)
                        return request->sent ? request : NULL;
        return NULL;
}

static uint16_t answer_type(uint16_t request_type)
{
        switch (request_type) {
        case MESSAGE_FILE_OPEN:
                return MESSAGE_FILE_OPENED;
        case MESSAGE_FILE_SYNC:
                return MESSAGE_FILE_SYNCED;
        default:
                return MESSAGE_FILE_RESULT;
        }
}

/* Takes the request off the list: only after the message was found right. */
static void finish_request(Worker *worker, FileRequest *request, FileAnswer *answer,
                           const U32List *errors)
{
        TAILQ_REMOVE(&worker->requests, request, entries);
        worker->deaths = 0;
        if (request->callback)
                request->callback(request->userdata, answer);
        else
                on_synced(worker, request, answer, errors);
        free(request->bytes);
        free(request);
}

int worker_file_message(Worker *worker, Message *m)
{
        FileRequest *request = find_request(worker, m->serial);
        FileAnswer answer = { .result = WORK_DONE };
        FileResult result;
        FileSynced synced;

        if (!request || answer_type(request->type) != m->type)
                return -EBADMSG;
        answer.doubtful = request->doubtful;
        switch (m->type) {
        case MESSAGE_FILE_OPENED:
                if (file_opened_read(m, &answer.opened) < 0)
                        return -EBADMSG;
                answer.error = (int)answer.opened.error;
                if (answer.opened.file.count != (answer.error == 0 ? 1u : 0u)) {
                        for (unsigned i = 0; i < answer.opened.file.count; i++)
                                fd_close(answer.opened.file.items[i]);
                        return -EBADMSG;
                }
                finish_request(worker, request, &answer, NULL);
                if (answer.opened.file.count > 0)
                        fd_close(answer.opened.file.items[0]);
                return 0;
        case MESSAGE_FILE_SYNCED:
                if (file_synced_read(m, &synced) < 0 || synced.errors.count != request->fds.count)
                        return -EBADMSG;
                finish_request(worker, request, &answer, &synced.errors);
                return 0;
        default:
                if (file_result_read(m, &result) < 0)
                        return -EBADMSG;
                answer.error = (int)result.error;
                finish_request(worker, request, &answer, NULL);
                return 0;
        }
}

static FileRequest *request_new(Worker *worker, const Message *m, const FdList *fds,
                                FileCallback callback, void *userdata)
{
        FileRequest *request = calloc(1, sizeof(*request));

        if (!request)
                return NULL;
        request->bytes = malloc(m->size);
        if (!request->bytes) {
                free(request);
                return NULL;
        }
        memcpy(request->bytes, m->data, m->size);
        request->size = m->size;
        request->serial = m->serial;
        request->type = m->type;
        if (fds)
                request->fds = *fds;
        request->callback = callback;
        request->userdata = userdata;
        TAILQ_INSERT_TAIL(&worker->requests, request, entries);
        return request;
}

/* The message that all writers write into; one thread, one request at a time. */
static Message *scratch(void)
{
        static Message m;

        if (!m.data && message_init(&m) < 0)
                return NULL;
        return &m;
}

static int submit(Worker *worker, Message *m, const FdList *fds, FileCallback callback,
                  void *userdata)
{
        FileRequest *request;

        if (m->bad)
                return -EMSGSIZE;
        request = request_new(worker, m, fds, callback, userdata);
        if (!request)
                return -ENOMEM;
        if (worker->ready)
                (void)send_request(worker, request);
        else
                worker_need_process(worker);
        return 0;
}

#define DEFINE_REQUEST(function, Type, stem)                                               \
        int function(Worker *worker, const Type *x, FileCallback callback, void *userdata) \
        {                                                                                  \
                Message *m = scratch();                                                    \
                                                                                           \
                if (!m)                                                                    \
                        return -ENOMEM;                                                    \
                stem##_write(m, ++worker->last_serial, x);                                 \
                return submit(worker, m, NULL, callback, userdata);                        \
        }
DEFINE_REQUEST(worker_check, FileCheck, file_check)
DEFINE_REQUEST(worker_open, FileOpen, file_open)
DEFINE_REQUEST(worker_commit, FileCommit, file_commit)
DEFINE_REQUEST(worker_discard, FileDiscard, file_discard)

int worker_sync_directories(Worker *worker, FileCallback callback, void *userdata)
{
        Message *m = scratch();

        if (!m)
                return -ENOMEM;
        file_sync_directories_write(m, ++worker->last_serial, &(FileSyncDirectories){ 0 });
        return submit(worker, m, NULL, callback, userdata);
}

/* ---- syncing, many at a time ---- */

static void flush_syncs(Worker *worker);

static void on_synced(Worker *worker, FileRequest *request, const FileAnswer *answer,
                      const U32List *errors)
{
        struct SyncList *batch = request->userdata;
        SyncItem *item;
        unsigned i = 0;

        worker->syncing = false;
        while ((item = TAILQ_FIRST(batch))) {
                FileAnswer a = { .result = answer->result,
                                 .doubtful = answer->doubtful,
                                 .error = errors ? (int)errors->items[i++] : 0 };

                TAILQ_REMOVE(batch, item, entries);
                item->callback(item->userdata, &a);
                free(item);
        }
        free(batch);
        flush_syncs(worker);
}

/* One batch at a time: while it is on its way to the disk, the next one gathers. DUR-30 */
static void flush_syncs(Worker *worker)
{
        struct SyncList *batch;
        FileSync x = { 0 };
        SyncItem *item;
        Message *m = scratch();

        if (worker->syncing || TAILQ_EMPTY(&worker->syncs))
                return;
        batch = malloc(sizeof(*batch));
        if (!batch || !m)
                return;
        TAILQ_INIT(batch);
        while (x.files.count < MESSAGE_FDS_MAX && (item = TAILQ_FIRST(&worker->syncs))) {
                TAILQ_REMOVE(&worker->syncs, item, entries);
                TAILQ_INSERT_TAIL(batch, item, entries);
                x.files.items[x.files.count++] = item->fd;
        }
        worker->syncing = true;
        file_sync_write(m, ++worker->last_serial, &(FileSync){ 0 });
        (void)submit(worker, m, &x.files, NULL, batch);
}

int worker_sync(Worker *worker, int fd, FileCallback callback, void *userdata)
{
        SyncItem *item = malloc(sizeof(*item));

        if (!item)
                return -ENOMEM;
        *item = (SyncItem){ .fd = fd, .callback = callback, .userdata = userdata };
        TAILQ_INSERT_TAIL(&worker->syncs, item, entries);
        flush_syncs(worker);
        return 0;
}
