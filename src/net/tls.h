/*
 * Who the other end of a TLS connection has to be, and who we are to it: the rules of a job applied
 * by OpenSSL below libcurl. Each fault of a certificate is one of those that the job's security
 * flags pardon, or the end of the connection: to pardon the date is not to pardon the issuer.
 *
 * Nothing here waits. What is missing for a judgement (a list of revoked certificates, somebody
 * else's word) ends the handshake and is noted; whoever gets it makes the connection again.
 */
#pragma once

#include "net/client-certificate.h"
#include "net/crl.h"

#include <curl/curl.h>

enum {
        FINGERPRINT_MAX = 65, /* SHA-256 in hexadecimal digits, and a NUL */
        CHAIN_BYTES_MAX = 48 * 1024,
};

typedef struct Tls Tls;

typedef struct TlsRules {
        const char *host;  /* of the server. Others on the way to it (a proxy) are judged without
                               pardon and shown no certificate */
        uint32_t security; /* HTTP_… */
        ClientCertificate *certificate; /* NULL: none */
        bool without_certificate;       /* go on when one is asked for and there is none */
        bool validated;                 /* the certificate has to be the accepted one */
        const char *accepted;           /* its fingerprint, "" at first */
        Crls *crls;                     /* borrowed for as long as connections live */
} TlsRules;

/* Why a handshake ended, if it was for one of these reasons. */
typedef enum TlsNote {
        TLS_NOTHING,
        TLS_CERTIFICATE_NEEDED,  /* the server asks for one, and there is none */
        TLS_CERTIFICATE_REFUSED, /* it does not accept the one that was shown */
        TLS_CRL_NEEDED,          /* tls_missing_crl() has an address */
        TLS_REVOCATION_UNKNOWN,
        TLS_REVOKED,
        TLS_VALIDATION_NEEDED, /* tls_fingerprint(), tls_chain() */
        TLS_NOTE_MAX,
        TLS_NOTE_INVALID = -1,
} TlsNote;

/* For one request; lives until it and every connection that it made are gone. 0 or -ENOMEM. */
int tls_new(const TlsRules *rules, Tls **ret);
void tls_unref(Tls *tls);

/* Has the request's new connections judged so. False: this libcurl is not one with OpenSSL. */
bool tls_apply(Tls *tls, CURL *easy);

TlsNote tls_note(const Tls *tls);
/* Borrowed. */
const char *tls_missing_crl(const Tls *tls);
const char *tls_fingerprint(const Tls *tls);
const char *tls_chain(const Tls *tls); /* PEM */
