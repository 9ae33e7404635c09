/*
 * Connections by identity. A connection that has been authenticated belongs to whoever it was
 * authenticated for, and one whose other end was judged to whoever judged it so. Transfers share
 * connections only if they bring exactly the same secrets and the same terms; those without any
 * share one pool for good, every other pool ends with its last transfer. SEC-85, SEC-154
 *
 * Background work has pools of its own: paused transfers keep their connections, and of those
 * there is a number for each server that the foreground must not have to share. POL-214
 */
#pragma once

#include "core/credentials.h"
#include "net/client-certificate.h"
#include "net/crl.h"
#include "net/curl-glue.h"
#include "net/kerberos.h"
#include "net/secrets.h"

typedef struct Pools Pools;
typedef struct Pool Pool;

/* `listener` and `kerberos` are borrowed. 0 or -errno. */
int pools_new(sd_event *event, int64_t priority, const CurlGlueListener *listener,
              Kerberos *kerberos, Pools **ret);
/* Every pool must have been given back. NULL is fine. */
void pools_free(Pools *pools);
DEFINE_CLEANUP(Pools, pools_free);

/* On whose behalf, and on which terms a server is trusted. */
typedef struct PoolTerms {
        bool background;
        uint32_t security;                       /* HTTP_CERTIFICATE_FLAGS */
        bool without_certificate, proxy_tickets; /* NET_FLAG_… */
        const char *validation;                  /* who else judges, "": nobody */
} PoolTerms;

/* The pool for these secrets and terms, to be given back. Takes the secrets in any case. 0,
   -ENOMEM, -EBADMSG. */
int pools_get(Pools *pools, const PoolTerms *terms, Secrets *secrets, Pool **ret);
/* From anywhere, also from within a callback of its glue. NULL is fine. */
void pool_release(Pool *pool);

CurlGlue *pool_glue(Pool *pool);
const Credentials *pool_credentials(const Pool *pool);
const PoolTerms *pool_terms(const Pool *pool);
Crls *pool_crls(const Pool *pool);
/* NULL: none. */
ClientCertificate *pool_certificate(const Pool *pool);
/* The job's header lines, NULL: none. */
const struct curl_slist *pool_headers(const Pool *pool);
/* Why nothing can be asked with these secrets; code 0: all is well. */
const NetFailure *pool_failure(const Pool *pool);

/* Before Negotiate is used: gets the tickets of the entry. 0, -ESTALE (kerberos_refresh()), or
   another -errno with a sentence in `why` (NET_DETAIL_MAX). */
int pool_prepare_negotiate(Pool *pool, const Credential *entry, char *why);
