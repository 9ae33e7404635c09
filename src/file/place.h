/*
 * The work on local files: check a destination, make or find the temporary file beside it, give it
 * its final name, remove it. Everything happens with the rights of the calling process.
 *
 * A local name is an absolute path. Symbolic links are followed in its directory part, except the
 * kernel's magic ones (/proc/self/fd/3), which would lead through a descriptor past all
 * permissions; the last component is never followed. A temporary name is one component that begins
 * with a dot.
 *
 * All functions return 0 or -errno. -EINVAL: not such a name. -EISDIR: the local name ends in "/",
 * "/." or "/..", or a directory has it. -ENAMETOOLONG: the path or a component is too long.
 */
#pragma once

#include "file/changed.h"
#include "file/inode.h"

typedef struct PlaceRequest {
        const char *local_name;
        const char *temporary_name;
        Mark recorded;    /* the temporary file */
        uint64_t kept;    /* its first bytes, which are on the disk */
        uint64_t written; /* its first bytes that are wanted, kept or not */
} PlaceRequest;

typedef struct PlaceOpened {
        int fd; /* the caller's, open for writing */
        bool fresh;
        Mark mark;
        uint64_t size;
} PlaceOpened;

/* Could a file be made in this directory and take this name? -ENOENT, -ENOTDIR, -EACCES, -EROFS:
   the directory says no. -EISDIR, -EINVAL: the name belongs to a directory, or to a device, FIFO or
   socket. -EACCES, -EPERM, -EBUSY: the name belongs to a file that may not be replaced (another
   user's in a sticky directory; an immutable one; a mount point). A regular file or a symbolic link
   is fine: it will be replaced. */
int place_check(const char *local_name);

/* place_check(), and whether this identity could go on with the recorded temporary file, which
   another one may have made: read its bytes if `writing`, and in any case rename it. A file that is
   not there any more is no obstacle: it will be made anew. */
int place_access(const PlaceRequest *request, bool writing);

/* Opens the recorded temporary file, or makes a new one when none is recorded, when it is no longer
   there, or when nothing of it is wanted.
   A recorded file of another user's (the job has changed hands) is replaced by one of our own with
   the same `kept` bytes, synced with its name; it is fresh when they cannot be read. -EACCES: we
   may not replace it, and nothing was changed. That takes as long as the copying does; another
   name is used meanwhile, and whatever a crash leaves under it goes with the next call.
   -EXDEV: another volume is mounted there than the recorded file was on in this boot; nothing was
   changed. -EEXIST: something that is not ours has the temporary name. */
int place_open(Changed *changed, const PlaceRequest *request, PlaceOpened *ret);

/* Sets the modification time (seconds since 1970, 0: leave it) where the owner allows, and renames
   the recorded temporary file to the local name. Success also when that had been done before.
   -ESTALE: neither name holds the recorded file; -EXDEV: because another volume is mounted
   there. */
int place_commit(Changed *changed, const PlaceRequest *request, uint64_t modification_time);

/* Is the directory of that name the one with these numbers? 0, -EXDEV: another one, or -errno. */
int place_same(const char *local_name, uint64_t device, uint64_t inode);

/* Removes the temporary file, whosever the recorded one is; success also when it, or its directory,
   is not there. -ESTALE: another file has its name (nothing recorded: one that is not ours alone),
   which was left alone. -EXDEV: another volume is mounted there, and the recorded one lies on its
   own. -EPERM: `own` is asked for, and it is another user's. */
int place_discard(Changed *changed, const PlaceRequest *request, bool own);
