#include "file/target.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The directory of the last name. A program has one: it serves one request at a time. */
static struct {
        bool on;
        int fd;
        char path[PATH_MAX];
} together = { .fd = -EBADF };

void target_together(void)
{
        together.on = true;
        together.fd = fd_close(together.fd);
}

void target_done(Target *target)
{
        if (!target->shared)
                fd_close(target->directory);
        target->directory = -EBADF;
}

/* FIL-01: an absolute path to something that is not a directory by its very form. */
static int split(const char *path, char ret_directory[static PATH_MAX], const char **ret_name)
{
        const char *name;
        size_t n;

        if (path[0] != '/')
                return -EINVAL;
        if (strlen(path) >= PATH_MAX)
                return -ENAMETOOLONG;
        name = strrchr(path, '/') + 1;
        if (!*name || string_equal(name, ".") || string_equal(name, ".."))
                return -EISDIR;
        if (strlen(name) > NAME_MAX)
                return -ENAMETOOLONG;
        n = (size_t)(name - path); /* with the slash, which makes "/" right too */
        memcpy(ret_directory, path, n);
        ret_directory[n] = 0;
        *ret_name = name;
        return 0;
}

/* FIL-02, FIL-03, BUS-04: links are followed on the way, magic ones are not. */
static int resolve(const char *directory)
{
        struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                .resolve = RESOLVE_NO_MAGICLINKS };
        long fd = syscall(SYS_openat2, AT_FDCWD, directory, &how, sizeof(how));

        return fd < 0 ? -errno : (int)fd;
}

int target_open(const char *path, Target *ret)
{
        char directory[PATH_MAX];
        const char *name;
        int r;

        r = split(path, directory, &name);
        if (r < 0)
                return r;
        if (!together.on || together.fd < 0 || !string_equal(together.path, directory)) {
                r = resolve(directory);
                if (r < 0)
                        return r;
                if (together.on) {
                        fd_close(together.fd);
                        together.fd = r;
                        strcpy(together.path, directory);
                }
        } else
                r = together.fd;
        *ret = (Target){ r, name, together.on };
        return 0;
}
