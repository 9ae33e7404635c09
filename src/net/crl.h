/*
 * Lists of revoked certificates, by the address from which they came, for as long as the process
 * lives. A list proves itself by its issuer's signature, so it may come over any connection.
 */
#pragma once

#include "basic/macros.h"

#include <openssl/x509.h>

typedef struct Crls Crls;

enum {
        CRL_BYTES_MAX = 16 * 1024 * 1024,
        CRL_ADDRESS_MAX = 1024,
};

int crls_new(Crls **ret); /* 0 or -ENOMEM */
void crls_free(Crls *crls);
DEFINE_CLEANUP(Crls, crls_free);

/* PEM or DER; takes the place of an earlier one from that address. 0, -EBADMSG or -ENOMEM. */
int crls_add(Crls *crls, const char *address, const void *bytes, size_t size);
/* All of them; the caller releases the stack with sk_X509_CRL_pop_free(). NULL without memory. */
STACK_OF(X509_CRL) * crls_all(const Crls *crls);
/* One from that address is there, and is not out of date. */
bool crls_has(const Crls *crls, const char *address);

/* The first address over http that a certificate names for the list it would be in. */
bool crl_address(const X509 *certificate, char ret[CRL_ADDRESS_MAX]);
