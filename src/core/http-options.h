/*
 * What a job adds to its HTTP requests and connections (reference 03 section 9): client
 * certificate, custom headers, security flags, method. Names, bits and rules; pure. Where the
 * certificate lies is stored, what is in it never is; headers and the certificate's passphrase are
 * held sealed by the manager's vault.
 */
#pragma once

#include "core/error.h"

/* Security flags (BG_SSL_…, BG_HTTP_REDIRECT_…). Stored and on the wire as they are. */
enum {
        HTTP_CRL_CHECK = 0x1,
        HTTP_IGNORE_HOST_NAME = 0x2,
        HTTP_IGNORE_DATE = 0x4,
        HTTP_IGNORE_UNKNOWN_CA = 0x8,
        HTTP_IGNORE_WRONG_USAGE = 0x10,
        HTTP_CERTIFICATE_FLAGS = 0x1f,
        HTTP_REDIRECT_REPORT = 0x100, /* the file is called by its final URL */
        HTTP_REDIRECT_DISALLOW = 0x200,
        HTTP_REDIRECT_MASK = 0x700,
        HTTP_REDIRECT_HTTPS_TO_HTTP = 0x800,
};

enum {
        HTTP_HEADERS_CHARACTERS_MAX = 16383, /* and a terminator */
        HTTP_METHOD_CHARACTERS_MAX = 32,
        CERTIFICATE_NAME_BYTES_MAX = 4095,
        CERTIFICATE_PASSPHRASE_MAX = 1024,
        CERTIFICATE_BYTES_MAX = 256 * 1024, /* of a certificate's or a key's file */
};

/* In place of a name: a server that asks for a certificate is to be told that there is none. */
#define CERTIFICATE_NONE "none"

/* Zeroed, then http_options_init(). */
typedef struct HttpOptions {
        char *certificate;     /* a path, CERTIFICATE_NONE, or "": not set */
        char *certificate_key; /* a path, or "": in the certificate's file */
        uint8_t *passphrase;   /* sealed; NULL: none */
        size_t passphrase_size;
        uint32_t security_flags;
        char *method;     /* "": GET */
        uint8_t *headers; /* sealed; NULL: none */
        size_t headers_size;
        bool headers_write_only;
        bool validated; /* somebody else judges servers, too: not without him */
} HttpOptions;

int http_options_init(HttpOptions *o); /* 0 or -ENOMEM */
void http_options_done(HttpOptions *o);
/* TakeOwnership: certificate and headers go, and what was said about reading those. */
void http_options_forget_secrets(HttpOptions *o);
/* Each takes the box (NULL: none). */
void http_options_set_passphrase(HttpOptions *o, uint8_t *box, size_t size);
void http_options_set_headers(HttpOptions *o, uint8_t *box, size_t size);

/* There is one to be read. */
bool http_has_certificate(const HttpOptions *o);
bool http_has_custom_method(const HttpOptions *o);

/* The checks: 0, or the code of the reference and, in *ret_why, a sentence. */
BitsCode http_check_certificate(const char *certificate, const char *key, const char *passphrase,
                                const char **ret_why);
BitsCode http_check_security_flags(uint32_t flags, const char **ret_why);
/* "" and "GET" are the default. */
BitsCode http_check_method(const char *method, const char **ret_why);
/* Header lines divided by CRLF or LF; "" is none. */
BitsCode http_check_headers(const char *text, const char **ret_why);

/* The next line of checked headers; moves *text on. False at the end. */
bool http_next_header(const char **text, const char **ret_line, size_t *ret_size);
