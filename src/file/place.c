/*
 * Each request resolves its directory once, to an O_PATH descriptor, and does the rest relative to
 * it: a directory renamed in the middle cannot split a request over two places.
 *
 * A name proves nothing, since others may have rights in the same directory. The temporary file is
 * recognised by the mark of its inode, which the manager stored when it was made. A new one always
 * gets a new inode, because a writer of an earlier life may still hold the old one. "Ours" for an
 * orphan of a crash, of which no mark was stored, means: a regular file of our user with a single
 * name.
 *
 * The finished file is to be one that our user made. When the recorded one is another user's, whom
 * the job worked for before, a copy takes its name. Until that one step nothing is changed, so that
 * whatever goes wrong before leaves the file to the one who can go on with it.
 */
#include "file/place.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "file/copy.h"
#include "file/target.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_dots(const char *name)
{
        return string_equal(name, ".") || string_equal(name, "..");
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
        *ret = target;
        target.directory = -EBADF;
        return 0;
}

static bool is_the_recorded(const Inode *inode, const PlaceRequest *q)
{
        return S_ISREG(inode->mode) && mark_equal(&inode->mark, &q->recorded);
}

static bool is_our_orphan(const Inode *inode)
{
        return S_ISREG(inode->mode) && inode->owner == geteuid() && inode->names == 1;
}

static bool holds_recorded(int directory, const char *name, const PlaceRequest *q)
{
        Inode inode;

        return inode_look(directory, name, &inode) > 0 && is_the_recorded(&inode, q);
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

/* FIL-370: names are a matter of the mounts that a process sees, numbers are not. */
int place_same(const char *local_name, uint64_t device, uint64_t inode)
{
        _cleanup_target_ Target target = { -EBADF };
        struct stat st;
        int r = target_open(local_name, &target);

        if (r < 0)
                return r;
        if (fstat(target.directory, &st) < 0)
                return -errno;
        return st.st_dev == device && st.st_ino == inode ? 0 : -EXDEV;
}

/* FIL-15: the umask decides, as for any file of this user. */
static int create(int directory, const char *name)
{
        int fd =
                openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);

        return fd < 0 ? -errno : fd;
}

static int remove_name(int directory, const char *name)
{
        return unlinkat(directory, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_orphan(int directory, const char *name)
{
        Inode inode;
        int r;

        r = inode_look(directory, name, &inode);
        if (r <= 0)
                return r;
        if (!is_our_orphan(&inode))
                return -EEXIST; /* FIL-14 */
        return remove_name(directory, name);
}

/* FIL-11, FIL-13: a new inode in any case. */
static int open_new(int directory, const char *name, PlaceOpened *ret)
{
        _cleanup_close_ int fd = create(directory, name);
        Inode inode;
        int r;

        if (fd == -EEXIST) {
                r = remove_orphan(directory, name);
                if (r < 0)
                        return r;
                fd = create(directory, name);
        }
        if (fd < 0)
                return fd;
        r = inode_of(fd, &inode);
        if (r < 0)
                return r;
        *ret = (PlaceOpened){ TAKE_FD(fd), true, inode.mark, 0 };
        return 0;
}

/* ---- a file that has changed hands ---- */

#define COPY_SUFFIX ".new"

/* Where the copy is made. The end of a name that is too long goes: what is left still has most of
   its random digits. */
static void copy_name(const char *temporary_name, char ret[static NAME_MAX + 1])
{
        snprintf(ret, NAME_MAX + 1, "%.*s%s", (int)(NAME_MAX - strlen(COPY_SUFFIX)), temporary_name,
                 COPY_SUFFIX);
}

/* FIL-47: of a crash in the middle of copying. A courtesy, as the name proves little. */
static void remove_copy(Changed *changed, int directory, const char *temporary_name)
{
        char name[NAME_MAX + 1];
        Inode inode;

        copy_name(temporary_name, name);
        if (inode_look(directory, name, &inode) <= 0 || !is_our_orphan(&inode))
                return;
        (void)changed_add(changed, directory);
        (void)remove_name(directory, name);
}

/* 1 with a descriptor for reading, 1 with -EBADF when we may not read it, 0 when the recorded file
   is not there any more. */
static int open_source(int directory, const PlaceRequest *q, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        Inode inode;
        int r;

        fd = openat(directory, q->temporary_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno != EACCES)
                return errno == ENOENT || errno == ELOOP ? 0 : -errno;
        if (fd >= 0) {
                r = inode_of(fd, &inode);
                if (r < 0)
                        return r;
                if (!is_the_recorded(&inode, q))
                        return 0;
        }
        *ret_fd = TAKE_FD(fd);
        return 1;
}

/* The bytes that are on the disk under the other file and no more: of what was written later, a
   loss may have been told to nobody yet. On the disk they have to be again before the name changes.
   1 with them, 0 with an empty file. DUR-52, DUR-53 */
static int fill_copy(int from, int to, uint64_t kept)
{
        int r = 0;

        if (from >= 0 && kept > 0)
                r = copy_bytes(from, to, kept);
        if (r == 0 && ftruncate(to, 0) < 0)
                return -errno;
        if (r > 0 && fdatasync(to) < 0)
                return -errno;
        return r;
}

/* A copy in `to`, under the temporary name and surely there: the manager will remember no other.
   1 with the kept bytes, 0 when it is empty, or -errno and nothing has changed but maybe the name.
   FIL-43 */
static int replace(Changed *changed, int directory, const PlaceRequest *q, int from, int to,
                   const char *name)
{
        int r = fill_copy(from, to, q->kept), synced;

        if (r >= 0 && renameat2(directory, name, directory, q->temporary_name, 0) < 0)
                r = -errno;
        if (r < 0) {
                (void)remove_name(directory, name);
                return r;
        }
        synced = changed_sync_one(changed, directory);
        return synced < 0 ? synced : r;
}

/* `old` is the recorded file, open for writing in *fd if we may. 1, or 0 when it is not there any
   more. FIL-42, FIL-44 */
static int take_over(Changed *changed, int directory, const PlaceRequest *q, const Inode *old,
                     int *fd, PlaceOpened *ret)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        char name[NAME_MAX + 1];
        Inode inode;
        int r;

        r = sticky_check(directory, old->owner); /* FIL-45: before the long work */
        if (r < 0)
                return r;
        r = open_source(directory, q, &from);
        if (r <= 0)
                return r;
        copy_name(q->temporary_name, name);
        to = create(directory, name);
        if (to < 0)
                return to;
        r = inode_of(to, &inode);
        /* FIL-46: where nothing can be our own, the other's will do. */
        if (r < 0 || (*fd >= 0 && inode.owner == old->owner)) {
                (void)remove_name(directory, name);
                if (r == 0)
                        *ret = (PlaceOpened){ TAKE_FD(*fd), false, old->mark, old->size };
                return r < 0 ? r : 1;
        }
        r = replace(changed, directory, q, from, to, name);
        if (r < 0)
                return r;
        *ret = (PlaceOpened){ TAKE_FD(to), r == 0, inode.mark, r > 0 ? q->kept : 0 };
        return 1;
}

/* 1 when the recorded file, or its copy, was opened, 0 when it is not there any more. */
static int open_recorded(Changed *changed, int directory, const PlaceRequest *q, PlaceOpened *ret)
{
        _cleanup_close_ int fd = -EBADF;
        Inode inode;
        int r;

        /* Asked first, so that nothing but that file is ever opened: opening may act (FIFOs). */
        r = inode_look(directory, q->temporary_name, &inode);
        if (r <= 0 || !is_the_recorded(&inode, q))
                return 0;
        fd = openat(directory, q->temporary_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno != EACCES && errno != EPERM)
                return errno == ENOENT || errno == ELOOP ? 0 : -errno;
        r = fd < 0 ? 0 : inode_of(fd, &inode);
        if (r < 0)
                return r;
        /* FIL-12: a second name could make somebody else's file out of ours. */
        if (!is_the_recorded(&inode, q) || inode.names != 1)
                return 0;
        if (fd < 0 || inode.owner != geteuid())
                return take_over(changed, directory, q, &inode, &fd, ret);
        *ret = (PlaceOpened){ TAKE_FD(fd), false, inode.mark, inode.size };
        return 1;
}

/* HND-44: to go on is to copy the bytes, if another identity made the file. */
int place_access(const PlaceRequest *q, bool writing)
{
        _cleanup_target_ Target target = { -EBADF };
        Inode inode;
        int r;

        r = place_check(q->local_name);
        if (r >= 0)
                r = request_open(q, &target);
        if (r < 0 || !mark_is_set(&q->recorded))
                return r;
        if (inode_look(target.directory, q->temporary_name, &inode) <= 0 ||
            !is_the_recorded(&inode, q))
                return 0;
        r = sticky_check(target.directory, inode.owner);
        if (r < 0 || !writing)
                return r;
        if (faccessat(target.directory, q->temporary_name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) <
            0)
                return -errno;
        return 0;
}

/* FIL-48: whosever it is, if the directory lets us. 1 when it was there. */
static int remove_recorded(int directory, const PlaceRequest *q)
{
        int r;

        if (!holds_recorded(directory, q->temporary_name, q))
                return 0;
        r = remove_name(directory, q->temporary_name);
        return r < 0 ? r : 1;
}

/* FIL-220: the recorded file was on another device of this boot, so that what is mounted here is
   not what it was. Files are compared, not directories, whose devices may be others (overlays). */
static int refuse_other_volume(int directory, const PlaceRequest *q, PlaceOpened *opened)
{
        bool same = q->recorded.birth == 0 || q->recorded.device == 0 ||
                    q->recorded.device == opened->mark.device;

        if (same)
                return 0;
        opened->fd = fd_close(opened->fd);
        (void)remove_name(directory, q->temporary_name);
        return -EXDEV;
}

/* FIL-390: the recorded file is not there: it was lost, or another volume is. Only where the
   directory speaks against it a file is made, to be asked for its device, and removed. */
static int missing(int directory, const PlaceRequest *q)
{
        PlaceOpened probe = { -EBADF };
        struct stat st;
        int r;

        if (q->recorded.device == 0 || fstat(directory, &st) < 0 ||
            st.st_dev == (dev_t)q->recorded.device ||
            open_new(directory, q->temporary_name, &probe) < 0)
                return -ESTALE;
        r = refuse_other_volume(directory, q, &probe);
        if (r < 0)
                return r;
        fd_close(probe.fd);
        (void)remove_name(directory, q->temporary_name);
        return -ESTALE;
}

int place_open(Changed *changed, const PlaceRequest *request, PlaceOpened *ret)
{
        _cleanup_target_ Target target = { -EBADF };
        PlaceOpened opened = { -EBADF };
        bool recorded = mark_is_set(&request->recorded);
        int r, seen = 0;

        r = request_open(request, &target);
        if (r < 0)
                return r;
        r = changed_add(changed, target.directory); /* DUR-03 */
        if (r < 0)
                return r;
        remove_copy(changed, target.directory, request->temporary_name);
        if (recorded && request->written > 0) {
                r = open_recorded(changed, target.directory, request, ret);
                if (r != 0)
                        return r < 0 ? r : 0;
        } else if (recorded) {
                seen = remove_recorded(target.directory, request);
                if (seen < 0)
                        return seen;
        }
        r = open_new(target.directory, request->temporary_name, &opened);
        /* A volume that had the recorded file is the right one, whatever its number is by now. */
        if (r >= 0 && recorded && !seen)
                r = refuse_other_volume(target.directory, request, &opened);
        if (r >= 0)
                *ret = opened;
        return r;
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
static int hold_recorded(int directory, const PlaceRequest *q, int *ret_fd, uint32_t *ret_names)
{
        _cleanup_close_ int fd = -EBADF;
        Inode inode;
        int r;

        fd = openat(directory, q->temporary_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        r = inode_of(fd, &inode);
        if (r < 0)
                return r;
        if (!is_the_recorded(&inode, q))
                return 0;
        *ret_fd = TAKE_FD(fd);
        *ret_names = inode.names;
        return 1;
}

static int rename_and_verify(const Target *target, const PlaceRequest *q, uint32_t names)
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
        if (names > 1 && holds_recorded(directory, q->temporary_name, q) &&
            unlinkat(directory, q->temporary_name, 0) < 0)
                return -errno;
        return 0;
}

int place_commit(Changed *changed, const PlaceRequest *request, uint64_t modification_time)
{
        _cleanup_target_ Target target = { -EBADF };
        _cleanup_close_ int fd = -EBADF;
        uint32_t names = 0;
        int r;

        if (!mark_is_set(&request->recorded))
                return -EINVAL;
        r = request_open(request, &target);
        if (r < 0)
                return r;
        r = changed_add(changed, target.directory); /* DUR-04 */
        if (r < 0)
                return r;
        r = hold_recorded(target.directory, request, &fd, &names);
        if (r < 0)
                return r;
        if (r == 0) /* FIL-16, FIL-17, DUR-05: renamed before a crash, or lost */
                return holds_recorded(target.directory, target.name, request)
                               ? 0
                               : missing(target.directory, request);
        set_modification_time(fd, modification_time); /* FIL-20 */
        return rename_and_verify(&target, request, names);
}

int place_discard(Changed *changed, const PlaceRequest *request, bool own)
{
        _cleanup_target_ Target target = { -EBADF };
        Inode inode;
        bool ours;
        int r;

        r = request_open(request, &target);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0
                                                     : r; /* FIL-21: the directory went with it */
        remove_copy(changed, target.directory, request->temporary_name);
        r = inode_look(target.directory, request->temporary_name, &inode);
        if (r == 0 && mark_is_set(&request->recorded) &&
            !holds_recorded(target.directory, target.name, request) &&
            missing(target.directory, request) == -EXDEV)
                return -EXDEV; /* it lies where nobody can remove it now */
        if (r <= 0)
                return r;
        ours = mark_is_set(&request->recorded) ? is_the_recorded(&inode, request)
                                               : is_our_orphan(&inode);
        if (!ours)
                return -ESTALE; /* FIL-22, FIL-49 */
        if (own && inode.owner != geteuid())
                return -EPERM; /* FIL-460 */
        /* Where the directory cannot be synced the file should go all the same. */
        (void)changed_add(changed, target.directory);
        return remove_name(target.directory, request->temporary_name);
}
