/*
 * A wall clock that jumps, for the processes into which this is preloaded: CLOCK_REALTIME is the
 * kernel's plus the µs that stand in the first eight bytes of the file $OPENBITS_TEST_CLOCK (native
 * int64_t), whenever and by whomever they are written. All other clocks are the kernel's, as when
 * somebody sets the time. The file is mapped before main(), so it needs no right of a sandbox.
 *
 * Timers of the kernel on CLOCK_REALTIME follow: an absolute time is translated when it is set, and
 * again when the clock jumps, which is noticed where the process waits for events; who asked for
 * it (TFD_TIMER_CANCEL_ON_SET) finds his timer cancelled then, as by the kernel.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
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

/* ---- timers ---- */

enum {
        TIMERS_MAX = 64,
        LOOK_MSEC = 10, /* how soon a jump is noticed */
};

static struct {
        bool realtime; /* this descriptor is a timer on CLOCK_REALTIME */
        bool cancelled;
        int flags;
        struct itimerspec set;
} timers[TIMERS_MAX];

static int64_t seen; /* µs ahead, when the timers were translated last */

#define KERNELS(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

static bool is_ours(int fd)
{
        return fd >= 0 && fd < TIMERS_MAX && timers[fd].realtime;
}

static bool is_armed(int fd)
{
        const struct timespec *at = &timers[fd].set.it_value;

        return at->tv_sec != 0 || at->tv_nsec != 0;
}

static int64_t ahead_now(void)
{
        return ahead ? __atomic_load_n(ahead, __ATOMIC_RELAXED) : 0;
}

/* What has passed already is due now: a timer of 0 would be none. */
static int arm(int fd, struct itimerspec *ret_old)
{
        struct itimerspec spec = timers[fd].set;

        if ((timers[fd].flags & TFD_TIMER_ABSTIME) && is_armed(fd)) {
                int64_t nsec = spec.it_value.tv_sec * NSEC_PER_SEC + spec.it_value.tv_nsec -
                               ahead_now() * 1000;

                nsec = nsec > 0 ? nsec : 1;
                spec.it_value = (struct timespec){ nsec / NSEC_PER_SEC, nsec % NSEC_PER_SEC };
        }
        return KERNELS(timerfd_settime)(fd, timers[fd].flags & ~TFD_TIMER_CANCEL_ON_SET, &spec,
                                        ret_old);
}

static void notice_jump(void)
{
        static const struct itimerspec at_once = { .it_value.tv_nsec = 1 };

        if (ahead_now() == seen)
                return;
        seen = ahead_now();
        for (int fd = 0; fd < TIMERS_MAX; fd++) {
                if (!timers[fd].realtime || !is_armed(fd))
                        continue;
                timers[fd].cancelled = timers[fd].flags & TFD_TIMER_CANCEL_ON_SET;
                if (timers[fd].cancelled)
                        KERNELS(timerfd_settime)(fd, 0, &at_once, NULL);
                else
                        (void)arm(fd, NULL);
        }
}

EXPORT int timerfd_create(clockid_t clock, int flags)
{
        int fd = KERNELS(timerfd_create)(clock, flags);

        if (fd >= 0 && fd < TIMERS_MAX) {
                memset(&timers[fd], 0, sizeof(timers[fd]));
                timers[fd].realtime = clock == CLOCK_REALTIME;
        }
        return fd;
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *spec,
                           struct itimerspec *ret_old)
{
        if (!is_ours(fd))
                return KERNELS(timerfd_settime)(fd, flags, spec, ret_old);
        timers[fd].set = *spec;
        timers[fd].flags = flags;
        timers[fd].cancelled = false;
        return arm(fd, ret_old);
}

EXPORT ssize_t read(int fd, void *data, size_t size)
{
        ssize_t n = KERNELS(read)(fd, data, size);

        if (!is_ours(fd) || !timers[fd].cancelled)
                return n;
        timers[fd].cancelled = false;
        errno = ECANCELED;
        return -1;
}

EXPORT int close(int fd)
{
        if (is_ours(fd))
                timers[fd].realtime = false;
        return KERNELS(close)(fd);
}

/* Waits in slices, looking at the clock in between. */
EXPORT int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
        int n, slice;

        do {
                notice_jump();
                slice = timeout < 0 || timeout > LOOK_MSEC ? LOOK_MSEC : timeout;
                n = KERNELS(epoll_wait)(fd, events, max, slice);
                if (timeout > 0)
                        timeout -= slice;
        } while (n == 0 && timeout != 0);
        return n;
}
