/*
 * A version is size, modification time and inode: whoever writes changes the time, whoever replaces
 * the file by another one changes the inode. The device is no part of it, since a share that is
 * mounted again has another number.
 */
#include "file/origin.h"

#include "basic/fd.h"
#include "file/target.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

/* FIL-106 */
static void format_version(const struct stat *st, char ret[static ORIGIN_VERSION_MAX])
{
        snprintf(ret, ORIGIN_VERSION_MAX, "%lld-%lld.%09ld-%llu", (long long)st->st_size,
                 (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                 (unsigned long long)st->st_ino);
}

/* FIL-105 */
static int kind_check(mode_t mode, const char **ret_why)
{
        if (S_ISREG(mode))
                return 0;
        *ret_why = S_ISDIR(mode)   ? "it is a directory"
                   : S_ISLNK(mode) ? "it is a symbolic link; name the file that it leads to"
                                   : "it is a device, FIFO or socket";
        return S_ISDIR(mode) ? -EISDIR : S_ISLNK(mode) ? -ELOOP : -EINVAL;
}

/* Their sizes say nothing about what can be read. */
static int file_system_check(int fd, const char **ret_why)
{
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return -errno;
        if (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC)
                return 0;
        *ret_why = "the kernel makes it up when it is read";
        return -EINVAL;
}

static int look(const Target *target, const char **ret_why)
{
        struct stat st;

        if (fstatat(target->directory, target->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return kind_check(st.st_mode, ret_why);
}

static int open_in(const Target *target, Origin *origin, const char **ret_why)
{
        int r = look(target, ret_why); /* first, as opening may act (FIFOs, devices) */

        if (r < 0)
                return r;
        origin->fd = openat(target->directory, target->name,
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (origin->fd < 0 || fstat(origin->fd, &origin->st) < 0)
                return -errno;
        r = kind_check(origin->st.st_mode, ret_why);
        return r < 0 ? r : file_system_check(origin->fd, ret_why);
}

int origin_open(const char *path, Origin *ret, const char **ret_why)
{
        _cleanup_target_ Target target = { -EBADF };
        _cleanup_(origin_done) Origin origin = { .fd = -EBADF };
        const char *why = NULL;
        int r;

        r = target_open(path, &target);
        if (r == -ENOENT || r == -ENOTDIR) {
                r = -ENOTDIR;
                why = "a directory of its path does not exist";
        } else if (r >= 0)
                r = open_in(&target, &origin, &why);
        if (r < 0) {
                *ret_why = why ? why : strerror(-r);
                return r;
        }
        format_version(&origin.st, origin.version);
        *ret = origin;
        origin.fd = -EBADF;
        return 0;
}

int origin_of(int fd, Origin *ret)
{
        _cleanup_(origin_done) Origin origin = { .fd = fd };
        const char *why;
        int r = fstat(fd, &origin.st) < 0 ? -errno : kind_check(origin.st.st_mode, &why);

        if (r < 0)
                return r;
        format_version(&origin.st, origin.version);
        *ret = origin;
        origin.fd = -EBADF;
        return 0;
}

void origin_done(Origin *origin)
{
        origin->fd = fd_close(origin->fd);
}

int origin_unchanged(Origin *origin)
{
        char version[ORIGIN_VERSION_MAX];
        struct stat st;

        if (fstat(origin->fd, &st) < 0)
                return -errno;
        format_version(&st, version);
        if (!string_equal(version, origin->version))
                return 0;
        origin->st = st; /* owner and rights may be others by now */
        return 1;
}
