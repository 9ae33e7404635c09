/*
 * One local file on its way to a BITS server (BITS reference 06), over as many requests as it
 * takes; or the end of such a session.
 *
 *      CREATE ──► [PING] ──► FRAGMENT ─┐──► CLOSE ──► ended
 *        ▲          ▲          ▲       │
 *        │          │          └───────┘ until the server has all of it
 *        │       a session that is gone on with, or another host
 *        └─ the server knows the session no more
 *
 * The server's word counts: `written` is the offset that it wanted last.
 */
#pragma once

#include "net/request.h"
#include "net/work.h"

typedef struct Upload Upload;

/* Copies the request; takes start->file and `pool` in any case. 0 or -ENOMEM. */
int upload_new(Pool *pool, const RequestSettings *settings, const NetUpload *start,
               const WorkListener *listener, void *userdata, Upload **ret);
/* Only Close-Session or Cancel-Session. */
int upload_new_farewell(Pool *pool, const RequestSettings *settings, const NetFarewell *start,
                        const WorkListener *listener, void *userdata, Upload **ret);

extern const Protocol upload_protocol;
