#include "broker/ledger.h"

#include "basic/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE ".new-"

/* A user's own broker may be the first who wants a state directory. */
static int make_directories(const char *path)
{
        char part[PATH_MAX];

        if (strlen(path) >= sizeof(part))
                return -ENAMETOOLONG;
        for (size_t i = 1; i <= strlen(path); i++) {
                if (path[i] != '/' && path[i])
                        continue;
                memcpy(part, path, i);
                part[i] = '\0';
                if (mkdir(part, 0700) < 0 && errno != EEXIST)
                        return -errno;
        }
        return 0;
}

/* SEC-50: a ledger says for whom root's broker works: it must be the broker's alone. */
int ledger_open(const char *state_directory, const char *name, int *ret_directory)
{
        _cleanup_close_ int state = -EBADF, directory = -EBADF;
        struct stat st;
        int r = make_directories(state_directory);

        if (r < 0)
                return r;
        state = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (state < 0)
                return -errno;
        if (mkdirat(state, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        directory = openat(state, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (directory < 0)
                return -errno;
        if (fstat(directory, &st) < 0)
                return -errno;
        if (st.st_uid != geteuid())
                return -EPERM;
        if (fchmod(directory, 0700) < 0)
                return -errno;
        *ret_directory = TAKE_FD(directory);
        return 0;
}

static int write_file(int directory, const char *name, const void *bytes, size_t size)
{
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        n = write(fd, bytes, size);
        if (n < 0)
                return -errno;
        if ((size_t)n < size)
                return -ENOSPC;
        return fsync(fd) < 0 ? -errno : 0;
}

int ledger_write(int directory, const char *name, const void *bytes, size_t size)
{
        char aside[NAME_MAX + 1];
        int r;

        if ((size_t)snprintf(aside, sizeof(aside), ASIDE "%s", name) >= sizeof(aside))
                return -ENAMETOOLONG;
        r = write_file(directory, aside, bytes, size);
        if (r >= 0 && renameat(directory, aside, directory, name) < 0)
                r = -errno;
        if (r < 0) {
                unlinkat(directory, aside, 0);
                return r;
        }
        return fsync(directory) < 0 ? -errno : 0;
}

void ledger_remove(int directory, const char *name)
{
        if (unlinkat(directory, name, 0) == 0)
                (void)fsync(directory);
}

int ledger_read(int directory, LedgerCallback callback, void *userdata)
{
        int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *d;
        int r = 0;

        if (!stream) {
                r = -errno;
                fd_close(copy);
                return r;
        }
        while (r >= 0 && (d = readdir(stream))) {
                if (d->d_name[0] != '.')
                        r = callback(userdata, d->d_name);
                else if (strncmp(d->d_name, ASIDE, sizeof(ASIDE) - 1) == 0)
                        unlinkat(directory, d->d_name, 0);
        }
        closedir(stream);
        return r < 0 ? r : 0;
}
