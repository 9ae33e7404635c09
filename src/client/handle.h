/*
 * A handle: the client's end of a descriptor that the service handed out, spoken to as a D-Bus
 * connection without a bus between. Whoever holds it may call, whatever identity the calling thread
 * has by then: that is why every call about a job goes over its handle.
 *
 * A handle belongs to its object (bits_job, bits_token_options) and stands in the manager's list
 * while both live, so that one descriptor wakes an event loop for all of them.
 */
#pragma once

#include "basic/macros.h"

#include <sys/queue.h>
#include <systemd/sd-bus.h>

struct bits_manager;

/* A signal of the job's interfaces: its member ("JobError") and itself, to be read from its
   beginning; or NULL twice, once, when the connection ended. Called from handle_process() as the
   last thing it does: the handle may be freed in it. */
typedef void (*handle_news)(const char *member, sd_bus_message *signal, void *userdata);

typedef struct Handle {
        struct bits_manager *manager; /* NULL after the manager was closed */
        LIST_ENTRY(Handle) handles;
        sd_bus *bus; /* NULL once the service closed it */
        char *path;
        int watched_fd; /* as entered into the manager's epoll set */
        uint32_t watched_events;
        bool gone_pending;      /* the end is still to be told */
        sd_bus_message *signal; /* that is being processed */
        handle_news on_news;
        void *userdata;
} Handle;

/* Takes fd over, also on failure. 0 or negative with the thread's error set. on_news may be
   NULL. */
int handle_new(struct bits_manager *manager, int fd, const char *path, handle_news on_news,
               void *userdata, Handle **ret_handle);
void handle_free(Handle *handle);
DEFINE_CLEANUP(Handle, handle_free);

/* Calls a method and waits for its reply (may be NULL when it is of no interest). `types` and what
   follows as for sd_bus_call_method(). 0 or negative with the thread's error set. */
int handle_call(Handle *handle, sd_bus_message **ret_reply, const char *interface,
                const char *method, const char *types, ...);
/* The same for a message made by handle_message(). */
int handle_message(Handle *handle, const char *interface, const char *method,
                   sd_bus_message **ret_message);
/* For an object below the handle's own. */
int handle_message_to(Handle *handle, const char *path, const char *interface, const char *method,
                      sd_bus_message **ret_message);
int handle_send(Handle *handle, sd_bus_message *message, sd_bus_message **ret_reply);

/* The reply to Properties.Get, positioned inside the variant of that type. */
int handle_get(Handle *handle, const char *property, const char *type, sd_bus_message **ret_reply);
/* One basic value; text is copied: the caller frees it. */
int handle_get_uint32(Handle *handle, const char *property, uint32_t *ret_value);
int handle_get_string(Handle *handle, const char *property, char **ret_value);
int handle_set(Handle *handle, const char *property, const char *type, ...);

/* Does one piece of work. 1: something was done; 0: nothing to do. */
int handle_process(Handle *handle);
/* Enters what the connection waits for into the manager's epoll set. */
void handle_watch(Handle *handle);
/* Earliest time (µs, CLOCK_MONOTONIC) at which handle_process() is to be called, UINT64_MAX:
   none. */
uint64_t handle_timeout(Handle *handle);
