/*
 * One thread for each device that has something to be closed: the files of a device that hangs wait
 * behind one another, and no other's do. Sockets are all of one device, and what one of them holds
 * unread is no other's fault: each is a device here. The thread asks what kind of file system it
 * is, which may hang as well; what is known to answer is closed on the spot for a while from then
 * on, so that ordinary files cost a system call more and no thread. Not for ever, as numbers of
 * devices are used again.
 *
 * The number of the device itself is asked for in the one way that no file system makes a request
 * of: statx() for nothing, without synchronizing.
 *
 * Threads touch nothing but the list below. Where no thread can be had the descriptors wait for the
 * next close; a process that runs out of them sees errors, which is better than standing still.
 */
#include "basic/closer.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/thread.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
        THREADS_MAX = 2048,
        LINGER_SECONDS = 2,
        TRUSTED_MAX = 16, /* devices */
};

#define TRUST_USEC (10 * USEC_PER_SEC)

/* What is closed in a row. */
typedef struct Place {
        uint32_t major, minor;
        uint64_t socket; /* its inode, else 0 */
} Place;

typedef struct Device {
        LIST_ENTRY(Device) entries;
        Place place;
        int *fds;
        size_t n, room;
        bool served; /* by a thread */
        pthread_cond_t news;
} Device;

static struct {
        pthread_mutex_t lock;
        LIST_HEAD(, Device) devices;
        unsigned threads, waiting;
        struct {
                Place place;
                uint64_t until; /* µs, monotonic */
        } trusted[TRUSTED_MAX];
        unsigned next_trusted;
} closer = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- which answer ---- */

/* File systems of a block device or of memory. */
static bool answers(int fd)
{
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return false;
        switch ((unsigned long)fs.f_type) {
        case EXT4_SUPER_MAGIC:
        case XFS_SUPER_MAGIC:
        case BTRFS_SUPER_MAGIC:
        case F2FS_SUPER_MAGIC:
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
        case OVERLAYFS_SUPER_MAGIC:
                return true;
        }
        return false;
}

static bool same_place(const Place *a, const Place *b)
{
        return a->major == b->major && a->minor == b->minor && a->socket == b->socket;
}

static bool is_trusted(const Place *place)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        for (size_t i = 0; i < TRUSTED_MAX; i++)
                if (closer.trusted[i].until > now && same_place(&closer.trusted[i].place, place))
                        return true;
        return false;
}

static void trust(const Device *device)
{
        size_t i = closer.next_trusted++ % TRUSTED_MAX;

        closer.trusted[i].place = device->place;
        closer.trusted[i].until = clock_usec(CLOCK_MONOTONIC) + TRUST_USEC;
}

/* ---- threads ---- */

static void device_free(Device *device)
{
        LIST_REMOVE(device, entries);
        (void)pthread_cond_destroy(&device->news);
        free(device->fds);
        free(device);
}

static bool wait_for_news(Device *device)
{
        struct timespec until;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LINGER_SECONDS;
        while (device->n == 0)
                if (pthread_cond_clockwait(&device->news, &closer.lock, CLOCK_MONOTONIC, &until) !=
                    0)
                        return device->n > 0;
        return true;
}

static void *serve(void *userdata)
{
        Device *device = userdata;
        bool asked = false, answered = false;

        pthread_mutex_lock(&closer.lock);
        while (wait_for_news(device)) {
                int fd = device->fds[--device->n];

                pthread_mutex_unlock(&closer.lock);
                if (!asked)
                        answered = answers(fd);
                close(fd);
                pthread_mutex_lock(&closer.lock);
                closer.waiting--;
                if (answered && !asked)
                        trust(device);
                asked = true;
        }
        closer.threads--;
        device_free(device);
        pthread_mutex_unlock(&closer.lock);
        return NULL;
}

static int start(Device *device)
{
        int r = closer.threads >= THREADS_MAX ? -EAGAIN : thread_start(serve, device);

        if (r < 0)
                return r;
        closer.threads++;
        device->served = true;
        return 0;
}

/* ---- the caller's side ---- */

static Device *find_device(const Place *place)
{
        Device *device;

        LIST_FOREACH (device, &closer.devices, entries)
                if (same_place(&device->place, place))
                        return device;
        device = malloc(sizeof(*device));
        if (!device)
                return NULL;
        *device = (Device){ .place = *place };
        (void)pthread_cond_init(&device->news, NULL);
        LIST_INSERT_HEAD(&closer.devices, device, entries);
        return device;
}

static bool append(Device *device, int fd)
{
        if (device->n == device->room) {
                size_t room = MAX(device->room * 2, (size_t)16);
                int *fds = reallocarray(device->fds, room, sizeof(*fds));

                if (!fds)
                        return false;
                device->fds = fds;
                device->room = room;
        }
        device->fds[device->n++] = fd;
        closer.waiting++;
        return true;
}

/* False: it is the caller's to close. Out of memory it stays open. */
static bool hand_over(int fd, const Place *place)
{
        Device *device;
        bool mine;

        pthread_mutex_lock(&closer.lock);
        mine = !is_trusted(place);
        device = mine ? find_device(place) : NULL;
        if (device && append(device, fd)) {
                if (!device->served)
                        (void)start(device);
                (void)pthread_cond_signal(&device->news);
        }
        pthread_mutex_unlock(&closer.lock);
        return mine;
}

/* SEC-370 */
int closer_close(int fd)
{
        int saved = errno;
        struct statx st;
        Place place;

        if (fd < 0)
                return -EBADF;
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) >= 0) {
                place = (Place){ st.stx_dev_major, st.stx_dev_minor,
                                 S_ISSOCK(st.stx_mode) ? st.stx_ino : 0 };
                if (hand_over(fd, &place))
                        fd = -EBADF;
        }
        fd_close(fd);
        errno = saved;
        return -EBADF;
}

/* A stream holds no descriptor without a byte. */
static bool is_read_to_the_end(int fd)
{
        int type = 0, unread = 0;
        socklen_t size = sizeof(type);

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
               ioctl(fd, FIONREAD, &unread) == 0 && unread == 0;
}

/* SEC-481, SEC-483 */
int closer_close_socket(int fd)
{
        int saved = errno;

        if (fd < 0)
                return -EBADF;
        if (shutdown(fd, SHUT_RD) == 0 && is_read_to_the_end(fd))
                fd_close(fd);
        else
                (void)closer_close(fd);
        errno = saved;
        return -EBADF;
}

unsigned closer_waiting(void)
{
        unsigned n;

        pthread_mutex_lock(&closer.lock);
        n = closer.waiting;
        pthread_mutex_unlock(&closer.lock);
        return n;
}
