#include "basic/secret.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* SEC-80 */
void secret_free(void *bytes, size_t size)
{
        if (bytes)
                explicit_bzero(bytes, size);
        free(bytes);
}

int secret_to_fd(const void *bytes, size_t size)
{
        _cleanup_close_ int fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        const uint8_t *p = bytes;

        if (fd < 0)
                return -errno;
        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                p += n;
                size -= (size_t)n;
        }
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int secret_from_fd(int fd, size_t max, uint8_t **ret, size_t *ret_size)
{
        struct stat st;
        uint8_t *bytes;
        size_t size, done = 0;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        if (st.st_size < 0 || (uint64_t)st.st_size > max)
                return -EMSGSIZE;
        size = (size_t)st.st_size;
        bytes = calloc(1, size + 1);
        if (!bytes)
                return -ENOMEM;
        while (done < size) {
                ssize_t n = pread(fd, bytes + done, size - done, (off_t)done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int error = n < 0 ? -errno : -EBADMSG;

                        secret_free(bytes, size);
                        return error;
                }
                done += (size_t)n;
        }
        *ret = bytes;
        *ret_size = size;
        return 0;
}
