#include "manager/notifier.h"

#include "basic/clock.h"
#include "basic/log.h"
#include "core/command-line.h"
#include "core/notification.h"
#include "login/login.h"

#include <stdio.h>
#include <time.h>

enum {
        RUNS_PER_USER = 4, /* reference 02 section 12; the broker starts no more */
        POSTPONE_USEC = 250 * 1000,
};

/* Of one job whose event is or was due. */
typedef struct Notice {
        Notifier *notifier;
        Job *job;
        sd_event_source *timer;
        uint64_t event; /* counts them, so that a run's end is not taken for another's */
        bool told;
        bool untold;         /* until notifier_tell() */
        uint64_t not_before; /* µs, CLOCK_MONOTONIC */
        struct Run *run;     /* under way */
} Notice;

/* A command line that runs, or is on its way to. It outlives its job: the command may be what
   completes it. */
typedef struct Run {
        TAILQ_ENTRY(Run) entries;
        Notifier *notifier;
        uint64_t number;
        char job[JOB_ID_CHARACTERS + 1];
        uid_t author;
        uint64_t event;          /* of the notice */
        uint64_t begun;          /* as the job has it */
        uint64_t started_before; /* what the job had until then */
        uint32_t result_before;
        CommandRun order;
        uint64_t ticket;
        Channel *channel;
        pid_t pid;
        bool greeted, started;
} Run;

struct Notifier {
        NotifierParts parts;
        TAILQ_HEAD(, Run) runs;
        uint64_t last_run, last_event;
};

static void step(Notifier *notifier, Job *job);

static uint64_t now_monotonic(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}

static uint64_t retry_delay(const Job *job)
{
        return job->minimum_retry_delay * USEC_PER_SEC;
}

static void mark(Notifier *notifier, Job *job)
{
        store_mark_job(notifier->parts.store, job, STORE_PROMISED);
        turn_schedule(notifier->parts.turn);
}

static bool has_receivers(const Job *job)
{
        const Handle *handle;

        TAILQ_FOREACH (handle, &job->handles, entries)
                if (handle->receiver && !handle->dying)
                        return true;
        return false;
}

/* ---- whose command lines run ---- */

/* NTF-244, NTF-253 */
const char *notifier_objection(const Notifier *notifier, uid_t owner, uid_t author)
{
        if (login_is_service(owner))
                return "jobs of root and of service accounts run no command line";
        if (login_is_service(author))
                return "command lines of root and of service accounts do not run";
        if (!config_allows_command(notifier->parts.config, author))
                return "the administrator forbids command lines (AllowCommandLines in bitsd.conf)";
        return NULL;
}

static bool may_run(const Notifier *notifier, const Job *job)
{
        const Presence *presence = notifier->parts.presence;
        uid_t author = job->command.author;

        return job->command.program && job->command.kept &&
               !notifier_objection(notifier, job->owner, author) &&
               presence->signed_on(presence->userdata, author);
}

static bool has_room(const Notifier *notifier, uid_t author)
{
        const Run *run;
        unsigned n = 0;

        TAILQ_FOREACH (run, &notifier->runs, entries)
                n += run->author == author;
        return n < RUNS_PER_USER;
}

/* ---- notices ---- */

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Notice *notice = userdata;

        (void)source;
        (void)usec;
        step(notice->notifier, notice->job);
        return 0;
}

static Notice *notice_of(Notifier *notifier, Job *job)
{
        Notice *notice = job->notice;

        if (notice)
                return notice;
        notice = calloc(1, sizeof(*notice));
        if (!notice)
                return NULL;
        notice->notifier = notifier;
        notice->job = job;
        if (sd_event_add_time_relative(notifier->parts.event, &notice->timer, CLOCK_MONOTONIC, 0, 0,
                                       on_timer, notice) < 0) {
                free(notice);
                return NULL;
        }
        (void)sd_event_source_set_enabled(notice->timer, SD_EVENT_OFF);
        job->notice = notice;
        return notice;
}

static void notice_free(Notice *notice)
{
        sd_event_source_disable_unref(notice->timer);
        notice->job->notice = NULL;
        free(notice);
}

/* The event is acknowledged, or of no more interest. */
static void settle(Notifier *notifier, Job *job)
{
        job->notify_event = 0;
        mark(notifier, job);
        step(notifier, job);
}

/* ---- runs ---- */

static void run_free(Run *run)
{
        broker_cancel(run->notifier->parts.broker, run->ticket);
        channel_free(run->channel);
        TAILQ_REMOVE(&run->notifier->runs, run, entries);
        free(run);
}

static Run *find_run(Notifier *notifier, uint64_t number)
{
        Run *run;

        TAILQ_FOREACH (run, &notifier->runs, entries)
                if (run->number == number)
                        return run;
        return NULL;
}

/* NTF-254: what an administrator finds in the journal. */
static void log_end(const Notifier *notifier, const Run *run, const Job *job, uint32_t result,
                    bool again)
{
        const Presence *presence = notifier->parts.presence;
        char text[COMMAND_RESULT_SIZE], repeated[64] = "";

        if (again)
                snprintf(repeated, sizeof(repeated), "; to be repeated in %u s",
                         job->minimum_retry_delay);
        command_result_text(result, text);
        log_write(result == 0 ? LOG_INFO : LOG_WARNING, "job %s: the command line of %s: %s%s",
                  run->job, presence->user_name(presence->userdata, run->author), text, repeated);
}

static void look_at_waiting(Notifier *notifier, uid_t author);

/* Frees the run. NTF-251 */
static void run_ended(Run *run, uint32_t result)
{
        Notifier *notifier = run->notifier;
        Job *job = job_table_find(notifier->parts.jobs, run->job);
        Notice *notice = job ? job->notice : NULL;
        bool current = notice && notice->run == run;
        bool due = current && notice->event == run->event && job->notify_event != 0;
        bool same = job && job->command.started == run->begun; /* not replaced meanwhile */
        uid_t author = run->author;

        log_end(notifier, run, job, result, due && same && result != 0);
        run_free(run);
        if (current) {
                notice->run = NULL;
                if (same)
                        job->command.result = result;
                if (due && result == 0)
                        job->notify_event = 0;
                else if (due && same)
                        notice->not_before = now_monotonic() + retry_delay(job);
                mark(notifier, job);
                news_modified(notifier->parts.news, job);
                step(notifier, job);
        }
        look_at_waiting(notifier, author);
}

static int on_hello(Run *run, Message *m)
{
        WorkerHello hello;

        if (run->greeted || worker_hello_read(m, &hello) < 0 || hello.kind != WORKER_COMMAND ||
            hello.version != PROTOCOL_VERSION)
                return -EBADMSG;
        run->greeted = true;
        command_run_write(channel_draft(run->channel), 0, &run->order);
        return channel_send(run->channel);
}

static int on_started(Run *run, Message *m)
{
        const Presence *presence = run->notifier->parts.presence;
        CommandStarted started;

        if (!run->greeted || run->started || command_started_read(m, &started) < 0)
                return -EBADMSG;
        if (started.error != 0) {
                run_ended(run, COMMAND_NOT_STARTED + (started.error & 0xfff));
                return 0;
        }
        run->started = true;
        log_info("job %s: the command line of %s runs (%s)", run->job,
                 presence->user_name(presence->userdata, run->author),
                 run->order.event == COMMAND_EVENT_ERROR ? "error" : "transferred");
        return 0;
}

static int on_message(void *userdata, Message *m)
{
        Run *run = userdata;
        CommandEnded ended;

        switch (m->type) {
        case MESSAGE_WORKER_HELLO:
                return on_hello(run, m);
        case MESSAGE_COMMAND_STARTED:
                return on_started(run, m);
        case MESSAGE_COMMAND_ENDED:
                if (!run->started || command_ended_read(m, &ended) < 0 ||
                    ended.result > COMMAND_LOST)
                        return -EBADMSG;
                run_ended(run, ended.result);
                return 0;
        }
        return -EBADMSG;
}

static void on_end(void *userdata, int reason)
{
        Run *run = userdata;

        if (reason == -EBADMSG) {
                log_warning("bits-command[%d] of uid %u broke the protocol", (int)run->pid,
                            (unsigned)run->author);
                broker_end_worker(run->notifier->parts.broker, run->pid);
        }
        run_ended(run, COMMAND_LOST);
}

/* The broker counts a process until it is reaped, which may be a moment after its end was told:
   there is room soon, and this was no run. Frees the run. LIM-241 */
static void postpone(Run *run)
{
        Notifier *notifier = run->notifier;
        Job *job = job_table_find(notifier->parts.jobs, run->job);
        Notice *notice = job ? job->notice : NULL;

        if (notice && notice->run == run) {
                notice->run = NULL;
                notice->not_before = now_monotonic() + POSTPONE_USEC;
                if (job->command.started == run->begun) {
                        job->command.started = run->started_before;
                        job->command.result = run->result_before;
                        job->command.runs--;
                }
                mark(notifier, job);
        }
        run_free(run);
        if (notice)
                step(notifier, job);
}

static void on_answer(void *userdata, BrokerAnswer *a)
{
        static const ChannelListener listener = { .on_message = on_message, .on_end = on_end };
        Run *run = userdata;
        int r;

        run->ticket = 0;
        if (a->refused && a->reason == REFUSED_TOO_MANY) {
                postpone(run);
                return;
        }
        if (a->refused) {
                log_warning("job %s: its command line is not started: %s", run->job,
                            refusal_text(a->reason));
                run_ended(run, COMMAND_NOT_STARTED +
                                       (uint32_t)(a->reason == REFUSED_START_FAILED && a->error > 0
                                                          ? a->error
                                                  : a->reason == REFUSED_NO_COMMAND ? ENOENT
                                                                                    : EACCES));
                return;
        }
        run->pid = (pid_t)a->worker.pid;
        r = channel_new(run->notifier->parts.event, TAKE_FD(a->worker.channel), LOOP_WORKERS,
                        &listener, run, &run->channel);
        if (r < 0)
                run_ended(run, COMMAND_NOT_STARTED + (uint32_t)-r);
}

static void on_stored(void *userdata, uint64_t number)
{
        Notifier *notifier = userdata;
        Run *run = find_run(notifier, number);

        if (!run)
                return;
        run->ticket =
                broker_start_command(notifier->parts.broker, run->author, run->job, on_answer, run);
        if (run->ticket == 0)
                run_ended(run, COMMAND_NOT_STARTED + ENOMEM);
}

/* Stored first, begun after the commit. */
static void begin_run(Notifier *notifier, Job *job, Notice *notice)
{
        Run *run = calloc(1, sizeof(*run));

        if (!run)
                return;
        run->notifier = notifier;
        run->number = ++notifier->last_run;
        memcpy(run->job, job->id, sizeof(run->job));
        run->author = job->command.author;
        run->event = notice->event;
        run->order =
                (CommandRun){ .event = job->notify_event,
                              .code = job->notify_event == NOTIFY_JOB_ERROR ? job->fault.code : 0,
                              .seconds = notifier->parts.config->command_line_timeout };
        TAILQ_INSERT_TAIL(&notifier->runs, run, entries);
        notice->run = run;
        run->started_before = job->command.started;
        run->result_before = job->command.result;
        job->command.started = run->begun = clock_usec(CLOCK_REALTIME);
        notice->told = false;
        job->command.runs++;
        job->command.result = COMMAND_RUNNING;
        mark(notifier, job);
        if (turn_after_commit(notifier->parts.turn, on_stored, notifier, run->number) < 0)
                run_ended(run, COMMAND_NOT_STARTED + ENOMEM);
}

/* ---- the decision ---- */

static NotificationView view_of(const Notifier *notifier, const Job *job, const Notice *notice)
{
        return (NotificationView){ .event = job->notify_event,
                                   .flags = job->notify_flags,
                                   .receivers = has_receivers(job),
                                   .command = may_run(notifier, job),
                                   .running = notice->run != NULL,
                                   .told = notice->told,
                                   .not_before = notice->not_before };
}

static void tell_again(Notifier *notifier, Job *job, Notice *notice)
{
        news_event_again(notifier->parts.news, job, job->notify_event);
        notice->told = true;
        notice->not_before = now_monotonic() + retry_delay(job);
}

static void step(Notifier *notifier, Job *job)
{
        Notice *notice = job->notice;
        uint64_t when = 0;
        NotificationView view;

        if (!notice)
                return;
        if (job->notify_event == 0 && !notice->run) {
                notice_free(notice);
                return;
        }
        /* Whoever was told has left without an answer: nothing is waited for any more. */
        if (notice->told && !has_receivers(job)) {
                notice->told = false;
                notice->not_before = 0;
        }
        view = view_of(notifier, job, notice);
        switch (notification_next(&view, now_monotonic(), &when)) {
        case NOTIFICATION_TELL:
                tell_again(notifier, job, notice);
                when = notice->not_before;
                break;
        case NOTIFICATION_RUN:
                /* Without room it is begun when one of the others ends. */
                if (has_room(notifier, job->command.author))
                        begin_run(notifier, job, notice);
                break;
        case NOTIFICATION_WAIT:
        case NOTIFICATION_NOTHING:
                break;
        case NOTIFICATION_STEP_MAX:
        case NOTIFICATION_STEP_INVALID:
                assert(false);
        }
        if (job->notice != notice)
                return;
        if (when == 0) {
                (void)sd_event_source_set_enabled(notice->timer, SD_EVENT_OFF);
                return;
        }
        (void)sd_event_source_set_time(notice->timer, when);
        (void)sd_event_source_set_enabled(notice->timer, SD_EVENT_ONESHOT);
}

/* LIM-241: there is room again for this user. */
static void look_at_waiting(Notifier *notifier, uid_t author)
{
        Job *job;

        TAILQ_FOREACH (job, job_table_list(notifier->parts.jobs), table_entries)
                if (job->notice && !job->notice->run && job->command.author == author)
                        step(notifier, job);
}

/* ---- calls ---- */

static bool state_fits(const Job *job)
{
        return job->notify_event == NOTIFY_JOB_TRANSFERRED ? job->state == STATE_TRANSFERRED
                                                           : job->state == STATE_ERROR;
}

void notifier_event(Notifier *notifier, Job *job, uint32_t event, bool later)
{
        Notice *notice = notice_of(notifier, job);

        job->notify_event = event;
        mark(notifier, job);
        if (!later || !notice)
                news_event(notifier->parts.news, job, event);
        if (!notice)
                return;
        notice->untold = later;
        notice->event = ++notifier->last_event;
        notice->told = has_receivers(job) && notification_wanted(job->notify_flags, event);
        notice->not_before = notice->told ? now_monotonic() + retry_delay(job) : 0;
        step(notifier, job);
}

/* NTF-470 */
void notifier_tell(Notifier *notifier, Job *job)
{
        if (!job->notice || !job->notice->untold)
                return;
        job->notice->untold = false;
        if (job->notify_event != 0 && state_fits(job))
                news_event(notifier->parts.news, job, job->notify_event);
}

void notifier_look(Notifier *notifier, Job *job)
{
        if (!notifier || job->notify_event == 0)
                return;
        if (!state_fits(job))
                settle(notifier, job);
        else
                step(notifier, job);
}

void notifier_look_at_all(Notifier *notifier)
{
        Job *job;

        TAILQ_FOREACH (job, job_table_list(notifier->parts.jobs), table_entries)
                notifier_look(notifier, job);
}

/* NTF-251: a run that the last daemon did not see to its end counts as failed, and is repeated no
   sooner than another. The wall clock may have been set meanwhile: never longer than the delay. */
void notifier_adopt(Notifier *notifier, Job *job)
{
        uint64_t now = clock_usec(CLOCK_REALTIME), next;
        Notice *notice;

        if (job->command.result == COMMAND_RUNNING) {
                job->command.result = COMMAND_LOST;
                mark(notifier, job);
        }
        if (job->notify_event == 0 || !(notice = notice_of(notifier, job)))
                return;
        notice->event = ++notifier->last_event;
        next = job->command.started + retry_delay(job);
        if (job->command.started != 0 && next > now)
                notice->not_before = now_monotonic() + MIN(next - now, retry_delay(job));
        notifier_look(notifier, job);
}

void notifier_forget(Notifier *notifier, Job *job)
{
        if (job->command.kept)
                broker_drop_command(notifier->parts.broker, job->command.author, job->id);
        job->command.kept = false;
        job->notify_event = 0;
        if (job->notice)
                notice_free(job->notice);
}

/* NTF-251: late, but told. */
void notifier_subscribe(Notifier *notifier, Handle *handle, bool receives)
{
        Job *job = handle->job;
        Notice *notice = job->notice;
        bool first = receives && !handle->receiver;

        handle->receiver = receives;
        if (!notice || job->notify_event == 0)
                return;
        if (first && !notice->run && notification_wanted(job->notify_flags, job->notify_event)) {
                if (!notice->untold)
                        news_event_late(notifier->parts.news, handle, job->notify_event);
                notice->told = true;
                notice->not_before = now_monotonic() + retry_delay(job);
        }
        step(notifier, job);
}

void notifier_acknowledged(Notifier *notifier, Job *job)
{
        step(notifier, job);
}

void notifier_command_changed(Notifier *notifier, Job *job, uid_t old_author, bool old_kept)
{
        const JobCommand *command = &job->command;

        /* What the same user had given to the job is replaced in the broker's ledger already. */
        if (old_kept && !(command->kept && command->author == old_author))
                broker_drop_command(notifier->parts.broker, old_author, job->id);
        if (job->notice && !job->notice->run)
                job->notice->not_before = 0;
        if (command->program)
                log_notice("job %s: uid %u set the command line %s", job->id,
                           (unsigned)command->author, command->program);
}

static void on_holder_left(void *userdata, Job *job)
{
        step(userdata, job);
}

int notifier_new(const NotifierParts *parts, Notifier **ret)
{
        Notifier *notifier = malloc(sizeof(*notifier));

        if (!notifier)
                return -ENOMEM;
        *notifier = (Notifier){ .parts = *parts };
        TAILQ_INIT(&notifier->runs);
        handles_on_receiver_left(parts->handles, on_holder_left, notifier);
        *ret = notifier;
        return 0;
}

void notifier_free(Notifier *notifier)
{
        Run *run;
        Job *job;

        if (!notifier)
                return;
        handles_on_receiver_left(notifier->parts.handles, NULL, NULL);
        while ((run = TAILQ_FIRST(&notifier->runs)))
                run_free(run);
        TAILQ_FOREACH (job, job_table_list(notifier->parts.jobs), table_entries)
                if (job->notice)
                        notice_free(job->notice);
        free(notifier);
}
