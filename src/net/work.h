/*
 * What the service knows of a piece of work, whatever protocol it speaks: a table of what can be
 * asked of it, and a listener to whom it tells its news.
 *
 * Work tells at most once that a body begins, then each time bytes moved, then exactly once, and
 * last, that it has ended.
 */
#pragma once

#include "wire/protocol.h"

typedef struct WorkListener {
        void (*on_started)(void *userdata, const NetStarted *started);
        /* Of an upload: what is known of its session. Strings are never NULL. A session that is to
           be closed waits for close(). */
        void (*on_session)(void *userdata, const NetSession *session);
        void (*on_written)(void *userdata);
        /* A server's certificate is to be judged, too; its number is the listener's affair. */
        void (*on_certificate)(void *userdata, const NetCertificate *certificate);
        /* The listener may free the work. `done` is complete but for the transfer's id. */
        void (*on_ended)(void *userdata, const NetDone *done);
        /* Instead of it: this process cannot see the identity's tickets as they are now, a fresh
           one can. The work stands still. */
        void (*on_stale)(void *userdata);
} WorkListener;

typedef struct Protocol {
        /* Both may call on_ended before they return; then the work may be gone. */
        void (*start)(void *work);
        void (*stop)(void *work);
        /* The answer to on_certificate. May call on_ended, too. */
        void (*accept)(void *work, uint32_t code, const char *detail);
        /* That it is being closed is stored. NULL where there are no sessions. May call on_ended,
           too. */
        void (*close)(void *work);
        /* The first so many bytes are where they are to go. */
        uint64_t (*written)(const void *work);
        /* Says nothing to the listener. */
        void (*free)(void *work);
} Protocol;
