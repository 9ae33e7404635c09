#include "file/target.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

void target_done(Target *target)
{
        target->directory = fd_close(target->directory);
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
int target_open(const char *path, Target *ret)
{
        struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                .resolve = RESOLVE_NO_MAGICLINKS };
        char directory[PATH_MAX];
        const char *name;
        int r;
        long fd;

        r = split(path, directory, &name);
        if (r < 0)
                return r;
        fd = syscall(SYS_openat2, AT_FDCWD, directory, &how, sizeof(how));
        if (fd < 0)
                return -errno;
        *ret = (Target){ (int)fd, name };
        return 0;
}
