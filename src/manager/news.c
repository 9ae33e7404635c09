#include "manager/news.h"

#include "manager/bus-names.h"

#include "core/notification.h"

#include <time.h>

enum {
        CHANGED_INTERVAL = 500, /* ms */
        RANGES_MAX = 64,        /* in one signal */
};

/* Lets something through, and then nothing for a while: what comes meanwhile is one thing then. */
typedef struct Pacer {
        void *owner;
        sd_event_source *timer;
        uint32_t interval; /* ms */
        bool waiting;
        void (*send)(void *owner);
} Pacer;

struct News {
        sd_event *event;
        sd_bus *bus;
        Turn *turn;
        Handles *handles;
        Pacer queue; /* one for all subscribers: who is due is noted at each of them */
};

typedef struct JobNews JobNews;

typedef struct NewRange {
        uint32_t file;
        uint64_t offset, length;
} NewRange;

/* Of one job. */
struct JobNews {
        News *news;
        Job *job;
        Pacer changed, modification, ranges;
        NewRange pending[RANGES_MAX];
        size_t n_pending;
};

/* ---- sending ---- */

typedef struct Signal {
        const char *member;
        bool gathered;       /* there may be thousands */
        bool receivers_only; /* who have asked for the job's events */
        int (*fill)(sd_bus_message *m, const void *content); /* NULL: no arguments */
        const void *content;
} Signal;

static int tell(News *news, const Handle *handle, const Signal *signal)
{
        sd_bus_message *m = NULL;
        const char *destination = handle_destination(handle);
        char path[BUS_JOB_PATH_MAX];
        int r;

        bus_job_path(handle->job, path);
        r = sd_bus_message_new_signal(handle_bus(handle, news->bus), &m, path, BUS_JOB,
                                      signal->member);
        if (r >= 0 && destination)
                r = sd_bus_message_set_destination(m, destination);
        if (r >= 0 && signal->fill)
                r = signal->fill(m, signal->content);
        if (r >= 0)
                r = signal->gathered ? turn_send_gathered(news->turn, m) : turn_send(news->turn, m);
        sd_bus_message_unref(m);
        return r;
}

/* HND-02; SEC-65, SEC-67: to these and to nobody else. */
static void tell_holders(News *news, const Job *job, const Signal *signal)
{
        const Handle *handle;

        TAILQ_FOREACH (handle, &job->handles, entries)
                if (!handle->dying && (handle->receiver || !signal->receivers_only))
                        (void)tell(news, handle, signal);
}

/* ---- pacing ---- */

static void pacer_send(Pacer *pacer)
{
        pacer->waiting = false;
        (void)sd_event_source_set_time_relative(pacer->timer, UINT64_C(1000) * pacer->interval);
        (void)sd_event_source_set_enabled(pacer->timer, SD_EVENT_ONESHOT);
        pacer->send(pacer->owner);
}

static int on_pacer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Pacer *pacer = userdata;

        (void)source;
        (void)usec;
        if (pacer->waiting)
                pacer_send(pacer);
        return 0;
}

/* NTF-250 */
static void pacer_want(Pacer *pacer, uint32_t interval)
{
        int counting = SD_EVENT_OFF;

        (void)sd_event_source_get_enabled(pacer->timer, &counting);
        pacer->interval = interval;
        if (counting == SD_EVENT_OFF)
                pacer_send(pacer);
        else
                pacer->waiting = true;
}

/* Nothing waits any more. */
static void pacer_flush(Pacer *pacer)
{
        if (pacer->waiting)
                pacer_send(pacer);
}

static int pacer_init(Pacer *pacer, sd_event *event, void *owner, void (*send)(void *owner))
{
        int r;

        *pacer = (Pacer){ .owner = owner, .send = send };
        r = sd_event_add_time_relative(event, &pacer->timer, CLOCK_MONOTONIC, 0, 0, on_pacer,
                                       pacer);
        return r < 0 ? r : sd_event_source_set_enabled(pacer->timer, SD_EVENT_OFF);
}

/* ---- of the queue, to subscribers ---- */

/* SEC-66. Who was let list everybody's jobs sees them all. */
static bool may_see(const Client *client, uid_t owner)
{
        return client->sees_all || policy_rights(client->uid, owner) != 0;
}

static int manager_signal(const News *news, const Client *client, const char *member,
                          sd_bus_message **ret)
{
        int r = sd_bus_message_new_signal(news->bus, ret, BUS_ROOT_PATH, BUS_MANAGER, member);

        return r < 0 ? r : sd_bus_message_set_destination(*ret, client->name);
}

/* SEC-65 */
static void tell_subscribers(News *news, Job *job, uid_t owner, const char *member)
{
        char path[BUS_JOB_PATH_MAX];
        Client *client;

        bus_job_path(job, path);
        TAILQ_FOREACH (client, handles_clients(news->handles), entries) {
                sd_bus_message *m = NULL;

                if (!client->subscribed || !may_see(client, owner))
                        continue;
                if (manager_signal(news, client, member, &m) >= 0 &&
                    sd_bus_message_append(m, "so", job->id, path) >= 0)
                        (void)turn_send(news->turn, m);
                sd_bus_message_unref(m);
        }
}

static void send_queue_changed(void *owner)
{
        News *news = owner;
        Client *client;

        TAILQ_FOREACH (client, handles_clients(news->handles), entries) {
                sd_bus_message *m = NULL;

                if (!client->due)
                        continue;
                client->due = false;
                if (client->subscribed && manager_signal(news, client, "Changed", &m) >= 0)
                        (void)turn_send(news->turn, m);
                sd_bus_message_unref(m);
        }
}

/* CLI-490: one signal for however many jobs. */
static void queue_changed(News *news, const Job *job)
{
        bool due = false;
        Client *client;

        TAILQ_FOREACH (client, handles_clients(news->handles), entries)
                if (client->subscribed && may_see(client, job->owner))
                        client->due = due = true;
        if (due)
                pacer_want(&news->queue, CHANGED_INTERVAL);
}

/* ---- of one job ---- */

static void send_changed(void *owner)
{
        const JobNews *jn = owner;

        tell_holders(jn->news, jn->job, &(Signal){ .member = "Changed" });
}

static void send_modification(void *owner)
{
        const JobNews *jn = owner;

        if (notification_wanted(jn->job->notify_flags, NOTIFY_JOB_MODIFICATION))
                tell_holders(jn->news, jn->job, &(Signal){ .member = "JobModification" });
}

/* Those of one file. */
static int fill_ranges(sd_bus_message *m, const void *content)
{
        const JobNews *jn = content;
        uint32_t file = jn->pending[0].file;
        int r = sd_bus_message_append(m, "u", file);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(tt)");
        for (size_t i = 0; r >= 0 && i < jn->n_pending && jn->pending[i].file == file; i++)
                r = sd_bus_message_append(m, "(tt)", jn->pending[i].offset, jn->pending[i].length);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* One signal for each run of ranges of the same file, in the order in which they came. */
static void send_ranges(void *owner)
{
        JobNews *jn = owner;

        while (jn->n_pending > 0) {
                size_t n = 1;

                if (notification_wanted(jn->job->notify_flags, NOTIFY_FILE_RANGES_TRANSFERRED))
                        tell_holders(jn->news, jn->job,
                                     &(Signal){ .member = "FileRangesTransferred",
                                                .fill = fill_ranges,
                                                .content = jn });
                while (n < jn->n_pending && jn->pending[n].file == jn->pending[0].file)
                        n++;
                jn->n_pending -= n;
                memmove(jn->pending, jn->pending + n, jn->n_pending * sizeof(NewRange));
        }
}

static void job_news_free(JobNews *jn)
{
        sd_event_source_disable_unref(jn->changed.timer);
        sd_event_source_disable_unref(jn->modification.timer);
        sd_event_source_disable_unref(jn->ranges.timer);
        free(jn);
}

static JobNews *news_of(News *news, Job *job)
{
        JobNews *jn = job->news;
        int r;

        if (jn)
                return jn;
        jn = calloc(1, sizeof(*jn));
        if (!jn)
                return NULL;
        jn->news = news;
        jn->job = job;
        r = pacer_init(&jn->changed, news->event, jn, send_changed);
        if (r >= 0)
                r = pacer_init(&jn->modification, news->event, jn, send_modification);
        if (r >= 0)
                r = pacer_init(&jn->ranges, news->event, jn, send_ranges);
        if (r < 0) {
                job_news_free(jn);
                return NULL;
        }
        job->news = jn;
        return jn;
}

void news_forget(News *news, Job *job)
{
        (void)news;
        if (!job->news)
                return;
        job_news_free(job->news);
        job->news = NULL;
}

static bool is_event_state(JobState state)
{
        return state == STATE_TRANSFERRED || state == STATE_ERROR;
}

/* NTF-250: a change to one of those states has a signal of its own, and what waited before it would
   come too late. NTF-400: of the end of a job nobody would hear later: its pacers end with it. */
void news_modified(News *news, Job *job)
{
        bool reached = job->state != job->told_state && is_event_state(job->state);
        JobNews *jn;

        job->told_state = job->state;
        queue_changed(news, job);
        if (TAILQ_EMPTY(&job->handles) || !(jn = news_of(news, job)))
                return;
        pacer_want(&jn->changed, CHANGED_INTERVAL);
        if (reached)
                jn->modification.waiting = false;
        else if (notification_wanted(job->notify_flags, NOTIFY_JOB_MODIFICATION))
                pacer_want(&jn->modification, job->notify_interval);
        if (job_state_is_final(job->state)) {
                pacer_flush(&jn->changed);
                pacer_flush(&jn->modification);
        }
}

/* NTF-410: the last word waits for no interval, for nothing comes after it. */
void news_ended(News *news, Job *job)
{
        JobNews *jn;

        job->told_state = job->state;
        if (!TAILQ_EMPTY(&job->handles) && (jn = news_of(news, job))) {
                send_ranges(jn);
                send_changed(jn);
                send_modification(jn);
        }
        news_forget(news, job);
}

/* ---- events ---- */

static int fill_fault(sd_bus_message *m, const void *content)
{
        const Job *job = content;

        return sd_bus_message_append(m, "uu", (uint32_t)job->fault.context, job->fault.code);
}

static Signal event_signal(const Job *job, uint32_t event)
{
        if (event == NOTIFY_JOB_ERROR)
                return (Signal){ .member = "JobError", .fill = fill_fault, .content = job };
        return (Signal){ .member = "JobTransferred" };
}

/* JOB-80 */
void news_event(News *news, Job *job, uint32_t event)
{
        Signal signal = event_signal(job, event);

        if (job->news && job->news->ranges.waiting) {
                job->news->ranges.waiting = false;
                send_ranges(job->news);
        }
        if (notification_wanted(job->notify_flags, event))
                tell_holders(news, job, &signal);
}

/* NTF-251 */
void news_event_again(News *news, Job *job, uint32_t event)
{
        Signal signal = event_signal(job, event);

        signal.receivers_only = true;
        tell_holders(news, job, &signal);
}

void news_event_late(News *news, Handle *handle, uint32_t event)
{
        Signal signal = event_signal(handle->job, event);

        (void)tell(news, handle, &signal);
}

static int fill_index(sd_bus_message *m, const void *content)
{
        return sd_bus_message_append(m, "u", ((const File *)content)->index);
}

void news_file_transferred(News *news, Job *job, const File *file)
{
        if (notification_wanted(job->notify_flags, NOTIFY_FILE_TRANSFERRED))
                tell_holders(news, job,
                             &(Signal){ .member = "FileTransferred",
                                        .gathered = true,
                                        .fill = fill_index,
                                        .content = file });
}

/* NTF-250 */
void news_file_range(News *news, Job *job, const File *file, uint64_t offset, uint64_t length)
{
        JobNews *jn;
        NewRange *last;

        if (!notification_wanted(job->notify_flags, NOTIFY_FILE_RANGES_TRANSFERRED) ||
            TAILQ_EMPTY(&job->handles) || !(jn = news_of(news, job)))
                return;
        last = jn->n_pending > 0 ? &jn->pending[jn->n_pending - 1] : NULL;
        if (last && last->file == file->index && last->offset + last->length == offset)
                last->length += length;
        else
                jn->pending[jn->n_pending++] = (NewRange){ file->index, offset, length };
        if (jn->n_pending == RANGES_MAX)
                send_ranges(jn);
        else
                pacer_want(&jn->ranges, job->notify_interval);
}

void news_added(News *news, Job *job)
{
        tell_subscribers(news, job, job->owner, "JobAdded");
}

void news_removed(News *news, Job *job, uid_t owner)
{
        tell_subscribers(news, job, owner, "JobRemoved");
}

int news_new(sd_event *event, sd_bus *bus, Turn *turn, Handles *handles, News **ret)
{
        _cleanup_(news_freep) News *news = malloc(sizeof(*news));
        int r;

        if (!news)
                return -ENOMEM;
        *news = (News){ event, bus, turn, handles, {} };
        r = pacer_init(&news->queue, event, news, send_queue_changed);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(news);
        return 0;
}

void news_free(News *news)
{
        if (!news)
                return;
        sd_event_source_disable_unref(news->queue.timer);
        free(news);
}
