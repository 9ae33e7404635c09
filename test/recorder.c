/*
 * Disks that remember. A FUSE file system whose files, `0`, `1` …, are for loop devices: what a
 * file system above writes, and when it waits for its disk, is appended to a log, one for all
 * disks, in the order of time. powercut.py makes from that log the disks that a power cut could
 * have left.
 *
 *      recorder LOG MOUNTPOINT IMAGE…
 *
 * An image is read and never written; the disks live in memory. The log is a sequence of records:
 * three numbers of 64 bits in the machine's order, disk, offset and length, then the data. A record
 * of length 0 is a barrier: everything before it is on that disk, whatever happens later. The loop
 * driver turns the kernel's FLUSH and FUA requests into fsync(), which is what is recorded.
 *
 * A write is answered after its record is in the log's file, so whoever was told something by a
 * program that waited for the disk finds the log at least that long.
 *
 * Runs in the foreground until the file system is unmounted. One thread: the order in the log is
 * the order of the disk.
 */
#define FUSE_USE_VERSION 31

#include "basic/fd.h"

#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
        DISKS_MAX = 8,
};

typedef struct Disk {
        char *bytes;
        size_t size;
} Disk;

static Disk disks[DISKS_MAX];
static uint64_t n_disks;
static int log_fd = -EBADF;

static int record(uint64_t disk, uint64_t offset, const char *data, size_t size)
{
        uint64_t head[] = { disk, offset, size };
        struct iovec parts[] = { { head, sizeof(head) }, { (void *)data, size } };
        ssize_t n = writev(log_fd, parts, size > 0 ? 2 : 1);

        return n == (ssize_t)(sizeof(head) + size) ? 0 : -EIO;
}

/* DISKS_MAX: there is no such disk. */
static uint64_t disk_of(const char *path)
{
        uint64_t number = (uint64_t)(path[1] - '0');

        return number < n_disks && path[2] == 0 ? number : DISKS_MAX;
}

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *file)
{
        uint64_t disk = disk_of(path);

        (void)file;
        *st = (struct stat){ .st_mode = S_IFDIR | 0700, .st_nlink = 2 };
        if (string_equal(path, "/"))
                return 0;
        if (disk == DISKS_MAX)
                return -ENOENT;
        st->st_mode = S_IFREG | 0600;
        st->st_nlink = 1;
        st->st_size = (off_t)disks[disk].size;
        return 0;
}

/* Past the page cache: else the kernel would choose when we see a write. */
static int on_open(const char *path, struct fuse_file_info *file)
{
        file->direct_io = 1;
        file->fh = disk_of(path);
        return file->fh == DISKS_MAX ? -ENOENT : 0;
}

static int on_read(const char *path, char *buffer, size_t size, off_t offset,
                   struct fuse_file_info *file)
{
        const Disk *disk = &disks[file->fh];

        (void)path;
        if ((size_t)offset >= disk->size)
                return 0;
        size = MIN(size, disk->size - (size_t)offset);
        memcpy(buffer, disk->bytes + offset, size);
        return (int)size;
}

static int on_write(const char *path, const char *data, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
        const Disk *disk = &disks[file->fh];

        (void)path;
        if ((size_t)offset + size > disk->size)
                return -ENOSPC;
        memcpy(disk->bytes + offset, data, size);
        return record(file->fh, (uint64_t)offset, data, size) < 0 ? -EIO : (int)size;
}

static int on_fsync(const char *path, int datasync, struct fuse_file_info *file)
{
        (void)path, (void)datasync;
        return record(file->fh, 0, NULL, 0);
}

static int read_image(const char *path, Disk *disk)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        disk->size = (size_t)st.st_size;
        disk->bytes = malloc(disk->size);
        if (!disk->bytes)
                return -ENOMEM;
        for (size_t n = 0; n < disk->size;) {
                ssize_t r = read(fd, disk->bytes + n, disk->size - n);

                if (r <= 0)
                        return r < 0 ? -errno : -EIO;
                n += (size_t)r;
        }
        return 0;
}

int main(int argc, char **argv)
{
        static const struct fuse_operations operations = {
                .getattr = on_getattr,
                .open = on_open,
                .read = on_read,
                .write = on_write,
                .fsync = on_fsync,
        };
        char *arguments[] = { argv[0], "-f", "-s", argc > 2 ? argv[2] : NULL, NULL };

        if (argc < 4 || argc > 3 + DISKS_MAX) {
                fputs("usage: recorder LOG MOUNTPOINT IMAGE…\n", stderr);
                return 2;
        }
        for (int i = 3; i < argc; i++) {
                int r = read_image(argv[i], &disks[n_disks++]);

                if (r < 0) {
                        fprintf(stderr, "recorder: %s: %s\n", argv[i], strerror(-r));
                        return 1;
                }
        }
        log_fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0) {
                perror(argv[1]);
                return 1;
        }
        return fuse_main(ELEMENTS(arguments) - 1, arguments, &operations, NULL);
}
