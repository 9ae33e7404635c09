#include "net/bucket.h"

#include "basic/clock.h"

enum {
        DEPTH_PARTS = 10, /* of a second */
        WORTH_PARTS = 50,
};

static bool is_limited(const Bucket *bucket)
{
        return bucket->rate != BUCKET_UNLIMITED;
}

static int64_t depth(const Bucket *bucket)
{
        return (int64_t)(bucket->rate / DEPTH_PARTS) + 1;
}

static uint64_t time_of(const Bucket *bucket, double bytes)
{
        return (uint64_t)(bytes * USEC_PER_SEC / (double)bucket->rate);
}

static void fill(Bucket *bucket, uint64_t now)
{
        uint64_t passed = now > bucket->filled ? now - bucket->filled : 0;
        double bytes = (double)bucket->rate * (double)passed / USEC_PER_SEC;

        if (bytes >= (double)(depth(bucket) - bucket->level)) {
                bucket->level = depth(bucket);
                bucket->filled = now;
                return;
        }
        /* Parts of a byte are kept as time. */
        bucket->level += (int64_t)bytes;
        bucket->filled =
                bucket->rate > 0 ? bucket->filled + time_of(bucket, (double)(int64_t)bytes) : now;
}

void bucket_set_rate(Bucket *bucket, uint64_t rate, uint64_t now)
{
        if (is_limited(bucket))
                fill(bucket, now);
        else
                bucket->level = 0;
        if (is_limited(bucket) && bucket->level < 0 && rate > 0 && rate < bucket->rate)
                bucket->level =
                        (int64_t)((double)bucket->level / (double)bucket->rate * (double)rate);
        bucket->rate = rate;
        bucket->filled = now;
        if (is_limited(bucket))
                bucket->level = MIN(bucket->level, depth(bucket));
}

bool bucket_is_open(Bucket *bucket, uint64_t now)
{
        if (!is_limited(bucket))
                return true;
        fill(bucket, now);
        return bucket->rate > 0 && bucket->level > 0;
}

uint64_t bucket_worth(Bucket *bucket, uint64_t now)
{
        if (!bucket_is_open(bucket, now))
                return 0;
        return is_limited(bucket) ? (uint64_t)bucket->level : BUCKET_UNLIMITED;
}

void bucket_spend(Bucket *bucket, uint64_t bytes, uint64_t now)
{
        if (!is_limited(bucket))
                return;
        fill(bucket, now);
        bucket->level -= (int64_t)bytes;
}

uint64_t bucket_opens_at(const Bucket *bucket)
{
        int64_t wanted = (int64_t)(bucket->rate / WORTH_PARTS) + 1;

        if (!is_limited(bucket))
                return 0;
        if (bucket->rate == 0)
                return BUCKET_NEVER;
        if (bucket->level >= wanted)
                return bucket->filled;
        return bucket->filled + time_of(bucket, (double)(wanted - bucket->level)) + 1;
}
