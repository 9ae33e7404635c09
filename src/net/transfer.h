/*
 * One remote file on its way into one local file, over as many requests as its redirects need.
 *
 *      IDLE ─────── start ───────► REQUEST ──final header, VERDICT_TAKE──► BODY ──► ended
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

extern const Protocol transfer_protocol;
