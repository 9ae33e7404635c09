/*
 * A wall clock that jumps, for the processes into which this is preloaded: CLOCK_REALTIME is the
 * kernel's plus the µs that stand in the first eight bytes of the file $OPENBITS_TEST_CLOCK (native
 * int64_t), whenever and by whomever they are written. All other clocks are the kernel's, as when
 * somebody sets the time. The file is mapped before main(), so it needs no right of a sandbox.
 *
 * What it cannot do: timers of the kernel on CLOCK_REALTIME keep the kernel's time.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC INT64_C(1000000000)
#define EXPORT       __attribute__((visibility("default")))

typedef int (*ClockGettime)(clockid_t, struct timespec *);

static const int64_t *ahead; /* µs */
static ClockGettime kernels_clock;

__attribute__((constructor)) static void map_clock(void)
{
        const char *path = getenv("OPENBITS_TEST_CLOCK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map;

        kernels_clock = (ClockGettime)dlsym(RTLD_NEXT, "clock_gettime");
        if (fd < 0)
                return;
        map = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
        ahead = map == MAP_FAILED ? NULL : map;
        close(fd);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ret)
{
        int64_t nsec;

        if (!kernels_clock) /* another constructor, before ours */
                map_clock();
        if (kernels_clock(clock, ret) < 0)
                return -1;
        if (!ahead || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
                return 0;
        nsec = ret->tv_sec * NSEC_PER_SEC + ret->tv_nsec +
               __atomic_load_n(ahead, __ATOMIC_RELAXED) * 1000;
        *ret = (struct timespec){ nsec / NSEC_PER_SEC, nsec % NSEC_PER_SEC };
        return 0;
}

EXPORT int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
        struct timespec ts;

        (void)zone;
        clock_gettime(CLOCK_REALTIME, &ts);
        *ret = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
        return 0;
}

EXPORT time_t time(time_t *ret)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        if (ret)
                *ret = ts.tv_sec;
        return ts.tv_sec;
}
