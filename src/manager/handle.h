/*
 * Handles: what BITS calls an interface pointer. Who may do what with a job is decided once, when
 * the handle is made; after that the handle is the right. There are two kinds with the same
 * methods:
 *
 *  - of a connection to the message bus, made at its first call on a job and kept until it leaves
 *    the bus; it belongs to that connection;
 *  - of a socket (OpenJob, QueryInterface): peer-to-peer D-Bus, for whoever holds the descriptor.
 *    The kernel names bitsd itself as the peer there, so nobody may ever ask who calls on it.
 */
#pragma once

#include "core/policy.h"
#include "manager/greeting.h"
#include "manager/jobs.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Handles Handles;
typedef struct Client Client;
typedef struct Handle Handle;

/* What was decided when a handle was made. */
typedef struct HandleFacts {
        unsigned rights;
        uid_t opener;
        bool opener_owned; /* he was the job's owner at that moment */
        bool authorized;   /* or was let manage all jobs (bus/authorize.h) */
} HandleFacts;

struct Handle {
        Handles *handles;
        Job *job;
        unsigned rights;
        uid_t opener;
        bool opener_owned;
        bool authorized;
        bool receiver; /* takes the job's events, and acknowledges them */

        Client *client;     /* bus kind, else NULL */
        sd_bus *peer;       /* socket kind, else NULL */
        Greeting *greeting; /* until the holder has authenticated, and so speaks with the peer */
        int socket;         /* a second descriptor of its end, the last to be closed */
        int watched;        /* the number that is read */
        TAILQ_ENTRY(Handle) entries;        /* of the job */
        TAILQ_ENTRY(Handle) client_entries; /* of the client, or of the dying */
        bool dying;
};

/* A connection of the message bus that has talked to the service. */
struct Client {
        Handles *handles;
        char *name; /* unique name */
        uid_t uid;
        bool subscribed; /* to the signals of the queue */
        bool sees_all;   /* was let list everybody's jobs: hears of them, too */
        bool due;        /* a Changed of the queue */
        sd_bus_track *track;
        TAILQ_HEAD(, Handle) held;
        TAILQ_ENTRY(Client) entries;
};

TAILQ_HEAD(ClientList, Client);

/* Adds the vtables of a job to a peer connection, userdata the handle. 0 or -errno. */
typedef int (*HandleServe)(sd_bus *peer, const char *path, Handle *handle);

int handles_new(sd_event *event, JobTable *jobs, HandleServe serve, void *context, Handles **ret);
void handles_free(Handles *handles);
DEFINE_CLEANUP(Handles, handles_free);

/* Told when a handle that was a receiver has ended; NULL: nobody is. */
typedef void (*HandleReceiverLeft)(void *userdata, Job *job);
void handles_on_receiver_left(Handles *handles, HandleReceiverLeft callback, void *userdata);

/* What the bus layer was given at handles_new(). */
void *handle_context(const Handle *handle);

/* Who sent this, by the message bus's word. Only for messages of the bus. 0 or -errno. */
int handles_client(Handles *handles, sd_bus_message *m, Client **ret);
const struct ClientList *handles_clients(const Handles *handles);

/* The client's handle on the job, made now if he has none. *ret is NULL when he has no right at
   all: to him the job does not exist. 0 or -errno (-EDQUOT: over his limit). */
int handle_of_client(Client *client, Job *job, Handle **ret);

/* The same for a client who is let manage all jobs: from now on his handle carries that. */
int handle_of_authorized_client(Client *client, Job *job, Handle **ret);

/* A new handle of the socket kind; *ret_fd is the caller's end. 0 or -errno (-EDQUOT). */
int handle_open(Handles *handles, Job *job, const HandleFacts *facts, int *ret_fd);
HandleFacts handle_facts(const Handle *handle);
/* The facts for a new handle of this caller. No right: the job does not exist for him. */
HandleFacts handle_decide(uid_t caller, const Job *job, bool authorized);

/* The job has another owner: handles of bus connections end (the next call decides anew), those of
   sockets stay, with what core/policy.c leaves them. The handle of a call under way may be among
   those that end. */
void handles_owner_changed(Job *job);

/* To the helper's rule the opener counts as the owner. */
static inline bool handle_entitled(const Handle *handle)
{
        return handle->opener_owned || handle->authorized;
}

/* Charges a call that waits for a worker or the broker to the handle's opener. 0, or negative with
   the error set when he has too many. Each success is given back with handles_discharge(). */
int handle_charge(const Handle *handle, sd_bus_error *error);
int handles_charge(Handles *handles, uid_t opener, sd_bus_error *error);
void handles_discharge(Handles *handles, uid_t opener);

/* 0, or BITS_E_ACCESS_DENIED with the error set: the one line of access control in a method. */
int handle_require(const Handle *handle, unsigned right, sd_bus_error *error);
/* A part of that which may be another by the end of a call that waits: whether who opened the
   handle may say what the job's identities read, write and show. */
bool handle_may_name_files(uid_t opener, const Job *job);

/* Sends a signal of the job to this holder. The message is made for its connection. */
sd_bus *handle_bus(const Handle *handle, sd_bus *system_bus);
const char *handle_destination(const Handle *handle);
