/*
 * Each request resolves its directory once, to an O_PATH descriptor, and does the rest relative to
 * it: a directory renamed in the middle cannot split a request over two places.
 *
 * A name proves nothing, since others may have rights in the same directory. The temporary file is
 * recognised by device and inode, which the manager stored when it was made. A new one always gets
 * a new inode, because a writer of an earlier life may still hold the old one. "Ours" for an orphan
 * of a crash, of which no inode was stored, means: a regular file of our user with a single name.
 */
#include "file/place.h"

#include "basic/fd.h"
#include "basic/log.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct Target {
        int directory;    /* O_PATH */
        const char *name; /* last component, borrowed from the local name */
} Target;

static void target_done(Target *target)
{
        target->directory = fd_close(target->directory);
}

#define _cleanup_target_ _cleanup_(target_done)

static bool is_dots(const char *name)
{
        return string_equal(name, ".") || string_equal(name, "..");
}

/* FIL-01: an absolute path to something that is not a directory by its very form. */
static int split(const char *local_name, char ret_directory[static PATH_MAX], const char **ret_name)
{
        const char *name;
        size_t n;

        if (local_name[0] != '/')
                return -EINVAL;
        if (strlen(local_name) >= PATH_MAX)
                return -ENAMETOOLONG;
        name = strrchr(local_name, '/') + 1;
        if (!*name || is_dots(name))
                return -EISDIR;
        if (strlen(name) > NAME_MAX)
                return -ENAMETOOLONG;
        n = (size_t)(name - local_name); /* with the slash, which makes "/" right too */
        memcpy(ret_directory, local_name, n);
        ret_directory[n] = 0;
        *ret_name = name;
        return 0;
}

/* FIL-02, FIL-03, BUS-04: links are followed on the way, magic ones are not. */
static int target_open(const char *local_name, Target *ret)
{
        struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                .resolve = RESOLVE_NO_MAGICLINKS };
        char directory[PATH_MAX];
        const char *name;
        int r;
        long fd;

        r = split(local_name, directory, &name);
        if (r < 0)
                return r;
        fd = syscall(SYS_openat2, AT_FDCWD, directory, &how, sizeof(how));
        if (fd < 0)
                return -errno;
        *ret = (Target){ (int)fd, name };
        return 0;
}

/* FIL-04: a temporary name cannot lead out of the directory, nor be the final name. */
static int temporary_name_check(const char *temporary_name, const char *final_name)
{
        if (temporary_name[0] != '.' || is_dots(temporary_name) || strchr(temporary_name, '/') ||
            strcmp(temporary_name, final_name) == 0)
                return -EINVAL;
        return strlen(temporary_name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* BUS-05: anew for each request; what the name leads to now is for the kernel to permit. */
static int request_open(const PlaceRequest *q, Target *ret)
{
        _cleanup_target_ Target target = { -EBADF };
        int r;

        r = target_open(q->local_name, &target);
        if (r < 0)
                return r;
        r = temporary_name_check(q->temporary_name, target.name);
        if (r < 0)
                return r;
        *ret = (Target){ TAKE_FD(target.directory), target.name };
        return 0;
}

static bool is_recorded(const PlaceRequest *q)
{
        return q->device != 0 || q->inode != 0;
}

static bool is_the_recorded(const struct stat *st, const PlaceRequest *q)
{
        return S_ISREG(st->st_mode) && st->st_dev == q->device && st->st_ino == q->inode;
}

static bool is_our_orphan(const struct stat *st)
{
        return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1;
}

/* 1 with the status of what has the name, 0 when nothing has it. */
static int look(int directory, const char *name, struct stat *ret)
{
        if (fstatat(directory, name, ret, AT_SYMLINK_NOFOLLOW) == 0)
                return 1;
        return errno == ENOENT ? 0 : -errno;
}

static bool holds_recorded(int directory, const char *name, const PlaceRequest *q)
{
        struct stat st;

        return look(directory, name, &st) > 0 && is_the_recorded(&st, q);
}

/* FIL-09. Root is bound too: the sandbox leaves no capability to anybody. */
static int sticky_check(int directory, uid_t file_owner)
{
        struct stat st;
        uid_t uid = geteuid();

        if (fstat(directory, &st) < 0)
                return -errno;
        return st.st_mode & S_ISVTX && st.st_uid != uid && file_owner != uid ? -EACCES : 0;
}

/* What rename() will say at the end is worth knowing before hours of transfer. BUS-06 */
static int replaceable_check(const Target *target)
{
        struct statx st;

        if (statx(target->directory, target->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
                  STATX_TYPE | STATX_UID, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (S_ISDIR(st.stx_mode))
                return -EISDIR; /* FIL-07 */
        if (!S_ISREG(st.stx_mode) && !S_ISLNK(st.stx_mode))
                return -EINVAL; /* FIL-08 */
        if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return -EBUSY; /* FIL-10 */
        if (st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
                return -EPERM;
        return sticky_check(target->directory, st.stx_uid);
}

int place_check(const char *local_name)
{
        _cleanup_target_ Target target = { -EBADF };
        int r;

        r = target_open(local_name, &target); /* FIL-05 */
        if (r < 0)
                return r;
        /* The effective identity counts, which will create and rename. FIL-06, FIL-35 */
        if (faccessat(target.directory, "", W_OK | X_OK, AT_EACCESS | AT_EMPTY_PATH) < 0)
                return -errno;
        return replaceable_check(&target);
}

/* 1 when the recorded file was opened, 0 when it is not there any more. */
static int open_recorded(int directory, const PlaceRequest *q, PlaceOpened *ret)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        /* Asked first, so that nothing but that file is ever opened: opening may act (FIFOs). */
        if (!holds_recorded(directory, q->temporary_name, q))
                return 0;
        fd = openat(directory, q->temporary_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT || errno == ELOOP ? 0 : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        /* FIL-12: a second name could make somebody else's file out of ours. */
        if (!is_the_recorded(&st, q) || st.st_nlink != 1)
                return 0;
        *ret = (PlaceOpened){ TAKE_FD(fd), false, st.st_dev, st.st_ino, (uint64_t)st.st_size };
        return 1;
}

/* FIL-15: the umask decides, as for any file of this user. */
static int create(int directory, const char *name)
{
        int fd =
                openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);

        return fd < 0 ? -errno : fd;
}

static int remove_orphan(int directory, const char *name)
{
        struct stat st;
        int r;

        r = look(directory, name, &st);
        if (r <= 0)
                return r;
        if (!is_our_orphan(&st))
                return -EEXIST; /* FIL-14 */
        if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

/* FIL-11, FIL-13: a new inode in any case. */
static int open_new(int directory, const char *name, PlaceOpened *ret)
{
        _cleanup_close_ int fd = create(directory, name);
        struct stat st;

        if (fd == -EEXIST) {
                int r = remove_orphan(directory, name);

                if (r < 0)
                        return r;
                fd = create(directory, name);
        }
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        *ret = (PlaceOpened){ TAKE_FD(fd), true, st.st_dev, st.st_ino, 0 };
        return 0;
}

int place_open(Changed *changed, const PlaceRequest *request, PlaceOpened *ret)
{
        _cleanup_target_ Target target = { -EBADF };
        int r;

        r = request_open(request, &target);
        if (r < 0)
                return r;
        r = changed_add(changed, target.directory); /* DUR-03 */
        if (r < 0)
                return r;
        if (is_recorded(request)) {
                r = open_recorded(target.directory, request, ret);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return open_new(target.directory, request->temporary_name, ret);
}

/* A courtesy: content that is there without its date is better than no content. */
static void set_modification_time(int fd, uint64_t seconds)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                           { .tv_sec = (time_t)seconds } };

        if (seconds == 0 || seconds > INT64_MAX)
                return;
        if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
                log_errno(LOG_DEBUG, -errno, "modification time not set");
}

/* 1 with a descriptor of the recorded file under its temporary name, 0 when it is not there. */
static int hold_recorded(int directory, const PlaceRequest *q, int *ret_fd, nlink_t *ret_links)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = openat(directory, q->temporary_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!is_the_recorded(&st, q))
                return 0;
        *ret_fd = TAKE_FD(fd);
        *ret_links = st.st_nlink;
        return 1;
}

static int rename_and_verify(const Target *target, const PlaceRequest *q, nlink_t links)
{
        int directory = target->directory;

        /* FIL-18, JOB-44, JOB-45: replaces in one step what has the name. FIL-36 */
        if (renameat2(directory, q->temporary_name, directory, target->name, 0) < 0)
                return -errno;
        /* FIL-19: somebody with rights in the directory may have swapped the files since the look.
           */
        if (!holds_recorded(directory, target->name, q))
                return -ESTALE;
        /* rename() between two names of one file leaves both. */
        if (links > 1 && holds_recorded(directory, q->temporary_name, q) &&
            unlinkat(directory, q->temporary_name, 0) < 0)
                return -errno;
        return 0;
}

int place_commit(Changed *changed, const PlaceRequest *request, uint64_t modification_time)
{
        _cleanup_target_ Target target = { -EBADF };
        _cleanup_close_ int fd = -EBADF;
        nlink_t links = 0;
        int r;

        if (!is_recorded(request))
                return -EINVAL;
        r = request_open(request, &target);
        if (r < 0)
                return r;
        r = changed_add(changed, target.directory); /* DUR-04 */
        if (r < 0)
                return r;
        r = hold_recorded(target.directory, request, &fd, &links);
        if (r < 0)
                return r;
        if (r == 0) /* FIL-16, FIL-17, DUR-05: renamed before a crash, or lost */
                return holds_recorded(target.directory, target.name, request) ? 0 : -ESTALE;
        set_modification_time(fd, modification_time); /* FIL-20 */
        return rename_and_verify(&target, request, links);
}

int place_discard(Changed *changed, const PlaceRequest *request)
{
        _cleanup_target_ Target target = { -EBADF };
        struct stat st;
        int r;

        r = request_open(request, &target);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0
                                                     : r; /* FIL-21: the directory went with it */
        r = look(target.directory, request->temporary_name, &st);
        if (r <= 0)
                return r;
        if (is_recorded(request) ? !is_the_recorded(&st, request) : !is_our_orphan(&st))
                return -ESTALE; /* FIL-22 */
        /* Where the directory cannot be synced the file should go all the same. */
        (void)changed_add(changed, target.directory);
        if (unlinkat(target.directory, request->temporary_name, 0) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}
