/*
 * libcurl asks for three things: watch this socket, call me after so many milliseconds, and hear
 * who has finished. "After 0 ms" is by far the most frequent wish (each new transfer, each
 * redirect), so it is a deferred event source and costs no system call; the timer is for real
 * delays.
 *
 * Ended transfers are collected after each call into libcurl and told from there: libcurl forbids
 * to remove a handle inside its own callbacks, so no user of this file ever runs in one of those
 * except for the data callbacks that it set itself.
 */
#include "net/curl-glue.h"

#include <sys/epoll.h>
#include <time.h>

enum {
        POOL_MAX = 64,
        HOST_CONNECTIONS_MAX = 8, /* NET-44 */
        CONNECTIONS_MAX = 64,
};

struct CurlGlue {
        sd_event *event;
        int64_t priority;
        const CurlGlueListener *listener;
        void (*on_enter)(void *userdata);
        void *enter_userdata;
        CURLM *multi;
        sd_event_source *timer, *soon;
        CURL *pool[POOL_MAX];
        unsigned n_pool;
};

static void tell_finished(CurlGlue *glue)
{
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(glue->multi, &left))) {
                CURL *easy = message->easy_handle;
                CURLcode result = message->data.result;
                void *user = NULL;

                if (message->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
                curl_multi_remove_handle(glue->multi, easy); /* frees `message` */
                glue->listener->on_done(user, result);
        }
}

static int run(CurlGlue *glue, curl_socket_t fd, int what)
{
        int running;

        if (glue->on_enter)
                glue->on_enter(glue->enter_userdata);
        if (curl_multi_socket_action(glue->multi, fd, what, &running) != CURLM_OK)
                return sd_event_exit(glue->event, -EIO);
        tell_finished(glue);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        return run(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static int on_soon(sd_event_source *source, void *userdata)
{
        (void)source;
        return run(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        CurlGlue *glue = userdata;
        int what = 0;

        (void)source;
        if (revents & (EPOLLIN | EPOLLHUP))
                what |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                what |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                what |= CURL_CSELECT_ERR;
        return run(glue, fd, what);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *userdata)
{
        CurlGlue *glue = userdata;
        int r;

        (void)multi;
        if (timeout_ms == 0)
                return sd_event_source_set_enabled(glue->soon, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
        if (timeout_ms < 0)
                return sd_event_source_set_enabled(glue->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        r = sd_event_source_set_time_relative(glue->timer, (uint64_t)timeout_ms * 1000);
        if (r >= 0)
                r = sd_event_source_set_enabled(glue->timer, SD_EVENT_ONESHOT);
        return r < 0 ? -1 : 0;
}

static uint32_t wanted_events(int what)
{
        switch (what) {
        case CURL_POLL_IN:
                return EPOLLIN;
        case CURL_POLL_OUT:
                return EPOLLOUT;
        case CURL_POLL_INOUT:
                return EPOLLIN | EPOLLOUT;
        }
        return 0;
}

static void tell_watched(const CurlGlue *glue, CURL *easy, int fd)
{
        void *user = NULL;

        if (glue->listener->on_watch &&
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user) == CURLE_OK && user)
                glue->listener->on_watch(user, easy, fd);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *assigned)
{
        sd_event_source *source = assigned;
        CurlGlue *glue = userdata;

        if (what == CURL_POLL_REMOVE) {
                curl_multi_assign(glue->multi, fd, NULL);
                sd_event_source_disable_unref(source);
                return 0;
        }
        tell_watched(glue, easy, fd);
        if (source)
                return sd_event_source_set_io_events(source, wanted_events(what)) < 0 ? -1 : 0;
        if (sd_event_add_io(glue->event, &source, fd, wanted_events(what), on_socket, glue) < 0)
                return -1;
        if (sd_event_source_set_priority(source, glue->priority) < 0 ||
            curl_multi_assign(glue->multi, fd, source) != CURLM_OK) {
                sd_event_source_disable_unref(source);
                return -1;
        }
        return 0;
}

static int add_clocks(CurlGlue *glue)
{
        int r;

        r = sd_event_add_time(glue->event, &glue->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, glue);
        if (r >= 0)
                r = sd_event_add_defer(glue->event, &glue->soon, on_soon, glue);
        if (r >= 0)
                r = sd_event_source_set_enabled(glue->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_enabled(glue->soon, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(glue->timer, glue->priority);
        if (r >= 0)
                r = sd_event_source_set_priority(glue->soon, glue->priority);
        return r;
}

int curl_glue_new(sd_event *event, int64_t priority, const CurlGlueListener *listener,
                  CurlGlue **ret)
{
        _cleanup_(curl_glue_freep) CurlGlue *glue = calloc(1, sizeof(*glue));
        int r;

        if (!glue)
                return -ENOMEM;
        glue->event = sd_event_ref(event);
        glue->priority = priority;
        glue->listener = listener;
        glue->multi = curl_multi_init();
        if (!glue->multi)
                return -ENOMEM;
        r = add_clocks(glue);
        if (r < 0)
                return r;
        curl_multi_setopt(glue->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        curl_multi_setopt(glue->multi, CURLMOPT_SOCKETDATA, glue);
        curl_multi_setopt(glue->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
        curl_multi_setopt(glue->multi, CURLMOPT_TIMERDATA, glue);
        curl_multi_setopt(glue->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HOST_CONNECTIONS_MAX);
        curl_multi_setopt(glue->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
        curl_multi_setopt(glue->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
        *ret = TAKE_PTR(glue);
        return 0;
}

void curl_glue_set_enter(CurlGlue *glue, void (*on_enter)(void *userdata), void *userdata)
{
        glue->on_enter = on_enter;
        glue->enter_userdata = userdata;
}

void curl_glue_free(CurlGlue *glue)
{
        if (!glue)
                return;
        for (unsigned i = 0; i < glue->n_pool; i++)
                curl_easy_cleanup(glue->pool[i]);
        /* Closes the kept connections, with calls to on_curl_socket and on_curl_timer. */
        curl_multi_cleanup(glue->multi);
        sd_event_source_disable_unref(glue->timer);
        sd_event_source_disable_unref(glue->soon);
        sd_event_unref(glue->event);
        free(glue);
}

CURL *curl_glue_borrow(CurlGlue *glue)
{
        return glue->n_pool > 0 ? glue->pool[--glue->n_pool] : curl_easy_init();
}

void curl_glue_return(CurlGlue *glue, CURL *easy)
{
        if (!easy)
                return;
        curl_multi_remove_handle(glue->multi, easy);
        if (glue->n_pool == POOL_MAX) {
                curl_easy_cleanup(easy);
                return;
        }
        curl_easy_reset(easy);
        glue->pool[glue->n_pool++] = easy;
}

int curl_glue_add(CurlGlue *glue, CURL *easy)
{
        return curl_multi_add_handle(glue->multi, easy) == CURLM_OK ? 0 : -ENOMEM;
}
