/*
 * The time as one number: µs on a clock of the kernel.
 */
#pragma once

#include "basic/macros.h"

#include <time.h>

#define USEC_PER_SEC UINT64_C(1000000)

static inline uint64_t clock_usec(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}
