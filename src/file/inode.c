#include "file/inode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
        NSEC_PER_SEC = 1000 * 1000 * 1000,
};

/* A clock that stood before 1970 tells nothing apart. */
static uint64_t birth_of(const struct statx *st)
{
        if (!(st->stx_mask & STATX_BTIME) || st->stx_btime.tv_sec < 0)
                return 0;
        return (uint64_t)st->stx_btime.tv_sec * NSEC_PER_SEC + st->stx_btime.tv_nsec;
}

static int ask(int directory, const char *name, int flags, Inode *ret)
{
        struct statx st;

        if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
                return -errno;
        *ret = (Inode){
                .mark = { .device = makedev(st.stx_dev_major, st.stx_dev_minor),
                          .inode = st.stx_ino,
                          .birth = birth_of(&st) },
                .mode = st.stx_mode,
                .owner = st.stx_uid,
                .names = st.stx_nlink,
                .size = st.stx_size,
        };
        return 0;
}

int inode_look(int directory, const char *name, Inode *ret)
{
        int r = ask(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, ret);

        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : 1;
}

int inode_of(int fd, Inode *ret)
{
        return ask(fd, "", AT_EMPTY_PATH, ret);
}

bool mark_is_set(const Mark *mark)
{
        return mark->device != 0 || mark->inode != 0;
}

/* FIL-40, FIL-41 */
bool mark_equal(const Mark *a, const Mark *b)
{
        return a->inode == b->inode && a->birth == b->birth &&
               (a->birth != 0 || a->device == b->device);
}
