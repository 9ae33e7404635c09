/*
 * What is known is either a script or that there is none; it grows old, after a while or when what
 * it led to cannot be reached. Questions that come while the network is asked wait for that.
 *
 * The script is fetched as any stranger would: no proxy, no credentials, no cookie, bounded. There
 * is one of these for a worker, under the identity of all its work. TOK-440
 */
#include "net/autodetect.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/loopback.h"
#include "core/proxy.h"
#include "net/evaluation.h"
#include "net/net-error.h"
#include "net/redirect.h"
#include "net/wpad.h"

#include <stdio.h>
#include <sys/queue.h>

enum {
        SCRIPT_BYTES_MAX = 1024 * 1024,
        HOPS_MAX = 5,
        CONNECT_SECONDS = 5,
        FETCH_SECONDS = 10,
        SEARCH_SECONDS = 30,
        EVALUATIONS_MAX = 4, /* at a time */
        NOTE_MAX = 300,
};

#define SCRIPT_USEC (600 * USEC_PER_SEC) /* that a script is good for */
#define NONE_USEC   (60 * USEC_PER_SEC)  /* that it is believed that there is none */

typedef enum Knowledge {
        KNOWLEDGE_NONE,
        KNOWLEDGE_SOUGHT,
        KNOWLEDGE_FOUND, /* that there is a script, or that there is none */
        KNOWLEDGE_MAX,
        KNOWLEDGE_INVALID = -1,
} Knowledge;

struct ProxyQuestion {
        TAILQ_ENTRY(ProxyQuestion) entries;
        Autodetect *autodetect;
        char *url;
        OnProxies on_proxies;
        void *userdata;
        Evaluation *evaluation; /* NULL: it waits */
};
DEFINE_CLEANUP(ProxyQuestion, autodetect_drop);

struct Autodetect {
        sd_event *event;
        int64_t priority;
        AutodetectTerms terms;
        CurlGlue *glue;
        Resolver *resolver;
        sd_event_source *work;
        TAILQ_HEAD(QuestionList, ProxyQuestion) questions;
        unsigned evaluations;

        Knowledge knowledge;
        uint64_t until;      /* it is known; µs of CLOCK_BOOTTIME */
        char *script;        /* NULL: there is none */
        bool complained;     /* of this script */
        char note[NOTE_MAX]; /* why there is none */

        WpadPlaces places;
        size_t place; /* the one that is tried */
        uint64_t search_end;
        CURL *easy; /* borrowed while something is fetched */
        char *fetched;
        size_t n_fetched;
};

static void on_fetch_done(void *userdata, CURLcode result);

static const CurlGlueListener glue_listener = { .on_done = on_fetch_done };

static uint64_t now_usec(void)
{
        return clock_usec(CLOCK_BOOTTIME);
}

/* The next turn of the loop looks at all questions. */
static void wake(Autodetect *a)
{
        (void)sd_event_source_set_enabled(a->work, SD_EVENT_ONESHOT);
}

/* ---- fetching ---- */

static size_t on_fetched(char *data, size_t one, size_t size, void *userdata)
{
        Autodetect *a = userdata;
        char *larger;

        (void)one;
        if (size > SCRIPT_BYTES_MAX - a->n_fetched)
                return 0;
        larger = realloc(a->fetched, a->n_fetched + size + 1);
        if (!larger)
                return 0;
        memcpy(larger + a->n_fetched, data, size);
        a->fetched = larger;
        a->n_fetched += size;
        larger[a->n_fetched] = 0;
        return size;
}

/* NET-443 */
static int prepare_fetch(Autodetect *a, CURL *easy, const char *url, uint64_t left)
{
        long seconds = (long)MIN(left / USEC_PER_SEC + 1, (uint64_t)FETCH_SECONDS);

        curl_easy_setopt(easy, CURLOPT_PRIVATE, a);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
        curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)HOPS_MAX);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT, seconds);
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE, (long)SCRIPT_BYTES_MAX);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "OpenBITS/" PROJECT_VERSION);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_fetched);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
        if (a->terms.ca_file)
                curl_easy_setopt(easy, CURLOPT_CAINFO, a->terms.ca_file);
        if (a->terms.ca_path)
                curl_easy_setopt(easy, CURLOPT_CAPATH, a->terms.ca_path);
        return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK ? 0 : -ENOMEM;
}

static void drop_fetch(Autodetect *a)
{
        if (a->easy)
                curl_glue_return(a->glue, TAKE_PTR(a->easy));
        free(TAKE_PTR(a->fetched));
        a->n_fetched = 0;
}

/* Most workers never ask: libcurl's part is made for the first fetch. */
static int begin_fetch(Autodetect *a, const char *url, uint64_t left)
{
        int r = a->glue ? 0 : curl_glue_new(a->event, a->priority, &glue_listener, &a->glue);

        if (r < 0)
                return r;
        a->easy = curl_glue_borrow(a->glue);
        if (!a->easy || prepare_fetch(a, a->easy, url, left) < 0)
                return -ENOMEM;
        return curl_glue_add(a->glue, a->easy);
}

static void know(Autodetect *a, char *script, uint64_t usec)
{
        free(a->script);
        a->script = script;
        a->complained = false;
        a->knowledge = KNOWLEDGE_FOUND;
        a->until = now_usec() + usec;
        wake(a);
}

/* NET-444: that there is no proxy to be found is nothing that a job fails for. */
static void give_up(Autodetect *a)
{
        if (string_empty(a->note))
                snprintf(a->note, sizeof(a->note),
                         a->places.count > 0 ? "no host wpad of this machine's domains has a script"
                                             : "this machine has no domain to look in");
        log_info("proxies are not autodetected: %s", a->note);
        know(a, NULL, NONE_USEC);
}

static void try_place(Autodetect *a)
{
        for (; a->place < a->places.count; a->place++) {
                uint64_t now = now_usec();

                if (now >= a->search_end)
                        break;
                if (begin_fetch(a, a->places.urls[a->place], a->search_end - now) >= 0)
                        return;
                drop_fetch(a);
        }
        give_up(a);
}

static void search(Autodetect *a)
{
        _cleanup_free_ char *domains = wpad_own_domains();

        a->knowledge = KNOWLEDGE_SOUGHT;
        a->search_end = now_usec() + SEARCH_SECONDS * USEC_PER_SEC;
        a->place = 0;
        a->note[0] = 0;
        wpad_places(domains ? domains : "", &a->places);
        try_place(a);
}

/* Why what was fetched is no script; false: it is one, or there is no server. The first one that
   answers is told of. */
static bool note_failure(Autodetect *a, CURLcode result)
{
        const char *url = a->places.urls[a->place];
        long status = 0;

        curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
        if (result == CURLE_OK && status == 200 && a->fetched && strlen(a->fetched) == a->n_fetched)
                return false;
        if (!string_empty(a->note))
                return true;
        if (result == CURLE_FILESIZE_EXCEEDED || result == CURLE_WRITE_ERROR)
                snprintf(a->note, sizeof(a->note), "%s is longer than a script may be", url);
        else if (result == CURLE_OK && status != 200)
                snprintf(a->note, sizeof(a->note), "%s was answered with %ld", url, status);
        else if (result == CURLE_OK)
                snprintf(a->note, sizeof(a->note), "%s is no text", url);
        else if (result != CURLE_COULDNT_RESOLVE_HOST)
                snprintf(a->note, sizeof(a->note), "%s: %s", url, curl_easy_strerror(result));
        return true;
}

static void on_fetch_done(void *userdata, CURLcode result)
{
        Autodetect *a = userdata;
        char *script = NULL;

        if (!note_failure(a, result))
                script = TAKE_PTR(a->fetched);
        drop_fetch(a);
        if (script) {
                a->note[0] = 0;
                log_info("proxies are as %s says", a->places.urls[a->place]);
                know(a, script, SCRIPT_USEC);
                return;
        }
        a->place++;
        try_place(a);
}

/* ---- questions ---- */

static void take_out(ProxyQuestion *q)
{
        Autodetect *a = q->autodetect;

        TAILQ_REMOVE(&a->questions, q, entries);
        if (q->evaluation) {
                a->evaluations--;
                wake(a);
        }
        evaluation_free(TAKE_PTR(q->evaluation));
}

void autodetect_drop(ProxyQuestion *q)
{
        if (!q)
                return;
        take_out(q);
        free(q->url);
        free(q);
}

static void answer(ProxyQuestion *q, const char *list, const char *note)
{
        OnProxies on_proxies = q->on_proxies;
        void *userdata = q->userdata;

        autodetect_drop(q);
        on_proxies(userdata, list, note);
}

/* One line for a script: it may be asked thousands of times. */
static void complain(Autodetect *a, const char *note)
{
        if (!a->complained)
                log_notice("going without proxy: %s", note);
        a->complained = true;
}

/* NET-444. Whoever made the process end would do so again. */
static void on_evaluated(void *userdata, EvaluationEnd end, const char *text)
{
        ProxyQuestion *q = userdata;
        Autodetect *a = q->autodetect;
        _cleanup_free_ char *list = NULL;
        char note[NOTE_MAX] = "";
        const char *url = a->place < a->places.count ? a->places.urls[a->place] : "the script";

        if (end == EVALUATION_BROKEN)
                snprintf(note, sizeof(note), "%s needs too much time or memory", url);
        else if (end == EVALUATION_FAILED)
                snprintf(note, sizeof(note), "%s fails: %.150s", url, text);
        else if (proxy_list_from_answer(text, &list) < 0)
                snprintf(note, sizeof(note), "%s answers with nonsense: %.100s", url, text);
        if (*note)
                complain(a, note);
        if (end == EVALUATION_BROKEN && a->script) {
                strcpy(a->note, note);
                know(a, NULL, NONE_USEC);
        }
        answer(q, list ? list : "", note);
}

static int evaluate(ProxyQuestion *q)
{
        Autodetect *a = q->autodetect;
        _cleanup_free_ char *url = url_for_script(q->url);
        EvaluationTerms terms = { .event = a->event,
                                  .priority = a->priority,
                                  .keeper = a->terms.keeper,
                                  .resolver = a->resolver,
                                  .script = a->script,
                                  .url = url };
        char host[LOOPBACK_HOST_MAX];
        int r;

        if (!url || !loopback_host(url, host))
                return -EINVAL;
        terms.host = host;
        r = evaluation_new(&terms, on_evaluated, q, &q->evaluation);
        if (r >= 0)
                a->evaluations++;
        return r;
}

static bool is_here(const char *url)
{
        char host[LOOPBACK_HOST_MAX];

        return loopback_host(url, host) && loopback_is_host(host);
}

/* What can be done about a question now. True: it was answered, and may be gone. */
static bool serve(ProxyQuestion *q)
{
        Autodetect *a = q->autodetect;
        char note[NOTE_MAX];
        int r;

        if (q->evaluation)
                return false;
        if (is_here(q->url)) { /* NET-448 */
                answer(q, "", "");
                return true;
        }
        if (a->knowledge == KNOWLEDGE_NONE ||
            (a->knowledge == KNOWLEDGE_FOUND && now_usec() >= a->until))
                search(a);
        if (a->knowledge == KNOWLEDGE_SOUGHT)
                return false;
        if (a->script && a->evaluations >= EVALUATIONS_MAX)
                return false;
        strcpy(note, a->note);
        r = a->script ? evaluate(q) : -ENOENT;
        if (r >= 0)
                return false;
        if (a->script) {
                snprintf(note, sizeof(note), "the script cannot be asked: %s", strerror(-r));
                complain(a, note);
        }
        answer(q, "", note);
        return true;
}

static int on_work(sd_event_source *source, void *userdata)
{
        Autodetect *a = userdata;
        ProxyQuestion *q = TAILQ_FIRST(&a->questions);

        (void)source;
        /* Whoever is answered may ask again, or drop others. */
        while (q)
                q = serve(q) ? TAILQ_FIRST(&a->questions) : TAILQ_NEXT(q, entries);
        return 0;
}

int autodetect_ask(Autodetect *a, const char *url, OnProxies on_proxies, void *userdata,
                   ProxyQuestion **ret)
{
        ProxyQuestion *q = malloc(sizeof(*q));

        if (!q)
                return -ENOMEM;
        *q = (ProxyQuestion){
                .autodetect = a, .url = strdup(url), .on_proxies = on_proxies, .userdata = userdata
        };
        if (!q->url) {
                free(q);
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&a->questions, q, entries);
        wake(a);
        *ret = q;
        return 0;
}

/* NET-443 */
void autodetect_doubt(Autodetect *a)
{
        if (a->knowledge == KNOWLEDGE_FOUND)
                a->knowledge = KNOWLEDGE_NONE;
}

/* ---- life ---- */

int autodetect_new(sd_event *event, int64_t priority, const AutodetectTerms *terms,
                   Autodetect **ret)
{
        _cleanup_(autodetect_freep) Autodetect *a = calloc(1, sizeof(*a));
        int r;

        if (!a) {
                fd_close(terms->keeper);
                return -ENOMEM;
        }
        TAILQ_INIT(&a->questions);
        a->event = sd_event_ref(event);
        a->priority = priority;
        a->terms = *terms;
        r = resolver_new(event, priority, &a->resolver);
        if (r >= 0)
                r = sd_event_add_defer(event, &a->work, on_work, a);
        if (r >= 0)
                r = sd_event_source_set_priority(a->work, priority);
        if (r >= 0)
                r = sd_event_source_set_enabled(a->work, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

void autodetect_free(Autodetect *a)
{
        if (!a)
                return;
        assert(TAILQ_EMPTY(&a->questions));
        drop_fetch(a);
        curl_glue_free(a->glue);
        resolver_free(a->resolver);
        sd_event_source_disable_unref(a->work);
        fd_close(a->terms.keeper);
        free(a->script);
        sd_event_unref(a->event);
        free(a);
}
