/*
 * fsync() wants a descriptor that was opened for reading, which a directory without read permission
 * (a drop box) does not give. There an unnamed file in the directory stands in and its whole file
 * system is synced: slower, and as safe. The descriptors, not paths, are kept, so that a directory
 * renamed in between is still the one that gets synced.
 */
#include "file/changed.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int sync_one(const ChangedDirectory *d)
{
        if (!d->whole && fsync(d->fd) == 0)
                return 0;
        /* EINVAL: this file system syncs no directories by themselves. */
        if (!d->whole && errno != EINVAL)
                return -errno;
        return syncfs(d->fd) < 0 ? -errno : 0;
}

/* DUR-06: what no longer fits is synced now, and its failure told at the end. */
static void sync_oldest(Changed *changed)
{
        int r = sync_one(&changed->items[0]);

        if (r < 0 && changed->error == 0)
                changed->error = r;
        fd_close(changed->items[0].fd);
        changed->count--;
        memmove(changed->items, changed->items + 1, changed->count * sizeof(changed->items[0]));
}

void changed_done(Changed *changed)
{
        for (size_t i = 0; i < changed->count; i++)
                fd_close(changed->items[i].fd);
        *changed = (Changed){ 0 };
}

/* DUR-07 */
static int open_for_sync(int directory, bool *ret_whole)
{
        int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        *ret_whole = false;
        if (fd >= 0 || errno != EACCES)
                return fd < 0 ? -errno : fd;
        fd = openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        *ret_whole = true;
        /* Where unnamed files do not exist, the missing permission is what people can repair. */
        return fd < 0 ? -EACCES : fd;
}

static int add(Changed *changed, int directory, size_t *ret_index)
{
        struct stat st;
        bool whole;
        int fd;

        if (fstat(directory, &st) < 0)
                return -errno;
        for (size_t i = changed->count; i-- > 0;)
                if (changed->items[i].inode == st.st_ino && changed->items[i].device == st.st_dev) {
                        *ret_index = i;
                        return 0;
                }
        fd = open_for_sync(directory, &whole);
        if (fd < 0)
                return fd;
        if (changed->count == CHANGED_MAX)
                sync_oldest(changed);
        *ret_index = changed->count;
        changed->items[changed->count++] = (ChangedDirectory){ fd, st.st_dev, st.st_ino, whole };
        return 0;
}

int changed_add(Changed *changed, int directory)
{
        size_t index = 0;

        return add(changed, directory, &index);
}

/* It stays in the set: the next changed_sync() finds nothing to do there. */
int changed_sync_one(Changed *changed, int directory)
{
        size_t index = 0;
        int r = add(changed, directory, &index);

        return r < 0 ? r : sync_one(&changed->items[index]);
}

/* DUR-08, DUR-262 */
int changed_sync(Changed *changed)
{
        int error;

        while (changed->count > 0)
                sync_oldest(changed);
        error = changed->error;
        changed->error = 0;
        return error;
}
