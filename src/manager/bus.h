/*
 * The bus layer: names and paths of the interface, errors on the wire, and what the handlers may
 * reach. A handler parses, requires a right, makes one call, replies.
 */
#pragma once

#include "manager/authorize.h"
#include "manager/broker-link.h"
#include "manager/engine.h"
#include "manager/finish.h"
#include "manager/handle.h"
#include "manager/jobs.h"
#include "manager/life.h"
#include "manager/turn.h"

#define BUS_NAME          "org.openbits.BITS1"
#define BUS_ROOT_PATH     "/org/openbits/BITS1"
#define BUS_JOB_PREFIX    "/org/openbits/BITS1/job"
#define BUS_MANAGER       "org.openbits.BITS1.Manager"
#define BUS_JOB           "org.openbits.BITS1.Job"
#define BUS_TOKEN_OPTIONS "org.openbits.BITS1.TokenOptions"
#define BUS_ERROR_PREFIX  "org.openbits.BITS1.Error."

enum {
        BUS_JOB_PATH_MAX = sizeof(BUS_JOB_PREFIX "/") + 2 * JOB_ID_BYTES,
};

typedef struct News News;

/* What the handlers of the bus call. Filled by the manager, which owns all of it. */
typedef struct BusContext {
        sd_bus *bus;
        JobTable *jobs;
        Store *store;
        Turn *turn;
        BrokerLink *broker;
        WorkerPool *workers;
        Engine *engine;
        Finisher *finisher;
        Handles *handles;
        Authorizer *authorizer;
        Life *life;
        News *news;
        bool user_mode;
        const char *token_socket;
} BusContext;

/* Registers the interfaces on the message bus. 0 or -errno. */
int bus_manager_register(BusContext *context);
int bus_job_register(BusContext *context);
int bus_token_register(BusContext *context);
/* The interfaces of one job on a peer connection (a HandleServe). */
int bus_serve_job(sd_bus *peer, const char *path, Handle *handle);
int bus_job_serve(sd_bus *peer, const char *path, Handle *handle);
int bus_token_serve(sd_bus *peer, const char *path, Handle *handle);

/* sd-bus's "find": the handle of the sender on the job of that path. */
int bus_find_handle(sd_bus *bus, const char *path, const char *interface, void *userdata,
                    void **ret_found, sd_bus_error *error);

void bus_job_path(const Job *job, char ret[BUS_JOB_PATH_MAX]);

/* Sets the error for a BITS code, with a sentence (or the code's own text), and returns what a
   handler returns. */
int bus_fail(sd_bus_error *error, BitsCode code, const char *format, ...) _printf_(3, 4);
#define bus_fail_code(error, code) bus_fail(error, code, "%s", error_text_of(code))
const char *error_text_of(BitsCode code);

/* An empty reply, or a reply made by the caller, after the commit. */
int bus_reply_committed(BusContext *context, sd_bus_message *call);
/* Answers a call that has waited, with an error for a BITS code. */
void bus_reply_failure(sd_bus_message *call, BitsCode code, const char *detail);

/* The job was changed by a call: mark it, tell those who hold it. */
void bus_job_changed(BusContext *context, Job *job);
/* The same for a property's setter: sd-bus answers as soon as that returns, so the commit is now. 0, or
   the error set. */
int bus_property_committed(BusContext *context, Job *job, sd_bus_error *error);
