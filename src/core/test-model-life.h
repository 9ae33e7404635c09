/*
 * One random life of a machine, for test-model.c. The engine's part, which knows workers and
 * transfers, is played here: files are fetched by steps, and wind down by steps. After each step
 * every invariant is checked; one that does not hold ends the process.
 */
#pragma once

#include "core/state.h"
#include "core/wait.h"

enum {
        LIFE = 2000, /* steps */
};

/* Shared with the process that watches. */
struct Report {
        uint64_t seed;
        uint32_t step; /* LIFE: at the end, when everything is to come to rest */
        char text[200];
        uint64_t states[STATE_MAX], kinds[WAIT_MAX]; /* seen */
};
extern struct Report *report;

/* A life is the list of numbers that its seed gives. */
uint64_t model_number(uint64_t seed, uint32_t step);
/* What a number does. */
const char *model_step_name(uint64_t number);

/* Lives it. Steps that are false in `kept` (NULL: all are true) are left out. */
void model_live(uint64_t seed, const bool *kept);
