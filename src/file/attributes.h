/*
 * What a file carries besides its content: time, owner, group, permissions and access list. Read
 * from a remote file by one identity, given to the finished temporary file by another.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>
#include <time.h>

enum {
        ATTRIBUTES_MODE = 0777, /* set-user-ID, set-group-ID and sticky are never carried */
};

typedef struct Attributes {
        uint32_t flags; /* ATTRIBUTE_… of wire/protocol.h: which of the others count */
        struct timespec modified;
        uid_t owner;
        gid_t group;
        mode_t mode;     /* ATTRIBUTES_MODE */
        const char *acl; /* as attributes_acl() gave it, "" for none */
} Attributes;

/* The access list in hexadecimal, as the kernel stores it; NULL when there is none, or none that
   can be read. The caller frees it. */
char *attributes_acl(int fd);

/* Gives the file those that the flags name; owner, group and rights durably, the time where it is
   let. 0 or -errno: -EPERM this identity may not, -EBADMSG no such list. Of a failure in the middle
   something may have been changed; again is fine. */
int attributes_apply(int fd, const Attributes *attributes);
