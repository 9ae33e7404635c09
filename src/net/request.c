#include "net/request.h"

#include "net/redirect.h"
#include "net/route.h"

enum {
        RECEIVE_BYTES = 512 * 1024,
        CONNECT_SECONDS = 60,
};

static void on_ended(void *userdata, CURLcode result)
{
        Request *r = userdata;

        if (r->errand) {
                request_errand_done(r, result);
                return;
        }
        r->result = result;
        if (!request_find_out(r))
                r->on_done(r->userdata, result);
}

int request_init(Request *r, Pool *pool, const RequestSettings *settings, const RequestTerms *terms,
                 void (*on_done)(void *userdata, CURLcode result), void *userdata)
{
        *r = (Request){ .pool = pool,
                        .settings = settings,
                        .on_done = on_done,
                        .userdata = userdata,
                        .listener = terms->listener,
                        .listener_userdata = terms->userdata,
                        .proxy_usage = terms->proxy_usage,
                        .paced = { .class = terms->class, .on_failed = on_ended, .userdata = r } };
        r->url = strdup(terms->url);
        if (r->url) {
                r->of_url.set = url_take_user(r->url, &r->of_url.user, &r->of_url.password);
                r->first = strdup(r->url);
        }
        r->proxy_list = strdup(terms->proxy_list);
        r->proxy_bypass = strdup(terms->proxy_bypass);
        return r->url && r->first && r->proxy_list && r->proxy_bypass ? 0 : -ENOMEM;
}

/* All but the handle. */
static void forget_request(Request *r)
{
        request_drop_errand(r);
        autodetect_drop(TAKE_PTR(r->question));
        r->asking = false;
        pacer_leave(r->settings->pacer, &r->paced);
        curl_slist_free_all(TAKE_PTR(r->headers));
        tls_unref(TAKE_PTR(r->tls));
}

void request_drop(Request *r)
{
        if (r->easy)
                curl_glue_return(pool_glue(r->pool), TAKE_PTR(r->easy));
        forget_request(r);
}

/* POL-385 */
static void hold_window(Request *r)
{
        if (r->paced.class != NET_FOREGROUND)
                window_hold(&r->window, pacer_rate(r->settings->pacer, &r->paced));
}

/* Before the other end can fill a window that is never taken back. */
static int on_socket(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
        Request *r = userdata;

        (void)purpose;
        window_opened(&r->window, fd);
        hold_window(r);
        return CURL_SOCKOPT_OK;
}

/* Of several attempts one has won, or the connection has served another request before. */
static int on_connection(void *userdata, char *remote, char *local, int remote_port, int local_port)
{
        Request *r = userdata;

        (void)remote;
        (void)local;
        (void)remote_port;
        if (r->paced.class != NET_FOREGROUND)
                window_check_port(&r->window, local_port);
        return CURL_PREREQFUNC_OK;
}

static void on_watch(void *userdata, CURL *easy, int fd)
{
        Request *r = userdata;

        if (easy != r->easy)
                return;
        window_watched(&r->window, fd);
        hold_window(r);
}

const CurlGlueListener request_glue_listener = {
        .on_done = on_ended,
        .on_watch = on_watch,
};

bool request_may_move(Request *r)
{
        hold_window(r);
        return pacer_admit(r->settings->pacer, &r->paced);
}

size_t request_piece(const Request *r)
{
        return pacer_piece(r->settings->pacer, &r->paced);
}

void request_moved(Request *r, size_t bytes)
{
        pacer_spend(r->settings->pacer, &r->paced, bytes);
}

void request_done(Request *r)
{
        request_drop(r);
        pool_release(r->pool);
        free(r->url);
        free(r->first);
        credential_done(&r->of_url);
        free(r->proxy_list);
        free(r->proxy_bypass);
        free(r->proxy_note);
}

/* ---- what every request is told ---- */

/* NET-22, NET-37 */
static void set_security(Request *r)
{
        curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYPEER, 1L);
        curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYHOST, 2L);
        if (r->settings->ca_file)
                curl_easy_setopt(r->easy, CURLOPT_CAINFO, r->settings->ca_file);
        if (r->settings->ca_path)
                curl_easy_setopt(r->easy, CURLOPT_CAPATH, r->settings->ca_path);
}

static void set_connection(Request *r)
{
        curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
        /* Else a stop waits for a name server that is silent, and everybody else with it. NET-42 */
        curl_easy_setopt(r->easy, CURLOPT_QUICK_EXIT, 1L);
        curl_easy_setopt(r->easy, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
        curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_LIMIT, 1L); /* NET-35 */
        curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_TIME, r->settings->stall_seconds);
        curl_easy_setopt(r->easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
        curl_easy_setopt(r->easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
        curl_easy_setopt(r->easy, CURLOPT_SOCKOPTDATA, r);
        curl_easy_setopt(r->easy, CURLOPT_PREREQFUNCTION, on_connection);
        curl_easy_setopt(r->easy, CURLOPT_PREREQDATA, r);
        /* NET-39 */
        curl_easy_setopt(r->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        /* Rather wait for the connection that may be shared than open a second one. */
        curl_easy_setopt(r->easy, CURLOPT_PIPEWAIT, url_is_https(r->url) ? 1L : 0L);
}

/* The proxy number r->proxy_index of the job's list for a URL: 1 and its URL, 0: none,
   -EINVAL. */
static int select_proxy(const Request *r, const char *url, char ret[PROXY_URL_MAX])
{
        char host[256];

        url_host(url, host, sizeof(host));
        if (proxy_bypassed(r->proxy_bypass, host))
                return 0;
        return proxy_select(r->proxy_list, url_is_https(url) ? "https" : "http", r->proxy_index,
                            ret);
}

/* NET-61, NET-63, NET-64: an own list keeps the environment's settings out of it. */
int request_set_proxy(Request *r, CURL *easy, const char *url)
{
        char proxy[PROXY_URL_MAX] = "";
        int found = 0;

        /* SEC-443: such proxies are shown tickets of the identity's unasked, else. */
        curl_easy_setopt(easy, CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
        if (r->proxy_usage == PROXY_PRECONFIG)
                return 0;
        if (r->proxy_usage == PROXY_OVERRIDE || r->proxies_known)
                found = select_proxy(r, url, proxy);
        if (found < 0) {
                net_failure_set(
                        &r->failure, CONTEXT_GENERAL_TRANSPORT, BG_E_INVALID_PROXY_INFO,
                        "The proxy list has an entry that is no proxy: an entry is "
                        "[http=|https=][http://|https://|socks4://|socks5://]server[:port], "
                        "or direct://");
                return found;
        }
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
        return curl_easy_setopt(easy, CURLOPT_PROXY, proxy) == CURLE_OK ? 0 : -ENOMEM;
}

/* NET-152: the job's headers are for the host that the job names. */
static int collect_headers(Request *r)
{
        const struct curl_slist *own = pool_headers(r->pool);
        int n = 0;

        for (const struct curl_slist *h = r->settings->headers; h && n >= 0; h = h->next)
                n = request_append_header(&r->headers, h->data);
        if (own && !url_same_site(r->first, r->url))
                own = NULL;
        for (const struct curl_slist *h = own; h && n >= 0; h = h->next)
                n = request_append_header(&r->headers, h->data);
        return n;
}

/* NET-05 */
int request_prepare(Request *r)
{
        if (pool_failure(r->pool)->code != 0) {
                r->failure = *pool_failure(r->pool);
                return -EKEYREJECTED;
        }
        if (r->easy)
                forget_request(r);
        else
                r->easy = curl_glue_borrow(pool_glue(r->pool));
        if (!r->easy)
                return -ENOMEM;
        r->paced.easy = r->easy;
        window_forget(&r->window);
        r->explanation[0] = '\0';
        set_security(r);
        set_connection(r);
        curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
        curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->explanation);
        curl_easy_setopt(r->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        curl_easy_setopt(r->easy, CURLOPT_USERAGENT, "OpenBITS/" PROJECT_VERSION);
        if (curl_easy_setopt(r->easy, CURLOPT_URL, r->url) != CURLE_OK)
                return -ENOMEM;
        if (request_set_proxy(r, r->easy, r->url) < 0)
                return -ENOMEM;
        auth_apply(r->auth, r->easy);
        if (collect_headers(r) < 0)
                return -ENOMEM;
        return url_is_https(r->url) ? request_judge(r) : 0;
}

/* NET-440: what the network says goes the way of a list that the job has. */
static void on_proxies(void *userdata, const char *list, const char *note)
{
        Request *r = userdata;

        r->question = NULL;
        r->proxies_known = true;
        if (string_replace(&r->proxy_list, list) < 0 || string_replace(&r->proxy_note, note) < 0 ||
            request_set_proxy(r, r->easy, r->url) < 0 ||
            curl_glue_add(pool_glue(r->pool), r->easy) < 0)
                r->on_done(r->userdata, CURLE_OUT_OF_MEMORY);
}

int request_run(Request *r)
{
        curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
        if (r->proxy_usage == PROXY_AUTODETECT && !r->proxies_known)
                return autodetect_ask(r->settings->autodetect, r->url, on_proxies, r, &r->question);
        return curl_glue_add(pool_glue(r->pool), r->easy);
}

int request_append_header(struct curl_slist **list, const char *line)
{
        struct curl_slist *longer = curl_slist_append(*list, line);

        if (!longer)
                return -ENOMEM;
        *list = longer;
        return 0;
}

/* ---- going on ---- */

static void forget_user(char *url)
{
        Credential named = { 0 };

        (void)url_take_user(url, &named.user, &named.password);
        credential_done(&named);
}

void request_move(Request *r, char *url)
{
        forget_user(url); /* NET-420: a server names nobody */
        free(r->url);
        r->url = url;
        memset(r->auth, 0, sizeof(r->auth)); /* NET-54 */
        r->proxy_index = 0;
        r->proxies_known = false; /* another host has other ones */
}

int request_pin(Request *r, char *url)
{
        char *first;

        forget_user(url);
        first = strdup(url);
        if (!first) {
                free(url);
                return -ENOMEM;
        }
        request_move(r, url);
        free(r->first);
        r->first = first;
        return 0;
}

/* NET-53, NET-55, NET-56 */
RequestNext request_challenged(Request *r, unsigned status)
{
        AuthTarget target = status == 407 ? AUTH_PROXY : AUTH_SERVER;
        bool permitted = target == AUTH_PROXY || url_same_origin(r->first, r->url);
        long offered = 0;

        curl_easy_getinfo(r->easy,
                          target == AUTH_PROXY ? CURLINFO_PROXYAUTH_AVAIL : CURLINFO_HTTPAUTH_AVAIL,
                          &offered);
        switch (auth_answer(&r->auth[target], r->pool, r->of_url.set ? &r->of_url : NULL, target,
                            permitted, offered, status, r->url, &r->failure)) {
        case AUTH_AGAIN:
                return REQUEST_AGAIN;
        case AUTH_STALE:
                return REQUEST_STALE;
        case AUTH_REFUSED:
        case AUTH_STEP_MAX:
        case AUTH_STEP_INVALID:
                break;
        }
        return REQUEST_FAILED;
}

/* This proxy, or this server where the list says "no proxy", cannot be reached. */
static bool is_out_of_reach(const Request *r, CURLcode result)
{
        char url[PROXY_URL_MAX];

        switch ((int)result) {
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_CONNECT:
        case CURLE_PROXY:
                return true;
        case CURLE_COULDNT_RESOLVE_HOST:
                return select_proxy(r, r->url, url) > 0 && *url == 0;
        }
        return false;
}

/* NET-62: the next of the list when this one cannot be reached. */
static bool try_next_proxy(Request *r)
{
        char url[PROXY_URL_MAX];

        if (r->proxy_usage != PROXY_OVERRIDE && !r->proxies_known)
                return false;
        r->proxy_index++;
        if (select_proxy(r, r->url, url) == 0) {
                r->proxy_index--;
                return false;
        }
        r->auth[AUTH_PROXY] = (Auth){ 0 };
        return true;
}

/* "Failed to connect to HOST port 80 after 3 ms: Couldn't connect to server" does not say why. */
static void explain_connect(Request *r, int error)
{
        static const char tail[] = " after ";
        char *end = strstr(r->explanation, tail);
        size_t left;

        if (!end || error == 0)
                return;
        left = sizeof(r->explanation) - (size_t)(end - r->explanation);
        snprintf(end, left, ": %s", strerror(error));
}

/* libcurl calls a line of a header that is longer than it holds a lack of memory. NET-421 */
static bool line_was_too_long(const Request *r, CURLcode result)
{
        curl_off_t begun = 0;

        return result == CURLE_OUT_OF_MEMORY &&
               curl_easy_getinfo(r->easy, CURLINFO_STARTTRANSFER_TIME_T, &begun) == CURLE_OK &&
               begun > 0;
}

RequestNext request_broken(Request *r, CURLcode result, bool answered)
{
        long connect_status = 0, error = 0;
        bool out_of_reach;

        if (r->found_out) {
                r->found_out = false;
                return REQUEST_AGAIN;
        }
        curl_easy_getinfo(r->easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
        if (connect_status == 407)
                return request_challenged(r, 407);
        out_of_reach = !answered && connect_status == 0 && is_out_of_reach(r, result);
        if (out_of_reach && try_next_proxy(r))
                return REQUEST_AGAIN;
        if (r->proxies_known && !answered)
                autodetect_doubt(r->settings->autodetect);
        if (line_was_too_long(r, result))
                net_failure_long_line(&r->failure, r->url);
        curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &error);
        if (result == CURLE_COULDNT_CONNECT && route_is_missing((int)error))
                net_failure_no_network(&r->failure, r->url, (int)error);
        if (result == CURLE_COULDNT_CONNECT)
                explain_connect(r, (int)error);
        net_failure_curl(&r->failure, result, connect_status, r->url, r->explanation);
        if (r->proxies_known && !answered && !string_empty(r->proxy_note))
                net_failure_add(&r->failure, " (no proxy was used: %s)", r->proxy_note);
        return REQUEST_FAILED;
}
