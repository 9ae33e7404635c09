/*
 * The copy of a small file: what is copied, and what is refused without waiting for it.
 */
#include "file/content.h"

#include "basic/fd.h"
#include "basic/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/openbits-content-XXXXXX";

static const char *path_of(const char *name)
{
        static char path[256];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        return path;
}

static void put(const char *name, const char *bytes, size_t size)
{
        _cleanup_close_ int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
}

static int copy(const char *path, uint64_t size_max)
{
        uint64_t size = 0;
        int fd = -EBADF, r = content_copy(path, size_max, &fd, &size);

        fd_close(fd);
        return r;
}

/* SEC-157 */
static void a_sealed_copy(void **state)
{
        _cleanup_close_ int fd = -EBADF;
        uint64_t size = 0;
        uint8_t *bytes;
        size_t n;

        (void)state;
        put("file", "a\0b", 3);
        assert_int_equal(content_copy(path_of("file"), 3, &fd, &size), 0);
        assert_int_equal(size, 3);
        put("file", "another", 7);
        assert_int_equal(secret_from_fd(fd, 3, &bytes, &n), 0);
        assert_memory_equal(bytes, "a\0b", 3);
        secret_free(bytes, n);
        assert_true(pwrite(fd, "x", 1, 0) < 0);
        assert_true(ftruncate(fd, 0) < 0);
}

/* SEC-156 */
static void what_is_refused(void **state)
{
        char magic[64];
        _cleanup_close_ int fd = -EBADF;

        (void)state;
        put("long", "abcd", 4);
        assert_int_equal(copy(path_of("long"), 4), 0);
        assert_int_equal(copy(path_of("long"), 3), -EFBIG);
        assert_int_equal(copy(path_of("long"), UINT64_MAX), 0);
        assert_int_equal(copy(path_of("none"), 9), -ENOENT);
        assert_int_equal(copy("long", 9), -EINVAL);
        assert_int_equal(copy(folder, 9), -EISDIR);
        assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
        assert_int_equal(copy(path_of("fifo"), 9), -EINVAL);
        assert_int_equal(copy("/dev/null", 9), -EINVAL);
        assert_int_equal(symlink("long", path_of("link")), 0);
        assert_int_equal(copy(path_of("link"), 9), 0);
        assert_int_equal(symlink("loop", path_of("loop")), 0);
        assert_int_equal(copy(path_of("loop"), 9), -ELOOP);
        fd = open(path_of("long"), O_RDONLY | O_CLOEXEC);
        snprintf(magic, sizeof(magic), "/proc/self/fd/%d", fd);
        assert_int_equal(copy(magic, 9), -ELOOP);
}

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
        static const char *const names[] = { "file", "long", "fifo", "link", "loop" };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(names); i++)
                (void)unlink(path_of(names[i]));
        return rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_sealed_copy),
                cmocka_unit_test(what_is_refused),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
