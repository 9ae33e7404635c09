/*
 * A machine over months, with the time as an argument: the queue as the service runs it, jobs that
 * come, fail, and are fetched at the pace of a network that is lost now and then, users who come
 * and go. What is asserted is what users would complain about: a place that is idle while somebody
 * waits, a job before its betters, one that waits longer than the others, one that is never done.
 *
 *     test-simulation [JOBS [DAYS [SEED]]]
 */
#include "core/queue.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#define SECOND TIMERS_USEC_PER_SEC
#define SLICE  (5 * 60 * SECOND)

enum {
        USERS = 10,
        LEAVE_AT_NIGHT = 3, /* of them */
        SHARERS = 200,      /* jobs without an end, who share the machine */
};

typedef struct Client {
        Job *job;
        Timers end; /* of its transfer: a heap, as for timers */
        uint64_t left, since, got, slice;
        uint64_t arrived;
        bool fails, waits;
        uint64_t turns_before, members_before; /* when it began to wait */
} Client;

typedef struct Sim {
        Queue q;
        Deadlines ends;
        uint64_t clock, random;
        bool there[USERS], network;
        Client *clients;
        size_t n, n_done, n_live, most_live;
        Client **done; /* to be completed after the queue has run */
        size_t n_finished;
        uint64_t turns[PRIORITY_MAX];
        size_t waiting[PRIORITY_MAX], members[PRIORITY_MAX];
        unsigned running; /* background */
        uint64_t waited[PRIORITY_MAX], longest[PRIORITY_MAX], ended[PRIORITY_MAX];
        uint64_t n_turns, n_runs, n_failures;
} Sim;

#define CHECK(condition)                                                                \
        do {                                                                            \
                if (!(condition)) {                                                     \
                        printf("test-simulation: line %d: %s\n", __LINE__, #condition); \
                        exit(1);                                                        \
                }                                                                       \
        } while (0)

static uint64_t draw(Sim *s)
{
        s->random ^= s->random << 13;
        s->random ^= s->random >> 7;
        s->random ^= s->random << 17;
        return s->random;
}

/* Exponential: most are small, some are large. */
static uint64_t draw_span(Sim *s, double mean)
{
        double u = (double)(draw(s) >> 11) / (double)(UINT64_C(1) << 53);

        return (uint64_t)(-log(1 - u) * mean) + 1;
}

static Now now_of(const Sim *s)
{
        return (Now){ s->clock, s->clock };
}

static Client *client_of(const Job *job)
{
        return (Client *)job->engine; /* the place where the engine has its part */
}

static bool is_background(const Job *job)
{
        return job->priority != PRIORITY_FOREGROUND;
}

static bool is_there(void *userdata, const Job *job)
{
        return ((Sim *)userdata)->there[job->owner % USERS];
}

static BitsCode check_gate(void *userdata, const Job *job, const char **ret_detail)
{
        (void)job;
        (void)ret_detail;
        return ((Sim *)userdata)->network ? 0 : BG_E_NETWORK_DISCONNECTED;
}

static void stop_waiting(Sim *s, Client *c)
{
        s->waiting[c->job->priority] -= c->waits;
        c->waits = false;
}

/* ENG-227: a turn comes after at most one of each of those who were there before. */
static void on_turn(void *userdata, Job *job)
{
        Sim *s = userdata;
        Client *c = client_of(job);
        JobPriority p = job->priority;

        CHECK(s->turns[p] - c->turns_before <= c->members_before);
        stop_waiting(s, c);
        for (int better = PRIORITY_HIGH; better < (int)p; better++)
                CHECK(s->waiting[better] == 0);
        s->n_turns++;
        s->running += is_background(job);
        c->since = s->clock;
        c->fails = c->left > SECOND && draw(s) % 20 == 0;
        deadlines_set(&s->ends, &c->end, s->clock + (c->fails ? draw(s) % c->left + 1 : c->left));
        (void)queue_event(&s->q, job, EVENT_CONNECTED, now_of(s));
}

static void on_turn_over(void *userdata, Job *job)
{
        Sim *s = userdata;
        Client *c = client_of(job);
        uint64_t got = s->clock - c->since;

        deadlines_set(&s->ends, &c->end, TIMERS_NEVER);
        c->got += got;
        c->left -= MIN(got, c->left);
        s->running -= is_background(job);
        c->slice += got;
        if (!job->schedule.member || c->slice >= SLICE) { /* not only pre-empted */
                s->turns[job->priority]++;
                c->slice = 0;
        }
        if (got > 0)
                queue_progress(&s->q, job, now_of(s));
}

static void note_waiting(Sim *s, Client *c)
{
        const Job *job = c->job;
        bool waits = job->schedule.member && !job->schedule.running;

        if (waits && !c->waits) {
                c->turns_before = s->turns[job->priority];
                c->members_before = s->members[job->priority];
                s->waiting[job->priority]++;
                c->waits = true;
        } else if (!job->schedule.member)
                stop_waiting(s, c);
}

static void on_changed(void *userdata, Job *job, bool promised)
{
        (void)promised;
        note_waiting(userdata, client_of(job));
}

static void on_transferred(void *userdata, Job *job)
{
        Sim *s = userdata;

        s->done[s->n_finished++] = client_of(job);
}

static void on_error(void *userdata, Job *job)
{
        (void)userdata;
        printf("test-simulation: a job ended with %08x\n", job->fault.code);
        exit(1);
}

static void on_inactive(void *userdata, Job *job)
{
        on_error(userdata, job);
}

static void on_wanted(void *userdata)
{
        (void)userdata;
}

static const QueueListener listener = {
        on_turn,  on_turn_over, on_changed, on_transferred,
        on_error, on_inactive,  on_wanted,  is_there,
};

static void arrive(Sim *s, Client *c, JobPriority priority, uint64_t work)
{
        static const uint8_t random[JOB_ID_BYTES];
        QueueMove move;
        File *file;

        *c = (Client){ .left = work, .arrived = s->clock };
        if (job_new(random, (uid_t)(draw(s) % USERS), JOB_DOWNLOAD, "j", s->clock, &c->job) < 0 ||
            file_new("http://h/f", "/srv/f", random, &file) < 0 ||
            job_append_file(c->job, file) < 0)
                abort();
        c->job->engine = (struct EngineJob *)c;
        c->job->priority = priority;
        c->job->minimum_retry_delay = 60;
        c->job->no_progress_timeout = UINT32_MAX;
        s->members[priority]++;
        s->most_live = MAX(s->most_live, ++s->n_live);
        if (deadlines_reserve(&s->ends, s->n_live) < 0 || queue_add(&s->q, c->job, now_of(s)) < 0)
                abort();
        CHECK(queue_resume(c->job, now_of(s), &move) == 0);
        queue_follow(&s->q, c->job, &move, now_of(s));
}

static void leave(Sim *s, Client *c)
{
        JobPriority p = c->job->priority;
        uint64_t waited = s->clock - c->arrived;

        s->waited[p] += waited;
        s->longest[p] = MAX(s->longest[p], waited);
        s->ended[p]++;
        s->members[p]--;
        s->n_live--;
        s->n_done++;
        queue_remove(&s->q, c->job);
        c->job->engine = NULL;
        job_free(c->job);
        c->job = NULL;
}

static void end_transfer(Sim *s, Client *c)
{
        Job *job = c->job;

        if (c->fails) {
                s->n_failures++;
                queue_fail(&s->q, job, job->files[0], true, CONTEXT_REMOTE_FILE,
                           BITS_E_CANNOT_CONNECT, NULL, now_of(s));
                return;
        }
        file_set_transferred(job->files[0], true);
        CHECK(queue_event(&s->q, job, EVENT_FINISHED, now_of(s)) == 0);
}

static Client *client_of_end(Timers *end)
{
        return (Client *)((char *)end - offsetof(Client, end));
}

/* The engine's loop, at this moment. */
static void run(Sim *s)
{
        Timers *end;
        size_t eligible = 0;

        while ((end = deadlines_first(&s->ends)) && end->due <= s->clock)
                end_transfer(s, client_of_end(end));
        queue_run(&s->q, now_of(s));
        s->n_runs++;
        while (s->n_finished > 0)
                leave(s, s->done[--s->n_finished]);
        for (int p = PRIORITY_HIGH; p < PRIORITY_MAX; p++)
                eligible += s->waiting[p];
        CHECK(eligible == 0 || s->running == s->q.schedule.max_background);
        CHECK(s->waiting[PRIORITY_FOREGROUND] == 0);
}

static uint64_t next_moment(const Sim *s)
{
        const Timers *end = deadlines_first(&s->ends);

        return MIN(queue_deadline(&s->q), end ? end->due : TIMERS_NEVER);
}

/* Everything that happens by itself until then. */
static void run_until(Sim *s, uint64_t point)
{
        uint64_t next;

        while ((next = next_moment(s)) < point) {
                s->clock = next;
                run(s);
        }
        s->clock = point;
}

static void set_network(Sim *s, bool there)
{
        s->network = there;
        for (size_t i = 0; i < s->n; i++)
                if (s->clients[i].job)
                        queue_reconsider(&s->q, s->clients[i].job, now_of(s));
}

static void set_people(Sim *s, bool there)
{
        for (size_t u = 0; u < LEAVE_AT_NIGHT; u++)
                s->there[u] = there;
        for (size_t i = 0; i < s->n; i++)
                if (s->clients[i].job && s->clients[i].job->owner < LEAVE_AT_NIGHT) {
                        queue_owner_changed(&s->q, s->clients[i].job, now_of(s));
                        note_waiting(s, &s->clients[i]); /* no news of a state */
                }
}

static void begin(Sim *s, size_t n, uint64_t seed)
{
        Gate *gate = malloc(sizeof(*gate));

        *s = (Sim){ .clock = TIMERS_DAY, .random = seed * 2 + 1, .network = true, .n = n };
        memset(s->there, 1, sizeof(s->there));
        s->clients = calloc(n, sizeof(*s->clients));
        s->done = calloc(n, sizeof(Client *));
        if (!gate || !s->clients || !s->done)
                abort();
        *gate = (Gate){ check_gate, s };
        queue_init(&s->q, seed, &listener, s);
        s->q.gate = gate;
}

static void finish(Sim *s)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->clients[i].job)
                        leave(s, &s->clients[i]);
        free((void *)s->q.gate);
        queue_done(&s->q);
        deadlines_done(&s->ends);
        free(s->clients);
        free(s->done);
}

/* 5 % foreground, 20 % high, 50 % normal, 25 % low. */
static JobPriority draw_priority(Sim *s)
{
        uint64_t percent = draw(s) % 100;

        return percent < 5    ? PRIORITY_FOREGROUND
               : percent < 25 ? PRIORITY_HIGH
               : percent < 75 ? PRIORITY_NORMAL
                              : PRIORITY_LOW;
}

/* The jobs arrive over `days`, and are work for seven tenths of them. */
static void months(size_t n, uint64_t days, uint64_t seed)
{
        static Sim s;
        double gap = (double)(days * TIMERS_DAY) / (double)n;
        uint64_t night = 0, outage;
        size_t n_outages = 0;

        begin(&s, n, seed);
        outage = s.clock + draw_span(&s, 2.0 * (double)TIMERS_DAY);
        for (size_t i = 0; i < n; i++) {
                uint64_t next = s.clock + draw_span(&s, gap);

                if (outage < next) {
                        run_until(&s, MAX(outage, s.clock));
                        set_network(&s, !s.network);
                        n_outages += s.network;
                        outage += draw_span(&s, s.network ? 2.0 * (double)TIMERS_DAY
                                                          : 3600.0 * (double)SECOND);
                        run(&s);
                }
                if (s.clock / (TIMERS_DAY / 2) != night) {
                        night = s.clock / (TIMERS_DAY / 2);
                        set_people(&s, night % 2);
                }
                run_until(&s, MAX(next, s.clock));
                arrive(&s, &s.clients[i], draw_priority(&s), draw_span(&s, 0.7 * gap));
                run(&s);
        }
        set_network(&s, true);
        set_people(&s, true);
        run(&s);
        for (unsigned day = 0; s.n_done < n && day < 2 * days; day++)
                run_until(&s, s.clock + TIMERS_DAY);
        CHECK(s.n_done == n); /* ENG-227: nobody is forgotten */
        printf("%zu jobs in %" PRIu64 " days, %zu at most at a time, %zu outages, %" PRIu64
               " turns, %" PRIu64 " failures, %" PRIu64 " runs of the queue\n",
               n, s.clock / TIMERS_DAY, s.most_live, n_outages, s.n_turns, s.n_failures, s.n_runs);
        for (JobPriority p = 0; p < PRIORITY_MAX; p++)
                printf("%-10s %8" PRIu64 " jobs, from arrival to end %7" PRIu64
                       " s on average, %8" PRIu64 " s at most\n",
                       job_priority_name(p), s.ended[p],
                       s.waited[p] / MAX(s.ended[p], UINT64_C(1)) / SECOND, s.longest[p] / SECOND);
        for (JobPriority p = PRIORITY_HIGH; p + 1 < PRIORITY_MAX; p++)
                CHECK(s.waited[p] / s.ended[p] < s.waited[p + 1] / s.ended[p + 1]);
        finish(&s);
}

/* Jain's index: 1 when all have the same, 1/n when one has all. */
static double jain(const Client *clients, size_t n)
{
        double sum = 0, squares = 0;

        for (size_t i = 0; i < n; i++) {
                double got = (double)clients[i].got;

                sum += got;
                squares += got * got;
        }
        return sum * sum / ((double)n * squares);
}

/* ENG-05, ENG-227: jobs without an end, of one priority, for a month, while better ones come and
   take the place now and then. */
static void shares(unsigned places, uint64_t seed)
{
        static Sim s;
        double index;

        begin(&s, SHARERS + 20000, seed);
        queue_set_places(&s.q, places);
        for (size_t i = 0; i < SHARERS; i++)
                arrive(&s, &s.clients[i], PRIORITY_NORMAL, UINT64_MAX / 4);
        for (size_t i = SHARERS; i < s.n; i++) {
                run_until(&s, s.clock + draw_span(&s, 130.0 * (double)SECOND));
                arrive(&s, &s.clients[i], PRIORITY_HIGH, draw_span(&s, 30.0 * (double)SECOND));
                run(&s);
        }
        for (size_t i = 0; i < SHARERS; i++)
                if (s.clients[i].job->schedule.running)
                        on_turn_over(&s, s.clients[i].job);
        index = jain(s.clients, SHARERS);
        printf("%d jobs share %u place%s for %" PRIu64 " days: Jain's index %.5f\n", SHARERS,
               places, places > 1 ? "s" : "", s.clock / TIMERS_DAY, index);
        CHECK(index > 0.995);
        finish(&s);
}

int main(int argc, char *argv[])
{
        size_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000;
        uint64_t days = argc > 2 ? strtoull(argv[2], NULL, 0) : 90;
        uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
        clock_t begin_time = clock();
        double seconds;

        months(n, days, seed);
        shares(1, seed);
        shares(3, seed);
        seconds = (double)(clock() - begin_time) / CLOCKS_PER_SEC;
        printf("%.2f s of a processor\n", seconds);
        return 0;
}
