/*
 * What others ask of a seat: file operations, syncs gathered into batches, network transfers. Each
 * is noted at the seat first and sent when a process is ready, so that nothing here depends on
 * whether there is one.
 */
#include "workers/seat.h"

#include <search.h>

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
                (void)worker_send_request(worker, request);
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
DEFINE_REQUEST(worker_same, FileSame, file_same)
DEFINE_REQUEST(worker_access, FileAccess, file_access)
DEFINE_REQUEST(worker_read, FileRead, file_read)
DEFINE_REQUEST(worker_open, FileOpen, file_open)
DEFINE_REQUEST(worker_commit, FileCommit, file_commit)
DEFINE_REQUEST(worker_discard, FileDiscard, file_discard)
DEFINE_REQUEST(worker_open_source, FileOpenSource, file_open_source)
DEFINE_REQUEST(worker_read_reply, FileReadReply, file_read_reply)

int worker_sync_directories(Worker *worker, FileCallback callback, void *userdata)
{
        Message *m = scratch();

        if (!m)
                return -ENOMEM;
        file_sync_directories_write(m, ++worker->last_serial, &(FileSyncDirectories){ 0 });
        return submit(worker, m, NULL, callback, userdata);
}

int worker_attributes(Worker *worker, const FileAttributes *x, FileCallback callback,
                      void *userdata)
{
        Message *m = scratch();

        if (!m)
                return -ENOMEM;
        file_attributes_write(m, ++worker->last_serial, x);
        return submit(worker, m, &(FdList){ { x->file }, 1 }, callback, userdata);
}

/* ---- syncing, many at a time ---- */

static void flush_syncs(Worker *worker);

void worker_synced(Worker *worker, FileRequest *request, const FileAnswer *answer,
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

/* ---- network clients ---- */

bool worker_send_rates(Worker *worker)
{
        NetRates rates;

        if (worker->kind != WORKER_NET ||
            !share_news(worker_sharing(worker), &worker->share, &rates))
                return true;
        net_rates_write(channel_draft(worker->channel), 0, &rates);
        if (!worker_send_draft(worker))
                return false;
        share_told(&worker->share, &rates);
        return true;
}

void worker_share_again(Sharing *sharing)
{
        Share *share;

        LIST_FOREACH (share, &sharing->members, entries) {
                Worker *worker = (Worker *)((char *)share - offsetof(Worker, share));

                if (worker->ready)
                        (void)worker_send_rates(worker);
        }
}

int worker_net_attach(Worker *worker, NetClient *client)
{
        assert(!client->worker);
        client->id = worker_next_client_id(worker);
        client->worker = worker;
        client->started = client->lost = false;
        if (!tsearch(client, &worker->clients_by_id, worker_compare_clients)) {
                client->worker = NULL;
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&worker->clients, client, entries);
        /* Copies on this machine take nothing of the network's rate. */
        if (worker->kind == WORKER_NET &&
            sharing_join(worker_sharing(worker), &worker->share, client->class))
                worker_share_again(worker_sharing(worker));
        if (!worker->ready)
                worker_need_process(worker);
        else if (worker_start_client(worker, client) < 0) {
                worker_detach(client);
                return -EMSGSIZE;
        }
        return 0;
}

bool worker_net_stop(NetClient *client)
{
        if (!client->worker || !client->started)
                return false;
        net_stop_write(channel_draft(client->worker->channel), 0,
                       &(NetStop){ .transfer = client->id });
        (void)channel_send_at_once(client->worker->channel);
        worker_expect_stop(client->worker, client);
        return true;
}

void worker_net_accept(NetClient *client, uint32_t code, const char *detail)
{
        if (!client->worker || !client->started)
                return;
        net_accept_write(channel_draft(client->worker->channel), 0,
                         &(NetAccept){ .transfer = client->id, .code = code, .detail = detail });
        (void)channel_send(client->worker->channel);
}

void worker_net_close(NetClient *client)
{
        if (!client->worker || !client->started)
                return;
        net_close_write(channel_draft(client->worker->channel), 0,
                        &(NetClose){ .transfer = client->id });
        (void)channel_send(client->worker->channel);
}

void worker_net_detach(NetClient *client)
{
        if (client->worker)
                worker_detach(client);
}
