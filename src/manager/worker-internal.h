/*
 * What the three parts of a worker share: the seat and its process (worker.c), the file operations
 * (worker-file.c) and the network clients (worker-net.c). Nobody else includes this.
 */
#pragma once

#include "manager/worker.h"

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

        uint32_t last_serial;
        TAILQ_HEAD(, FileRequest) requests;
        struct SyncList syncs; /* not yet in a request */
        bool syncing;

        void *clients_by_id; /* tsearch */
        TAILQ_HEAD(, NetClient) clients;
};

struct WorkerPool {
        sd_event *event;
        BrokerLink *broker;
        void *workers; /* tsearch by identity and kind */
        uint64_t last_client_id;
};

/* A process for the work that waits, unless one is on its way or a pause is kept. */
void worker_need_process(Worker *worker);
/* Sends the draft. True: it is on its way, or the end of the channel is. False: there is no room
   now; the timer sends what is left. */
bool worker_send_draft(Worker *worker);

/* Of each part: */
void worker_file_free(Worker *worker); /* nothing is called back */
void worker_net_free(Worker *worker);
void worker_file_fail(Worker *worker, WorkResult result);
void worker_net_fail(Worker *worker, WorkResult result);
/* The process is gone: nothing is under way. */
void worker_file_forget(Worker *worker);
void worker_net_forget(Worker *worker);
/* Tells those whose process is gone. */
void worker_net_lose(Worker *worker);
/* Sends what was not sent yet, as far as there is room. */
bool worker_file_send(Worker *worker);
void worker_net_send(Worker *worker);
/* A message of a process that has said hello. 0 or -EBADMSG. */
int worker_file_message(Worker *worker, Message *m);
int worker_net_message(Worker *worker, Message *m);
