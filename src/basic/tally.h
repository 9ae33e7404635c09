/*
 * A tally: how much of something each user holds. Everything that a client can make the service
 * keep is counted in one. O(log users).
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

typedef struct Tally {
        void *root; /* tsearch over counts; zeroed is empty */
} Tally;

void tally_done(Tally *tally);
size_t tally_get(const Tally *tally, uid_t uid);
/* 0 or -ENOMEM. */
int tally_up(Tally *tally, uid_t uid);
void tally_down(Tally *tally, uid_t uid);
