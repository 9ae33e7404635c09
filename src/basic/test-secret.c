/*
 * Secrets in anonymous files: they arrive whole, cannot be changed on the way, and nothing else
 * passes for one.
 */
#include "basic/fd.h"
#include "basic/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* SEC-81 */
static void test_round_trip(void **state)
{
        static const uint8_t secret[] = "se\0cret";
        _cleanup_close_ int fd = secret_to_fd(secret, sizeof(secret));
        uint8_t *bytes = NULL;
        size_t size = 0;

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(secret_from_fd(fd, 100, &bytes, &size), 0);
        assert_int_equal(size, sizeof(secret));
        assert_memory_equal(bytes, secret, size);
        assert_int_equal(bytes[size], 0);
        secret_free(bytes, size);
        assert_int_equal(secret_from_fd(fd, sizeof(secret) - 1, &bytes, &size), -EMSGSIZE);
        assert_int_equal(write(fd, "x", 1), -1);
        assert_int_equal(ftruncate(fd, 0), -1);
}

/* SEC-81 */
static void test_other_descriptors(void **state)
{
        uint8_t *bytes = NULL;
        size_t size = 0;
        int ends[2];

        (void)state;
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(secret_from_fd(ends[0], 100, &bytes, &size), -EBADMSG);
        assert_int_equal(secret_from_fd(-1, 100, &bytes, &size), -EBADF);
        fd_close(ends[0]);
        fd_close(ends[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_other_descriptors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
