/*
 * The end of a job: Complete gives finished files their names, Cancel removes what is there. Both
 * take many steps in workers, both may be cut by a crash at any point, and both go on after it: the
 * intention is stored first, every step may be repeated, the job leaves the store last.
 *
 * A second call of the same kind while one is under way waits for the same result.
 */
#pragma once

#include "manager/engine.h"
#include "manager/jobs.h"

typedef struct Finisher Finisher;

/* `code` is 0, a BG_S_ code or an error; `detail` one sentence or NULL. Runs after the commit. */
typedef void (*FinishCallback)(void *userdata, BitsCode code, const char *detail);

typedef struct FinisherListener {
        /* The job reached its final state and is out of the queue; false: nobody has heard of
           it. */
        void (*on_removed)(void *userdata, Job *job, bool known);
        /* The job was cancelled; true: something is left to be done for it, so its row and its
           token stay, and the listener sees to both. May be NULL. */
        bool (*on_cancelled)(void *userdata, Job *job);
} FinisherListener;

int finisher_new(Engine *engine, WorkerPool *pool, Store *store, Turn *turn, JobTable *jobs,
                 const FinisherListener *listener, void *userdata, Finisher **ret);
void finisher_free(Finisher *finisher);
DEFINE_CLEANUP(Finisher, finisher_free);

/* 0: the callback will run; else the code to answer with now. *ret_error: 0, or why the intention
   could not be stored, -errno; then nothing has happened. */
BitsCode finisher_complete(Finisher *finisher, Job *job, FinishCallback callback, void *userdata,
                           int *ret_error);
BitsCode finisher_cancel(Finisher *finisher, Job *job, FinishCallback callback, void *userdata,
                         int *ret_error);
/* The service cancels a job that nobody has touched for too long. */
void finisher_expire(Finisher *finisher, Job *job);
/* A new job that could not be stored: it has never been. One that is being ended already is left
   alone. */
void finisher_take_back(Finisher *finisher, Job *job);
/* When the daemon ends: forgets what is under way; the store remembers it. */
void finisher_abandon(Job *job);
/* After a start: goes on with what the store says was begun. */
void finisher_go_on(Finisher *finisher, Job *job);
