#include "core/identity.h"

#include <stdio.h>

void identity_done(Identity *identity)
{
        free(identity->groups);
        free(identity->session);
        *identity = (Identity){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
}

void identity_sid(uid_t uid, char *ret_sid)
{
        snprintf(ret_sid, IDENTITY_SID_MAX, "S-1-22-1-%u", (unsigned)uid);
}
