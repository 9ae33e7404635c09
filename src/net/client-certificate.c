/*
 * The content is a stranger's as much as an answer of a server is, so it is parsed here and not in
 * the worker that read the file. Nothing of it is ever told to anybody: a sentence about it says
 * what is wrong, not what is in it.
 */
#include "net/client-certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

struct ClientCertificate {
        unsigned references;
        X509 *certificate;
        EVP_PKEY *key;
        STACK_OF(X509) * chain; /* may be NULL */
};

DEFINE_CLEANUP(BIO, BIO_free_all);
DEFINE_CLEANUP(PKCS12, PKCS12_free);

ClientCertificate *client_certificate_ref(ClientCertificate *c)
{
        if (c)
                c->references++;
        return c;
}

void client_certificate_unref(ClientCertificate *c)
{
        if (!c || --c->references > 0)
                return;
        X509_free(c->certificate);
        EVP_PKEY_free(c->key);
        sk_X509_pop_free(c->chain, X509_free);
        free(c);
}

bool client_certificate_use(const ClientCertificate *c, SSL *ssl)
{
        return SSL_use_certificate(ssl, c->certificate) == 1 &&
               SSL_use_PrivateKey(ssl, c->key) == 1 &&
               (!c->chain || SSL_set1_chain(ssl, c->chain) == 1);
}

static BIO *bio_of(const Secret *secret)
{
        return BIO_new_mem_buf(secret->bytes, (int)secret->size);
}

static const char *passphrase_of(const Secrets *secrets)
{
        return secrets->passphrase.bytes ? (const char *)secrets->passphrase.bytes : "";
}

/* Never a prompt. */
static int on_passphrase(char *buffer, int size, int writing, void *userdata)
{
        const char *passphrase = userdata;
        size_t n = strlen(passphrase);

        (void)writing;
        if (n == 0 || n > (size_t)size)
                return -1;
        memcpy(buffer, passphrase, n);
        return (int)n;
}

static bool read_pem_chain(ClientCertificate *c, BIO *bio)
{
        X509 *next;

        c->certificate = PEM_read_bio_X509_AUX(bio, NULL, on_passphrase, (void *)"");
        if (!c->certificate)
                return false;
        while ((next = PEM_read_bio_X509(bio, NULL, on_passphrase, (void *)""))) {
                if (!c->chain)
                        c->chain = sk_X509_new_null();
                if (!c->chain || !sk_X509_push(c->chain, next)) {
                        X509_free(next);
                        return false;
                }
        }
        return true;
}

static bool read_pkcs12(ClientCertificate *c, BIO *bio, const char *passphrase)
{
        _cleanup_(PKCS12_freep) PKCS12 *box = d2i_PKCS12_bio(bio, NULL);

        return box && PKCS12_parse(box, *passphrase ? passphrase : NULL, &c->key, &c->certificate,
                                   &c->chain) == 1;
}

static bool is_pkcs12(const Secret *secret)
{
        _cleanup_(BIO_free_allp) BIO *bio = bio_of(secret);
        _cleanup_(PKCS12_freep) PKCS12 *box = bio ? d2i_PKCS12_bio(bio, NULL) : NULL;

        return box != NULL;
}

static bool read_certificate(ClientCertificate *c, const Secret *secret)
{
        _cleanup_(BIO_free_allp) BIO *pem = bio_of(secret), *der = bio_of(secret);

        if (!pem || !der)
                return false;
        if (read_pem_chain(c, pem))
                return true;
        if (!c->certificate)
                c->certificate = d2i_X509_bio(der, NULL);
        return c->certificate != NULL;
}

static bool read_key(ClientCertificate *c, const Secret *secret, const char *passphrase)
{
        _cleanup_(BIO_free_allp) BIO *pem = bio_of(secret), *der = bio_of(secret);

        if (!pem || !der)
                return false;
        c->key = PEM_read_bio_PrivateKey(pem, NULL, on_passphrase, (void *)passphrase);
        if (!c->key)
                c->key = d2i_PrivateKey_bio(der, NULL);
        return c->key != NULL;
}

static const char *reason_of_key(void)
{
        unsigned long error = ERR_peek_error();

        switch (ERR_GET_REASON(error)) {
        case PEM_R_BAD_PASSWORD_READ:
                return ERR_GET_LIB(error) == ERR_LIB_PEM
                               ? "it is encrypted, and no passphrase is set"
                               : "it cannot be read";
        case PEM_R_NO_START_LINE:
                return ERR_GET_LIB(error) == ERR_LIB_PEM ? "there is no private key"
                                                         : "it cannot be read";
        }
        return "it cannot be read, or the passphrase is wrong";
}

/* SEC-152 */
static void load(ClientCertificate *c, const Secrets *secrets, NetFailure *failure)
{
        const char *passphrase = passphrase_of(secrets);
        _cleanup_(BIO_free_allp) BIO *bio = NULL;

        ERR_clear_error();
        if (!secrets->key.bytes && is_pkcs12(&secrets->certificate)) {
                bio = bio_of(&secrets->certificate);
                if (!bio || !read_pkcs12(c, bio, passphrase))
                        net_failure_set(failure, CONTEXT_LOCAL_FILE, BITS_E_NO_PRIVATE_KEY,
                                        "The PKCS#12 file of the client certificate cannot be "
                                        "opened: the passphrase is wrong or missing, or it is "
                                        "encrypted in an outdated way");
                else if (!c->certificate || !c->key)
                        net_failure_set(failure, CONTEXT_LOCAL_FILE, BITS_E_CERTIFICATE_NOT_FOUND,
                                        "The PKCS#12 file has no certificate with its private key");
        } else if (!read_certificate(c, &secrets->certificate))
                net_failure_set(failure, CONTEXT_LOCAL_FILE, BITS_E_CERTIFICATE_NOT_FOUND,
                                "The file of the client certificate has none in it: PEM, DER and "
                                "PKCS#12 are understood");
        else {
                ERR_clear_error();
                if (!read_key(c, secrets->key.bytes ? &secrets->key : &secrets->certificate,
                              passphrase))
                        net_failure_set(failure, CONTEXT_LOCAL_FILE, BITS_E_NO_PRIVATE_KEY,
                                        "The private key of the client certificate cannot be "
                                        "used: %s",
                                        reason_of_key());
        }
        if (failure->code == 0 && X509_check_private_key(c->certificate, c->key) != 1)
                net_failure_set(failure, CONTEXT_LOCAL_FILE, BITS_E_NO_PRIVATE_KEY,
                                "The private key is not the one of the client certificate");
        ERR_clear_error();
}

int client_certificate_new(const Secrets *secrets, NetFailure *failure, ClientCertificate **ret)
{
        ClientCertificate *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->references = 1;
        load(c, secrets, failure);
        if (failure->code != 0) {
                client_certificate_unref(c);
                c = NULL;
        }
        *ret = c;
        return 0;
}
