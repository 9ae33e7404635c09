/*
 * The inside of the engine, for the files that make it: engine.c does what the queue decides;
 * engine-turn.c has a job's turn: while it lasts, its workers are acquired and as many of its files
 * as may be are on their way.
 */
#pragma once

#include "manager/engine.h"
#include "manager/late.h"
#include "manager/transfer.h"

typedef struct EngineJob EngineJob;

/* A file that failed while files before it were on their way. */
typedef struct LateFailure {
        File *file; /* NULL: there is none */
        TransferReport report;
        char *detail; /* the report's */
} LateFailure;

struct EngineJob {
        Engine *engine;
        Job *job;
        Worker *local, *net; /* while running */
        Worker *remote;      /* likewise, from the first file that is a file of this machine */
        bool running;        /* its turn */
        EngineStopped on_stopped;
        void *stopped_userdata;

        unsigned n_transfers;
        size_t cursor; /* every file before it is transferred or on its way */
        LateFailure failure;
};

struct Engine {
        sd_event *event;
        WorkerPool *pool;
        Store *store;
        Turn *turn;
        const EngineListener *listener;
        void *userdata;
        const Presence *presence; /* NULL: everybody is signed on */
        const Config *config;     /* NULL: BITS's defaults */

        Queue queue;
        unsigned n_transfers;
        Late dispatch; /* at the end of this iteration */
        sd_event_source *timer;
};

Now engine_now(const Engine *engine);

/* Whoever is meant now; the kept bytes belong to the file, not to him. False: the
   job has no such identity, or memory is out. */
bool engine_acquire_workers(EngineJob *ej);
void engine_release_workers(EngineJob *ej);
/* Keeps as many files on their way as a job may have. */
void engine_start_files(EngineJob *ej);
/* Nothing has failed. */
void engine_forget_failure(EngineJob *ej);
/* They wind down by themselves. */
void engine_stop_transfers(EngineJob *ej);
/* Ends the turn, whatever the reason. */
void engine_leave_turn(EngineJob *ej);
/* Says to the queue that all files are there, or all that is asked of them. */
void engine_finish_if_done(Engine *engine, Job *job);

void engine_tell_token(Engine *engine, Job *job);
/* Also tells it. */
void engine_drop_token(Engine *engine, Job *job);
void engine_fail_token_required(Engine *engine, Job *job);
