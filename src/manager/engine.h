/*
 * The engine makes jobs run: what the queue (core/queue.h) decides about turns, states and time, it
 * does with workers, the store and a timer. It keeps several files of a job on their way and says
 * to the queue what became of them; who is to be told, it tells its listener.
 */
#pragma once

#include "core/config.h"
#include "core/queue.h"
#include "login/presence.h"
#include "manager/turn.h"
#include "store/store.h"
#include "workers/worker.h"

typedef struct Engine Engine;

typedef struct EngineListener {
        void (*on_modified)(void *userdata, Job *job);    /* state or progress */
        void (*on_transferred)(void *userdata, Job *job); /* JobTransferred */
        void (*on_error)(void *userdata, Job *job);       /* JobError: see engine_winds_down() */
        void (*on_file_transferred)(void *userdata, Job *job, const File *file);
        /* The last transfer of a job that is not in its turn has ended. May be NULL. */
        void (*on_wound_down)(void *userdata, Job *job);
        /* The job has another helper token, or none. May be NULL. */
        void (*on_token)(void *userdata, Job *job);
        /* Nothing has happened to the job for too long: it is to be cancelled. May be NULL. */
        void (*on_inactive)(void *userdata, Job *job);
        /* These bytes of the remote file are safe now. May be NULL. */
        void (*on_ranges)(void *userdata, Job *job, const File *file, const Ranges *news);
        /* validation_ask() is due. May be NULL where no job asks for it. */
        void (*on_certificate)(void *userdata, File *file, uint64_t client,
                               const NetCertificate *question);
        /* The last transfer that was on its way has ended: see engine_is_at_rest(). May be NULL. */
        void (*on_rest)(void *userdata);
} EngineListener;

typedef void (*EngineStopped)(void *userdata, Job *job);

int engine_new(sd_event *event, WorkerPool *pool, Store *store, Turn *turn,
               const EngineListener *listener, void *userdata, Engine **ret);
void engine_free(Engine *engine);
DEFINE_CLEANUP(Engine, engine_free);

/* Who is signed on: a job runs only while its owner is. Without this everybody is. `presence` has
   to outlive the engine. */
void engine_set_presence(Engine *engine, const Presence *presence);

/* Who says whether the machine permits a transfer now. Without this nothing is in the way. `gate`
   has to outlive the engine. A job that it keeps back is in TRANSIENT_ERROR with its code (by the
   events NETWORK_LOST for BG_E_NETWORK_DISCONNECTED, else BLOCKED), and is not tried again by
   time. */
void engine_set_gate(Engine *engine, const Gate *gate);
/* What the gate says of this job may have changed: it is kept back, or queued again. */
void engine_reconsider(Engine *engine, Job *job);
/* There is a network again: whatever the transient error was, the job is queued (and the gate is
   asked). */
void engine_network_back(Engine *engine, Job *job);
/* Transfers of the job are on their way, or coming to their end. */
bool engine_winds_down(const Job *job);
/* Nothing is on its way: what was received is synced, and marked for the store. */
bool engine_is_at_rest(const Engine *engine);
/* The settings in force (BITS's defaults without this call); `config` has to outlive the engine.
   Again, when what is in it has changed. */
void engine_set_config(Engine *engine, const Config *config);

/* Takes the job under its care: a new one, or one from the store (whose state is set right: what
   was transferring is queued again). 0 or -ENOMEM. */
int engine_adopt(Engine *engine, Job *job);
/* The job is leaving; no transfer may be on its way. */
void engine_release(Engine *engine, Job *job);

/* Calls, in two halves as in queue.h: the job is changed; what follows from it comes with
   engine_follow(), when that is stored. 0 or the code to answer with. */
BitsCode engine_resume(Engine *engine, Job *job, QueueMove *ret);
BitsCode engine_suspend(Engine *engine, Job *job, QueueMove *ret);
/* A file that is transferred is wrong, says the owner: the job is in ERROR, Resume fetches it
   anew. */
BitsCode engine_invalidate(Engine *engine, Job *job, File *file, QueueMove *ret);
void engine_follow(Engine *engine, Job *job, const QueueMove *move);
/* Suspends it, if it is in a state in which it can be; nobody asked for that. */
void engine_lay_aside(Engine *engine, Job *job);

/* Files were added, the priority, or anything else: a delay, a name. */
void engine_files_added(Engine *engine, Job *job);
void engine_touched(Engine *engine, Job *job);
/* What is to come first of a file was changed. */
void engine_ranges_requested(Engine *engine, Job *job, File *file);
/* On-demand mode was switched. */
void engine_mode_changed(Engine *engine, Job *job);
void engine_remote_name_changed(Engine *engine, Job *job, File *file);
void engine_priority_changed(Engine *engine, Job *job);
/* Flags or token were changed: what runs goes on under the new identities, from the kept bytes. */
void engine_identity_changed(Engine *engine, Job *job);

/* The owner signed off, as presence says by now: the token is dropped, the job leaves its turn.
   With flags it fails with BG_E_TOKEN_REQUIRED, without it is queued until engine_signed_on(). A
   job that is not on its way keeps its state. Only the job: the workers are the caller's to
   dismiss. */
void engine_signed_off(Engine *engine, Job *job);
void engine_signed_on(Engine *engine, Job *job);
/* The token's life has ended; `why` is a clause: "alice signed off". The rest as above. */
void engine_token_ended(Engine *engine, Job *job, const char *why);

/* Takes the job out of its turn and winds its transfers down; `on_stopped` follows when none is
   left, at once or later, once. The job stays out until engine_unhold(). */
void engine_hold(Engine *engine, Job *job, EngineStopped on_stopped, void *userdata);
void engine_unhold(Engine *engine, Job *job);

/* Under whom `purpose` is done; false: the helper token is needed and not there. */
bool engine_identity(const Job *job, Purpose purpose, WorkerIdentity *ret);
/* That of the job's two which does not do this now, and may have before flags or token changed.
   False: there is none. */
bool engine_other_identity(const Job *job, Purpose purpose, WorkerIdentity *ret);
/* A seat under that identity, to be released; NULL also when out of memory. */
Worker *engine_acquire(WorkerPool *pool, const Job *job, WorkerKind kind, Purpose purpose);
/* Who fetches the file: `net`, or the seat for remote files in *remote, which is acquired at its
   first use. NULL when that cannot be had. */
Worker *engine_fetcher(WorkerPool *pool, const File *file, Worker *net, Worker **remote);
/* What a worker that did not serve means to a job. *ret_fatal: not tried again. */
BitsCode engine_work_result_code(WorkResult result, bool *ret_fatal);
/* The same as a clause for people. */
const char *engine_work_result_text(WorkResult result);

/* What the job waits for, as a word. */
WaitKind engine_wait_kind(const Engine *engine, const Job *job);
/* When it is tried again by itself, µs since 1970; 0: not by time. */
uint64_t engine_next_attempt(const Engine *engine, const Job *job);
/* Seconds: its own maximum download time, or else the machine's. */
uint32_t engine_download_time(const Engine *engine, const Job *job);
/* As set; NULL: everybody is signed on. */
const Presence *engine_presence(const Engine *engine);
