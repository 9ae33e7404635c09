/*
 * Which identity does what: one table, purpose by flags, as in reference 01 section 3. Whoever
 * touches a file or the network for a job asks here first; nobody looks at the flags himself.
 *
 * A job without the token that its flags ask for gets ACTOR_MISSING, never the owner: falling back
 * would show the owner's identity to a server or directory it was meant to be kept from.
 */
#include "core/helper.h"

enum {
        O = ACTOR_OWNER,
        H = ACTOR_HELPER,
};

/* clang-format off */
/* TOK-01 … TOK-05; TOK-40, TOK-41, TOK-57 by the whole service */
static const uint8_t actors[][TOKEN_FLAGS_ALL + 1] = {
        /*                               0  LOCAL_FILE  NETWORK  both */
        [PURPOSE_CHECK_LOCAL_FILE]   = { O, H,          O,       H },
        [PURPOSE_TEMPORARY_FILE]     = { O, H,          O,       H },
        [PURPOSE_RENAME]             = { O, H,          O,       H },
        [PURPOSE_DELETE_TEMPORARY]   = { O, H,          O,       H },
        [PURPOSE_READ_SOURCE]        = { O, H,          O,       H },
        [PURPOSE_REPLY_FILE]         = { O, H,          O,       H },
        [PURPOSE_REMOTE_FILE]        = { O, O,          H,       H },
        [PURPOSE_HTTP]               = { O, O,          H,       H },
        [PURPOSE_CLIENT_CERTIFICATE] = { O, O,          O,       O },
        [PURPOSE_NOTIFY_COMMAND]     = { O, O,          O,       O },
        [PURPOSE_SIGN_ON]            = { O, O,          O,       O },
        [PURPOSE_QUOTA]              = { O, O,          O,       O },
};
/* clang-format on */
static_assert_table(actors, PURPOSE_MAX);

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
        Actor actor;

        assert(purpose >= 0 && purpose < PURPOSE_MAX);
        assert((flags & ~(uint32_t)TOKEN_FLAGS_ALL) == 0);
        actor = (Actor)actors[purpose][flags];
        /* TOK-06, TOK-45 */
        return actor == ACTOR_HELPER && !has_token ? ACTOR_MISSING : actor;
}
