/*
 * The inside of a Worker, for the files that make it: worker.c has the seats and their processes;
 * calls.c what others ask of a seat; answers.c what the process answers;
 * patience.c how long its silence is borne.
 */
#pragma once

#include "workers/rates.h"
#include "workers/worker.h"

/* A file operation under way: the bytes of the message, to be sent again to the next process. */
typedef struct FileRequest {
        TAILQ_ENTRY(FileRequest) entries;
        uint32_t serial;
        uint16_t type;
        bool sent;
        bool doubtful;         /* a process died with it: what it had found out is lost */
        FileCallback callback; /* NULL for a batch of syncs: userdata is its list */
        void *userdata;
        FdList fds; /* borrowed */
        size_t size;
        uint8_t *bytes;
} FileRequest;

/* One descriptor that waits to be synced together with others. */
typedef struct SyncItem {
        TAILQ_ENTRY(SyncItem) entries;
        int fd;
        FileCallback callback;
        void *userdata;
} SyncItem;

TAILQ_HEAD(SyncList, SyncItem);

struct WorkerPool {
        sd_event *event;
        BrokerLink *broker;
        LIST_HEAD(, Leaving) leaving;
        const Presence *presence; /* NULL: everybody is signed on */
        void *workers;            /* tsearch by identity and kind */
        uint64_t last_client_id;
        uint64_t patience; /* µs that a process of remote files may be silent */
        Sharing sharing;
};

struct Worker {
        WorkerPool *pool;
        WorkerKind kind;
        WorkerIdentity identity; /* token: an own copy */
        unsigned users;

        uint64_t ticket; /* of the broker, while it starts a process */
        Channel *channel;
        pid_t pid;
        uint64_t process; /* counts them */
        bool ready;
        bool broken; /* it broke the protocol: no second chance for what it worked on */
        unsigned deaths;
        sd_event_source *restart; /* the next process, or what the channel did not take */
        sd_event_source *idle;
        bool dismissed;
        sd_event_source *wind_down;
        sd_event_source *patience; /* of remote files: see patience.c */
        uint64_t heard;            /* when its process last said something, µs, monotonic */

        uint32_t last_serial;
        TAILQ_HEAD(, FileRequest) requests;
        struct SyncList syncs; /* not yet in a request */
        bool syncing;

        Share share;         /* of the rates */
        void *clients_by_id; /* tsearch */
        TAILQ_HEAD(, NetClient) clients;
};

/* A process for the work that waits, unless one is on its way or a pause is kept. */
void worker_need_process(Worker *worker);
/* Sends what was written into the channel's draft. False: there is no room now, all that is not
   sent goes later. */
bool worker_send_draft(Worker *worker);
/* False: there is no room now, it goes later. The process must be ready. */
bool worker_send_request(Worker *worker, FileRequest *request);
/* 0, also when it has to wait for room; -EMSGSIZE when it can never be sent. */
int worker_start_client(Worker *worker, NetClient *client);
/* The process is no more: what it worked on is repeated to the next one, or fails. */
void worker_process_ended(Worker *worker);
/* The channel is closed, and nothing is under way any more. */
void worker_forget_process(Worker *worker);
/* Everything that waits for this seat fails. */
void worker_fail_all(Worker *worker, WorkResult result);

int worker_patience_new(Worker *worker);
/* A client was started, one was asked to stop, the process said something. */
void worker_expect_news(Worker *worker);
void worker_expect_stop(Worker *worker, NetClient *client);
void worker_heard(Worker *worker);
void worker_detach(NetClient *client);
uint64_t worker_next_client_id(Worker *worker);
Sharing *worker_sharing(const Worker *worker);
/* Before its transfers start; false as above. */
bool worker_send_rates(Worker *worker);
/* The parts of the rates have changed. */
void worker_share_again(Sharing *sharing);
int worker_compare_clients(const void *a, const void *b);

/* The answer to a batch of syncs. `errors` is NULL unless the answer has some. */
void worker_synced(Worker *worker, FileRequest *request, const FileAnswer *answer,
                   const U32List *errors);

/* Any message but WORKER_HELLO, of a process that is ready. 0, or -EBADMSG for a breach. */
int worker_on_answer(Worker *worker, Message *m);
