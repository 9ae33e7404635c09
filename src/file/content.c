#include "file/content.h"

#include "basic/fd.h"
#include "basic/secret.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
        SIZE_MAX_EVER = 16 * 1024 * 1024,
};

/* A FIFO or a terminal in its place must not hold up this worker. */
static int open_regular(const char *path, size_t size_max, size_t *ret_size)
{
        struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                                .resolve = RESOLVE_NO_MAGICLINKS };
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (path[0] != '/')
                return -EINVAL;
        fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (st.st_size < 0 || (uint64_t)st.st_size > size_max)
                return -EFBIG;
        *ret_size = (size_t)st.st_size;
        return TAKE_FD(fd);
}

/* Up to `room` bytes. */
static int read_bytes(int fd, uint8_t *bytes, size_t room, size_t *ret_size)
{
        size_t size = 0;

        while (size < room) {
                ssize_t n = read(fd, bytes + size, room - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        *ret_size = size;
        return 0;
}

/* SEC-156, SEC-157 */
int content_copy(const char *path, uint64_t size_max, int *ret_fd, uint64_t *ret_size)
{
        _cleanup_close_ int fd = -EBADF;
        size_t expected = 0, size = 0;
        uint8_t *bytes;
        int r;

        fd = open_regular(path, (size_t)MIN(size_max, (uint64_t)SIZE_MAX_EVER), &expected);
        if (fd < 0)
                return fd;
        bytes = malloc(expected + 1);
        if (!bytes)
                return -ENOMEM;
        r = read_bytes(fd, bytes, expected + 1, &size);
        if (r >= 0)
                r = size > expected ? -EFBIG : secret_to_fd(bytes, size); /* it grows just now */
        secret_free(bytes, expected + 1);
        if (r < 0)
                return r;
        *ret_fd = r;
        *ret_size = size;
        return 0;
}
