/*
 * The bus layer: what the handlers may reach, and how they answer. A handler parses, requires a
 * right, makes one call, replies.
 */
#pragma once

#include "bus/authorize.h"
#include "core/calls.h"
#include "manager/bus-names.h"
#include "manager/conditions.h"
#include "manager/engine.h"
#include "manager/finish.h"
#include "manager/handle.h"
#include "manager/jobs.h"
#include "manager/life.h"
#include "manager/settings.h"
#include "manager/turn.h"
#include "manager/validation.h"
#include "workers/broker-link.h"

typedef struct News News;
typedef struct Notifier Notifier;

enum {
        S_FALSE = 1, /* the answer of a call that found nothing to do */
};

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
        Notifier *notifier;
        Validations *validations;
        Settings *settings; /* borrowed */
        Conditions *conditions;
        bool user_mode;
        const char *token_socket;
} BusContext;

/* Registers the interfaces on the message bus. 0 or -errno. */
int bus_manager_register(BusContext *context);
int bus_job_register(BusContext *context);
int bus_file_register(BusContext *context);
int bus_token_register(BusContext *context);
int bus_http_register(BusContext *context);
/* Each interface of one job on a peer connection (a HandleServe). */
int bus_job_serve(sd_bus *peer, const char *path, Handle *handle);
int bus_file_serve(sd_bus *peer, const char *path, Handle *handle);
int bus_token_serve(sd_bus *peer, const char *path, Handle *handle);
int bus_http_serve(sd_bus *peer, const char *path, Handle *handle);

/* sd-bus's "find": the handle of the sender on the job of that path. */
int bus_find_handle(sd_bus *bus, const char *path, const char *interface, void *userdata,
                    void **ret_found, sd_bus_error *error);

/* The handle has these rights, and its job is not final or being completed or cancelled: what every
   call that changes a job asks first. 0, or the error set. */
int bus_require(const Handle *handle, unsigned rights, sd_bus_error *error);
/* The same for a call that has a row of its own in core/calls.h; `file` as there. */
int bus_require_call(const Handle *handle, unsigned rights, JobCall call, const File *file,
                     sd_bus_error *error);

/* With BG_E_TOKEN_REQUIRED. */
#define NO_TOKEN_FOR_LOCAL_FILES \
        "local files are the helper's work, but the job has no helper token: set it first"

/* GetPolicy. */
int bus_get_policy(sd_bus_message *m, void *userdata, sd_bus_error *error);
