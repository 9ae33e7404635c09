/*
 * The connection to the service: a bus, a set of handles, and one epoll descriptor that stands for
 * all of them in an event loop.
 */
#pragma once

#include "client/handle.h"
#include "client/subscription.h"
#include "openbits.h"

#define SERVICE_NAME      "org.openbits.BITS1"
#define SERVICE_PATH      "/org/openbits/BITS1"
#define MANAGER_INTERFACE "org.openbits.BITS1.Manager"
#define JOB_INTERFACE     "org.openbits.BITS1.Job"
#define TOKEN_INTERFACE   "org.openbits.BITS1.TokenOptions"
#define HTTP_INTERFACE    "org.openbits.BITS1.HttpOptions"

/* Complete may rename and sync many files before it answers. */
#define CALL_TIMEOUT_USEC (300ull * 1000 * 1000)

struct bits_manager {
        sd_bus *bus;
        pid_t pid; /* a child of fork() shares the epoll set, and may not change it */
        int epoll_fd;
        int watched_fd;
        uint32_t watched_events;
        char *token_socket; /* path; read once, so that capturing needs no bus call */
        bool presented;
        Subscription *subscription; /* NULL without a callback */
        LIST_HEAD(, Handle) handles;
};

/* Removes a handle that is about to be freed. */
void manager_forget(bits_manager *manager, Handle *handle);

/* A method of the Manager interface. 0 or negative with the thread's error set. */
int manager_call(bits_manager *manager, sd_bus_message **ret_reply, const char *method,
                 const char *types, ...);

/* The same in two steps, for arguments that no list of types describes. */
int manager_message(bits_manager *manager, const char *method, sd_bus_message **ret_message);
int manager_send(bits_manager *manager, sd_bus_message *message, sd_bus_message **ret_reply);

/* Shows the caller to the broker, once, so that it has seen him when he is gone. */
void manager_present(bits_manager *manager);

/* Waits until there may be work, at most until `deadline` (µs, CLOCK_MONOTONIC, UINT64_MAX: none).
   1: call bits_manager_process(); 0: the deadline has passed. */
int manager_poll(bits_manager *manager, uint64_t deadline);

/* Wraps a descriptor that the service handed out in an object. Takes fd over. */
int job_new(bits_manager *manager, const char *id, int fd, bits_job **ret_job);
