/*
 * One remote file on its way into one local file, over as many requests as its redirects need.
 *
 *      IDLE ──transfer_start()──► REQUEST ──final header, VERDICT_TAKE──► BODY ──► ended
 *                                  ▲  │ └──────── any other verdict ─────────────► ended
 *                                  └──┘ redirect, challenge, next proxy
 *
 * A transfer tells its listener: at most once that the body begins, then each time bytes were
 * written, then exactly once, and last, that it has ended.
 */
#pragma once

#include "net/http-header.h"
#include "net/net-error.h"
#include "net/pool.h"

typedef struct Transfer Transfer;

typedef struct TransferListener {
        void (*on_started)(void *userdata, const NetStarted *started);
        void (*on_written)(void *userdata);
        /* The listener may free the transfer. `done` is complete but for the transfer's id. */
        void (*on_ended)(void *userdata, const NetDone *done);
        /* Instead of it: this process cannot see the identity's tickets as they are now, a fresh
           one can. The transfer stands still. */
        void (*on_stale)(void *userdata);
} TransferListener;

/* What is the same for all transfers of the process; outlives them. */
typedef struct TransferSettings {
        const char *ca_file, *ca_path; /* NULL: the system's */
        long stall_seconds;            /* without a byte */
        struct curl_slist *headers;    /* of every request */
} TransferSettings;

/* Copies the request; takes request->file and `pool` in any case. Its number and that of the
   messages' serial are the listener's affair. 0 or -ENOMEM. */
int transfer_new(Pool *pool, const TransferSettings *settings, const NetStart *request,
                 const TransferListener *listener, void *userdata, Transfer **ret);
/* Says nothing to the listener. NULL is fine. */
void transfer_free(Transfer *t);
DEFINE_CLEANUP(Transfer, transfer_free);

/* Both may call on_ended before they return; then `t` may be gone. */
void transfer_start(Transfer *t);
void transfer_stop(Transfer *t);

/* The first so many bytes of the file are there. */
uint64_t transfer_written(const Transfer *t);

/* The CurlGlue's callback for transfers. */
void transfer_on_done(void *transfer, CURLcode result);
