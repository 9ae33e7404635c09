/*
 * The credentials of a job: at most one entry for each target (server, proxy) and scheme (reference
 * 03 section 5). An entry is explicit (user and password) or implicit (the identity of whoever does
 * the network's part of the job). Pure data and its bytes: who encrypts them, hands them on or uses
 * them is others' business.
 *
 * Whatever held a secret is wiped before its memory is given back.
 */
#pragma once

#include "core/error.h"

typedef enum AuthTarget {
        AUTH_SERVER,
        AUTH_PROXY,
        AUTH_TARGET_MAX,
        AUTH_TARGET_INVALID = -1,
} AuthTarget;

/* Numbers are stored and travel. */
typedef enum AuthScheme {
        AUTH_BASIC,
        AUTH_DIGEST,
        AUTH_NTLM,
        AUTH_NEGOTIATE,
        AUTH_PASSPORT, /* can be set as in BITS; no transfer can use it */
        AUTH_SCHEME_MAX,
        AUTH_SCHEME_INVALID = -1,
} AuthScheme;

enum {
        USER_NAME_CHARACTERS_MAX = 300,
        PASSWORD_CHARACTERS_MAX = 65536,
        CREDENTIALS_BYTES_MAX = 1024 * 1024, /* of a whole set: what a client can make us hold */
};

typedef struct Credential {
        bool set;
        bool implicit;  /* then there is neither user nor password */
        char *user;     /* owned */
        char *password; /* owned, secret */
} Credential;

/* Zeroed: none. */
typedef struct Credentials {
        Credential entries[AUTH_TARGET_MAX][AUTH_SCHEME_MAX];
} Credentials;

/* "negotiate"; NULL out of range. */
const char *auth_scheme_name(AuthScheme scheme);
/* "server", "negotiate"; _INVALID for an unknown word. */
AuthTarget auth_target_parse(const char *name);
AuthScheme auth_scheme_parse(const char *name);

/* Wipe and free what is in it, not the structure. */
void credential_done(Credential *entry);
void credentials_done(Credentials *c);
bool credentials_empty(const Credentials *c);

/* What the entry has to be like: 0, or the code of the reference and, in *ret_why, a sentence. */
BitsCode credentials_check(AuthTarget target, AuthScheme scheme, bool implicit, const char *user,
                           const char *password, const char **ret_why);
/* Replaces the entry of that pair; copies. 0 or -ENOMEM. */
int credentials_set(Credentials *c, AuthTarget target, AuthScheme scheme, bool implicit,
                    const char *user, const char *password);
/* True if there was one. */
bool credentials_remove(Credentials *c, AuthTarget target, AuthScheme scheme);

/* The entry that answers a challenge of `target` for `scheme`, or NULL: the explicit or implicit
   one of the pair; for a server without explicit credentials also the proxy's implicit one
   (reference 01 section 3.2). */
const Credential *credentials_find(const Credentials *c, AuthTarget target, AuthScheme scheme);

/* All entries as bytes and back. The bytes are secret: release them with secret_free(). 0, -ENOMEM
   or -EBADMSG. */
int credentials_encode(const Credentials *c, uint8_t **ret, size_t *ret_size);
int credentials_decode(const uint8_t *bytes, size_t size, Credentials *ret);
