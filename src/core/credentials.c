/*
 * The bytes of a set, for the store, the worker and the comparison of two sets: for each entry
 *
 *      u8 target | u8 scheme | u8 implicit | u32 length, user | u32 length, password
 *
 * in the order of target and scheme, so that equal sets have equal bytes. Lengths are in the order
 * of the machine: the bytes never leave it.
 */
#include "core/credentials.h"

#include "basic/secret.h"
#include "basic/utf8.h"

#include <string.h>

enum {
        ENTRY_HEAD = 3,
        TEXT_HEAD = sizeof(uint32_t),
};

static const char *auth_target_name(AuthTarget target)
{
        static const char *const names[] = {
                [AUTH_SERVER] = "server",
                [AUTH_PROXY] = "proxy",
        };
        static_assert_table(names, AUTH_TARGET_MAX);

        return target >= 0 && target < AUTH_TARGET_MAX ? names[target] : NULL;
}

const char *auth_scheme_name(AuthScheme scheme)
{
        static const char *const names[] = {
                [AUTH_BASIC] = "basic",         [AUTH_DIGEST] = "digest",     [AUTH_NTLM] = "ntlm",
                [AUTH_NEGOTIATE] = "negotiate", [AUTH_PASSPORT] = "passport",
        };
        static_assert_table(names, AUTH_SCHEME_MAX);

        return scheme >= 0 && scheme < AUTH_SCHEME_MAX ? names[scheme] : NULL;
}

AuthTarget auth_target_parse(const char *name)
{
        for (AuthTarget t = 0; t < AUTH_TARGET_MAX; t++)
                if (string_equal(name, auth_target_name(t)))
                        return t;
        return AUTH_TARGET_INVALID;
}

AuthScheme auth_scheme_parse(const char *name)
{
        for (AuthScheme s = 0; s < AUTH_SCHEME_MAX; s++)
                if (string_equal(name, auth_scheme_name(s)))
                        return s;
        return AUTH_SCHEME_INVALID;
}

static void text_free(char *text)
{
        if (text)
                secret_free(text, strlen(text));
}

void credential_done(Credential *entry)
{
        text_free(entry->user);
        text_free(entry->password);
        *entry = (Credential){ 0 };
}

/* SEC-80 */
void credentials_done(Credentials *c)
{
        for (AuthTarget t = 0; t < AUTH_TARGET_MAX; t++)
                for (AuthScheme s = 0; s < AUTH_SCHEME_MAX; s++)
                        credential_done(&c->entries[t][s]);
}

bool credentials_empty(const Credentials *c)
{
        for (AuthTarget t = 0; t < AUTH_TARGET_MAX; t++)
                for (AuthScheme s = 0; s < AUTH_SCHEME_MAX; s++)
                        if (c->entries[t][s].set)
                                return false;
        return true;
}

/* ---- rules ---- */

static bool is_longer(const char *text, size_t characters)
{
        size_t length;

        return !utf8_length(text, &length) || length > characters;
}

static bool has_control(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        return true;
        return false;
}

static BitsCode check_implicit(AuthScheme scheme, const char *user, const char *password,
                               const char **ret_why)
{
        if (!string_empty(user) || !string_empty(password)) {
                *ret_why = "implicit credentials have neither user nor password";
                return BITS_E_INVALID_ARGUMENT;
        }
        if (scheme == AUTH_NEGOTIATE)
                return 0;
        if (scheme == AUTH_NTLM) {
                *ret_why =
                        "Linux keeps no NTLM credentials of those who are signed on: give a user "
                        "and a password, or use negotiate (Kerberos)";
                return BITS_E_NOT_IMPLEMENTED;
        }
        *ret_why = "this scheme needs a user and a password";
        return BITS_E_INVALID_ARGUMENT;
}

/* NET-50, NET-51 */
BitsCode credentials_check(AuthTarget target, AuthScheme scheme, bool implicit, const char *user,
                           const char *password, const char **ret_why)
{
        if (target == AUTH_TARGET_INVALID) {
                *ret_why = "the target is \"server\" or \"proxy\"";
                return BG_E_INVALID_AUTH_TARGET;
        }
        if (scheme == AUTH_SCHEME_INVALID) {
                *ret_why = "the scheme is \"basic\", \"digest\", \"ntlm\", \"negotiate\" or "
                           "\"passport\"";
                return BG_E_INVALID_AUTH_SCHEME;
        }
        if (implicit)
                return check_implicit(scheme, user, password, ret_why);
        if (is_longer(user, USER_NAME_CHARACTERS_MAX)) {
                *ret_why = "the user name is longer than 300 characters";
                return BG_E_USERNAME_TOO_LARGE;
        }
        if (is_longer(password, PASSWORD_CHARACTERS_MAX)) {
                *ret_why = "the password is longer than 65536 characters";
                return BG_E_PASSWORD_TOO_LARGE;
        }
        if (string_empty(user) || has_control(user) || has_control(password)) {
                *ret_why = "the user name is empty, or it or the password has a control character";
                return BG_E_INVALID_CREDENTIALS;
        }
        if (scheme == AUTH_BASIC && strchr(user, ':')) {
                *ret_why = "the basic scheme has no user names with a colon";
                return BG_E_INVALID_CREDENTIALS;
        }
        return 0;
}

int credentials_set(Credentials *c, AuthTarget target, AuthScheme scheme, bool implicit,
                    const char *user, const char *password)
{
        Credential entry = { .set = true, .implicit = implicit };

        assert(target >= 0 && target < AUTH_TARGET_MAX && scheme >= 0 && scheme < AUTH_SCHEME_MAX);
        entry.user = strdup(implicit ? "" : user);
        entry.password = strdup(implicit ? "" : password);
        if (!entry.user || !entry.password) {
                credential_done(&entry);
                return -ENOMEM;
        }
        credential_done(&c->entries[target][scheme]);
        c->entries[target][scheme] = entry;
        return 0;
}

bool credentials_remove(Credentials *c, AuthTarget target, AuthScheme scheme)
{
        Credential *entry = &c->entries[target][scheme];
        bool was_set = entry->set;

        credential_done(entry);
        return was_set;
}

static bool has_explicit(const Credentials *c, AuthTarget target)
{
        for (AuthScheme s = 0; s < AUTH_SCHEME_MAX; s++)
                if (c->entries[target][s].set && !c->entries[target][s].implicit)
                        return true;
        return false;
}

/* NET-52 */
const Credential *credentials_find(const Credentials *c, AuthTarget target, AuthScheme scheme)
{
        const Credential *entry = &c->entries[target][scheme];

        if (entry->set)
                return entry;
        entry = &c->entries[AUTH_PROXY][scheme];
        if (target == AUTH_SERVER && entry->set && entry->implicit && !has_explicit(c, target))
                return entry;
        return NULL;
}

/* ---- bytes ---- */

static size_t entry_size(const Credential *entry)
{
        return entry->set
                       ? ENTRY_HEAD + 2 * TEXT_HEAD + strlen(entry->user) + strlen(entry->password)
                       : 0;
}

static uint8_t *put_text(uint8_t *p, const char *text)
{
        uint32_t length = (uint32_t)strlen(text);

        memcpy(p, &length, sizeof(length));
        memcpy(p + TEXT_HEAD, text, length);
        return p + TEXT_HEAD + length;
}

int credentials_encode(const Credentials *c, uint8_t **ret, size_t *ret_size)
{
        size_t size = 0;
        uint8_t *bytes, *p;

        for (AuthTarget t = 0; t < AUTH_TARGET_MAX; t++)
                for (AuthScheme s = 0; s < AUTH_SCHEME_MAX; s++)
                        size += entry_size(&c->entries[t][s]);
        p = bytes = malloc(size + 1);
        if (!bytes)
                return -ENOMEM;
        for (AuthTarget t = 0; t < AUTH_TARGET_MAX; t++)
                for (AuthScheme s = 0; s < AUTH_SCHEME_MAX; s++) {
                        const Credential *entry = &c->entries[t][s];

                        if (!entry->set)
                                continue;
                        *p++ = (uint8_t)t;
                        *p++ = (uint8_t)s;
                        *p++ = entry->implicit;
                        p = put_text(put_text(p, entry->user), entry->password);
                }
        *ret = bytes;
        *ret_size = size;
        return 0;
}

/* A text of `*left` bytes; moves on behind it. */
static int get_text(const uint8_t **p, size_t *left, char **ret)
{
        uint32_t length;

        if (*left < TEXT_HEAD)
                return -EBADMSG;
        memcpy(&length, *p, sizeof(length));
        if (length > *left - TEXT_HEAD || memchr(*p + TEXT_HEAD, 0, length))
                return -EBADMSG;
        *ret = strndup((const char *)*p + TEXT_HEAD, length);
        if (!*ret)
                return -ENOMEM;
        *p += TEXT_HEAD + length;
        *left -= TEXT_HEAD + length;
        return 0;
}

static int get_entry(Credentials *c, const uint8_t **p, size_t *left)
{
        Credential *entry;
        int r;

        if (*left < ENTRY_HEAD || (*p)[0] >= AUTH_TARGET_MAX || (*p)[1] >= AUTH_SCHEME_MAX ||
            (*p)[2] > 1)
                return -EBADMSG;
        entry = &c->entries[(*p)[0]][(*p)[1]];
        if (entry->set)
                return -EBADMSG;
        entry->set = true;
        entry->implicit = (*p)[2];
        *p += ENTRY_HEAD;
        *left -= ENTRY_HEAD;
        r = get_text(p, left, &entry->user);
        return r < 0 ? r : get_text(p, left, &entry->password);
}

int credentials_decode(const uint8_t *bytes, size_t size, Credentials *ret)
{
        Credentials c = { 0 };
        int r = 0;

        while (size > 0 && r >= 0)
                r = get_entry(&c, &bytes, &size);
        if (r < 0) {
                credentials_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}
