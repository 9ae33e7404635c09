/*
 * A token bucket: how many bytes may move by when. Pure: time is an argument.
 *
 * It fills at its rate up to a tenth of a second's worth, so that a late timer loses nothing and a
 * pause buys no burst. What moves is known only afterwards: then the bucket owes, and nothing moves
 * until the debt is paid. So the rate is met over any time that is long against one piece.
 */
#pragma once

#include "basic/macros.h"

#define BUCKET_UNLIMITED UINT64_MAX /* as a rate */
#define BUCKET_NEVER     UINT64_MAX /* as a time */

typedef struct Bucket {
        uint64_t rate;   /* bytes a second, 0: nothing moves */
        int64_t level;   /* bytes, below 0: owed */
        uint64_t filled; /* µs: when `level` was right */
} Bucket;

/* Another rate from now on; what is owed stays owed, but never takes longer than it would have. */
void bucket_set_rate(Bucket *bucket, uint64_t rate, uint64_t now);
/* Whether something may move now. */
bool bucket_is_open(Bucket *bucket, uint64_t now);
void bucket_spend(Bucket *bucket, uint64_t bytes, uint64_t now);
/* How much may move now without owing anything. */
uint64_t bucket_worth(Bucket *bucket, uint64_t now);
/* When it is open again, and far enough that waking up is worth it; BUCKET_NEVER at a rate of 0,
   0 without a rate. */
uint64_t bucket_opens_at(const Bucket *bucket);
