/*
 * The beginning of a conversation on a handle's socket: the D-Bus authentication, which comes when
 * the holder wants it, at once or after days. The connection (sd-bus, server) has no socket until
 * the first byte is there, and reads its holder's socket itself from the first message on.
 *
 * What belongs to the first message stays in the socket until then: a descriptor that is passed
 * with it would be lost in the authentication.
 */
#pragma once

#include "basic/macros.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Greeting Greeting;

/* Once, from the loop: 0: the connection speaks with the holder and may be attached to the loop;
   -errno: the holder is gone, or what he says is no authentication. The receiver frees the
   greeting. */
typedef void (*GreetingOver)(void *userdata, int error);

/* `peer` is a server without a socket, borrowed; takes fd, a non-blocking stream socket, also on
   failure. 0 or -errno. */
int greeting_new(sd_event *event, sd_bus *peer, int fd, GreetingOver over, void *userdata,
                 Greeting **ret);
void greeting_free(Greeting *greeting);
DEFINE_CLEANUP(Greeting, greeting_free);
