#include "net/pool.h"

#include "core/http-options.h"

#include <stdio.h>
#include <sys/queue.h>

enum {
        CACHE_NAME_MAX = 64,
};

struct Pool {
        Pools *pools;
        TAILQ_ENTRY(Pool) entries;
        unsigned references;
        PoolTerms terms; /* validation: owned */
        Secrets secrets;
        bool plain; /* neither secrets nor terms */
        Credentials credentials;
        ClientCertificate *certificate;
        struct curl_slist *headers;
        NetFailure failure;
        CurlGlue *glue;
        char cache[CACHE_NAME_MAX]; /* of an explicit Kerberos identity */
        const char *selected;       /* what GSS-API is to use in this pool's calls */
        bool logged_in;
};

struct Pools {
        sd_event *event;
        int64_t priority;
        const CurlGlueListener *listener;
        Kerberos *kerberos;
        TAILQ_HEAD(PoolList, Pool) pools;
        uint64_t last_number;
        sd_event_source *sweep;
        Crls *crls; /* outlives every connection */
};

/* Headers may be as secret as a password. SEC-80 */
static void header_list_free(struct curl_slist *list)
{
        for (struct curl_slist *item = list; item; item = item->next)
                explicit_bzero(item->data, strlen(item->data));
        curl_slist_free_all(list);
}

static void pool_free(Pool *pool)
{
        curl_glue_free(pool->glue);
        if (pool->logged_in)
                kerberos_forget(pool->pools->kerberos, pool->cache);
        credentials_done(&pool->credentials);
        client_certificate_unref(pool->certificate);
        header_list_free(pool->headers);
        secrets_done(&pool->secrets);
        free((char *)pool->terms.validation);
        free(pool);
}

static void on_enter(void *userdata)
{
        const Pool *pool = userdata;

        kerberos_select(pool->selected);
}

/* ---- whose connections ---- */

static bool same_secret(const Secret *a, const Secret *b)
{
        return a->size == b->size && !a->bytes == !b->bytes &&
               (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

/* SEC-154 */
static bool is_for(const Pool *pool, const PoolTerms *terms, const Secrets *s)
{
        return pool->terms.background == terms->background &&
               pool->terms.security == terms->security &&
               pool->terms.without_certificate == terms->without_certificate &&
               pool->terms.proxy_tickets == terms->proxy_tickets &&
               string_equal(pool->terms.validation, terms->validation) &&
               same_secret(&pool->secrets.credentials, &s->credentials) &&
               same_secret(&pool->secrets.headers, &s->headers) &&
               same_secret(&pool->secrets.certificate, &s->certificate) &&
               same_secret(&pool->secrets.key, &s->key) &&
               same_secret(&pool->secrets.passphrase, &s->passphrase);
}

static bool is_plain(const PoolTerms *terms, const Secrets *s)
{
        return terms->security == 0 && !terms->without_certificate && !terms->proxy_tickets &&
               !*terms->validation && !s->credentials.bytes && !s->headers.bytes &&
               !s->certificate.bytes;
}

/* ---- what is shown ---- */

/* For libcurl, a line without a value would take the field away. */
static int add_header(struct curl_slist **list, const char *line, size_t size)
{
        _cleanup_free_ char *text = NULL;
        struct curl_slist *longer;
        size_t value;
        char *colon;

        if (size == 0)
                return 0;
        text = strndup(line, size);
        colon = text ? strchr(text, ':') : NULL;
        if (!colon)
                return text ? -EBADMSG : -ENOMEM;
        value = strspn(colon + 1, " \t");
        if (!colon[1 + value])
                strcpy(colon, ";");
        longer = curl_slist_append(*list, text);
        explicit_bzero(text, strlen(text));
        if (!longer)
                return -ENOMEM;
        *list = longer;
        return 0;
}

/* NET-152 */
static int read_headers(Pool *pool)
{
        const char *text = (const char *)pool->secrets.headers.bytes, *line, *why;
        size_t size;
        int r = 0;

        if (!text)
                return 0;
        if (strlen(text) != pool->secrets.headers.size || http_check_headers(text, &why) != 0)
                return -EBADMSG;
        while (r >= 0 && http_next_header(&text, &line, &size))
                r = add_header(&pool->headers, line, size);
        return r;
}

static int read_secrets(Pool *pool)
{
        int r = credentials_decode(pool->secrets.credentials.bytes, pool->secrets.credentials.size,
                                   &pool->credentials);

        if (r >= 0)
                r = read_headers(pool);
        if (r >= 0 && pool->secrets.certificate.bytes)
                r = client_certificate_new(&pool->secrets, &pool->failure, &pool->certificate);
        return r;
}

static int pool_new(Pools *pools, const PoolTerms *terms, Secrets *secrets, Pool **ret)
{
        Pool *pool = calloc(1, sizeof(*pool));
        int r;

        if (!pool)
                return -ENOMEM;
        pool->pools = pools;
        pool->plain = is_plain(terms, secrets);
        pool->secrets = *secrets;
        *secrets = (Secrets){ 0 };
        pool->terms = *terms;
        pool->terms.validation = strdup(terms->validation);
        pool->selected = KERBEROS_NONE;
        snprintf(pool->cache, sizeof(pool->cache), "MEMORY:openbits-%llu",
                 (unsigned long long)++pools->last_number);
        r = pool->terms.validation ? read_secrets(pool) : -ENOMEM;
        if (r >= 0)
                r = curl_glue_new(pools->event, pools->priority, pools->listener, &pool->glue);
        if (r < 0) {
                pool_free(pool);
                return r;
        }
        curl_glue_set_enter(pool->glue, on_enter, pool);
        TAILQ_INSERT_TAIL(&pools->pools, pool, entries);
        *ret = pool;
        return 0;
}

/* A pool may end inside a callback of its own glue: it is freed from the loop. */
static int on_sweep(sd_event_source *source, void *userdata)
{
        Pools *pools = userdata;
        Pool *pool, *next;

        (void)source;
        for (pool = TAILQ_FIRST(&pools->pools); pool; pool = next) {
                next = TAILQ_NEXT(pool, entries);
                if (pool->references > 0 || pool->plain)
                        continue;
                TAILQ_REMOVE(&pools->pools, pool, entries);
                pool_free(pool);
        }
        return 0;
}

int pools_new(sd_event *event, int64_t priority, const CurlGlueListener *listener,
              Kerberos *kerberos, Pools **ret)
{
        _cleanup_(pools_freep) Pools *pools = calloc(1, sizeof(*pools));
        int r;

        if (!pools)
                return -ENOMEM;
        TAILQ_INIT(&pools->pools);
        pools->event = sd_event_ref(event);
        pools->priority = priority;
        pools->listener = listener;
        pools->kerberos = kerberos;
        r = crls_new(&pools->crls);
        if (r < 0)
                return r;
        r = sd_event_add_defer(event, &pools->sweep, on_sweep, pools);
        if (r >= 0)
                r = sd_event_source_set_enabled(pools->sweep, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(pools->sweep, priority);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(pools);
        return 0;
}

void pools_free(Pools *pools)
{
        Pool *pool;

        if (!pools)
                return;
        while ((pool = TAILQ_FIRST(&pools->pools))) {
                TAILQ_REMOVE(&pools->pools, pool, entries);
                pool_free(pool);
        }
        crls_free(pools->crls);
        sd_event_source_disable_unref(pools->sweep);
        sd_event_unref(pools->event);
        free(pools);
}

int pools_get(Pools *pools, const PoolTerms *terms, Secrets *secrets, Pool **ret)
{
        Pool *pool;
        int r = 0;

        /* A pool that is about to be swept is as good as gone: its connections are not used
           again. */
        TAILQ_FOREACH (pool, &pools->pools, entries)
                if ((pool->plain || pool->references > 0) && is_for(pool, terms, secrets))
                        break;
        if (!pool)
                r = pool_new(pools, terms, secrets, &pool);
        secrets_done(secrets);
        if (r < 0)
                return r;
        pool->references++;
        *ret = pool;
        return 0;
}

void pool_release(Pool *pool)
{
        if (!pool || --pool->references > 0 || pool->plain)
                return;
        (void)sd_event_source_set_enabled(pool->pools->sweep, SD_EVENT_ONESHOT);
}

const PoolTerms *pool_terms(const Pool *pool)
{
        return &pool->terms;
}

Crls *pool_crls(const Pool *pool)
{
        return pool->pools->crls;
}

ClientCertificate *pool_certificate(const Pool *pool)
{
        return pool->certificate;
}

const struct curl_slist *pool_headers(const Pool *pool)
{
        return pool->headers;
}

const NetFailure *pool_failure(const Pool *pool)
{
        return &pool->failure;
}

CurlGlue *pool_glue(Pool *pool)
{
        return pool->glue;
}

const Credentials *pool_credentials(const Pool *pool)
{
        return &pool->credentials;
}

/* GSS-API has one identity at a time for server and proxy of a request. */
static bool same_identity(const Credential *a, const Credential *b)
{
        if (!a || !b)
                return true;
        return a->implicit == b->implicit && string_equal(a->user, b->user) &&
               string_equal(a->password, b->password);
}

/* NET-57, TOK-30, TOK-31, TOK-32: the worker's identity is the network's; its tickets are its
   own. */
int pool_prepare_negotiate(Pool *pool, const Credential *entry, char *why)
{
        Kerberos *kerberos = pool->pools->kerberos;
        int r;

        if (!same_identity(credentials_find(&pool->credentials, AUTH_SERVER, AUTH_NEGOTIATE),
                           credentials_find(&pool->credentials, AUTH_PROXY, AUTH_NEGOTIATE))) {
                snprintf(
                        why, NET_DETAIL_MAX,
                        "one job cannot show two Kerberos identities, one to the server and one to "
                        "the proxy");
                return -EOPNOTSUPP;
        }
        if (entry->implicit) {
                r = kerberos_refresh(kerberos, why);
                if (r >= 0)
                        pool->selected = KERBEROS_OWN;
                return r;
        }
        if (!pool->logged_in) {
                r = kerberos_login(kerberos, pool->cache, entry->user, entry->password, why);
                if (r < 0)
                        return r;
                pool->logged_in = true;
        }
        pool->selected = pool->cache;
        return 0;
}
