/*
 * The worker's side of the channel: bitsd's requests become transfers, what transfers tell becomes
 * messages. Ends the event loop when there is no more to do: with 0 at the end of the channel or
 * after an idle while, with -errno when the peer breaks the protocol or the channel fails.
 */
#pragma once

#include "net/transfer.h"
#include "net/upload.h"

typedef struct Service Service;

typedef struct ServiceOptions {
        RequestSettings request;
        uint64_t idle_usec;
        Kerberos *kerberos; /* borrowed */
        int keeper;         /* of bits-pac; taken. -errno: there is none */
} ServiceOptions;

/* Takes `fd`, the channel, in any case. `options` outlives the service; it is copied but for its
   strings and lists. 0 or -errno. */
int service_new(sd_event *event, int fd, const ServiceOptions *options, Service **ret);
/* Drops whatever is under way. NULL is fine. */
void service_free(Service *s);
DEFINE_CLEANUP(Service, service_free);

/* The first message, WORKER_HELLO. 0 or -errno. */
int service_hello(Service *s, uint32_t layers);
