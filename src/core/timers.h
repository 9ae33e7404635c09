/*
 * The clocks of one job (reference 02 section 7): the delay before it is tried again, the time
 * without progress, the time spent on the network, the time without any sign of life. Pure: a point
 * in time is an argument, what is due is an answer.
 *
 * Points are µs on the clock of the service, which the wall clock cannot move, which goes on while
 * the machine sleeps, and which a restart continues where it was (time without the service counts
 * for nothing). 0 stands for "none": the clock never shows it. All that is in Timers but the heap's
 * part is stored with the job, so that a restart begins none of them anew.
 *
 * Deadlines are all jobs' next points in one heap: finding the first is O(1), moving one O(log n),
 * so that thousands of waiting jobs need a single timer of the kernel and no work.
 */
#pragma once

#include "core/state.h"

#define TIMERS_NEVER        UINT64_MAX
#define TIMERS_USEC_PER_SEC UINT64_C(1000000)
#define TIMERS_DAY          (24 * 60 * 60 * TIMERS_USEC_PER_SEC)

typedef struct Job Job;

typedef struct Timers {
        uint64_t retry_at;      /* after a transient error; 0: not by time */
        uint64_t failing_since; /* the first failure since the last progress */
        uint32_t failures;   /* so many in a row, without those that were states of the machine */
        uint64_t busy_since; /* CONNECTING or TRANSFERRING */
        uint64_t busy;       /* µs of that before, since the last Resume */
        uint64_t active_at;  /* last progress or call */

        uint64_t due; /* of the heap */
        size_t place; /* in it, from 1; 0: not there */
} Timers;

typedef enum TimerKind {
        TIMER_NONE,
        TIMER_RETRY,         /* try again */
        TIMER_NO_PROGRESS,   /* the transient error becomes fatal */
        TIMER_DOWNLOAD_TIME, /* BG_E_MAXDOWNLOAD_TIMEOUT */
        TIMER_INACTIVITY,    /* the service cancels the job */
        TIMER_MAX,
        TIMER_INVALID = -1,
} TimerKind;

/* The limits of the machine, beside the job's own. */
typedef struct TimerLimits {
        uint64_t inactivity;    /* µs; TIMERS_NEVER: none. It caps a longer no-progress timeout */
        uint32_t download_time; /* s, of jobs that have 0 */
} TimerLimits;

/* What is due at `now`: the gravest, if there are several. */
TimerKind timers_due(const Job *job, const TimerLimits *limits, uint64_t now);
/* The next point at which to ask; TIMERS_NEVER when no time will make anything due. */
uint64_t timers_next(const Job *job, const TimerLimits *limits);

/* A job from the store: points that this clock cannot have shown are set right. */
void timers_restore(Job *job, uint64_t now);
/* The job has come from `before` into its state. */
void timers_follow(Job *job, JobState before, uint64_t now);
/* A byte arrived: no failure counts any more. */
void timers_progress(Job *job, uint64_t now);
/* Somebody called. */
void timers_touch(Job *job, uint64_t now);
/* Somebody was told of the inactivity: again after a day, if the job is still there. */
void timers_snooze(Job *job, const TimerLimits *limits, uint64_t now);
/* Resume: failures are forgotten, and the download time begins anew. */
void timers_resume(Job *job, uint64_t now);
/* Failures are forgotten: waiting for somebody costs no patience. */
void timers_forgive(Job *job);

/* The job failed, or is kept back; true when it may be tried again: patience lasts, by the
   limits. */
bool timers_fail(Job *job, const TimerLimits *limits, uint64_t now);
/* It will be tried again by time. The delay is a minimum: doubled with each failure, up to an hour,
   and spread by up to a tenth; `random` is any number. `steady`: neither a failure nor doubled, as
   the cause is a state of the machine that is looked at again and again. */
void timers_arm_retry(Job *job, bool steady, uint64_t random, uint64_t now);

/* Seconds: the job's own, or else the machine's. */
uint32_t timers_download_time(const Job *job, const TimerLimits *limits);

typedef struct Deadlines {
        Timers **heap;
        size_t n, room;
} Deadlines;

void deadlines_done(Deadlines *d);
/* Room for one member more than there are, so that deadlines_set() of a new one cannot fail. */
int deadlines_reserve(Deadlines *d, size_t members);
/* Due at that point; TIMERS_NEVER: not in the heap. */
void deadlines_set(Deadlines *d, Timers *t, uint64_t due);
/* Each `due` in the heap may have changed. */
void deadlines_reorder(Deadlines *d);
/* The one that is due first; NULL when none is. */
Timers *deadlines_first(const Deadlines *d);
