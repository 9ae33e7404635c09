/*
 * The machine of test-model-life.c and what must be true of it. It never ends well otherwise: a
 * check that fails says what, and ends the process.
 */
#pragma once

#include "core/queue.h"
#include "core/test-model-life.h"

#include <stdio.h>
#include <unistd.h>

enum {
        JOBS = 6,
        FILES = 4, /* of a job, at most */
        USERS = 2,
        SIZE = 1000, /* of a file */
};

/* What the engine knows about a file. */
typedef struct Fetch {
        bool active, stopping;
        uint64_t kept; /* the most that was safe, of this version */
        bool whole;
} Fetch;

typedef struct Slot {
        Job *job;
        Fetch files[FILES];
        bool running, told_error, told_transferred;
        bool may_be_suspended; /* nobody resumed it since */
} Slot;

typedef struct World {
        Queue q;
        Slot slots[JOBS];
        uint64_t clock;
        bool there[USERS];
        BitsCode gate[PRIORITY_MAX]; /* 0: open */
        bool wanted;
        uint64_t n_ids;
} World;

#define CHECK(condition, ...)                                                                   \
        do {                                                                                    \
                if (!(condition)) {                                                             \
                        int _n = snprintf(report->text, sizeof(report->text),                   \
                                          "after %s: %s: ", step_name, #condition);             \
                        if (_n > 0 && (size_t)_n < sizeof(report->text))                        \
                                (void)snprintf(report->text + _n,                               \
                                               sizeof(report->text) - (size_t)_n, __VA_ARGS__); \
                        _exit(1);                                                               \
                }                                                                               \
        } while (0)

extern const char *step_name;

static inline size_t n_active(const Slot *slot)
{
        size_t n = 0;

        for (size_t i = 0; i < slot->job->n_files; i++)
                n += slot->files[i].active;
        return n;
}

static inline bool has_identities(const Job *job)
{
        return job_actor(job, PURPOSE_TEMPORARY_FILE) != ACTOR_MISSING &&
               job_actor(job, PURPOSE_HTTP) != ACTOR_MISSING;
}

/* Every invariant. */
void world_check(World *w);
