/*
 * The queue: everything that happens to a job between the calls and the transfers. It moves states,
 * gives turns, counts time, keeps jobs back and lets them try again, and is the only caller of
 * job_transition() for a job that is not being completed or cancelled. Pure: what has to be done
 * about it (transfers, the store, signals) its listener does; the time is an argument.
 *
 * So whoever simulates a year of a machine, or drives a million random calls, runs the rules that
 * the service runs.
 *
 * Invariants (ENG-225), after each call: a job is a member of the schedule exactly while its state
 * is runnable, its owner is signed on and it is not held; a running member is CONNECTING or
 * TRANSFERRING once queue_run() is over; a job that waits for time is in the heap of deadlines no
 * later than its time.
 */
#pragma once

#include "core/job.h"
#include "core/wait.h"

typedef struct Now {
        uint64_t clock;    /* µs on the clock of the service: see timers.h */
        uint64_t realtime; /* µs since 1970, for what is shown */
} Now;

/* All are called from within a function of the queue, and may call back into it for that job,
   except on_wanted. */
typedef struct QueueListener {
        /* Its turn begins: start its transfers. It is CONNECTING. */
        void (*on_turn)(void *userdata, Job *job);
        /* Its turn is over, for whatever reason: stop them. They may end later. */
        void (*on_turn_over)(void *userdata, Job *job);
        /* State or fault changed. `promised`: somebody is told of it, so it has to be stored. */
        void (*on_changed)(void *userdata, Job *job, bool promised);
        void (*on_transferred)(void *userdata, Job *job);
        void (*on_error)(void *userdata, Job *job);
        /* Without a sign of life for too long: it is to be cancelled by EVENT_EXPIRED. */
        void (*on_inactive)(void *userdata, Job *job);
        /* queue_run() has something to do. */
        void (*on_wanted)(void *userdata);
        bool (*signed_on)(void *userdata, const Job *job);
} QueueListener;

typedef struct Queue {
        Schedule schedule;
        Deadlines deadlines;
        TimerLimits limits;
        const Gate *gate; /* NULL: nothing is in the way */
        uint64_t random;  /* of the jitter */
        size_t n_jobs;
        const QueueListener *listener;
        void *userdata;
} Queue;

/* `seed` makes the jitter. */
void queue_init(Queue *q, uint64_t seed, const QueueListener *listener, void *userdata);
void queue_done(Queue *q);
/* How many background jobs run at a time, at least 1. */
void queue_set_places(Queue *q, unsigned background);
/* Other limits of the machine, for all jobs from now on. */
void queue_set_limits(Queue *q, const TimerLimits *limits);

/* A new job, or one from the store: what was running when the service ended is queued again, what
   was kept back is looked at anew. 0 or -ENOMEM. */
int queue_add(Queue *q, Job *job, Now now);
/* The job leaves. */
void queue_remove(Queue *q, Job *job);

/* Gives turns and does what is due. */
void queue_run(Queue *q, Now now);
/* The point at which queue_run() is to be called again if nothing else happens; TIMERS_NEVER. */
uint64_t queue_deadline(const Queue *q);

/* ---- calls: 0, or the code to answer with ---- */

/* A call that moves the state has two halves: the job is changed, and when that is stored the rest
   follows. Until then nobody was told, nothing has begun or ended, and the job may be made again
   what it was; nothing else may happen to it in between. */
typedef struct QueueMove {
        JobState before;
        JobEvent event;
} QueueMove;

BitsCode queue_resume(Job *job, Now now, QueueMove *ret);
BitsCode queue_suspend(Job *job, Now now, QueueMove *ret);
/* A file that is transferred is wrong: a fault of the job. */
BitsCode queue_invalidate(Job *job, const File *file, Now now, QueueMove *ret);
void queue_follow(Queue *q, Job *job, const QueueMove *step, Now now);

/* The job has another priority. */
void queue_priority_changed(Queue *q, Job *job, Now now);
/* Something else was set: delays and limits count from now on, and the gate is asked again. */
void queue_touched(Queue *q, Job *job, Now now);
/* Takes it out of its turn until queue_unhold(); holding twice is holding once. */
void queue_hold(Queue *q, Job *job, Now now);
void queue_unhold(Queue *q, Job *job, Now now);

/* ---- what happens to it ---- */

/* Any event of state.h that has no function of its own here: CONNECTED, FINISHED, RANGES_FILLED …
   The code is BG_E_INVALID_STATE when it cannot happen now. */
BitsCode queue_event(Queue *q, Job *job, JobEvent event, Now now);
/* Bytes arrived. */
void queue_progress(Queue *q, Job *job, Now now);
/* A failure, of a file or (NULL) of the whole job. A transient one is fatal when patience is over;
   when nothing runs any more, because another file was first, nothing happens. */
void queue_fail(Queue *q, Job *job, const File *file, bool transient, ErrorContext context,
                BitsCode code, const char *detail, Now now);
/* A fatal fault that a call or the service brings upon a job in any state where `event` can
   happen: TOKEN_REQUIRED. */
BitsCode queue_condemn(Queue *q, Job *job, const File *file, JobEvent event, ErrorContext context,
                       BitsCode code, const char *detail, Now now);
/* The owner has signed on or off, as the listener says by now; also: is another one. */
void queue_owner_changed(Queue *q, Job *job, Now now);
/* What the gate says of it may have changed. */
void queue_reconsider(Queue *q, Job *job, Now now);
/* There is a network again. */
void queue_network_back(Queue *q, Job *job, Now now);

/* ---- what it waits for ---- */

WaitKind queue_wait_kind(const Queue *q, const Job *job);
/* The point of the next attempt; 0: not by time. */
uint64_t queue_next_attempt(const Job *job);
