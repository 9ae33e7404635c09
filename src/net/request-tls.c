/*
 * What a TLS handshake ended for is found out, and the request made again: lists of revoked
 * certificates are fetched, one after the other, and whoever else judges the server is asked. The
 * loop goes on meanwhile; nobody waits but this request. The protocol that made the request notices
 * only that it took longer: it is told of the end of its request when all this is over, and
 * request_broken() then says REQUEST_AGAIN.
 *
 * An errand shows nobody and nothing of the job, and follows only http.
 */
#include "net/redirect.h"
#include "net/request.h"

#include <stdio.h>

enum {
        ERRANDS_MAX = 8,   /* lists for one request: the length of a chain */
        QUESTIONS_MAX = 4, /* a server that has another certificate each time */
        ERRAND_SECONDS = 60,
        ERRAND_HOPS_MAX = 5,
};

/* NET-151, SEC-153 */
int request_judge(Request *r)
{
        const PoolTerms *terms = pool_terms(r->pool);
        bool ours = url_same_site(r->first, r->url);
        char host[256];
        int n;

        url_host(r->url, host, sizeof(host));
        n = tls_new(&(TlsRules){ .host = host,
                                 .security = terms->security,
                                 .certificate = ours ? pool_certificate(r->pool) : NULL,
                                 .without_certificate = terms->without_certificate,
                                 .validated = *terms->validation != 0,
                                 .accepted = r->accepted,
                                 .crls = pool_crls(r->pool) },
                    &r->tls);
        if (n < 0)
                return n;
        if (tls_apply(r->tls, r->easy))
                return 0;
        net_failure_set(&r->failure, CONTEXT_GENERAL_TRANSPORT, BITS_E_NOT_IMPLEMENTED,
                        "The libcurl of this machine has another TLS library than OpenSSL");
        return -EOPNOTSUPP;
}

static bool fail(Request *r, BitsCode code, const char *sentence)
{
        char host[256];

        url_host(r->url, host, sizeof(host));
        net_failure_set(&r->failure, CONTEXT_REMOTE_FILE, code, sentence, host);
        return false;
}

/* ---- lists of revoked certificates ---- */

void request_drop_errand(Request *r)
{
        if (r->errand)
                curl_glue_return(pool_glue(r->pool), TAKE_PTR(r->errand));
        free(TAKE_PTR(r->fetched));
        r->n_fetched = 0;
}

static size_t on_fetched(char *data, size_t one, size_t size, void *userdata)
{
        Request *r = userdata;
        uint8_t *larger;

        (void)one;
        if (size > CRL_BYTES_MAX - r->n_fetched)
                return 0;
        larger = realloc(r->fetched, r->n_fetched + size);
        if (!larger)
                return 0;
        memcpy(larger + r->n_fetched, data, size);
        r->fetched = larger;
        r->n_fetched += size;
        return size;
}

static int prepare_errand(Request *r, const char *address)
{
        CURL *easy = r->errand;

        curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
        curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http");
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)ERRAND_HOPS_MAX);
        curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)ERRAND_SECONDS);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "OpenBITS/" PROJECT_VERSION);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_fetched);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
        if (curl_easy_setopt(easy, CURLOPT_URL, address) != CURLE_OK)
                return -ENOMEM;
        return request_set_proxy(r, easy, address);
}

/* NET-154 */
static bool begin_errand(Request *r)
{
        CurlGlue *glue = pool_glue(r->pool);

        if (++r->errands > ERRANDS_MAX)
                return fail(r, BITS_E_REVOCATION_FAILED,
                            "Whether the certificate of %s was revoked cannot be found out: it "
                            "needs too many lists");
        r->errand = curl_glue_borrow(glue);
        if (r->errand && prepare_errand(r, tls_missing_crl(r->tls)) >= 0 &&
            curl_glue_add(glue, r->errand) >= 0)
                return true;
        request_drop_errand(r);
        return fail(r, BITS_E_REVOCATION_FAILED,
                    "Whether the certificate of %s was revoked cannot be found out: the list "
                    "cannot be asked for");
}

void request_errand_done(Request *r, CURLcode result)
{
        char address[300], host[256];
        int n = -EIO;

        url_for_people(tls_missing_crl(r->tls), address, sizeof(address));
        url_host(r->url, host, sizeof(host));
        if (result == CURLE_OK)
                n = crls_add(pool_crls(r->pool), tls_missing_crl(r->tls), r->fetched, r->n_fetched);
        if (n < 0)
                net_failure_set(&r->failure, CONTEXT_REMOTE_FILE, BITS_E_REVOCATION_FAILED,
                                "Whether the certificate of %s was revoked cannot be found out: "
                                "the list at %s cannot be used: %s",
                                host, address,
                                result != CURLE_OK ? curl_easy_strerror(result)
                                                   : "it is no list of revoked certificates");
        request_drop_errand(r);
        r->found_out = n >= 0;
        r->on_done(r->userdata, r->result);
}

/* ---- whoever else judges ---- */

static bool ask(Request *r)
{
        NetCertificate question = { .fingerprint = tls_fingerprint(r->tls),
                                    .chain = tls_chain(r->tls) };
        char peer[300];

        if (++r->questions > QUESTIONS_MAX)
                return fail(r, BITS_E_SECURE_FAILURE,
                            "%s has another certificate for each connection");
        url_peer(r->url, peer, sizeof(peer));
        question.peer = peer;
        r->asking = true;
        r->listener->on_certificate(r->listener_userdata, &question);
        return true;
}

void request_accept(Request *r, BitsCode code, const char *detail)
{
        if (!r->asking)
                return;
        r->asking = false;
        if (code == 0) {
                snprintf(r->accepted, sizeof(r->accepted), "%s", tls_fingerprint(r->tls));
                r->found_out = true;
        } else
                net_failure_set(&r->failure, CONTEXT_SERVER_CERTIFICATE_CALLBACK, code, "%s",
                                detail);
        r->on_done(r->userdata, r->result);
}

bool request_find_out(Request *r)
{
        if (!r->tls || r->result == CURLE_OK || r->failure.code != 0)
                return false;
        switch (tls_note(r->tls)) {
        case TLS_CERTIFICATE_NEEDED:
                return fail(r, BITS_E_CLIENT_CERTIFICATE_NEEDED,
                            "%s asks for a client certificate, and the job has none for it");
        case TLS_CERTIFICATE_REFUSED:
                return fail(r, BITS_E_HTTP(403), "%s did not accept the job's client certificate");
        case TLS_REVOKED:
                return fail(r, BITS_E_REVOKED, "The certificate of %s was revoked");
        case TLS_REVOCATION_UNKNOWN:
                return fail(r, BITS_E_REVOCATION_FAILED,
                            "Whether the certificate of %s was revoked cannot be found out: there "
                            "is no list that says so");
        case TLS_CRL_NEEDED:
                return begin_errand(r);
        case TLS_VALIDATION_NEEDED:
                return ask(r);
        case TLS_NOTHING:
        case TLS_NOTE_MAX:
        case TLS_NOTE_INVALID:
                break;
        }
        return false;
}
