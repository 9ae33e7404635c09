/*
 * A client certificate with its private key, read from the content of files: PEM, plain or
 * encrypted, the key in the same file or in another; or PKCS#12; or DER with a key of its own.
 * Further certificates in the first file are the chain up to the issuer.
 */
#pragma once

#include "net/net-error.h"
#include "net/secrets.h"

#include <openssl/ssl.h>

typedef struct ClientCertificate ClientCertificate;

/* NULL in *ret, and the reason in `failure`, when they are not a certificate and its key. 0 or
   -ENOMEM. */
int client_certificate_new(const Secrets *secrets, NetFailure *failure, ClientCertificate **ret);
ClientCertificate *client_certificate_ref(ClientCertificate *c);
void client_certificate_unref(ClientCertificate *c);

/* Shows it on this connection. False: the library refused it. */
bool client_certificate_use(const ClientCertificate *c, SSL *ssl);
