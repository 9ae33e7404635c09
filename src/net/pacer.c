/*
 * A transfer draws from two buckets, that of its class and that of all, and goes on when both
 * are open. The line is served until its first member has to wait again: whoever stands behind it
 * may belong to another class, so the line is one for each.
 */
#include "net/pacer.h"

#include "basic/clock.h"

enum {
        PIECE_LEAST = 1024, /* bytes */
};

struct Pacer {
        sd_event_source *timer;
        Bucket of[NET_CLASS_MAX], all;
        TAILQ_HEAD(PacedList, Paced) waiting[NET_CLASS_MAX];
        NetClass last; /* whose member went on last: the others are first now */
        bool serving;
};

static uint64_t opens_at(const Pacer *pacer, int class)
{
        return MAX(bucket_opens_at(&pacer->of[class]), bucket_opens_at(&pacer->all));
}

static bool is_open(Pacer *pacer, int class, uint64_t now)
{
        return bucket_is_open(&pacer->of[class], now) && bucket_is_open(&pacer->all, now);
}

/* When the first of those who wait may go on. */
static void arm(Pacer *pacer)
{
        uint64_t at = BUCKET_NEVER;

        for (int p = NET_HIGH; p < NET_CLASS_MAX; p++)
                if (!TAILQ_EMPTY(&pacer->waiting[p]))
                        at = MIN(at, opens_at(pacer, p));
        if (at != BUCKET_NEVER)
                (void)sd_event_source_set_time(pacer->timer, at);
        (void)sd_event_source_set_enabled(pacer->timer,
                                          at == BUCKET_NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* libcurl delivers what it kept, from within the call; the transfer may pause again in there. */
static void go_on(Pacer *pacer, Paced *paced)
{
        CURLcode result;

        pacer_leave(pacer, paced);
        pacer->last = paced->class;
        result = curl_easy_pause(paced->easy, CURLPAUSE_CONT);
        if (result != CURLE_OK)
                paced->on_failed(paced->userdata, result);
}

static Paced *next(Pacer *pacer, uint64_t now)
{
        for (int i = 1; i <= NET_CLASS_MAX; i++) {
                int p = (pacer->last + i) % NET_CLASS_MAX;

                if (!TAILQ_EMPTY(&pacer->waiting[p]) && is_open(pacer, p, now))
                        return TAILQ_FIRST(&pacer->waiting[p]);
        }
        return NULL;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Pacer *pacer = userdata;
        Paced *paced;

        (void)source;
        (void)usec;
        pacer->serving = true;
        while ((paced = next(pacer, clock_usec(CLOCK_MONOTONIC))))
                go_on(pacer, paced);
        pacer->serving = false;
        arm(pacer);
        return 0;
}

int pacer_new(sd_event *event, int64_t priority, Pacer **ret)
{
        _cleanup_(pacer_freep) Pacer *pacer = calloc(1, sizeof(*pacer));
        int r;

        if (!pacer)
                return -ENOMEM;
        for (int p = 0; p < NET_CLASS_MAX; p++) {
                TAILQ_INIT(&pacer->waiting[p]);
                pacer->of[p].rate = BUCKET_UNLIMITED;
        }
        pacer->all.rate = BUCKET_UNLIMITED;
        r = sd_event_add_time(event, &pacer->timer, CLOCK_MONOTONIC, 0, 1, on_timer, pacer);
        if (r >= 0)
                r = sd_event_source_set_enabled(pacer->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(pacer->timer, priority);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(pacer);
        return 0;
}

void pacer_free(Pacer *pacer)
{
        if (!pacer)
                return;
        sd_event_source_disable_unref(pacer->timer);
        free(pacer);
}

/* POL-213 */
void pacer_set_rates(Pacer *pacer, const uint64_t rates[NET_CLASS_MAX], uint64_t all)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        for (int p = NET_HIGH; p < NET_CLASS_MAX; p++)
                bucket_set_rate(&pacer->of[p], rates[p], now);
        bucket_set_rate(&pacer->all, all, now);
        arm(pacer);
}

/* Whoever comes now has others before him: those of his class, and all who wait for what all of
   them share. */
static bool others_wait(const Pacer *pacer, int class)
{
        bool shared = pacer->all.rate != BUCKET_UNLIMITED;

        if (pacer->serving)
                return false;
        for (int c = NET_HIGH; c < NET_CLASS_MAX; c++)
                if ((shared || c == class) && !TAILQ_EMPTY(&pacer->waiting[c]))
                        return true;
        return false;
}

/* POL-214: the foreground is not even counted. */
bool pacer_admit(Pacer *pacer, Paced *paced)
{
        if (paced->class == NET_FOREGROUND ||
            (!others_wait(pacer, (int)paced->class) &&
             is_open(pacer, (int)paced->class, clock_usec(CLOCK_MONOTONIC))))
                return true;
        if (!paced->waiting) {
                paced->waiting = true;
                TAILQ_INSERT_TAIL(&pacer->waiting[paced->class], paced, entries);
        }
        if (!pacer->serving)
                arm(pacer);
        return false;
}

/* UPL-380 */
size_t pacer_piece(Pacer *pacer, const Paced *paced)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC), worth;

        if (paced->class == NET_FOREGROUND)
                return SIZE_MAX;
        worth = MIN(bucket_worth(&pacer->of[paced->class], now), bucket_worth(&pacer->all, now));
        return (size_t)MAX(MIN(worth, (uint64_t)SIZE_MAX), (uint64_t)PIECE_LEAST);
}

uint64_t pacer_rate(const Pacer *pacer, const Paced *paced)
{
        if (paced->class == NET_FOREGROUND)
                return BUCKET_UNLIMITED;
        return MIN(pacer->of[paced->class].rate, pacer->all.rate);
}

void pacer_spend(Pacer *pacer, const Paced *paced, size_t bytes)
{
        uint64_t now;

        if (paced->class == NET_FOREGROUND)
                return;
        now = clock_usec(CLOCK_MONOTONIC);
        bucket_spend(&pacer->of[paced->class], bytes, now);
        bucket_spend(&pacer->all, bytes, now);
}

void pacer_leave(Pacer *pacer, Paced *paced)
{
        if (!paced->waiting)
                return;
        paced->waiting = false;
        TAILQ_REMOVE(&pacer->waiting[paced->class], paced, entries);
}
