/*
 * List: entries `[protocol=][protocol://]server[:port]` behind each other, divided by spaces,
 * commas or semicolons. The protocol before "=" says for which remote names the entry is (none: for
 * all for which there is no own one), the one before "://" how the proxy is spoken to; `direct://`
 * is no proxy at all. Tried in order. What a configuration script answers becomes such a list.
 *
 * Bypass list: host names or addresses divided by spaces or semicolons; "*" at the far left stands
 * for any beginning; "<local>" for every name without a dot.
 */
#include "core/proxy.h"

#include "basic/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define LIST_DIVIDERS   " \t,;"
#define BYPASS_DIVIDERS " \t;"

const char *proxy_usage_name(ProxyUsage usage)
{
        static const char *const names[] = {
                [PROXY_PRECONFIG] = "preconfig",
                [PROXY_NONE] = "no-proxy",
                [PROXY_OVERRIDE] = "override",
                [PROXY_AUTODETECT] = "autodetect",
        };
        static_assert_table(names, PROXY_USAGE_MAX);

        return usage >= 0 && usage < PROXY_USAGE_MAX ? names[usage] : NULL;
}

ProxyUsage proxy_usage_parse(const char *name)
{
        for (ProxyUsage u = 0; u < PROXY_USAGE_MAX; u++)
                if (string_equal(name, proxy_usage_name(u)))
                        return u;
        return PROXY_USAGE_INVALID;
}

static bool too_long(const char *text)
{
        size_t length;

        return !utf8_length(text, &length) || length > PROXY_LIST_CHARACTERS_MAX;
}

/* NET-60 */
BitsCode proxy_check(ProxyUsage usage, const char *list, const char *bypass, const char **ret_why)
{
        if (usage == PROXY_USAGE_INVALID) {
                *ret_why = "the usage is \"preconfig\", \"no-proxy\", \"override\" or "
                           "\"autodetect\"";
                return BITS_E_NOT_IMPLEMENTED;
        }
        if (too_long(list)) {
                *ret_why = "the proxy list is longer than 4000 characters";
                return BG_E_PROXY_LIST_TOO_LARGE;
        }
        if (too_long(bypass)) {
                *ret_why = "the bypass list is longer than 4000 characters";
                return BG_E_PROXY_BYPASS_LIST_TOO_LARGE;
        }
        if ((usage == PROXY_OVERRIDE) == string_empty(list)) {
                *ret_why = usage == PROXY_OVERRIDE ? "\"override\" needs a proxy list"
                                                   : "a proxy list goes with \"override\" only";
                return BITS_E_INVALID_ARGUMENT;
        }
        if (usage != PROXY_OVERRIDE && !string_empty(bypass)) {
                *ret_why = "a bypass list goes with \"override\" only";
                return BITS_E_INVALID_ARGUMENT;
        }
        return 0;
}

/* ---- the list ---- */

typedef struct Span {
        const char *at;
        size_t length;
} Span;

static bool next_word(const char **text, const char *dividers, Span *ret)
{
        ret->at = *text + strspn(*text, dividers);
        ret->length = strcspn(ret->at, dividers);
        *text = ret->at + ret->length;
        return ret->length > 0;
}

static bool starts_with(const Span *span, const char *prefix)
{
        size_t n = strlen(prefix);

        return span->length >= n && strncasecmp(span->at, prefix, n) == 0;
}

static void skip(Span *span, size_t n)
{
        span->at += n;
        span->length -= n;
}

/* Takes "scheme=" off. *ret_scheme is "" for an entry without. False: for another protocol. */
static bool take_purpose(Span *entry, const char *scheme, bool *ret_own)
{
        const char *equals = memchr(entry->at, '=', entry->length);
        size_t n = strlen(scheme);

        *ret_own = equals != NULL;
        if (!equals)
                return true;
        if ((size_t)(equals - entry->at) != n || strncasecmp(entry->at, scheme, n) != 0)
                return false;
        skip(entry, n + 1);
        return true;
}

/* server[:port], where a server is a name, an IPv4 address, or [an IPv6 address]. */
static bool parse_server(const Span *s, Span *ret_host, unsigned *port)
{
        size_t i = 0;

        if (s->length > 0 && s->at[0] == '[') {
                const char *end = memchr(s->at, ']', s->length);

                for (i = 1; end && s->at + i < end; i++)
                        if (!isxdigit((unsigned char)s->at[i]) && !strchr(":.", s->at[i]))
                                return false;
                i = end && i > 1 ? i + 1 : 0;
        } else
                while (i < s->length &&
                       (isalnum((unsigned char)s->at[i]) || strchr("-._", s->at[i])))
                        i++;
        if (i == 0 || i > 255)
                return false;
        *ret_host = (Span){ s->at, i };
        if (i == s->length)
                return true;
        if (s->at[i++] != ':' || i == s->length || s->length - i > 5)
                return false;
        for (*port = 0; i < s->length; i++) {
                if (!isdigit((unsigned char)s->at[i]))
                        return false;
                *port = *port * 10 + (unsigned)(s->at[i] - '0');
        }
        return *port > 0 && *port < 65536;
}

/* How proxies are spoken to: libcurl's word, and the port of those that name none, as Windows has
   it. With both kinds of SOCKS the proxy resolves the names. */
typedef struct Manner {
        const char *prefix;  /* in lists */
        const char *keyword; /* in the answer of a script */
        const char *scheme;
        unsigned port;
} Manner;

#define DIRECT_PREFIX "direct://"

static const Manner manners[] = {
        { "http://", "PROXY", "http", 80 },         { "http://", "HTTP", "http", 80 },
        { "https://", "HTTPS", "https", 443 },      { "socks4://", "SOCKS", "socks4a", 1080 },
        { "socks4://", "SOCKS4", "socks4a", 1080 }, { "socks5://", "SOCKS5", "socks5h", 1080 },
};

static bool is_word(const Span *span, const char *word)
{
        return span->length == strlen(word) && starts_with(span, word);
}

static int make_url(Span entry, char ret[PROXY_URL_MAX])
{
        const Manner *manner = &manners[0];
        unsigned port;
        Span host;

        if (is_word(&entry, DIRECT_PREFIX)) {
                *ret = 0;
                return 1;
        }
        for (size_t i = 0; i < ELEMENTS(manners); i++)
                if (starts_with(&entry, manners[i].prefix)) {
                        manner = &manners[i];
                        skip(&entry, strlen(manner->prefix));
                        break;
                }
        port = manner->port;
        if (entry.length > 0 && entry.at[entry.length - 1] == '/')
                entry.length--;
        if (!parse_server(&entry, &host, &port))
                return -EINVAL;
        snprintf(ret, PROXY_URL_MAX, "%s://%.*s:%u", manner->scheme, (int)host.length, host.at,
                 port);
        return 1;
}

static bool has_own(const char *list, const char *scheme)
{
        Span entry;
        bool own;

        while (next_word(&list, LIST_DIVIDERS, &entry))
                if (take_purpose(&entry, scheme, &own) && own)
                        return true;
        return false;
}

/* NET-61, NET-62 */
int proxy_select(const char *list, const char *scheme, unsigned index, char ret[PROXY_URL_MAX])
{
        bool want_own = has_own(list, scheme), own;
        Span entry;

        while (next_word(&list, LIST_DIVIDERS, &entry))
                if (take_purpose(&entry, scheme, &own) && own == want_own && index-- == 0)
                        return make_url(entry, ret);
        return 0;
}

/* ---- what a script answers ---- */

/* The text as an entry of a list; false: it is none that we know. */
static bool append_entry(Span entry, char *list, size_t room)
{
        const char *text = entry.at;
        size_t used = strlen(list);
        unsigned port = 0;
        Span word, server, host;

        if (!next_word(&text, " \t", &word))
                return false;
        word.length = MIN(word.length, entry.length);
        text = word.at + word.length;
        server = (Span){ text, entry.length - (size_t)(text - entry.at) };
        skip(&server, MIN(server.length, strspn(server.at, " \t")));
        while (server.length > 0 && strchr(" \t", server.at[server.length - 1]))
                server.length--;
        if (is_word(&word, "DIRECT") && server.length == 0) {
                snprintf(list + used, room - used, "%s ", DIRECT_PREFIX);
                return true;
        }
        for (size_t i = 0; i < ELEMENTS(manners); i++)
                if (is_word(&word, manners[i].keyword) && parse_server(&server, &host, &port)) {
                        snprintf(list + used, room - used, "%s%.*s ", manners[i].prefix,
                                 (int)server.length, server.at);
                        return true;
                }
        return false;
}

/* NET-445 */
int proxy_list_from_answer(const char *answer, char **ret)
{
        size_t room = PROXY_ANSWER_ENTRIES_MAX * (size_t)PROXY_URL_MAX;
        _cleanup_free_ char *list = calloc(1, room);
        unsigned n = 0, known = 0;
        Span entry;

        if (!list)
                return -ENOMEM;
        while (known < PROXY_ANSWER_ENTRIES_MAX && next_word(&answer, ";", &entry)) {
                skip(&entry, MIN(entry.length, strspn(entry.at, " \t")));
                n += entry.length > 0;
                known += entry.length > 0 && append_entry(entry, list, room);
        }
        if (n > 0 && known == 0)
                return -EINVAL;
        *ret = TAKE_PTR(list);
        return 0;
}

/* ---- the bypass list ---- */

/* An IPv6 address, as URLs have it or bare. NET-423 */
static Span without_brackets(Span s)
{
        if (s.length > 2 && s.at[0] == '[' && s.at[s.length - 1] == ']')
                s = (Span){ s.at + 1, s.length - 2 };
        return s;
}

/* NET-63 */
bool proxy_bypassed(const char *bypass, const char *asked)
{
        Span name = without_brackets((Span){ asked, strlen(asked) }), word;
        const char *host = name.at;
        size_t length = name.length;

        while (next_word(&bypass, BYPASS_DIVIDERS, &word)) {
                word = without_brackets(word);
                if (starts_with(&word, "<local>") && word.length == strlen("<local>")) {
                        if (!memchr(host, '.', length) && !memchr(host, ':', length))
                                return true;
                } else if (word.at[0] == '*') {
                        skip(&word, 1);
                        if (word.length <= length &&
                            strncasecmp(host + length - word.length, word.at, word.length) == 0)
                                return true;
                } else if (word.length == length && strncasecmp(host, word.at, length) == 0)
                        return true;
        }
        return false;
}
