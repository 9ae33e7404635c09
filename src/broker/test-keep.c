/*
 * Records of tokens: what was written is read, and nothing else is.
 */
#include "broker/keep.h"

#include "basic/fd.h"
#include "broker/token.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
        COOKIE = 4711,
};

static Identity somebody(void)
{
        Identity identity = { .uid = 1000, .gid = 100, .n_groups = 2, .signed_on = true };

        identity.groups = calloc(2, sizeof(gid_t));
        identity.session = strdup("c3");
        assert_non_null(identity.groups);
        assert_non_null(identity.session);
        identity.groups[1] = 27;
        return identity;
}

static int write_record(int kept)
{
        Identity identity = somebody();
        int record;

        assert_int_equal(keep_write(COOKIE, kept, &identity, &record), 0);
        identity_done(&identity);
        return record;
}

/* TOK-67 */
static void test_record_is_read(void **state)
{
        int pair[2], record;
        Identity identity;
        uint64_t cookie;

        (void)state;
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
        record = write_record(pair[0]);
        assert_int_equal(keep_read(record, pair[0], &cookie, &identity), 0);
        assert_int_equal(cookie, COOKIE);
        assert_int_equal(identity.uid, 1000);
        assert_int_equal(identity.gid, 100);
        assert_int_equal(identity.n_groups, 2);
        assert_int_equal(identity.groups[1], 27);
        assert_string_equal(identity.session, "c3");
        assert_true(identity.signed_on);
        identity_done(&identity);
        fd_close(record);
        fd_close(pair[0]);
        fd_close(pair[1]);
}

/* TOK-68: not beside another socket, not when it could still be changed, not cut or grown. */
static void test_forgeries(void **state)
{
        int pair[2], other[2], record, copy;
        char bytes[4096];
        Identity identity;
        uint64_t cookie;
        ssize_t n;

        (void)state;
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, other), 0);
        record = write_record(pair[0]);
        assert_int_equal(keep_read(record, other[0], &cookie, &identity), -EBADMSG);
        assert_int_equal(keep_read(record, pair[1], &cookie, &identity), -EBADMSG);
        assert_int_equal(keep_read(pair[0], pair[0], &cookie, &identity), -EBADMSG);
        assert_int_equal(keep_read(record, record, &cookie, &identity), -EBADMSG);
        n = pread(record, bytes, sizeof(bytes) - 1, 0);
        assert_true(n > 0);
        /* The same bytes, but whoever made the file may still write into it. */
        copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(write(copy, bytes, (size_t)n), n);
        assert_int_equal(keep_read(copy, pair[0], &cookie, &identity), -EBADMSG);
        assert_int_equal(ftruncate(copy, n - 1), 0);
        assert_int_equal(
                fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
                0);
        assert_int_equal(keep_read(copy, pair[0], &cookie, &identity), -EBADMSG);
        assert_true(write(record, "x", 1) < 0);
        fd_close(copy);
        fd_close(record);
        for (unsigned i = 0; i < 2; i++) {
                fd_close(pair[i]);
                fd_close(other[i]);
        }
}

/* TOK-67: the token that the client holds is the same after the broker's restart, and ends with its
   last copy as ever. */
static void test_restored_token_lives_and_ends(void **state)
{
        int pair[2], record;
        sd_event *event;
        Tokens *tokens;
        TokenInfo info;
        Identity identity = somebody();
        uint64_t cookie;

        (void)state;
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(tokens_new(event, 10, &tokens), 0);
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
        assert_int_equal(fd_socket_cookie(pair[1], &cookie), 0);
        assert_int_equal(keep_write(cookie, pair[0], &identity, &record), 0);
        identity_done(&identity);
        assert_int_equal(tokens_restore(tokens, record, pair[0]), 0);
        assert_int_equal(tokens_find(tokens, pair[1], &info), 0);
        assert_int_equal(info.cookie, cookie);
        assert_int_equal(info.identity->uid, 1000);
        fd_close(pair[1]);
        while (sd_event_run(event, 0) > 0)
                ;
        assert_int_equal(tokens_count(tokens), 0);
        tokens_free(tokens);
        sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_record_is_read),
                cmocka_unit_test(test_forgeries),
                cmocka_unit_test(test_restored_token_lives_and_ends),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
