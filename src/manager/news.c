#include "manager/news.h"

#include "manager/bus-names.h"

#include "basic/log.h"

#include <stdarg.h>
#include <time.h>

enum {
        INTERVAL_USEC = 500 * 1000,
};

struct News {
        sd_event *event;
        sd_bus *bus;
        Turn *turn;
        Handles *handles;
};

/* Of one job: when JobModification may go out again. */
struct JobNews {
        News *news;
        Job *job;
        sd_event_source *timer;
        bool waiting; /* something changed since the last signal */
};

int news_new(sd_event *event, sd_bus *bus, Turn *turn, Handles *handles, News **ret)
{
        News *news = malloc(sizeof(*news));

        if (!news)
                return -ENOMEM;
        *news = (News){ event, bus, turn, handles };
        *ret = news;
        return 0;
}

void news_free(News *news)
{
        free(news);
}

/* One signal to one holder; types and values as in sd_bus_message_append(). */
static int tell(News *news, Handle *handle, const char *path, const char *member, const char *types,
                va_list args)
{
        bool gathered = string_equal(member, "FileTransferred"); /* there may be thousands */
        sd_bus_message *m = NULL;
        const char *destination = handle_destination(handle);
        int r = sd_bus_message_new_signal(handle_bus(handle, news->bus), &m, path, BUS_JOB, member);

        if (r >= 0 && destination)
                r = sd_bus_message_set_destination(m, destination);
        if (r >= 0 && types)
                r = sd_bus_message_appendv(m, types, args);
        if (r >= 0)
                r = gathered ? turn_send_gathered(news->turn, m) : turn_send(news->turn, m);
        sd_bus_message_unref(m);
        return r;
}

/* HND-02; SEC-65, SEC-67: to these and to nobody else. */
static void tell_holders(News *news, Job *job, const char *member, const char *types, ...)
{
        char path[BUS_JOB_PATH_MAX];
        Handle *handle;

        if (TAILQ_EMPTY(&job->handles))
                return;
        bus_job_path(job, path);
        TAILQ_FOREACH (handle, &job->handles, entries) {
                va_list args;

                if (handle->dying)
                        continue;
                va_start(args, types);
                (void)tell(news, handle, path, member, types, args);
                va_end(args);
        }
}

static void send_modified(struct JobNews *jn)
{
        jn->waiting = false;
        (void)sd_event_source_set_time_relative(jn->timer, INTERVAL_USEC);
        (void)sd_event_source_set_enabled(jn->timer, SD_EVENT_ONESHOT);
        tell_holders(jn->news, jn->job, "JobModification", NULL);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct JobNews *jn = userdata;

        (void)source;
        (void)usec;
        if (jn->waiting)
                send_modified(jn);
        return 0;
}

static struct JobNews *news_of(News *news, Job *job)
{
        struct JobNews *jn = job->news;

        if (jn)
                return jn;
        jn = calloc(1, sizeof(*jn));
        if (!jn)
                return NULL;
        jn->news = news;
        jn->job = job;
        if (sd_event_add_time_relative(news->event, &jn->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
                                       jn) < 0) {
                free(jn);
                return NULL;
        }
        (void)sd_event_source_set_enabled(jn->timer, SD_EVENT_OFF);
        job->news = jn;
        return jn;
}

void news_forget(News *news, Job *job)
{
        (void)news;
        if (!job->news)
                return;
        sd_event_source_disable_unref(job->news->timer);
        free(job->news);
        job->news = NULL;
}

void news_modified(News *news, Job *job)
{
        struct JobNews *jn;
        int counting = SD_EVENT_OFF;

        if (TAILQ_EMPTY(&job->handles) || !(jn = news_of(news, job)))
                return;
        (void)sd_event_source_get_enabled(jn->timer, &counting);
        if (counting == SD_EVENT_OFF)
                send_modified(jn);
        else
                jn->waiting = true;
}

/* JOB-80: the flags of reference 02 section 13. JobModification is the holders' sign to look again,
   as a change of properties is elsewhere on the bus, and is not among what the flags choose. */
static bool wanted(const Job *job, uint32_t flag)
{
        return (job->notify_flags & (flag | NOTIFY_DISABLE)) == flag;
}

void news_transferred(News *news, Job *job)
{
        if (wanted(job, NOTIFY_JOB_TRANSFERRED))
                tell_holders(news, job, "JobTransferred", NULL);
}

void news_error(News *news, Job *job)
{
        if (wanted(job, NOTIFY_JOB_ERROR))
                tell_holders(news, job, "JobError", "uu", (uint32_t)job->fault.context,
                             job->fault.code);
}

void news_file_transferred(News *news, Job *job, const File *file)
{
        if (wanted(job, NOTIFY_FILE_TRANSFERRED))
                tell_holders(news, job, "FileTransferred", "u", file->index);
}

/* SEC-65, SEC-66 */
static void tell_subscribers(News *news, Job *job, const char *member)
{
        char path[BUS_JOB_PATH_MAX];
        Client *client;

        bus_job_path(job, path);
        TAILQ_FOREACH (client, handles_clients(news->handles), entries) {
                sd_bus_message *m = NULL;

                if (!client->subscribed || policy_rights(client->uid, job->owner) == 0)
                        continue;
                if (sd_bus_message_new_signal(news->bus, &m, BUS_ROOT_PATH, BUS_MANAGER, member) >=
                            0 &&
                    sd_bus_message_set_destination(m, client->name) >= 0 &&
                    sd_bus_message_append(m, "so", job->id, path) >= 0)
                        (void)turn_send(news->turn, m);
                sd_bus_message_unref(m);
        }
}

void news_added(News *news, Job *job)
{
        tell_subscribers(news, job, "JobAdded");
}

void news_removed(News *news, Job *job)
{
        tell_subscribers(news, job, "JobRemoved");
}
