/*
 * What a job waits for, in a sentence for people: the word is core/wait.h's, the names and times
 * are of this machine.
 */
#pragma once

#include "manager/engine.h"

/* "" for nothing. Whom the last helper token named is said only if `helper_known`: the reader may
   ask for it. The caller frees it; NULL out of memory. */
char *waiting_sentence(const Engine *engine, const Job *job, bool helper_known);
