/*
 * The sealed file of a command line: what is written is read, and nothing else counts as one.
 */
#include "basic/command-file.h"

#include "basic/fd.h"
#include "basic/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define JOB "01234567-89ab-4def-8123-456789abcdef"

/* NTF-243 */
static void test_round(void **state)
{
        _cleanup_close_ int fd = -EBADF;
        _cleanup_(command_file_done) CommandFile file = { 0 };
        uid_t author = (uid_t)-1;

        (void)state;
        assert_int_equal(command_file_write(JOB, "/bin/true", "", &fd), 0);
        assert_true(command_file_is_sealed(fd, &author));
        assert_int_equal(author, geteuid());
        assert_int_equal(command_file_read(fd, &file), 0);
        assert_string_equal(file.job, JOB);
        assert_string_equal(file.program, "/bin/true");
        assert_string_equal(file.parameters, "");
        assert_int_equal(write(fd, "x", 1), -1);
        assert_int_equal(ftruncate(fd, 0), -1);
}

static void test_longest(void **state)
{
        static char parameters[COMMAND_FILE_BYTES_MAX];
        _cleanup_close_ int fd = -EBADF;

        (void)state;
        memset(parameters, 'x', sizeof(parameters) - 1);
        assert_int_equal(command_file_write(JOB, "/a", parameters, &fd), -EMSGSIZE);
        parameters[16000] = '\0';
        assert_int_equal(command_file_write(JOB, "/a", parameters, &fd), 0);
}

static int plain_file(const char *bytes, size_t size)
{
        int fd = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, size), size);
        return fd;
}

/* NTF-243 */
static void test_not_sealed(void **state)
{
        _cleanup_close_ int open_file = plain_file("openbits", 8), empty = -EBADF;
        int pair[2], pipes[2];
        uid_t author;

        (void)state;
        assert_false(command_file_is_sealed(open_file, &author));
        empty = secret_to_fd("", 0);
        assert_false(command_file_is_sealed(empty, &author));
        assert_int_equal(pipe(pipes), 0);
        assert_false(command_file_is_sealed(pipes[0], &author));
        assert_int_equal(fd_socketpair(SOCK_STREAM, false, pair), 0);
        assert_false(command_file_is_sealed(pair[0], &author));
        assert_false(command_file_is_sealed(-EBADF, &author));
        fd_close(pipes[0]);
        fd_close(pipes[1]);
        fd_close(pair[0]);
        fd_close(pair[1]);
}

static void test_other_bytes(void **state)
{
        static const struct {
                const char *bytes;
                size_t size;
        } bad[] = {
                { "", 0 },
                { "openbits-command-1", 19 },
                { "openbits-command-1\0job\0/bin/true\0-x", 35 },       /* no last NUL */
                { "openbits-command-1\0job\0/bin/true\0-x\0more", 41 }, /* something behind */
                { "openbits-command-2\0job\0/bin/true\0-x", 36 },
        };
        CommandFile file;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_close_ int fd = plain_file(bad[i].bytes, bad[i].size);

                assert_int_equal(command_file_read(fd, &file), -EBADMSG);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round),
                cmocka_unit_test(test_longest),
                cmocka_unit_test(test_not_sealed),
                cmocka_unit_test(test_other_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
