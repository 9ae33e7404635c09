/*
 * Keeps helper tokens in the service manager's fd store, so that they outlive this process, and
 * finds them again in the next one. What the service manager does not take, or where there is none
 * with such a store, is lost with the process: nobody is told, and the jobs will say that they need
 * a token.
 */
#pragma once

#include "core/job.h"

typedef struct Keeper Keeper;

/* Takes the descriptors that the service manager passed; any others among them are closed. 0 or
   -errno. */
int keeper_new(Keeper **ret);
void keeper_free(Keeper *keeper);
DEFINE_CLEANUP(Keeper, keeper_free);

/* The job's token is this one from now on; NULL: it has none. */
void keeper_set(Keeper *keeper, const char *job_id, const Token *token);
/* Calls back with each token that a former process kept, borrowed, and the job that it served. */
void keeper_recall(Keeper *keeper,
                   void (*on_token)(void *userdata, const char *job_id, int fd, uint64_t cookie),
                   void *userdata);
