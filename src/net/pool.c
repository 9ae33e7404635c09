#include "net/pool.h"

#include "basic/secret.h"

#include <stdio.h>
#include <sys/queue.h>

enum {
        CACHE_NAME_MAX = 64,
};

struct Pool {
        Pools *pools;
        TAILQ_ENTRY(Pool) entries;
        unsigned references;
        uint8_t *bytes; /* secret: the key */
        size_t size;
        Credentials credentials;
        CurlGlue *glue;
        char cache[CACHE_NAME_MAX]; /* of an explicit Kerberos identity */
        const char *selected;       /* what GSS-API is to use in this pool's calls */
        bool logged_in;
};

struct Pools {
        sd_event *event;
        int64_t priority;
        CurlGlueDone on_done;
        Kerberos *kerberos;
        TAILQ_HEAD(PoolList, Pool) pools;
        uint64_t last_number;
        sd_event_source *sweep;
};

static void pool_free(Pool *pool)
{
        curl_glue_free(pool->glue);
        if (pool->logged_in)
                kerberos_forget(pool->pools->kerberos, pool->cache);
        credentials_done(&pool->credentials);
        secret_free(pool->bytes, pool->size);
        free(pool);
}

static void on_enter(void *userdata)
{
        const Pool *pool = userdata;

        kerberos_select(pool->selected);
}

static int pool_new(Pools *pools, uint8_t *bytes, size_t size, Pool **ret)
{
        Pool *pool = calloc(1, sizeof(*pool));
        int r = pool ? 0 : -ENOMEM;

        if (!pool) {
                secret_free(bytes, size);
                return r;
        }
        pool->pools = pools;
        pool->bytes = bytes;
        pool->size = size;
        pool->selected = KERBEROS_NONE;
        snprintf(pool->cache, sizeof(pool->cache), "MEMORY:openbits-%llu",
                 (unsigned long long)++pools->last_number);
        r = credentials_decode(bytes, size, &pool->credentials);
        if (r >= 0)
                r = curl_glue_new(pools->event, pools->priority, pools->on_done, &pool->glue);
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
                if (pool->references > 0 || pool->size == 0)
                        continue;
                TAILQ_REMOVE(&pools->pools, pool, entries);
                pool_free(pool);
        }
        return 0;
}

int pools_new(sd_event *event, int64_t priority, CurlGlueDone on_done, Kerberos *kerberos,
              Pools **ret)
{
        _cleanup_(pools_freep) Pools *pools = calloc(1, sizeof(*pools));
        int r;

        if (!pools)
                return -ENOMEM;
        TAILQ_INIT(&pools->pools);
        pools->event = sd_event_ref(event);
        pools->priority = priority;
        pools->on_done = on_done;
        pools->kerberos = kerberos;
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
        sd_event_source_disable_unref(pools->sweep);
        sd_event_unref(pools->event);
        free(pools);
}

int pools_get(Pools *pools, uint8_t *bytes, size_t size, Pool **ret)
{
        Pool *pool;
        int r;

        /* A pool that is about to be swept is as good as gone: its connections are not used
           again. */
        TAILQ_FOREACH (pool, &pools->pools, entries)
                if (pool->size == size && (size == 0 || (pool->references > 0 &&
                                                         memcmp(pool->bytes, bytes, size) == 0))) {
                        secret_free(bytes, size);
                        break;
                }
        if (!pool) {
                r = pool_new(pools, bytes, size, &pool);
                if (r < 0)
                        return r;
        }
        pool->references++;
        *ret = pool;
        return 0;
}

void pool_release(Pool *pool)
{
        if (!pool || --pool->references > 0 || pool->size == 0)
                return;
        (void)sd_event_source_set_enabled(pool->pools->sweep, SD_EVENT_ONESHOT);
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
