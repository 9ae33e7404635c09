#include "manager/farewell.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "core/policy.h"
#include "manager/engine.h"
#include "manager/net-terms.h"
#include "manager/token-watch.h"

#include <time.h>

#define RETRY_LIMIT_USEC (60 * 60 * USEC_PER_SEC)

typedef struct Farewell {
        TAILQ_ENTRY(Farewell) entries;
        Farewells *all;
        Job *job;
        char *url;
        Worker *net;
        NetClient client;
        NetTerms terms;
        sd_event_source *retry;
        unsigned failures;
} Farewell;

struct Farewells {
        sd_event *event;
        WorkerPool *pool;
        Store *store;
        Turn *turn;
        JobTable *jobs;
        const Presence *presence; /* NULL: everybody is signed on */
        TAILQ_HEAD(, Farewell) list;
};

static void begin_try(Farewell *f);

int farewells_new(sd_event *event, WorkerPool *pool, Store *store, Turn *turn, JobTable *jobs,
                  Farewells **ret)
{
        Farewells *all = calloc(1, sizeof(*all));

        if (!all)
                return -ENOMEM;
        all->event = event;
        all->pool = pool;
        all->store = store;
        all->turn = turn;
        all->jobs = jobs;
        TAILQ_INIT(&all->list);
        *ret = all;
        return 0;
}

void farewells_set_presence(Farewells *all, const Presence *presence)
{
        all->presence = presence;
}

static void farewell_free(Farewell *f)
{
        TAILQ_REMOVE(&f->all->list, f, entries);
        f->job->farewell = NULL;
        worker_net_detach(&f->client);
        worker_release(f->net);
        net_terms_done(&f->terms);
        sd_event_source_disable_unref(f->retry);
        free(f->url);
        free(f);
}

void farewells_free(Farewells *all)
{
        if (!all)
                return;
        while (!TAILQ_EMPTY(&all->list))
                farewell_free(TAILQ_FIRST(&all->list));
        free(all);
}

/* Servers that hang must not make a user's cancelled jobs pile up. */
static size_t count_of(const Farewells *all, uid_t owner)
{
        const Farewell *f;
        size_t n = 0;

        TAILQ_FOREACH (f, &all->list, entries)
                n += f->job->owner == owner;
        return n;
}

/* UPL-135 */
bool farewell_is_due(const Farewells *all, Job *job, uint64_t now_realtime)
{
        uint64_t seconds = MIN((uint64_t)UPLOAD_CANCEL_SECONDS, (uint64_t)job->no_progress_timeout);

        if (!job_is_upload(job) || string_empty(job->upload.session) || job->n_files == 0)
                return false;
        if (count_of(all, job->owner) >= policy_limit(LIMIT_FINISHED_PER_USER, job->owner)) {
                log_notice("job %s: too many sessions are being cancelled; its server keeps it "
                           "until it expires",
                           job->id);
                return false;
        }
        job->upload.cancel_until = now_realtime + seconds * 1000000;
        return true;
}

static void over(Farewell *f)
{
        Farewells *all = f->all;
        Job *job = f->job;

        farewell_free(f);
        farewell_token_ended(job);
        store_remove_job(all->store, job);
        turn_schedule(all->turn);
        job_table_release(all->jobs, job);
}

static void give_up(Farewell *f, const char *why)
{
        log_notice("job %s: its server was not told that it is cancelled: %s", f->job->id, why);
        over(f);
}

/* ---- trying ---- */

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        begin_try(userdata);
        return 0;
}

static void try_later(Farewell *f, const char *why)
{
        uint64_t now = clock_usec(CLOCK_REALTIME), until = f->job->upload.cancel_until;
        uint64_t delay = f->job->minimum_retry_delay * USEC_PER_SEC;

        worker_release(f->net);
        f->net = NULL;
        if (now >= until) {
                give_up(f, why);
                return;
        }
        for (unsigned i = 0; i < f->failures && delay < RETRY_LIMIT_USEC; i++)
                delay *= 2;
        f->failures++;
        delay = MIN(delay, RETRY_LIMIT_USEC);
        delay = MIN(delay, until - now);
        (void)sd_event_source_set_time_relative(f->retry, delay);
        (void)sd_event_source_set_enabled(f->retry, SD_EVENT_ONESHOT);
}

/* SEC-81 */
static void write_start(void *userdata, Message *m)
{
        Farewell *f = userdata;
        const Job *job = f->job;
        const UploadState *upload = &job->upload;
        FdList secrets;
        uint32_t which = net_terms_open(&f->terms, &secrets);

        net_farewell_write(m, 0,
                           &(NetFarewell){ NET_TERMS(job, f->url), .transfer = f->client.id,
                                           .session = upload->session,
                                           .host = upload_host(job, clock_usec(CLOCK_REALTIME)),
                                           .host_fallback = upload->host_fallback, .cancel = 1,
                                           .secrets = which, .secret_files = secrets });
}

static void on_progress(void *userdata, uint64_t written)
{
        (void)userdata;
        (void)written;
}

static void on_done(void *userdata, const NetDone *done)
{
        Farewell *f = userdata;

        net_terms_sent(&f->terms);
        if (done->outcome == NET_COMPLETE) {
                over(f);
                return;
        }
        upload_host_failed(f->job, clock_usec(CLOCK_REALTIME));
        try_later(f, done->detail);
}

static void on_lost(void *userdata)
{
        Farewell *f = userdata;

        worker_net_detach(&f->client);
        try_later(f, "its worker ended");
}

static void on_failed(void *userdata, WorkResult result)
{
        try_later(userdata, engine_work_result_text(result));
}

static bool signed_on(const Farewell *f)
{
        const Presence *presence = f->all->presence;

        return !presence || presence->signed_on(presence->userdata, f->job->owner);
}

static void attach(Farewell *f)
{
        if (worker_net_attach(f->net, &f->client) < 0)
                try_later(f, "out of memory");
}

static void on_terms(void *userdata, const NetTermsAnswer *answer)
{
        Farewell *f = userdata;

        if (answer->result != WORK_DONE)
                try_later(f, engine_work_result_text(answer->result));
        else if (answer->code != 0)
                try_later(f, answer->detail ? answer->detail : "the client certificate is gone");
        else
                attach(f);
}

/* UPL-136: by whom the upload was, or by nobody. */
static void begin_try(Farewell *f)
{
        WorkerIdentity identity;
        int r;

        if (!engine_identity(f->job, PURPOSE_HTTP, &identity)) {
                give_up(f, "the helper token is gone");
                return;
        }
        if (!signed_on(f)) {
                try_later(f, "its owner is not signed on");
                return;
        }
        f->net = worker_acquire(f->all->pool, WORKER_NET, &identity);
        r = f->net ? net_terms_read(&f->terms, f->net, on_terms, f) : -ENOMEM;
        if (r == -ENOKEY)
                give_up(f, "the helper token is gone");
        else if (r < 0)
                try_later(f, "out of memory");
        else if (r > 0)
                attach(f);
}

void farewell_begin(Farewells *all, Job *job)
{
        static const NetListener net_listener = {
                .write_start = write_start,
                .on_progress = on_progress,
                .on_done = on_done,
                .on_lost = on_lost,
                .on_failed = on_failed,
        };
        const File *file = job_file(job, 0);
        Farewell *f = calloc(1, sizeof(*f));

        if (f && file)
                f->url = strdup(file->remote_name);
        if (!f || !f->url ||
            sd_event_add_time_relative(all->event, &f->retry, CLOCK_BOOTTIME, 0, 0, on_retry, f) <
                    0) {
                log_error("job %s: its server is not told that it is cancelled", job->id);
                if (f)
                        free(f->url);
                free(f);
                store_remove_job(all->store, job);
                turn_schedule(all->turn);
                return;
        }
        f->all = all;
        f->job = job;
        net_terms_init(&f->terms, all->store, job, true);
        f->client = (NetClient){ .listener = &net_listener, .userdata = f };
        TAILQ_INSERT_TAIL(&all->list, f, entries);
        job->farewell = f;
}

void farewell_token_ended(Job *job)
{
        token_watch_forget(job);
        token_free(job->token);
        job->token = NULL;
}
