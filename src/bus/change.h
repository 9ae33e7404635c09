/*
 * A call that changes a job: in memory, then in the store, and only then in deed (DUR-390). What
 * cannot be stored is taken back, and the caller is told; nothing has followed from it by then, so
 * that there is nothing else to undo.
 *
 *         _cleanup_(change_done) Change change = { .follow = engine_identity_changed };
 *
 *         r = change_begin(&change, context, job);
 *         …                                    change members of the job
 *         if (change_answer(&change, call))    the engine follows
 *                 …                            and others; the answer comes last
 *
 * It begins and ends within one handler: nothing else happens to the job in between.
 */
#pragma once

#include "bus/bus.h"

typedef struct ChangedFile {
        File *file;
        File *before;
} ChangedFile;

typedef struct Change {
        void (*follow)(Engine *engine, Job *job); /* when it is stored; NULL: nothing */
        BusContext *context;
        Job *job;             /* NULL: not begun */
        Job *before;          /* NULL: settled */
        bool stored;          /* and what follows is still to come */
        sd_bus_message *call; /* to be answered when all has followed */
        size_t n_files;       /* before: those behind are new */
        ChangedFile *files;
        size_t n_changed, room;
} Change;

/* 0 or -ENOMEM. */
int change_begin(Change *change, BusContext *context, Job *job);
/* A file of the job is about to be changed, too. 0 or -ENOMEM. */
int change_file(Change *change, File *file);

/* Stores the change, and the engine follows; or takes it back. 0, or the error set and what a
   handler returns. */
int change_commit(Change *change, sd_bus_error *error);
/* The same, and answers the call: with the error at once; with nothing when everything has
   followed, so that nobody acts on a Suspend whose work does not know of it yet. True: it is
   stored. ENG-430 */
bool change_answer(Change *change, sd_bus_message *call);

/* What follows, for a call that has moved the state: the engine tells of it. */
void change_follow(Change *change, const QueueMove *move);

/* What follows from any change of a job, or, if it was not stored, what was changed is taken
   back. */
void change_done(Change *change);
