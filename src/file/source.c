#include "file/source.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t nanoseconds(const struct timespec *t)
{
        return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

static int describe(int fd, Source *ret)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        *ret = (Source){ -EBADF, (uint64_t)st.st_size, nanoseconds(&st.st_mtim) };
        return 0;
}

/* FIL-120: links are followed on the way, the last component is not one, and no descriptor is
   reached through /proc. Neither a FIFO nor a terminal can make this wait. */
int source_open(const char *local_name, Source *ret)
{
        struct open_how how = {
                .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                .resolve = RESOLVE_NO_MAGICLINKS,
        };
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (local_name[0] != '/')
                return -EINVAL;
        fd = (int)syscall(SYS_openat2, AT_FDCWD, local_name, &how, sizeof(how));
        if (fd < 0)
                return errno == ENXIO ? -EINVAL : -errno; /* a socket, or a FIFO's nobody */
        r = describe(fd, ret);
        if (r < 0)
                return r;
        ret->fd = TAKE_FD(fd);
        return 0;
}

/* ---- replies ---- */

static int open_marked(const char *path, const Mark *mark)
{
        _cleanup_close_ int fd = -EBADF;
        Source source = { .fd = -EBADF };
        Inode inode;
        int r = source_open(path, &source);

        if (r < 0)
                return r;
        fd = source.fd;
        r = inode_of(fd, &inode);
        if (r < 0)
                return r;
        return mark_equal(&inode.mark, mark) ? TAKE_FD(fd) : -ESTALE;
}

static int copy_to_memory(int from, uint64_t size)
{
        _cleanup_close_ int to = memfd_create("reply", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        char buffer[16 * 1024];
        uint64_t done = 0;

        if (to < 0)
                return -errno;
        while (done < size) {
                ssize_t n = pread(from, buffer, MIN(sizeof(buffer), size - done), (off_t)done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ESTALE; /* it was cut meanwhile */
                if (pwrite(to, buffer, (size_t)n, (off_t)done) != n)
                        return errno ? -errno : -EIO;
                done += (uint64_t)n;
        }
        if (fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
                return -errno;
        return TAKE_FD(to);
}

/* UPL-123 */
int source_read_reply(const char *local_name, const char *temporary_name, const Mark *mark,
                      uint64_t limit, Source *ret)
{
        _cleanup_close_ int fd = -EBADF;
        char temporary[PATH_MAX];
        const char *slash = strrchr(local_name, '/');
        Source source;
        int r;

        if (local_name[0] != '/' || strchr(temporary_name, '/'))
                return -EINVAL;
        if (snprintf(temporary, sizeof(temporary), "%.*s/%s", (int)(slash - local_name), local_name,
                     temporary_name) >= (int)sizeof(temporary))
                return -ENAMETOOLONG;
        fd = open_marked(temporary, mark);
        if (fd == -ENOENT || fd == -ESTALE)
                fd = open_marked(local_name, mark);
        if (fd < 0)
                return fd == -ENOENT ? -ESTALE : fd;
        r = describe(fd, &source);
        if (r >= 0 && source.size <= limit) {
                r = copy_to_memory(fd, source.size);
                source.fd = r;
        }
        if (r < 0)
                return r;
        *ret = source;
        return 0;
}
