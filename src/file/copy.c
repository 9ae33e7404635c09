#include "file/copy.h"

#include <unistd.h>

enum {
        AT_ONCE = 1024 * 1024 * 1024, /* the kernel takes less than 2 GiB */
        BUFFER = 32 * 1024,
};

static int write_all(int fd, const char *bytes, size_t n)
{
        while (n > 0) {
                ssize_t k = write(fd, bytes, n);

                if (k < 0)
                        return -errno;
                bytes += k;
                n -= (size_t)k;
        }
        return 0;
}

static int copy_by_hand(int from, int to, uint64_t n)
{
        char buffer[BUFFER];

        while (n > 0) {
                ssize_t k = read(from, buffer, MIN(n, sizeof(buffer)));
                int r;

                if (k <= 0)
                        return k < 0 ? -errno : 0;
                r = write_all(to, buffer, (size_t)k);
                if (r < 0)
                        return r;
                n -= (uint64_t)k;
        }
        return 1;
}

/* Whatever stops the kernel, the positions say how far it came; an error that is one comes again
   by hand, where it is not mixed up with "cannot do that here". */
int copy_bytes(int from, int to, uint64_t n)
{
        while (n > 0) {
                ssize_t k = copy_file_range(from, NULL, to, NULL, MIN(n, (uint64_t)AT_ONCE), 0);

                if (k <= 0)
                        break;
                n -= (uint64_t)k;
        }
        return copy_by_hand(from, to, n);
}
