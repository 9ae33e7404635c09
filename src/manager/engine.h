/*
 * The engine makes jobs run: gives them their turns, keeps several files of a job on their way,
 * turns failures into states, tries again later. It changes states through job_transition() and
 * marks what changed; who is to be told, it tells its listener.
 */
#pragma once

#include "manager/store.h"
#include "manager/turn.h"
#include "manager/worker.h"

typedef struct Engine Engine;

typedef struct EngineListener {
        void (*on_modified)(void *userdata, Job *job);    /* state or progress */
        void (*on_transferred)(void *userdata, Job *job); /* JobTransferred */
        void (*on_error)(void *userdata, Job *job);       /* JobError */
        void (*on_file_transferred)(void *userdata, Job *job, const File *file);
} EngineListener;

typedef void (*EngineStopped)(void *userdata, Job *job);

int engine_new(sd_event *event, WorkerPool *pool, Store *store, Turn *turn,
               const EngineListener *listener, void *userdata, Engine **ret);
void engine_free(Engine *engine);
DEFINE_CLEANUP(Engine, engine_free);

/* Takes the job under its care: a new one, or one from the store (whose state is set right: what
   was transferring is queued again). 0 or -ENOMEM. */
int engine_adopt(Engine *engine, Job *job);
/* The job is leaving; no transfer may be on its way. */
void engine_release(Engine *engine, Job *job);

/* Calls. 0 or the code to answer with. */
BitsCode engine_resume(Engine *engine, Job *job);
BitsCode engine_suspend(Engine *engine, Job *job);

/* Files were added, the priority or a delay was changed. */
void engine_files_added(Engine *engine, Job *job);
void engine_priority_changed(Engine *engine, Job *job);
/* Flags or token were changed: what runs goes on under the new identities, from the kept bytes. */
void engine_identity_changed(Engine *engine, Job *job);

/* Takes the job out of its turn and winds its transfers down; `on_stopped` follows when none is
   left, at once or later, once. The job stays out until engine_unhold(). */
void engine_hold(Engine *engine, Job *job, EngineStopped on_stopped, void *userdata);
void engine_unhold(Engine *engine, Job *job);

/* Under whom `purpose` is done; false: the helper token is needed and not there. */
bool engine_identity(const Job *job, Purpose purpose, WorkerIdentity *ret);
/* What a worker that did not serve means to a job. *ret_fatal: not tried again. */
BitsCode engine_work_result_code(WorkResult result, bool *ret_fatal);

/* What the job waits for, one sentence, "" for nothing. The caller frees it; NULL out of memory. */
char *engine_wait_reason(const Engine *engine, const Job *job);
