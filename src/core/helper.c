/*
 * Which identity does what: one table, the flag that moves each purpose, as in reference 01 section
 * 3. Whoever touches a file or the network for a job asks here first; nobody looks at the flags
 * himself.
 *
 * A job without the token that its flags ask for gets ACTOR_MISSING, never the owner: falling back
 * would show the owner's identity to a server or directory it was meant to be kept from.
 */
#include "core/helper.h"

/* The flag that moves the purpose to the helper; 0: it stays the owner's.
   TOK-01 … TOK-05, TOK-80; TOK-40, TOK-41, TOK-57 by the whole service */
static const uint32_t movers[] = {
        [PURPOSE_CHECK_LOCAL_FILE] = TOKEN_LOCAL_FILE,
        [PURPOSE_TEMPORARY_FILE] = TOKEN_LOCAL_FILE,
        [PURPOSE_RENAME] = TOKEN_LOCAL_FILE,
        [PURPOSE_DELETE_TEMPORARY] = TOKEN_LOCAL_FILE,
        [PURPOSE_READ_SOURCE] = TOKEN_LOCAL_FILE, /* TOK-120 */
        [PURPOSE_REPLY_FILE] = TOKEN_LOCAL_FILE,
        [PURPOSE_REMOTE_FILE] = TOKEN_NETWORK,
        [PURPOSE_HTTP] = TOKEN_NETWORK,
        [PURPOSE_CLIENT_CERTIFICATE] = TOKEN_CLIENT_CERTIFICATE, /* not NETWORK */
        [PURPOSE_NOTIFY_COMMAND] = 0,
        [PURPOSE_SIGN_ON] = 0,
        [PURPOSE_QUOTA] = 0,
};
static_assert_table(movers, PURPOSE_MAX);

static const char *const purpose_names[] = {
        [PURPOSE_CHECK_LOCAL_FILE] = "check-local-file",
        [PURPOSE_TEMPORARY_FILE] = "temporary-file",
        [PURPOSE_RENAME] = "rename",
        [PURPOSE_DELETE_TEMPORARY] = "delete-temporary",
        [PURPOSE_READ_SOURCE] = "read-source",
        [PURPOSE_REPLY_FILE] = "reply-file",
        [PURPOSE_REMOTE_FILE] = "remote-file",
        [PURPOSE_HTTP] = "http",
        [PURPOSE_CLIENT_CERTIFICATE] = "client-certificate",
        [PURPOSE_NOTIFY_COMMAND] = "notify-command",
        [PURPOSE_SIGN_ON] = "sign-on",
        [PURPOSE_QUOTA] = "quota",
};
static_assert_table(purpose_names, PURPOSE_MAX);

const char *purpose_name(Purpose purpose)
{
        return purpose >= 0 && purpose < PURPOSE_MAX ? purpose_names[purpose] : NULL;
}

Actor identity_for(uint32_t flags, bool has_token, Purpose purpose)
{
        assert(purpose >= 0 && purpose < PURPOSE_MAX);
        assert((flags & ~(uint32_t)TOKEN_FLAGS_ALL) == 0);
        if ((flags & movers[purpose]) == 0)
                return ACTOR_OWNER;
        /* TOK-06, TOK-45 */
        return has_token ? ACTOR_HELPER : ACTOR_MISSING;
}
