/*
 * What a job shows of itself to servers: its credentials, its client certificate, its headers. They
 * come in anonymous files, are read once, and wiped when they are no longer needed.
 */
#pragma once

#include "wire/protocol.h"

typedef struct Secret {
        uint8_t *bytes; /* owned; a NUL follows them; NULL: none */
        size_t size;
} Secret;

typedef struct Secrets {
        Secret credentials, headers, certificate, key, passphrase;
} Secrets;

/* `which` are NET_SECRET_…, in whose order the files are. Closes them in any case. 0, -EBADMSG when
   the two do not fit, or another -errno. */
int secrets_read(uint32_t which, FdList *files, Secrets *ret);
void secrets_done(Secrets *s);
