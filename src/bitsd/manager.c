#include "bitsd/manager.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "bus/bus.h"
#include "manager/farewell.h"
#include "manager/keeper.h"
#include "manager/news.h"
#include "manager/notifier.h"
#include "manager/recall.h"
#include "manager/routes.h"
#include "manager/sessions.h"
#include "manager/standby.h"
#include "manager/token-watch.h"

#include <stdio.h>
#include <time.h>

struct Manager {
        BusContext parts; /* owned, all of them */
        sd_event *event;
        char *token_socket;
        Sessions *sessions;
        Keeper *keeper;
        TokenWatches *watches;
        Farewells *farewells;
        Routes *routes;
        Standby *standby;
        Life life;
};

/* ---- news from below ---- */

static void on_modified(void *userdata, Job *job)
{
        Manager *manager = userdata;

        news_modified(manager->parts.news, job);
        notifier_look(manager->parts.notifier, job);
}

static void on_transferred(void *userdata, Job *job)
{
        Manager *manager = userdata;

        notifier_event(manager->parts.notifier, job, NOTIFY_JOB_TRANSFERRED, false);
}

static void on_error(void *userdata, Job *job)
{
        Manager *manager = userdata;

        notifier_event(manager->parts.notifier, job, NOTIFY_JOB_ERROR, engine_winds_down(job));
}

/* NTF-470: a file may come to its end while the job is stopped for another one's sake. */
static void on_wound_down(void *userdata, Job *job)
{
        Manager *manager = userdata;

        notifier_tell(manager->parts.notifier, job);
}

static void on_file_transferred(void *userdata, Job *job, const File *file)
{
        Manager *manager = userdata;

        news_file_transferred(manager->parts.news, job, file);
}

static void on_ranges(void *userdata, Job *job, const File *file, const Ranges *news)
{
        Manager *manager = userdata;

        for (size_t i = 0; i < news->count; i++)
                news_file_range(manager->parts.news, job, file, news->items[i].offset,
                                news->items[i].length);
}

static void on_certificate(void *userdata, File *file, uint64_t client,
                           const NetCertificate *question)
{
        (void)userdata;
        validation_ask(file, client, question);
}

static void on_token(void *userdata, Job *job)
{
        Manager *manager = userdata;

        keeper_set(manager->keeper, job->id, job->token);
        token_watch_job(manager->watches, job);
}

static void on_token_ended(void *userdata, Job *job)
{
        life_token_ended(&((Manager *)userdata)->life, job);
}

static void on_inactive(void *userdata, Job *job)
{
        Manager *manager = userdata;

        finisher_expire(manager->parts.finisher, job);
}

static void on_removed(void *userdata, Job *job, bool known)
{
        Manager *manager = userdata;

        keeper_set(manager->keeper, job->id, NULL);
        if (!job->farewell)
                token_watch_forget(job);
        notifier_forget(manager->parts.notifier, job);
        if (known)
                news_removed(manager->parts.news, job, job->owner);
        news_ended(manager->parts.news, job);
        validation_forget(job);
}

/* UPL-135 */
static bool on_cancelled(void *userdata, Job *job)
{
        Manager *manager = userdata;

        if (!farewell_is_due(manager->farewells, job, clock_usec(CLOCK_REALTIME)))
                return false;
        farewell_begin(manager->farewells, job);
        return true;
}

/* ---- news of users ---- */

static void on_signed_off(void *userdata, uid_t uid)
{
        life_signed_off(&((Manager *)userdata)->life, uid);
}

static void on_session_ended(void *userdata, const char *session)
{
        life_session_ended(&((Manager *)userdata)->life, session);
}

static void on_signed_on(void *userdata, uid_t uid)
{
        Manager *manager = userdata;

        life_signed_on(&manager->life, uid);
        notifier_look_at_all(manager->parts.notifier);
}

static void on_appeared(void *userdata)
{
        Manager *manager = userdata;

        life_catch_up(&manager->life);
        notifier_look_at_all(manager->parts.notifier);
        standby_appeared(manager->standby);
}

/* ---- news of the machine ---- */

static void on_conditions(void *userdata)
{
        Manager *manager = userdata;
        Job *job;

        TAILQ_FOREACH (job, job_table_list(manager->parts.jobs), table_entries)
                engine_reconsider(manager->parts.engine, job);
}

static void on_network_back(void *userdata)
{
        Manager *manager = userdata;
        Job *job;

        TAILQ_FOREACH (job, job_table_list(manager->parts.jobs), table_entries)
                engine_network_back(manager->parts.engine, job);
}

static void on_reach(void *userdata, Reach reach, bool local_proxy)
{
        conditions_set_reach(((Manager *)userdata)->parts.conditions, reach, local_proxy);
}

static void on_sleep(void *userdata, bool asleep)
{
        standby_set(((Manager *)userdata)->standby, asleep);
}

static void on_rest(void *userdata)
{
        standby_at_rest(((Manager *)userdata)->standby);
}

static void on_rates(void *userdata, const Rates *rates)
{
        worker_pool_set_rates(((Manager *)userdata)->parts.workers, rates);
}

/* ---- start ---- */

static int on_loaded(void *userdata, Job *job)
{
        Manager *manager = userdata;
        int r = job_table_add(manager->parts.jobs, job);

        job->told_state = job->state;
        if (r < 0) {
                job_free(job);
                return r;
        }
        return 0;
}

/* UPL-135: those whose servers are still to be told. */
static void retire_cancelled(Manager *manager)
{
        JobTable *jobs = manager->parts.jobs;
        Job *job = TAILQ_FIRST(job_table_list(jobs)), *after;

        for (; job; job = after) {
                after = TAILQ_NEXT(job, table_entries);
                if (!job_state_is_final(job->state))
                        continue;
                farewell_begin(manager->farewells, job);
                if (job->farewell)
                        token_watch_job(manager->watches, job);
                job_table_retire(jobs, job);
                job_table_release(jobs, job);
        }
}

/* Only after all are loaded: what is adopted may begin to run. */
static int adopt_all(Manager *manager)
{
        BusContext *parts = &manager->parts;
        Job *job;

        retire_cancelled(manager);
        TAILQ_FOREACH (job, job_table_list(parts->jobs), table_entries) {
                int r = engine_adopt(parts->engine, job);

                if (r < 0)
                        return r;
                if (job->pending != PENDING_NONE)
                        finisher_go_on(parts->finisher, job);
                token_watch_job(manager->watches, job);
                notifier_adopt(parts->notifier, job);
        }
        life_catch_up(&manager->life);
        log_info("%zu jobs in the queue", job_table_count(parts->jobs));
        return 0;
}

static void set_life(Manager *manager)
{
        BusContext *p = &manager->parts;
        const Presence *presence = sessions_presence(manager->sessions);

        manager->life = (Life){ p->jobs, p->engine, p->workers, presence };
        p->life = &manager->life;
        engine_set_presence(p->engine, presence);
        farewells_set_presence(manager->farewells, presence);
        engine_set_config(p->engine, settings_config(p->settings));
        engine_set_gate(p->engine, conditions_gate(p->conditions));
        worker_pool_set_presence(p->workers, presence);
}

/* What a handle's socket serves. */
static int serve_job(sd_bus *peer, const char *path, Handle *handle)
{
        BusContext *context = handle_context(handle);
        int r = turn_guard_reads(context->turn, peer);

        if (r >= 0)
                r = bus_job_serve(peer, path, handle);
        if (r >= 0)
                r = bus_file_serve(peer, path, handle);
        if (r >= 0)
                r = bus_http_serve(peer, path, handle);
        return r < 0 ? r : bus_token_serve(peer, path, handle);
}

static int build_notifier(Manager *manager)
{
        BusContext *p = &manager->parts;

        return notifier_new(&(NotifierParts){ .event = manager->event,
                                              .store = p->store,
                                              .turn = p->turn,
                                              .broker = p->broker,
                                              .jobs = p->jobs,
                                              .news = p->news,
                                              .handles = p->handles,
                                              .presence = sessions_presence(manager->sessions),
                                              .config = settings_config(p->settings) },
                            &p->notifier);
}

static int build(Manager *manager, const ManagerOptions *options, const char *broker_socket)
{
        static const EngineListener engine_listener = {
                .on_modified = on_modified,
                .on_transferred = on_transferred,
                .on_error = on_error,
                .on_file_transferred = on_file_transferred,
                .on_wound_down = on_wound_down,
                .on_certificate = on_certificate,
                .on_token = on_token,
                .on_inactive = on_inactive,
                .on_ranges = on_ranges,
                .on_rest = on_rest,
        };
        static const SessionsListener sessions_listener = {
                .on_signed_off = on_signed_off,
                .on_session_ended = on_session_ended,
                .on_signed_on = on_signed_on,
                .on_appeared = on_appeared,
        };
        static const ConditionsListener conditions_listener = {
                .on_changed = on_conditions,
                .on_network_back = on_network_back,
                .on_sleep = on_sleep,
                .on_rates = on_rates,
        };
        static const FinisherListener finisher_listener = { .on_removed = on_removed,
                                                            .on_cancelled = on_cancelled };
        BusContext *p = &manager->parts;
        int r = store_open(options->state_directory, &p->store);

        if (r >= 0)
                r = job_table_new(&p->jobs);
        if (r >= 0)
                r = store_load(p->store, on_loaded, manager);
        if (r >= 0)
                r = turn_new(manager->event, p->store, &p->turn);
        if (r >= 0)
                r = turn_guard_reads(p->turn, p->bus);
        if (r >= 0)
                r = broker_link_new(manager->event, broker_socket, &p->broker);
        if (r >= 0)
                r = worker_pool_new(manager->event, p->broker, &p->workers);
        if (r >= 0)
                r = token_watches_new(manager->event, on_token_ended, manager, &manager->watches);
        if (r >= 0)
                r = engine_new(manager->event, p->workers, p->store, p->turn, &engine_listener,
                               manager, &p->engine);
        if (r >= 0)
                r = farewells_new(manager->event, p->workers, p->store, p->turn, p->jobs,
                                  &manager->farewells);
        if (r >= 0)
                r = sessions_new(manager->event, options->user_mode, &sessions_listener, manager,
                                 &manager->sessions);
        if (r >= 0)
                r = conditions_new(manager->event, options->machine, settings_config(p->settings),
                                   &conditions_listener, manager, &p->conditions);
        if (r >= 0)
                r = routes_new(manager->event, p->broker, on_reach, manager, &manager->routes);
        if (r >= 0)
                r = standby_new(manager->event, options->machine, p->engine, p->turn,
                                &manager->standby);
        if (r >= 0)
                set_life(manager);
        if (r >= 0)
                r = finisher_new(p->engine, p->workers, p->store, p->turn, p->jobs,
                                 &finisher_listener, manager, &p->finisher);
        if (r >= 0)
                r = handles_new(manager->event, p->jobs, serve_job, p, &p->handles);
        if (r >= 0)
                r = authorizer_new(p->bus, !options->user_mode, &p->authorizer);
        if (r >= 0)
                r = validations_new(manager->event, p->bus, &p->validations);
        if (r >= 0)
                r = news_new(manager->event, p->bus, p->turn, p->handles, &p->news);
        if (r >= 0)
                r = build_notifier(manager);
        return r;
}

/* POL-209: the Config is the same object, with other numbers: here those hear of it who made
   something out of them. */
void manager_reload(Manager *manager)
{
        if (settings_reload(manager->parts.settings) < 0) {
                log_error("the configuration is not changed: what was in force before stays so");
                return;
        }
        log_info("the configuration was read again");
        engine_set_config(manager->parts.engine, settings_config(manager->parts.settings));
        notifier_look_at_all(manager->parts.notifier);
        conditions_configured(manager->parts.conditions);
}

static int register_on_bus(Manager *manager)
{
        BusContext *p = &manager->parts;
        int r = bus_manager_register(p);

        if (r >= 0)
                r = bus_job_register(p);
        if (r >= 0)
                r = bus_file_register(p);
        if (r >= 0)
                r = bus_token_register(p);
        if (r >= 0)
                r = bus_http_register(p);
        if (r >= 0)
                r = sd_bus_request_name(p->bus, BUS_NAME, 0);
        return r < 0 ? log_errno(LOG_ERR, r, "cannot own the name %s on the bus", BUS_NAME) : 0;
}

int manager_new(sd_event *event, sd_bus *bus, const ManagerOptions *options, Manager **ret)
{
        _cleanup_(manager_freep) Manager *manager = calloc(1, sizeof(*manager));
        _cleanup_free_ char *broker_socket = NULL;
        int r;

        if (!manager)
                return -ENOMEM;
        manager->event = event;
        manager->parts.bus = bus;
        manager->parts.user_mode = options->user_mode;
        manager->parts.settings = options->settings;
        policy_use(settings_config(options->settings));
        if (asprintf(&broker_socket, "%s/manager", options->runtime_directory) < 0)
                broker_socket = NULL;
        if (asprintf(&manager->token_socket, "%s/token", options->runtime_directory) < 0)
                manager->token_socket = NULL;
        if (!broker_socket || !manager->token_socket)
                return -ENOMEM;
        manager->parts.token_socket = manager->token_socket;
        r = keeper_new(&manager->keeper);
        if (r >= 0)
                r = build(manager, options, broker_socket);
        if (r >= 0)
                r = recall_tokens(event, manager->keeper, manager->parts.broker,
                                  manager->parts.jobs);
        if (r >= 0)
                r = adopt_all(manager);
        if (r >= 0)
                conditions_configured(manager->parts.conditions);
        if (r >= 0)
                r = register_on_bus(manager);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(manager);
        return 0;
}

static void release_all(BusContext *p)
{
        Job *job;

        if (!p->jobs || !p->engine)
                return;
        TAILQ_FOREACH (job, job_table_list(p->jobs), table_entries) {
                if (p->news)
                        news_forget(p->news, job);
                validation_forget(job);
                finisher_abandon(job);
                engine_release(p->engine, job);
        }
}

void manager_free(Manager *manager)
{
        BusContext *p;

        if (!manager)
                return;
        p = &manager->parts;
        turn_free(p->turn); /* DUR-29: the last commit, before anything is taken apart */
        standby_free(manager->standby);
        manager->standby = NULL;
        notifier_free(p->notifier);
        p->notifier = NULL;
        authorizer_free(p->authorizer);
        handles_free(p->handles);
        release_all(p);
        news_free(p->news);
        validations_free(p->validations);
        finisher_free(p->finisher);
        farewells_free(manager->farewells);
        token_watches_free(manager->watches);
        engine_free(p->engine);
        routes_free(manager->routes);
        conditions_free(p->conditions);
        worker_pool_free(p->workers);
        sessions_free(manager->sessions);
        keeper_free(manager->keeper);
        broker_link_free(p->broker);
        store_close(p->store);
        job_table_free(p->jobs);
        free(manager->token_socket);
        free(manager);
}
