/*
 * The workers: one process per identity and kind, started through the broker when there is work,
 * started again when it dies, let go when nobody needs it.
 *
 * A Worker here is the seat of such a process, not the process: requests made to it survive the
 * death of the process and are repeated to the next one (every file operation may be repeated). A
 * process that breaks the protocol is killed, and what it was working on fails instead of being
 * repeated for ever; so does work at which ten processes in a row died.
 */
#pragma once

#include "core/bandwidth.h"
#include "login/presence.h"
#include "workers/broker-link.h"

#include <sys/queue.h>

typedef struct WorkerPool WorkerPool;
typedef struct Worker Worker;

enum {
        CREDENTIAL_CACHE_MAX = 255, /* bytes of a credential cache's name */
        REMOTE_PATIENCE_USEC = 30 * 1000 * 1000,
};

/* Under whom: an owner, or a helper token. */
typedef struct WorkerIdentity {
        bool helper;
        bool remote; /* of file workers: for remote files alone, in a process of its own, so that a
                        share that hangs leaves the local files alone */
        uid_t uid;
        uint64_t cookie; /* of the token */
        int token;       /* borrowed; the seat keeps a copy while it is in use */
        char ccache[CREDENTIAL_CACHE_MAX + 1]; /* KRB5CCNAME of a network worker, "": the default */
} WorkerIdentity;

/* Why work could not be done at all; WORK_DONE when the worker answered. */
typedef enum WorkResult {
        WORK_DONE,
        WORK_UNKNOWN_OWNER,
        WORK_DEAD_TOKEN,
        WORK_NO_PRIVILEGE,
        WORK_TOO_MANY,
        WORK_NOT_STARTED, /* the process cannot be started, or dies at once */
        WORK_ABORTED,     /* it broke the protocol, or died again and again */
        WORK_DISMISSED,   /* its identity is not to act any more */
        WORK_SILENT,      /* the file system of a remote file does not answer */
        WORK_RESULT_MAX,
        WORK_RESULT_INVALID = -1,
} WorkResult;

typedef struct FileAnswer {
        WorkResult result;
        int error;     /* errno of the operation, 0: done */
        bool doubtful; /* asked before of a process that died: of a sync, success proves nothing */
        FileOpened opened; /* descriptors not taken are closed after the callback */
        FileSource source; /* likewise */
} FileAnswer;

typedef void (*FileCallback)(void *userdata, FileAnswer *answer);

int worker_pool_new(sd_event *event, BrokerLink *broker, WorkerPool **ret);
void worker_pool_free(WorkerPool *pool);
DEFINE_CLEANUP(WorkerPool, worker_pool_free);

/* How long a process that copies remote files may be silent before its copies fail. For tests;
   REMOTE_PATIENCE_USEC at first. */
void worker_pool_set_patience(WorkerPool *pool, uint64_t usec);
/* Whose workers wait for more work: not those of who is away. `presence` has to outlive the pool.
   */
void worker_pool_set_presence(WorkerPool *pool, const Presence *presence);
/* The owner signed off, the token was dropped: what is under way may wind down for half a second,
   then it fails with WORK_DISMISSED; a second after this call no process of that identity is left.
   Ends at once when nobody uses the seat. Whoever acquires it later calls the identity back. ENG-63
   */
void worker_pool_dismiss(WorkerPool *pool, const WorkerIdentity *identity);

/* How fast background transfers may be from now on, all workers together. */
void worker_pool_set_rates(WorkerPool *pool, const Rates *rates);

/* Whose seat it is. */
WorkerPool *worker_pool(const Worker *worker);
/* Number of the process that answered last; another number is another process. */
uint64_t worker_process(const Worker *worker);

/* The seat for that identity, to be given back with worker_release(). NULL when out of memory. */
Worker *worker_acquire(WorkerPool *pool, WorkerKind kind, const WorkerIdentity *identity);
Worker *worker_acquire_again(Worker *worker);
void worker_release(Worker *worker);
DEFINE_CLEANUP(Worker, worker_release);

/*
 * bits-file. The callback runs exactly once, later; -ENOMEM or -EMSGSIZE when not even that. The
 * worker must stay acquired until then.
 */
int worker_check(Worker *worker, const FileCheck *x, FileCallback callback, void *userdata);
int worker_same(Worker *worker, const FileSame *x, FileCallback callback, void *userdata);
int worker_access(Worker *worker, const FileAccess *x, FileCallback callback, void *userdata);
/* Answers as an open does: a descriptor of the content. */
int worker_read(Worker *worker, const FileRead *x, FileCallback callback, void *userdata);
int worker_open(Worker *worker, const FileOpen *x, FileCallback callback, void *userdata);
int worker_commit(Worker *worker, const FileCommit *x, FileCallback callback, void *userdata);
int worker_discard(Worker *worker, const FileDiscard *x, FileCallback callback, void *userdata);
int worker_sync_directories(Worker *worker, FileCallback callback, void *userdata);
int worker_open_source(Worker *worker, const FileOpenSource *x, FileCallback callback,
                       void *userdata);
int worker_read_reply(Worker *worker, const FileReadReply *x, FileCallback callback,
                      void *userdata);
/* Makes a file's bytes durable; fd stays open until the callback. Several go in one message. */
int worker_sync(Worker *worker, int fd, FileCallback callback, void *userdata);

/* Gives a file owner, group and rights of another; fd as above. */
int worker_attributes(Worker *worker, const FileAttributes *x, FileCallback callback,
                      void *userdata);

/*
 * bits-net, and bits-file for remote files. A client is a transfer that wants to run on the worker.
 * It is asked to write its NET_START, or what else begins work, as soon as a process is ready, and
 * again by each new process after on_lost.
 */
typedef struct NetClient NetClient;

typedef struct NetListener {
        void (*write_start)(void *userdata, Message *m); /* NET_START, …, with client->id */
        void (*on_started)(void *userdata, const NetStarted *started); /* NULL: a breach */
        void (*on_progress)(void *userdata, uint64_t written);
        void (*on_done)(void *userdata, const NetDone *done); /* the client is detached already */
        void (*on_lost)(void *userdata);                      /* still attached */
        void (*on_failed)(void *userdata, WorkResult result); /* detached already */
        void (*on_session)(void *userdata, const NetSession *session); /* NULL: a breach */
        /* Instead of on_done, of a remote file that was copied to its end; detached already. */
        void (*on_copied)(void *userdata, const CopyDone *done);
        void (*on_certificate)(void *userdata, const NetCertificate *question);
        /* Instead of on_started, of an upload to a place on this machine. NULL: a breach. */
        void (*on_placed)(void *userdata, const CopyPlaced *placed);
} NetListener;

struct NetClient {
        const NetListener *listener;
        void *userdata;
        NetClass class;
        uint64_t id; /* given by worker_net_attach() */
        Worker *worker;
        bool started;     /* a process has its NET_START */
        bool lost;        /* that process died, on_lost is due */
        uint64_t stopped; /* when it was asked to stop, µs, monotonic; 0: not yet */
        TAILQ_ENTRY(NetClient) entries;
};

int worker_net_attach(Worker *worker, NetClient *client);
/* Asks for NET_DONE with NET_STOPPED. False: no process works on it, nothing will come. */
bool worker_net_stop(NetClient *client);
/* Answers on_certificate. */
void worker_net_accept(NetClient *client, uint32_t code, const char *detail);
/* An upload's session that is to be closed may be: that it is, is stored. */
void worker_net_close(NetClient *client);
/* Only while nothing is under way (before the start, or after worker_net_stop() said false). */
void worker_net_detach(NetClient *client);
