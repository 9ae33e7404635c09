/*
 * Connections by credentials. A connection that has been authenticated belongs to whoever it was
 * authenticated for, so transfers share connections only if they bring exactly the same
 * credentials; those without any share one pool for good, every other pool ends with its last
 * transfer. SEC-85
 */
#pragma once

#include "core/credentials.h"
#include "net/curl-glue.h"
#include "net/kerberos.h"

typedef struct Pools Pools;
typedef struct Pool Pool;

/* `kerberos` is borrowed. 0 or -errno. */
int pools_new(sd_event *event, int64_t priority, CurlGlueDone on_done, Kerberos *kerberos,
              Pools **ret);
/* Every pool must have been given back. NULL is fine. */
void pools_free(Pools *pools);
DEFINE_CLEANUP(Pools, pools_free);

/* The pool for these credentials (credentials_encode(); none: size 0), to be given back. Takes the
   bytes in any case. 0, -ENOMEM, -EBADMSG. */
int pools_get(Pools *pools, uint8_t *bytes, size_t size, Pool **ret);
/* From anywhere, also from within a callback of its glue. NULL is fine. */
void pool_release(Pool *pool);

CurlGlue *pool_glue(Pool *pool);
const Credentials *pool_credentials(const Pool *pool);

/* Before Negotiate is used: gets the tickets of the entry. 0, -ESTALE (kerberos_refresh()), or
   another -errno with a sentence in `why` (NET_DETAIL_MAX). */
int pool_prepare_negotiate(Pool *pool, const Credential *entry, char *why);
