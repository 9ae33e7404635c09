/*
 * The end that the broker keeps serves one purpose: its hang-up says that the last copy of the
 * other end was closed. It takes no data: reading is shut down before the other end leaves the
 * house, so that nobody can stuff a token into its own queue, where it would keep itself alive, or
 * make the kernel hold bytes for us. Whoever holds a copy may also end the token early with
 * shutdown().
 *
 * Two trees: records by cookie, numbers by user. What a user can make the broker hold is one
 * descriptor and one record per token, both bounded by his number and by that of all.
 */
#include "broker/token.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "broker/broker.h"
#include "broker/keep.h"

#include <search.h>
#include <sys/socket.h>

typedef struct User {
        uid_t uid; /* the key, first */
        unsigned count;
} User;

typedef struct Token {
        uint64_t cookie; /* the key, first */
        Tokens *tokens;
        Identity identity;
        int kept;
        bool stored; /* in the service manager's fd store */
        sd_event_source *source;
} Token;

struct Tokens {
        sd_event *event;
        unsigned max, count;
        void *by_cookie, *users;
};

static int compare_cookies(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static int compare_users(const void *a, const void *b)
{
        uid_t x = *(const uid_t *)a, y = *(const uid_t *)b;

        return (x > y) - (x < y);
}

static unsigned user_limit(uid_t uid)
{
        return identity_is_administrator(uid) ? TOKENS_ROOT : TOKENS_PER_USER;
}

/* TOK-16, TOK-85, LIM-24: one more for this user. 0 or -errno. */
static int user_charge(Tokens *tokens, uid_t uid)
{
        User **found = tfind(&uid, &tokens->users, compare_users);
        User *user;

        if (tokens->count >= tokens->max)
                return -ENFILE;
        if (found) {
                if ((*found)->count >= user_limit(uid))
                        return -EUSERS;
                (*found)->count++;
                return 0;
        }
        user = malloc(sizeof(*user));
        if (!user)
                return -ENOMEM;
        *user = (User){ .uid = uid, .count = 1 };
        if (!tsearch(user, &tokens->users, compare_users)) {
                free(user);
                return -ENOMEM;
        }
        return 0;
}

static void user_discharge(Tokens *tokens, uid_t uid)
{
        User **found = tfind(&uid, &tokens->users, compare_users);
        User *user = *found;

        if (--user->count > 0)
                return;
        tdelete(user, &tokens->users, compare_users);
        free(user);
}

static void token_free(Token *token)
{
        if (!token)
                return;
        sd_event_source_disable_unref(token->source);
        fd_close(token->kept);
        identity_done(&token->identity);
        free(token);
}
DEFINE_CLEANUP(Token, token_free);

/* TOK-14. The loop holds its own reference to the source while this runs. */
static int on_last_copy_closed(sd_event_source *source _unused_, int fd _unused_,
                               uint32_t revents _unused_, void *userdata)
{
        Token *token = userdata;
        Tokens *tokens = token->tokens;

        log_debug("token %llu of uid %u has ended", (unsigned long long)token->cookie,
                  (unsigned)token->identity.uid);
        if (token->stored)
                keep_forget(token->cookie);
        tdelete(token, &tokens->by_cookie, compare_cookies);
        user_discharge(tokens, token->identity.uid);
        tokens->count--;
        token_free(token);
        return 0;
}

/* No event is asked for: a hang-up is always reported. */
static int token_watch(Token *token)
{
        int r = sd_event_add_io(token->tokens->event, &token->source, token->kept, 0,
                                on_last_copy_closed, token);

        return r < 0 ? r : sd_event_source_set_priority(token->source, LOOP_TOKEN_ENDS);
}

/* The socket pair: one end kept and watched, the other to give away. */
static int token_connect(Token *token, int *ret_fd)
{
        _cleanup_close_ int given = -EBADF;
        int pair[2], r;

        r = fd_socketpair(SOCK_SEQPACKET, true, pair);
        if (r < 0)
                return r;
        token->kept = pair[0];
        given = pair[1];
        if (shutdown(token->kept, SHUT_RD) < 0)
                return -errno;
        r = fd_socket_cookie(given, &token->cookie);
        if (r < 0)
                return r;
        r = token_watch(token);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(given);
        return 0;
}

static int token_new(Tokens *tokens, Token **ret, int *ret_fd)
{
        _cleanup_(token_freep) Token *token = malloc(sizeof(*token));
        _cleanup_close_ int given = -EBADF;
        int r;

        if (!token)
                return -ENOMEM;
        *token = (Token){ .tokens = tokens, .kept = -EBADF };
        r = token_connect(token, &given);
        if (r < 0)
                return r;
        if (!tsearch(token, &tokens->by_cookie, compare_cookies))
                return -ENOMEM;
        *ret = TAKE_PTR(token);
        *ret_fd = TAKE_FD(given);
        return 0;
}

int tokens_mint(Tokens *tokens, Identity *identity, int *ret_fd)
{
        Token *token;
        int r;

        r = user_charge(tokens, identity->uid);
        if (r < 0)
                return r;
        r = token_new(tokens, &token, ret_fd);
        if (r < 0) {
                user_discharge(tokens, identity->uid);
                return r;
        }
        tokens->count++;
        token->identity = *identity;
        *identity = (Identity){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
        return 0;
}

/* TOK-12, TOK-54 */
int tokens_find(Tokens *tokens, int fd, TokenInfo *ret)
{
        uint64_t cookie;
        Token **found;

        if (fd_socket_cookie(fd, &cookie) < 0)
                return -ENOENT;
        found = tfind(&cookie, &tokens->by_cookie, compare_cookies);
        if (!found)
                return -ENOENT;
        *ret = (TokenInfo){ .cookie = cookie, .identity = &(*found)->identity };
        return 0;
}

/* TOK-67 */
void tokens_keep(Tokens *tokens, uint64_t cookie)
{
        Token **found = tfind(&cookie, &tokens->by_cookie, compare_cookies);
        Token *token;
        int r;

        if (!found || (*found)->stored)
                return;
        token = *found;
        r = keep_token(cookie, token->kept, &token->identity);
        if (r < 0)
                log_errno(LOG_WARNING, r, "a token of uid %u will not outlive the broker",
                          (unsigned)token->identity.uid);
        token->stored = r >= 0;
}

/* Charged like a new one: the bounds are those of this broker. */
static int restore(Tokens *tokens, int kept, int record)
{
        _cleanup_(token_freep) Token *token = malloc(sizeof(*token));
        int r;

        if (!token)
                return -ENOMEM;
        *token = (Token){ .tokens = tokens, .kept = -EBADF, .stored = true };
        r = keep_read(record, kept, &token->cookie, &token->identity);
        if (r < 0)
                return r;
        r = user_charge(tokens, token->identity.uid);
        if (r < 0)
                return r;
        token->kept = kept;
        r = token_watch(token);
        if (r >= 0 && !tsearch(token, &tokens->by_cookie, compare_cookies))
                r = -ENOMEM;
        if (r < 0) {
                token->kept = -EBADF; /* the caller's, as before */
                user_discharge(tokens, token->identity.uid);
                return r;
        }
        tokens->count++;
        log_debug("token %llu of uid %u lives on", (unsigned long long)token->cookie,
                  (unsigned)token->identity.uid);
        TAKE_PTR(token);
        return 0;
}

int tokens_restore(Tokens *tokens, int a, int b)
{
        uint64_t cookie;
        bool a_is_socket = fd_socket_cookie(a, &cookie) >= 0;
        int kept = a_is_socket ? a : b, record = a_is_socket ? b : a;
        int r = restore(tokens, kept, record);

        fd_close(record);
        if (r < 0)
                fd_close(kept);
        return r;
}

unsigned tokens_count(const Tokens *tokens)
{
        return tokens->count;
}

int tokens_new(sd_event *event, unsigned max, Tokens **ret)
{
        Tokens *tokens = malloc(sizeof(*tokens));

        if (!tokens)
                return -ENOMEM;
        *tokens = (Tokens){ .event = sd_event_ref(event), .max = MIN(max, (unsigned)TOKENS_MAX) };
        *ret = tokens;
        return 0;
}

static void token_free_node(void *token)
{
        token_free(token);
}

void tokens_free(Tokens *tokens)
{
        if (!tokens)
                return;
        tdestroy(tokens->by_cookie, token_free_node);
        tdestroy(tokens->users, free);
        sd_event_unref(tokens->event);
        free(tokens);
}
