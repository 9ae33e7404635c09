/*
 * Redirects are followed by hand: libcurl's own following cannot say "not from https to http unless
 * permitted" hop by hop, and every hop starts as a new request here, so that nothing that belonged
 * to the first host (credentials in its URL, for one) reaches the next.
 */
#include "net/redirect.h"

#include "basic/secret.h"
#include "wire/protocol.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>

DEFINE_CLEANUP(CURLU, curl_url_cleanup);

static void curl_textp(char **text)
{
        curl_free(*text);
}

#define _cleanup_text_ _cleanup_(curl_textp)

static bool printable(const char *text)
{
        for (; *text; text++)
                if (*text <= 0x20 || *text > 0x7e)
                        return false;
        return true;
}

static bool has_scheme(CURLU *url, const char *scheme)
{
        _cleanup_text_ char *actual = NULL;

        return curl_url_get(url, CURLUPART_SCHEME, &actual, 0) == CURLUE_OK &&
               strcasecmp(actual, scheme) == 0;
}

static bool parse(CURLU *u, const char *url)
{
        /* A scheme that is not compiled in, or none at all, is no URL for us. */
        return u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
               (has_scheme(u, "http") || has_scheme(u, "https"));
}

bool url_is_acceptable(const char *url)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();

        return printable(url) && parse(u, url);
}

bool url_is_https(const char *url)
{
        return strncasecmp(url, "https:", 6) == 0;
}

/* NET-20 … NET-23, JOB-29, JOB-30 */
Redirect redirect_decide(const char *base, const char *location, uint32_t flags, unsigned hops,
                         char **ret_url)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        _cleanup_text_ char *target = NULL;
        char *copy;

        if (flags & NET_FLAG_REDIRECT_DISALLOW) {
                /* Where it leads is told, unless it leads down from https without leave. NET-155 */
                (void)redirect_decide(base, location, flags & ~(uint32_t)NET_FLAG_REDIRECT_DISALLOW,
                                      1, ret_url);
                return REDIRECT_DISALLOWED;
        }
        if (hops > REDIRECT_HOPS_MAX)
                return REDIRECT_TOO_MANY;
        /* Setting a URL over another one resolves it against that one; spaces and bytes past ASCII
           in the wild are encoded. */
        if (!parse(u, base) ||
            curl_url_set(u, CURLUPART_URL, location, CURLU_URLENCODE) != CURLUE_OK)
                return REDIRECT_NONSENSE;
        if (!has_scheme(u, "https")) {
                if (!has_scheme(u, "http"))
                        return REDIRECT_NONSENSE;
                if (url_is_https(base) && !(flags & NET_FLAG_REDIRECT_HTTPS_TO_HTTP))
                        return REDIRECT_DISALLOWED;
        }
        if (curl_url_get(u, CURLUPART_URL, &target, 0) != CURLUE_OK || !printable(target))
                return REDIRECT_NONSENSE;
        copy = strdup(target);
        if (!copy)
                return REDIRECT_NONSENSE;
        *ret_url = copy;
        return REDIRECT_FOLLOW;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
        _cleanup_text_ char *x = NULL, *y = NULL;

        return curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(x, y) == 0;
}

/* NET-54 */
bool url_same_origin(const char *a, const char *b)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url(), *v = curl_url();

        return parse(u, a) && parse(v, b) && same_part(u, v, CURLUPART_SCHEME) &&
               same_part(u, v, CURLUPART_HOST) && same_part(u, v, CURLUPART_PORT);
}

static bool has_port(CURLU *url, const char *port)
{
        _cleanup_text_ char *actual = NULL;

        return curl_url_get(url, CURLUPART_PORT, &actual, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               strcmp(actual, port) == 0;
}

/* NET-152, SEC-153 */
bool url_same_site(const char *a, const char *b)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url(), *v = curl_url();

        return url_same_origin(a, b) ||
               (parse(u, a) && parse(v, b) && has_scheme(u, "http") && has_port(u, "80") &&
                has_scheme(v, "https") && has_port(v, "443") && same_part(u, v, CURLUPART_HOST));
}

/* NET-121 */
char *url_with_host(const char *url, const char *host)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        _cleanup_text_ char *text = NULL;

        if (!parse(u, url) || curl_url_set(u, CURLUPART_HOST, host, 0) != CURLUE_OK ||
            curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK || !url_is_acceptable(text))
                return NULL;
        return strdup(text);
}

/* "%41" as "A"; NULL for what cannot stand in a header, and without memory. */
static char *unescape(const char *text, size_t size)
{
        int length = 0;
        char *copy, *decoded;

        if (size == 0) /* which libcurl takes for "up to the end" */
                return strdup("");
        decoded = curl_easy_unescape(NULL, text, (int)size, &length);
        if (!decoded)
                return NULL;
        copy = strlen(decoded) == (size_t)length ? strdup(decoded) : NULL;
        explicit_bzero(decoded, (size_t)length);
        curl_free(decoded);
        for (const char *p = copy; p && *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f) {
                        secret_free(copy, strlen(copy));
                        return NULL;
                }
        return copy;
}

/* NET-420 */
bool url_take_user(char *url, char **ret_user, char **ret_password)
{
        char *begin = strstr(url, "://"), *at, *colon, *user = NULL, *password = NULL;

        begin = begin ? begin + 3 : url;
        at = memrchr(begin, '@', strcspn(begin, "/?#"));
        if (!at)
                return false;
        colon = memchr(begin, ':', (size_t)(at - begin));
        if (!colon)
                colon = at;
        if (colon > begin) {
                user = unescape(begin, (size_t)(colon - begin));
                password = colon < at ? unescape(colon + 1, (size_t)(at - colon - 1)) : strdup("");
        }
        memmove(begin, at + 1, strlen(at));
        if (!user || !password) {
                free(user);
                secret_free(password, password ? strlen(password) : 0);
                return false;
        }
        *ret_user = user;
        *ret_password = password;
        return true;
}

static void copy_plain(char *ret, size_t size, const char *text)
{
        snprintf(ret, size, "%s", text);
        for (char *p = ret; *p; p++)
                if (*p < 0x20 || *p > 0x7e)
                        *p = '?';
}

void url_host(const char *url, char *ret, size_t size)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        _cleanup_text_ char *host = NULL;

        if (!parse(u, url) || curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
                copy_plain(ret, size, "?");
        else
                copy_plain(ret, size, host);
}

void url_peer(const char *url, char *ret, size_t size)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        _cleanup_text_ char *port = NULL;
        char host[256];

        url_host(url, host, sizeof(host));
        if (!parse(u, url) ||
            curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
                copy_plain(ret, size, host);
        else
                snprintf(ret, size, "%s:%s", host, port);
}

/* NET-36: without user, password, query and fragment. */
void url_for_people(const char *url, char *ret, size_t size)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        _cleanup_text_ char *text = NULL;

        if (!parse(u, url)) {
                copy_plain(ret, size, "?");
                return;
        }
        curl_url_set(u, CURLUPART_USER, NULL, 0);
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(u, CURLUPART_QUERY, NULL, 0);
        curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
        copy_plain(ret, size, curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK ? text : "?");
}

/* SEC-442 */
char *url_for_script(const char *url)
{
        _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
        _cleanup_text_ char *text = NULL, *host = NULL;

        if (!parse(u, url) || curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
                return NULL;
        for (char *c = host; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        curl_url_set(u, CURLUPART_HOST, host, 0);
        curl_url_set(u, CURLUPART_USER, NULL, 0);
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
        if (url_is_https(url)) {
                curl_url_set(u, CURLUPART_PATH, "/", 0);
                curl_url_set(u, CURLUPART_QUERY, NULL, 0);
        }
        return curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK ? strdup(text) : NULL;
}
