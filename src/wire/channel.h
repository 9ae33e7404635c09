/*
 * A channel: one end of a SOCK_SEQPACKET pair on an event loop. Sends never block: what the socket
 * does not take now is kept, up to a bound, and goes out when there is room. Received messages
 * reach one listener; the end of the stream, a malformed datagram or a queue past its bound end
 * the channel, once, with a reason.
 *
 * The listener may free the channel from within `on_message` or `on_end`.
 */
#pragma once

#include "wire/message.h"

#include <systemd/sd-event.h>

typedef struct Channel Channel;

typedef struct ChannelListener {
        /* A message arrived. A negative return ends the channel with that reason. Descriptors that
           are not taken are closed afterwards. */
        int (*on_message)(void *userdata, Message *m);
        /* The channel has ended: 0 for an orderly end of the peer, else -errno (-EBADMSG: the peer
           broke the protocol). No call follows. */
        void (*on_end)(void *userdata, int reason);
} ChannelListener;

/* Takes fd, in any case. `priority` is an sd-event priority. 0 or -errno. */
int channel_new(sd_event *event, int fd, int64_t priority, const ChannelListener *listener,
                void *userdata, Channel **ret);
/* From now on messages wait for each other and leave together, so that the peer wakes up once for
   many: when there are some, else when the loop comes to `priority`, which must not be one that
   others can keep from its turn. That a peer is gone shows in on_end only. 0 or -errno. ENG-360 */
int channel_gather(Channel *channel, int64_t priority);
/* Closes the socket; messages that wait for room are dropped. NULL is fine. */
void channel_free(Channel *channel);
DEFINE_CLEANUP(Channel, channel_free);

/* The one message to write into before channel_send(); valid until then. */
Message *channel_draft(Channel *channel);
/* Sends or queues the draft. Descriptors are duplicated when the message has to wait, so they stay
   the caller's. -EMSGSIZE for a message too long, -ENOBUFS when the queue is at its bound, -EPIPE
   when the peer is gone (on_end follows from the loop). */
int channel_send(Channel *channel);
/* The same for a message that waits for no other, and takes along those that waited. ENG-430 */
int channel_send_at_once(Channel *channel);

/* Messages that wait: for room in the socket, or for others to leave with. */
size_t channel_queued(const Channel *channel);
