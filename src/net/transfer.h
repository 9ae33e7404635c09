/*
 * One remote file on its way into one local file, over as many requests as its redirects need.
 *
 *      IDLE ──transfer_start()──► REQUEST ──final header, VERDICT_TAKE──► BODY ──► ended
 *                                  ▲  │ └──────── any other verdict ─────────────► ended
 *                                  └──┘ redirect, challenge, next proxy
 */
#pragma once

#include "net/http-header.h"
#include "net/request.h"
#include "net/work.h"

typedef struct Transfer Transfer;

/* Copies the request; takes start->file and `pool` in any case. Its number and that of the
   messages' serial are the listener's affair. 0 or -ENOMEM. */
int transfer_new(Pool *pool, const RequestSettings *settings, const NetStart *start,
                 const WorkListener *listener, void *userdata, Transfer **ret);
/* Says nothing to the listener. NULL is fine. */
void transfer_free(Transfer *t);
DEFINE_CLEANUP(Transfer, transfer_free);

/* As Protocol has it. */
void transfer_start(Transfer *t);
void transfer_stop(Transfer *t);
uint64_t transfer_written(const Transfer *t);

extern const Protocol transfer_protocol;
