/*
 * Reading: what may be an upload's source, and copies of replies.
 */
#include "file/source.h"

#include "file/test-fixture.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

static void write_file(const char *path, const char *content, mode_t mode)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_return_code(fd, errno);
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
        assert_return_code(fchmod(fd, mode), errno);
        close(fd);
}

/* FIL-120 */
static void test_source(void **state)
{
        Fixture *f = *state;
        const char *file = inside(f, "source"), *link = inside(f, "link"),
                   *directory = inside(f, "link-to-directory");
        Source source = { -EBADF };
        struct stat st;
        char buffer[8];

        write_file(file, "bytes", 0600);
        assert_return_code(symlink("source", link), errno);
        assert_return_code(symlink(".", directory), errno);
        assert_int_equal(source_open(inside(f, "link-to-directory/source"), &source), 0);
        assert_return_code(stat(file, &st), errno);
        assert_int_equal(source.size, 5);
        assert_int_equal(source.modification_time,
                         (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec);
        assert_int_equal(pread(source.fd, buffer, sizeof(buffer), 0), 5);
        assert_int_equal(fcntl(source.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        close(source.fd);
        assert_int_equal(source_open(link, &source), -ELOOP);
        assert_int_equal(source_open("relative", &source), -EINVAL);
        assert_int_equal(source_open(inside(f, "nothing"), &source), -ENOENT);
}

/* FIL-120: nothing but a regular file, and nothing that makes the worker wait. */
static void test_what_is_no_source(void **state)
{
        Fixture *f = *state;
        const char *fifo = inside(f, "fifo"), *secret = inside(f, "secret");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        Source source = { -EBADF };
        char magic[64];
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_return_code(mkfifo(fifo, 0600), errno);
        assert_int_equal(source_open(fifo, &source), -EINVAL);
        assert_int_equal(source_open(f->root, &source), -EISDIR);
        assert_int_equal(source_open("/dev/null", &source), -EINVAL);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", f->root);
        assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
        assert_int_equal(source_open(address.sun_path, &source), -EINVAL);
        close(fd);

        write_file(secret, "s", 0);
        fd = open(inside(f, "open"), O_RDWR | O_CREAT, 0600);
        snprintf(magic, sizeof(magic), "/proc/self/fd/%d", fd);
        assert_int_equal(source_open(magic, &source), -ELOOP);
        close(fd);
        if (started_as_root) {
                become(STRANGER);
                assert_int_equal(source_open(secret, &source), -EACCES);
                become(USER);
        }
}

static Mark mark_of(const char *path)
{
        int fd = open(path, O_PATH);
        Inode inode;

        assert_int_equal(inode_of(fd, &inode), 0);
        close(fd);
        return inode.mark;
}

/* UPL-123 */
static void test_reply(void **state)
{
        Fixture *f = *state;
        Source source = { -EBADF };
        char buffer[16];
        Mark mark;

        write_file(f->temporary, "reply", 0600);
        mark = mark_of(f->temporary);
        for (unsigned pass = 0; pass < 2; pass++) {
                assert_int_equal(source_read_reply(f->final, ".temporary", &mark, 5, &source), 0);
                assert_int_equal(source.size, 5);
                assert_int_equal(pread(source.fd, buffer, sizeof(buffer), 0), 5);
                assert_memory_equal(buffer, "reply", 5);
                assert_int_equal(pwrite(source.fd, "x", 1, 0), -1);
                assert_int_equal(errno, EPERM);
                assert_true(fcntl(source.fd, F_GET_SEALS) & F_SEAL_WRITE);
                close(source.fd);
                assert_int_equal(source_read_reply(f->final, ".temporary", &mark, 4, &source), 0);
                assert_int_equal(source.size, 5);
                assert_int_equal(source.fd, -EBADF);
                assert_return_code(rename(pass == 0 ? f->temporary : f->final, f->final), errno);
        }
        mark.inode++;
        assert_int_equal(source_read_reply(f->final, ".temporary", &mark, 5, &source), -ESTALE);
        assert_int_equal(source_read_reply(f->final, "../x", &mark, 5, &source), -EINVAL);
        assert_return_code(unlink(f->final), errno);
        assert_int_equal(source_read_reply(f->final, ".temporary", &mark, 5, &source), -ESTALE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_source),
                TEST(test_what_is_no_source),
                TEST(test_reply),
        };

        started_as_root = geteuid() == 0;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
