/*
 * libcurl is given one scheme and one identity for each target, never a choice: with several bits
 * it would pair any scheme with the one user name it has. An implicit entry is an empty user name,
 * which only GSS-API understands, so it is never combined with another scheme.
 */
#include "net/auth.h"

#include "net/redirect.h"

#include <stdio.h>

/* Strongest first. Passport cannot be spoken. NET-55 */
static const struct {
        AuthScheme scheme;
        unsigned long bit;
} strength[] = {
        { AUTH_NEGOTIATE, CURLAUTH_NEGOTIATE },
        { AUTH_NTLM, CURLAUTH_NTLM },
        { AUTH_DIGEST, CURLAUTH_DIGEST },
        { AUTH_BASIC, CURLAUTH_BASIC },
};

static unsigned long bit_of(AuthScheme scheme)
{
        for (size_t i = 0; i < ELEMENTS(strength); i++)
                if (strength[i].scheme == scheme)
                        return strength[i].bit;
        return CURLAUTH_NONE;
}

static void describe(long offered, char *ret, size_t size)
{
        size_t n = 0;

        *ret = 0;
        for (size_t i = 0; i < ELEMENTS(strength); i++)
                if ((unsigned long)offered & strength[i].bit && n < size)
                        n += (size_t)snprintf(ret + n, size - n, "%s%s", n > 0 ? ", " : "",
                                              auth_scheme_name(strength[i].scheme));
        if (n == 0)
                snprintf(ret, size, "in a scheme that is not supported");
}

/* NET-53: the sentence says who asked, for what, and what to do. */
static AuthStep refuse(unsigned status, const char *url, NetFailure *failure, const char *what)
{
        char host[256];

        url_host(url, host, sizeof(host));
        if (status == 407)
                net_failure_set(failure, CONTEXT_REMOTE_FILE, BITS_E_HTTP(status),
                                "The proxy refused a connection to %s: it answered 407 %s%s%s",
                                host, http_reason(status), *what ? ": " : "", what);
        else
                net_failure_set(failure, CONTEXT_REMOTE_FILE, BITS_E_HTTP(status),
                                "%s answered %u %s%s%s", host, status, http_reason(status),
                                *what ? ": " : "", what);
        return AUTH_REFUSED;
}

static bool has_passport(const Pool *pool, AuthTarget target)
{
        return credentials_find(pool_credentials(pool), target, AUTH_PASSPORT) != NULL;
}

static AuthStep refuse_unfit(const Pool *pool, AuthTarget target, bool permitted, long offered,
                             unsigned status, const char *url, NetFailure *failure)
{
        char schemes[64], what[256] = "";

        describe(offered, schemes, sizeof(schemes));
        if (!permitted)
                snprintf(what, sizeof(what),
                         "the job was redirected there, and its credentials are for another host");
        else if (has_passport(pool, target))
                snprintf(what, sizeof(what), "the passport scheme is not implemented");
        else if (offered != 0)
                snprintf(
                        what, sizeof(what),
                        "it asks for credentials (%s), and the job has none that fit; set them and "
                        "resume",
                        schemes);
        return refuse(status, url, failure, what);
}

/* NET-163: without an entry of its own a job may show the identity's tickets to a proxy. NET-420:
   and the user of the URL to its server, in the schemes that authenticate a request and no more. */
static const Credential *find_entry(const Pool *pool, const Credential *of_url, AuthTarget target,
                                    AuthScheme scheme)
{
        static char nothing[] = "";
        static const Credential tickets = {
                .set = true, .implicit = true, .user = nothing, .password = nothing
        };
        const Credential *entry = credentials_find(pool_credentials(pool), target, scheme);

        if (!entry && target == AUTH_PROXY && scheme == AUTH_NEGOTIATE &&
            pool_terms(pool)->proxy_tickets)
                return &tickets;
        if (!entry && of_url && target == AUTH_SERVER &&
            (scheme == AUTH_DIGEST || scheme == AUTH_BASIC))
                return of_url;
        return entry;
}

/* NET-58, NET-59: only here is an entry chosen, and only after a challenge. */
AuthStep auth_answer(Auth *auth, Pool *pool, const Credential *of_url, AuthTarget target,
                     bool permitted, long offered, unsigned status, const char *url,
                     NetFailure *failure)
{
        char why[NET_DETAIL_MAX] = "";

        if (auth->entry) {
                snprintf(why, sizeof(why),
                         "the job's credentials (%s) were not accepted; correct them and resume",
                         auth_scheme_name(auth->scheme));
                return refuse(status, url, failure, why);
        }
        for (size_t i = 0; permitted && i < ELEMENTS(strength); i++) {
                AuthScheme scheme = strength[i].scheme;
                const Credential *entry = find_entry(pool, of_url, target, scheme);
                int r = 0;

                if (!entry || !((unsigned long)offered & strength[i].bit))
                        continue;
                if (scheme == AUTH_NEGOTIATE)
                        r = pool_prepare_negotiate(pool, entry, why);
                if (r == -ESTALE)
                        return AUTH_STALE;
                if (r < 0)
                        continue; /* a weaker scheme may do */
                *auth = (Auth){ .entry = entry, .scheme = scheme };
                return AUTH_AGAIN;
        }
        if (*why)
                return refuse(status, url, failure, why);
        return refuse_unfit(pool, target, permitted, offered, status, url, failure);
}

static void apply(const Auth *auth, CURL *easy, CURLoption scheme, CURLoption user,
                  CURLoption password)
{
        /* For Kerberos the identity is the pool's choice of tickets. */
        bool tickets = auth->scheme == AUTH_NEGOTIATE;

        if (!auth->entry) { /* NET-424: the handle may remember whom an earlier host was shown */
                curl_easy_setopt(easy, user, NULL);
                curl_easy_setopt(easy, password, NULL);
                return;
        }
        curl_easy_setopt(easy, scheme, (long)bit_of(auth->scheme));
        curl_easy_setopt(easy, user, tickets ? "" : auth->entry->user);
        curl_easy_setopt(easy, password, tickets ? "" : auth->entry->password);
        /* These two authenticate a connection, which HTTP/2 does not know. */
        if (tickets || auth->scheme == AUTH_NTLM)
                curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

void auth_apply(const Auth auth[AUTH_TARGET_MAX], CURL *easy)
{
        apply(&auth[AUTH_SERVER], easy, CURLOPT_HTTPAUTH, CURLOPT_USERNAME, CURLOPT_PASSWORD);
        apply(&auth[AUTH_PROXY], easy, CURLOPT_PROXYAUTH, CURLOPT_PROXYUSERNAME,
              CURLOPT_PROXYPASSWORD);
}
