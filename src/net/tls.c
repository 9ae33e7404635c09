/*
 * libcurl makes a context of OpenSSL's for each new connection and shows it here before it is used.
 * The connection may outlive the request (it is kept for the next one), and OpenSSL calls back for
 * as long as it lives, so a Tls is counted: the request holds one reference, each context another.
 *
 * The order of a judgement: OpenSSL builds and checks the chain and reports each fault to
 * on_fault(), which pardons or not; lists of revoked certificates that are not there are noted
 * meanwhile and count only if all else was right, because the addresses come out of certificates
 * and must not be used before those are trusted. libcurl compares the host name itself, afterwards;
 * only whether anybody else has to be asked depends on it here.
 */
#include "net/tls.h"

#include "core/http-options.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <strings.h>

struct Tls {
        unsigned references;
        char *host, *accepted;
        uint32_t security;
        ClientCertificate *certificate;
        bool without_certificate, validated;
        Crls *crls;

        bool shown; /* the certificate, to a server that asked */
        bool unknown;
        TlsNote note;
        char missing[CRL_ADDRESS_MAX];
        char fingerprint[FINGERPRINT_MAX];
        char *chain;
};

DEFINE_CLEANUP(BIO, BIO_free_all);

static Tls *tls_ref(Tls *tls)
{
        tls->references++;
        return tls;
}

void tls_unref(Tls *tls)
{
        if (!tls || --tls->references > 0)
                return;
        client_certificate_unref(tls->certificate);
        free(tls->host);
        free(tls->accepted);
        free(tls->chain);
        free(tls);
}

/* An address of version 6 without its brackets. */
static char *plain_host(const char *host)
{
        return *host == '[' ? strndup(host + 1, strcspn(host + 1, "]")) : strdup(host);
}

int tls_new(const TlsRules *rules, Tls **ret)
{
        Tls *tls = calloc(1, sizeof(*tls));

        if (!tls)
                return -ENOMEM;
        *tls = (Tls){ .references = 1,
                      .host = plain_host(rules->host),
                      .accepted = strdup(rules->accepted),
                      .security = rules->security,
                      .certificate = client_certificate_ref(rules->certificate),
                      .without_certificate = rules->without_certificate,
                      .validated = rules->validated,
                      .crls = rules->crls };
        if (!tls->host || !tls->accepted) {
                tls_unref(tls);
                return -ENOMEM;
        }
        *ret = tls;
        return 0;
}

TlsNote tls_note(const Tls *tls)
{
        return tls->note;
}

const char *tls_missing_crl(const Tls *tls)
{
        return tls->missing;
}

const char *tls_fingerprint(const Tls *tls)
{
        return tls->fingerprint;
}

const char *tls_chain(const Tls *tls)
{
        return tls->chain ? tls->chain : "";
}

static void note(Tls *tls, TlsNote what)
{
        if (tls->note == TLS_NOTHING)
                tls->note = what;
}

/* ---- which end it is ---- */

static bool is_address(const char *host)
{
        struct in6_addr any;

        return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* A proxy that is spoken to over TLS has a name of its own. */
static bool is_server(const Tls *tls, const SSL *ssl)
{
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        size_t n = strlen(tls->host);

        if (is_address(tls->host))
                return !name;
        if (n > 0 && tls->host[n - 1] == '.')
                n--;
        return name && strlen(name) == n && strncasecmp(name, tls->host, n) == 0;
}

/* ---- the server's certificate ---- */

/* NET-151: each flag pardons its own faults and no other. */
static bool is_pardoned(uint32_t security, int fault)
{
        switch (fault) {
        case X509_V_ERR_CERT_NOT_YET_VALID:
        case X509_V_ERR_CERT_HAS_EXPIRED:
                return security & HTTP_IGNORE_DATE;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED:
                return security & HTTP_IGNORE_UNKNOWN_CA;
        case X509_V_ERR_INVALID_PURPOSE:
                return security & HTTP_IGNORE_WRONG_USAGE;
        }
        return false;
}

static bool is_about_lists(int fault)
{
        switch (fault) {
        case X509_V_ERR_UNABLE_TO_GET_CRL:
        case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
        case X509_V_ERR_CRL_SIGNATURE_FAILURE:
        case X509_V_ERR_CRL_NOT_YET_VALID:
        case X509_V_ERR_CRL_HAS_EXPIRED:
        case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
        case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
        case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
        case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
        case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
        case X509_V_ERR_DIFFERENT_CRL_SCOPE:
        case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
                return true;
        }
        return false;
}

/* An anchor is trusted because it is here; nobody else could revoke it. */
static bool is_anchor(X509_STORE_CTX *context)
{
        const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
        X509 *certificate = X509_STORE_CTX_get_current_cert(context);

        return X509_STORE_CTX_get_error_depth(context) == sk_X509_num(chain) - 1 &&
               X509_check_issued(certificate, certificate) == X509_V_OK;
}

/* A list that is missing or old can be fetched; anything else is as good as none. */
static void note_list(Tls *tls, X509_STORE_CTX *context, int fault)
{
        const X509 *certificate = X509_STORE_CTX_get_current_cert(context);
        char address[CRL_ADDRESS_MAX];

        if (is_anchor(context))
                return;
        if ((fault != X509_V_ERR_UNABLE_TO_GET_CRL && fault != X509_V_ERR_CRL_HAS_EXPIRED) ||
            !certificate || !crl_address(certificate, address) || crls_has(tls->crls, address))
                tls->unknown = true;
        else if (!tls->missing[0])
                memcpy(tls->missing, address, sizeof(address));
}

static int on_fault(int right, X509_STORE_CTX *context)
{
        Tls *tls = X509_STORE_CTX_get_app_data(context);
        int fault = X509_STORE_CTX_get_error(context);

        if (right)
                return 1;
        if (fault == X509_V_ERR_CERT_REVOKED)
                note(tls, TLS_REVOKED);
        else if (is_about_lists(fault) && tls->security & HTTP_CRL_CHECK)
                note_list(tls, context, fault);
        else if (!is_pardoned(tls->security, fault))
                return 0;
        if (fault == X509_V_ERR_CERT_REVOKED)
                return 0;
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
}

static char *chain_text(const STACK_OF(X509) * chain)
{
        _cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());
        long size = 0;
        char *data;

        for (int i = 0; bio && i < sk_X509_num(chain); i++) {
                long before = size;

                if (PEM_write_bio_X509(bio, sk_X509_value(chain, i)) != 1)
                        return NULL;
                size = BIO_get_mem_data(bio, &data);
                if (size > CHAIN_BYTES_MAX && i > 0) {
                        size = before; /* the server's own is what matters */
                        break;
                }
        }
        return bio && size > 0 && size <= CHAIN_BYTES_MAX ? strndup(data, (size_t)size) : NULL;
}

static bool name_fits(const Tls *tls, X509 *certificate)
{
        if (tls->security & HTTP_IGNORE_HOST_NAME)
                return true;
        if (is_address(tls->host))
                return X509_check_ip_asc(certificate, tls->host, 0) == 1;
        return X509_check_host(certificate, tls->host, 0, 0, NULL) == 1;
}

static bool note_fingerprint(Tls *tls, const X509 *certificate)
{
        uint8_t digest[EVP_MAX_MD_SIZE];
        unsigned size;

        if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1 ||
            2 * size >= sizeof(tls->fingerprint))
                return false;
        for (unsigned i = 0; i < size; i++)
                snprintf(tls->fingerprint + 2 * (size_t)i, 3, "%02x", digest[i]);
        return true;
}

static bool is_accepted(Tls *tls, X509_STORE_CTX *context)
{
        X509 *certificate = X509_STORE_CTX_get0_cert(context);

        if (!tls->validated || !name_fits(tls, certificate))
                return true; /* of a wrong name libcurl will say so */
        if (!note_fingerprint(tls, certificate))
                return false;
        if (string_equal(tls->fingerprint, tls->accepted))
                return true;
        free(tls->chain);
        tls->chain = chain_text(X509_STORE_CTX_get0_chain(context));
        if (tls->chain)
                note(tls, TLS_VALIDATION_NEEDED);
        return false;
}

static bool judge_server(Tls *tls, X509_STORE_CTX *context)
{
        if (X509_verify_cert(context) != 1)
                return false;
        if (tls->unknown)
                note(tls, TLS_REVOCATION_UNKNOWN);
        else if (tls->missing[0])
                note(tls, TLS_CRL_NEEDED);
        else
                return is_accepted(tls, context);
        return false;
}

/* NET-151, NET-154 */
static int on_verify(X509_STORE_CTX *context, void *userdata)
{
        Tls *tls = userdata;
        const SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
        STACK_OF(X509_CRL) *lists = NULL;
        bool right;

        if (!ssl || !is_server(tls, ssl))
                return X509_verify_cert(context);
        X509_STORE_CTX_set_app_data(context, tls);
        X509_STORE_CTX_set_verify_cb(context, on_fault);
        if (tls->security & HTTP_CRL_CHECK) {
                lists = crls_all(tls->crls);
                X509_STORE_CTX_set0_crls(context, lists);
                X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context),
                                            X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        }
        right = judge_server(tls, context);
        X509_STORE_CTX_set0_crls(context, NULL);
        sk_X509_CRL_pop_free(lists, X509_CRL_free);
        if (!right && X509_STORE_CTX_get_error(context) == X509_V_OK)
                X509_STORE_CTX_set_error(context, X509_V_ERR_APPLICATION_VERIFICATION);
        return right;
}

/* ---- our certificate ---- */

/* The server asks for one. SEC-153 */
static int on_asked(SSL *ssl, void *userdata)
{
        Tls *tls = userdata;

        if (!is_server(tls, ssl))
                return 1;
        if (!tls->certificate) {
                if (tls->without_certificate)
                        return 1;
                note(tls, TLS_CERTIFICATE_NEEDED);
                return 0;
        }
        tls->shown = true;
        return client_certificate_use(tls->certificate, ssl) ? 1 : 0;
}

static int context_index = -1;

/* What the server says about our certificate. */
static void on_info(const SSL *ssl, int where, int value)
{
        Tls *tls = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);

        if (!tls || !tls->shown || (where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT)
                return;
        switch (value & 0xff) {
        case SSL_AD_HANDSHAKE_FAILURE:
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
        case SSL_AD_ACCESS_DENIED:
        case SSL3_AD_NO_CERTIFICATE:
        case TLS13_AD_CERTIFICATE_REQUIRED:
                note(tls, TLS_CERTIFICATE_REFUSED);
        }
}

/* ---- contexts ---- */

static void on_context_freed(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long argl,
                             void *argp)
{
        (void)parent, (void)data, (void)index, (void)argl, (void)argp;
        tls_unref(value);
}

static CURLcode on_context(CURL *easy, void *ssl_context, void *userdata)
{
        SSL_CTX *context = ssl_context;
        Tls *tls = userdata;

        (void)easy;
        if (SSL_CTX_set_ex_data(context, context_index, tls_ref(tls)) != 1) {
                tls_unref(tls);
                return CURLE_OUT_OF_MEMORY;
        }
        SSL_CTX_set_cert_verify_callback(context, on_verify, tls);
        SSL_CTX_set_cert_cb(context, on_asked, tls);
        SSL_CTX_set_info_callback(context, on_info);
        return CURLE_OK;
}

bool tls_apply(Tls *tls, CURL *easy)
{
        const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);

        if (context_index < 0)
                context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_freed);
        if (context_index < 0 || !version->ssl_version ||
            strncmp(version->ssl_version, "OpenSSL/", 8) != 0)
                return false;
        if (tls->security & HTTP_IGNORE_HOST_NAME)
                curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        /* A session that is taken up again would not be judged again. */
        if (tls->security & HTTP_CRL_CHECK || tls->validated)
                curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
        return curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, tls) == CURLE_OK;
}
