/*
 * The table of tokens with real sockets and a real loop.
 */
#include "broker/token.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "broker/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Fixture {
        sd_event *event;
        Tokens *tokens;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(tokens_new(f->event, 300, &f->tokens), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        tokens_free(f->tokens);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

/* Lets the loop do what is due, without waiting. */
static void turn(Fixture *f)
{
        while (sd_event_run(f->event, 0) > 0)
                ;
}

static int mint(Fixture *f, uid_t uid, int *ret_fd)
{
        Identity identity = { .uid = uid, .gid = uid, .session = strdup("7") };
        int r = tokens_mint(f->tokens, &identity, ret_fd);

        identity_done(&identity);
        return r;
}

/* TOK-12 */
static void token_is_found_by_every_copy(void **state)
{
        Fixture *f = *state;
        TokenInfo info, again;
        int fd, other, copy;

        assert_int_equal(mint(f, 1001, &fd), 0);
        assert_int_equal(mint(f, 1002, &other), 0);
        copy = dup(fd);
        assert_int_equal(tokens_find(f->tokens, fd, &info), 0);
        assert_int_equal(info.identity->uid, 1001);
        assert_string_equal(info.identity->session, "7");
        assert_int_equal(tokens_find(f->tokens, copy, &again), 0);
        assert_int_equal(info.cookie, again.cookie);
        assert_int_equal(tokens_find(f->tokens, other, &again), 0);
        assert_int_equal(again.identity->uid, 1002);
        assert_int_not_equal(info.cookie, again.cookie);
        fd_close(fd);
        fd_close(copy);
        fd_close(other);
}

/* TOK-14 */
static void record_ends_with_the_last_copy(void **state)
{
        Fixture *f = *state;
        int fd, copy;

        assert_int_equal(mint(f, 1001, &fd), 0);
        copy = dup(fd);
        fd_close(fd);
        turn(f);
        assert_int_equal(tokens_count(f->tokens), 1);
        fd_close(copy);
        turn(f);
        assert_int_equal(tokens_count(f->tokens), 0);
}

/* TOK-14: in flight inside its own queue, a token would have a copy that nobody can close. */
static void token_cannot_keep_itself_alive(void **state)
{
        Fixture *f = *state;
        char byte = 'x';
        union {
                struct cmsghdr align;
                uint8_t bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { &byte, 1 };
        struct msghdr mh = { .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control) };
        int fd;

        assert_int_equal(mint(f, 1001, &fd), 0);
        control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
        assert_true(sendmsg(fd, &mh, MSG_NOSIGNAL) < 0);
        fd_close(fd);
        turn(f);
        assert_int_equal(tokens_count(f->tokens), 0);
}

/* TOK-15 */
static void strangers_are_not_found(void **state)
{
        Fixture *f = *state;
        TokenInfo info;
        int fd, pair[2];

        assert_int_equal(mint(f, 1001, &fd), 0);
        assert_int_equal(pipe(pair), 0);
        assert_int_equal(tokens_find(f->tokens, pair[0], &info), -ENOENT);
        close(pair[0]);
        assert_int_equal(tokens_find(f->tokens, pair[0], &info), -ENOENT); /* closed */
        close(pair[1]);
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
        assert_int_equal(tokens_find(f->tokens, pair[0], &info), -ENOENT);
        close(pair[0]);
        close(pair[1]);
        assert_int_equal(tokens_find(f->tokens, -EBADF, &info), -ENOENT);
        fd_close(fd);
}

/* TOK-16 */
static void users_are_bounded(void **state)
{
        Fixture *f = *state;
        int fds[TOKENS_PER_USER], others[300 - TOKENS_PER_USER], fd;

        for (unsigned i = 0; i < ELEMENTS(fds); i++)
                assert_int_equal(mint(f, 1001, &fds[i]), 0);
        assert_int_equal(mint(f, 1001, &fd), -EUSERS);
        for (unsigned i = 0; i < ELEMENTS(others); i++)
                assert_int_equal(mint(f, 1002, &others[i]), 0);
        assert_int_equal(mint(f, 1003, &fd), -ENFILE);

        fd_close(fds[0]);
        turn(f);
        assert_int_equal(mint(f, 1001, &fds[0]), 0);
        for (unsigned i = 0; i < ELEMENTS(fds); i++)
                fd_close(fds[i]);
        for (unsigned i = 0; i < ELEMENTS(others); i++)
                fd_close(others[i]);
        turn(f);
        assert_int_equal(tokens_count(f->tokens), 0);
}

/* Without descriptors nothing is charged and the identity stays the caller's. */
static void failed_mint_leaves_nothing(void **state)
{
        Fixture *f = *state;
        Identity identity = { .uid = 1001, .gid = 1001, .session = strdup("7") };
        struct rlimit all, none;
        int fd, r;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
        none = (struct rlimit){ 0, all.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = tokens_mint(f->tokens, &identity, &fd);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        assert_int_equal(r, -EMFILE);
        assert_string_equal(identity.session, "7");
        assert_int_equal(tokens_count(f->tokens), 0);
        identity_done(&identity);
}

/* TOK-10: through a pair, the peer is the process that made it. */
static void capture_names_this_process(void **state _unused_)
{
        gid_t groups[1024];
        Identity identity;
        int pair[2], n = getgroups(ELEMENTS(groups), groups);

        assert_int_equal(fd_socketpair(SOCK_STREAM, true, pair), 0);
        assert_int_equal(capture_peer(pair[0], &identity), 0);
        assert_int_equal(identity.uid, geteuid());
        assert_int_equal(identity.gid, getegid());
        assert_int_equal(identity.n_groups, n);
        if (n > 0)
                assert_memory_equal(identity.groups, groups, (size_t)n * sizeof(gid_t));
        identity_done(&identity);
        fd_close(pair[0]);
        fd_close(pair[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(token_is_found_by_every_copy, setup, teardown),
                cmocka_unit_test_setup_teardown(record_ends_with_the_last_copy, setup, teardown),
                cmocka_unit_test_setup_teardown(token_cannot_keep_itself_alive, setup, teardown),
                cmocka_unit_test_setup_teardown(strangers_are_not_found, setup, teardown),
                cmocka_unit_test_setup_teardown(users_are_bounded, setup, teardown),
                cmocka_unit_test_setup_teardown(failed_mint_leaves_nothing, setup, teardown),
                cmocka_unit_test(capture_names_this_process),
        };

        log_open("test-token", LOG_ERR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
