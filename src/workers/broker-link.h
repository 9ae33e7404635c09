/*
 * The manager's connection to the broker: asks it to start workers and to describe tokens. When the
 * broker restarts, the link connects again and repeats what was not answered; tokens that the old
 * broker minted are then refused, as they should be.
 */
#pragma once

#include "wire/channel.h"
#include "wire/protocol.h"

typedef struct BrokerLink BrokerLink;

/* What the broker answered. Descriptors not taken by the callback are closed after it. */
typedef struct BrokerAnswer {
        bool refused;
        Refusal reason;
        int error;           /* errno with REFUSED_START_FAILED */
        BrokerWorker worker; /* channel to be taken with TAKE_FD */
        BrokerToken token;
        BrokerCommand command;
        BrokerRoutes routes; /* descriptors likewise */
} BrokerAnswer;

typedef void (*BrokerCallback)(void *userdata, BrokerAnswer *answer);

/* Connects to SOCKET_PATH now or as soon as it is there. 0 or -errno. */
int broker_link_new(sd_event *event, const char *socket_path, BrokerLink **ret);
void broker_link_free(BrokerLink *link);
DEFINE_CLEANUP(BrokerLink, broker_link_free);

/* Each gives a ticket for broker_cancel(), 0 when out of memory. The callback runs once, later. */
uint64_t broker_start_owner(BrokerLink *link, WorkerKind kind, uid_t uid, const char *ccache,
                            BrokerCallback callback, void *userdata);
/* The token stays the caller's and must live, as `ccache`, until the callback or
   broker_cancel(). */
uint64_t broker_start_token(BrokerLink *link, WorkerKind kind, int token, const char *ccache,
                            BrokerCallback callback, void *userdata);
uint64_t broker_describe_token(BrokerLink *link, int token, BrokerCallback callback,
                               void *userdata);
/* Keeps a sealed command line of that job for its author, whom the answer names. The descriptor and
   the id must live until the callback or broker_cancel(). */
uint64_t broker_keep_command(BrokerLink *link, const char *job, int command,
                             BrokerCallback callback, void *userdata);
/* Starts bits-command with what that user gave to that job. The id must live as above. */
uint64_t broker_start_command(BrokerLink *link, uid_t uid, const char *job, BrokerCallback callback,
                              void *userdata);
/* Sockets to watch the routes of the workers' network with. */
uint64_t broker_watch_routes(BrokerLink *link, BrokerCallback callback, void *userdata);
/* Forgets it. Not repeated: what a broker that is restarting does not hear stays in its ledger. */
void broker_drop_command(BrokerLink *link, uid_t uid, const char *job);
/* No callback after this; 0 and unknown tickets are fine. */
void broker_cancel(BrokerLink *link, uint64_t ticket);

/* Ends a worker that broke the protocol: SIGKILL by the broker. */
void broker_end_worker(BrokerLink *link, pid_t pid);
