/*
 * Two passes: the first asks the kernel to start writing every file, the second waits for each. By
 * the time of the first wait all blocks are allocated, so one journal commit covers them all, and
 * the other fdatasync() calls find little to do. Measured on ext4 with 64 new files of 4 KiB: 2.7
 * times as fast as fdatasync() alone. syncfs() would be as fast on a quiet machine, but it also
 * writes what everybody else has dirty: 20 times slower beside a 200 MiB copy.
 *
 * Only fdatasync() answers for the content; the first pass is a hint that may fail.
 */
#include "file/sync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int regular_check(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return errno;
        return S_ISREG(st.st_mode) ? 0 : EINVAL;
}

void sync_files(const int *fds, size_t n, uint32_t *ret_errors)
{
        for (size_t i = 0; i < n; i++) {
                ret_errors[i] = (uint32_t)regular_check(fds[i]);
                if (ret_errors[i] == 0 && n > 1) /* DUR-02 */
                        (void)sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
        }
        for (size_t i = 0; i < n; i++) /* DUR-01, DUR-261 */
                if (ret_errors[i] == 0 && fdatasync(fds[i]) < 0)
                        ret_errors[i] = (uint32_t)errno;
}
