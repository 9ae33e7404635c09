/*
 * The Kerberos tickets of the worker's own identity, and of names and passwords that jobs bring.
 * GSS-API always works on copies in this process's memory, so nothing is ever written into a user's
 * cache, and which identity a request shows is chosen by the name of the copy.
 *
 * The user's cache is the one that KRB5CCNAME names (a job's wish, set by the broker) or the
 * default of krb5.conf for this user. The sandbox opens exactly its files as they are at the start
 * of the worker: a cache that was replaced since (kinit) is `stale`, and a fresh worker has to take
 * over.
 *
 * Talking to a KDC blocks; only the transfers of the same identity wait for it.
 */
#pragma once

#include "net/net-error.h"

typedef struct Kerberos Kerberos;

/* Copies that are there for all: of the identity's own tickets, and of nobody's. */
#define KERBEROS_OWN  "MEMORY:openbits-own"
#define KERBEROS_NONE "MEMORY:openbits-none"

/* Before the sandbox: reads the configuration. 0 or -ENOMEM; without a usable configuration the
   functions below say so. */
int kerberos_new(Kerberos **ret);
void kerberos_free(Kerberos *k);
DEFINE_CLEANUP(Kerberos, kerberos_free);

/* Files that the sandbox has to leave readable: a NULL-terminated list, the object's. */
const char *const *kerberos_readable(const Kerberos *k);

/* 0: KERBEROS_OWN holds tickets that are valid now. -ESTALE: a fresh worker is needed.
   -EKEYEXPIRED, -ENOKEY: expired or none; the sentence is in `why` (NET_DETAIL_MAX). */
int kerberos_refresh(Kerberos *k, char *why);
/* Gets tickets for a name and password into the copy `cache`. 0, or -EKEYREJECTED with a
   sentence. */
int kerberos_login(Kerberos *k, const char *cache, const char *user, const char *password,
                   char *why);
/* Forgets a copy. */
void kerberos_forget(Kerberos *k, const char *cache);
/* What GSS-API uses from now on in this thread. */
void kerberos_select(const char *cache);
