/*
 * A tree of watches by the cookies of their tokens, and in each the list of its jobs: what an end
 * costs is the jobs of that token, however many others there are. How many tokens there may be is
 * the broker's to bound.
 *
 * The kernel reports the hang-up of a token that ended before it was watched as well, so nothing
 * falls between the broker's answer and the watch.
 */
#include "manager/token-watch.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "manager/turn.h"

#include <fcntl.h>
#include <search.h>

typedef struct TokenWatch {
        uint64_t cookie; /* the key, first */
        TokenWatches *watches;
        int fd;
        sd_event_source *source;
        bool ending; /* its jobs are being told */
        LIST_HEAD(, Job) jobs;
} TokenWatch;

struct TokenWatches {
        sd_event *event;
        TokenEnded on_ended;
        void *userdata;
        void *by_cookie;
        unsigned count;
};

static int compare_cookies(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static void watch_free(TokenWatch *watch)
{
        if (!watch)
                return;
        sd_event_source_disable_unref(watch->source);
        fd_close(watch->fd);
        free(watch);
}
DEFINE_CLEANUP(TokenWatch, watch_free);

static void watch_remove(TokenWatch *watch)
{
        (void)tdelete(watch, &watch->watches->by_cookie, compare_cookies);
        watch->watches->count--;
        watch_free(watch);
}

/* TOK-370. A job that got another token meanwhile, or is gone, has left the list. */
static int on_hang_up(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        TokenWatch *watch = userdata;
        TokenWatches *watches = watch->watches;
        Job *job;

        (void)source;
        (void)fd;
        (void)revents;
        watch->ending = true;
        while ((job = LIST_FIRST(&watch->jobs))) {
                token_watch_forget(job);
                watches->on_ended(watches->userdata, job);
        }
        watch_remove(watch);
        return 0;
}

/* No event is asked for: a hang-up is always reported. */
static int watch_begin(TokenWatch *watch, int token)
{
        int r;

        watch->fd = fcntl(token, F_DUPFD_CLOEXEC, 3);
        if (watch->fd < 0)
                return -errno;
        r = sd_event_add_io(watch->watches->event, &watch->source, watch->fd, 0, on_hang_up, watch);
        return r < 0 ? r : sd_event_source_set_priority(watch->source, LOOP_WORKERS);
}

static int watch_new(TokenWatches *watches, const Token *token, TokenWatch **ret)
{
        _cleanup_(watch_freep) TokenWatch *watch = malloc(sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        *watch = (TokenWatch){ .cookie = token->cookie, .watches = watches, .fd = -EBADF };
        r = watch_begin(watch, token->fd);
        if (r < 0)
                return r;
        if (!tsearch(watch, &watches->by_cookie, compare_cookies))
                return -ENOMEM;
        watches->count++;
        *ret = TAKE_PTR(watch);
        return 0;
}

static TokenWatch *watch_of(TokenWatches *watches, const Job *job)
{
        TokenWatch **found = tfind(&job->token->cookie, &watches->by_cookie, compare_cookies);
        TokenWatch *watch = found ? *found : NULL;
        int r = watch ? 0 : watch_new(watches, job->token, &watch);

        if (r < 0)
                log_errno(LOG_WARNING, r,
                          "job %s: nobody will notice if its helper token is shut down", job->id);
        return watch;
}

void token_watch_job(TokenWatches *watches, Job *job)
{
        TokenWatch *watch;

        if (job->token && job->watch && job->watch->cookie == job->token->cookie)
                return;
        token_watch_forget(job);
        watch = job->token ? watch_of(watches, job) : NULL;
        if (!watch)
                return;
        job->watch = watch;
        LIST_INSERT_HEAD(&watch->jobs, job, watch_entries);
}

/* TOK-372 */
void token_watch_forget(Job *job)
{
        TokenWatch *watch = TAKE_PTR(job->watch);

        if (!watch)
                return;
        LIST_REMOVE(job, watch_entries);
        if (LIST_EMPTY(&watch->jobs) && !watch->ending)
                watch_remove(watch);
}

unsigned token_watches_count(const TokenWatches *watches)
{
        return watches->count;
}

int token_watches_new(sd_event *event, TokenEnded on_ended, void *userdata, TokenWatches **ret)
{
        TokenWatches *watches = malloc(sizeof(*watches));

        if (!watches)
                return -ENOMEM;
        *watches = (TokenWatches){ .event = event, .on_ended = on_ended, .userdata = userdata };
        *ret = watches;
        return 0;
}

static void free_node(void *watch)
{
        watch_free(watch);
}

void token_watches_free(TokenWatches *watches)
{
        if (!watches)
                return;
        tdestroy(watches->by_cookie, free_node);
        free(watches);
}
