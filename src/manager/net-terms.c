#include "manager/net-terms.h"

#include "basic/closer.h"
#include "basic/log.h"
#include "basic/secret.h"
#include "manager/engine.h"
#include "store/vault.h"

#include <stdio.h>

void net_terms_init(NetTerms *t, Store *store, const Job *job, bool secret)
{
        *t = (NetTerms){ .job = job,
                         .store = store,
                         .secret = secret,
                         .certificate = -EBADF,
                         .key = -EBADF,
                         .opened = { -EBADF, -EBADF, -EBADF } };
}

void net_terms_done(NetTerms *t)
{
        net_terms_sent(t);
        certificate_reading_free(t->reading);
        closer_close(t->certificate);
        closer_close(t->key);
}

/* ---- the client certificate ---- */

static void on_read(void *userdata, CertificateAnswer *answer)
{
        NetTerms *t = userdata;
        _cleanup_free_ char *detail = NULL;
        NetTermsAnswer ours = { .result = answer->result };

        if (answer->result == WORK_DONE && answer->error != 0) {
                ours.code = certificate_code(answer->error, true);
                if (asprintf(&detail, "cannot read the client certificate %s: %s", answer->name,
                             strerror(answer->error)) < 0)
                        detail = NULL;
                ours.detail = detail;
        } else if (answer->result == WORK_DONE) {
                t->certificate = TAKE_FD(answer->certificate);
                t->key = TAKE_FD(answer->key);
        }
        certificate_reading_free(TAKE_PTR(t->reading));
        t->on_ready(t->userdata, &ours);
}

/* TOK-150: anew for each transfer, by whoever is responsible now. */
int net_terms_read(NetTerms *t, Worker *worker,
                   void (*on_ready)(void *userdata, const NetTermsAnswer *answer), void *userdata)
{
        const HttpOptions *http = &t->job->http;
        WorkerIdentity identity;

        if (!t->secret || !http_has_certificate(http) || t->certificate >= 0)
                return 1;
        if (!engine_identity(t->job, PURPOSE_CLIENT_CERTIFICATE, &identity))
                return -ENOKEY;
        t->on_ready = on_ready;
        t->userdata = userdata;
        return certificate_read(worker_pool(worker), &identity, http->certificate,
                                http->certificate_key, on_read, t, &t->reading);
}

/* ---- a message ---- */

uint32_t net_terms_flags(const Job *job)
{
        const HttpOptions *http = &job->http;

        return net_class_flags((NetClass)job->priority) |
               ((http->security_flags & HTTP_REDIRECT_MASK) == HTTP_REDIRECT_DISALLOW
                        ? NET_FLAG_REDIRECT_DISALLOW
                        : 0) |
               (http->security_flags & HTTP_REDIRECT_HTTPS_TO_HTTP ? NET_FLAG_REDIRECT_HTTPS_TO_HTTP
                                                                   : 0) |
               (string_equal(http->certificate, CERTIFICATE_NONE) ? NET_FLAG_NO_CERTIFICATE : 0) |
               (job->proxy_tickets ? NET_FLAG_PROXY_TICKETS : 0);
}

/* SEC-82: a sealed box as a file, for the worker alone. */
static int box_to_fd(const NetTerms *t, const uint8_t *box, size_t box_size)
{
        uint8_t *bytes = NULL;
        size_t size = 0;
        int r;

        if (!box)
                return -ENODATA;
        r = vault_open(store_vault(t->store), t->job->id, box, box_size, &bytes, &size);
        if (r >= 0)
                r = secret_to_fd(bytes, size);
        secret_free(bytes, size);
        return r < 0 ? log_errno(LOG_ERR, r, "cannot open a secret of job %s", t->job->id) : r;
}

/* In the order of the bits. */
static uint32_t add(FdList *files, int fd, uint32_t bit)
{
        if (fd < 0)
                return 0;
        files->items[files->count++] = fd;
        return bit;
}

/* SEC-81 */
uint32_t net_terms_open(NetTerms *t, FdList *ret)
{
        const HttpOptions *http = &t->job->http;
        uint32_t which = 0;

        net_terms_sent(t);
        *ret = (FdList){ 0 };
        if (!t->secret)
                return 0;
        t->opened[0] = store_credentials_to_fd(t->store, t->job);
        t->opened[1] = box_to_fd(t, http->headers, http->headers_size);
        which |= add(ret, t->opened[0], NET_SECRET_CREDENTIALS);
        which |= add(ret, t->opened[1], NET_SECRET_HEADERS);
        if (t->certificate < 0)
                return which;
        t->opened[2] = box_to_fd(t, http->passphrase, http->passphrase_size);
        which |= add(ret, t->certificate, NET_SECRET_CERTIFICATE);
        which |= add(ret, t->key, NET_SECRET_KEY);
        return which | add(ret, t->opened[2], NET_SECRET_PASSPHRASE);
}

void net_terms_sent(NetTerms *t)
{
        for (size_t i = 0; i < ELEMENTS(t->opened); i++)
                t->opened[i] = closer_close(t->opened[i]);
}
