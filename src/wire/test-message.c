/*
 * Messages: what is put comes out again, and nothing that is cut, padded, lied about or too large
 * gets through or leaks a descriptor.
 */
#include "wire/message.h"
#include "wire/test-fds.h"

enum {
        HEADER_BYTES = 8,
        TYPE = 0x77,
        SERIAL = 4711,
};

typedef struct World {
        int pair[2];
        Message out, in;
        unsigned open_fds; /* at the beginning */
} World;

static int set_up(void **state)
{
        World *w = calloc(1, sizeof(*w));

        w->open_fds = count_open_fds();
        if (fd_socketpair(SOCK_SEQPACKET, true, w->pair) < 0 || message_init(&w->out) < 0 ||
            message_init(&w->in) < 0)
                return -1;
        message_begin(&w->out, TYPE, SERIAL);
        *state = w;
        return 0;
}

/* Whatever a test did: no descriptor is left. */
static int tear_down(void **state)
{
        World *w = *state;
        unsigned before = w->open_fds;

        message_done(&w->out);
        message_done(&w->in);
        fd_close(w->pair[0]);
        fd_close(w->pair[1]);
        free(w);
        assert_int_equal(count_open_fds(), before);
        return 0;
}

static void pass(World *w)
{
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        assert_int_equal(message_receive(&w->in, w->pair[1]), 1);
}

static void fields_come_back(void **state)
{
        World *w = *state;
        U32List list = { { 1, 2, UINT32_MAX }, 3 }, got = { 0 };
        const char *a, *b, *c;
        uint32_t u32;
        uint64_t u64;

        message_put_u32(&w->out, UINT32_MAX);
        message_put_string(&w->out, "na\xc3\xafve");
        message_put_u64(&w->out, UINT64_MAX - 1);
        message_put_string(&w->out, NULL);
        message_put_u32_list(&w->out, &list);
        message_put_string(&w->out, "");
        pass(w);
        assert_int_equal(w->in.type, TYPE);
        assert_int_equal(w->in.serial, SERIAL);
        assert_true(message_get_u32(&w->in, &u32) && message_get_string(&w->in, &a) &&
                    message_get_u64(&w->in, &u64) && message_get_string(&w->in, &b) &&
                    message_get_u32_list(&w->in, &got) && message_get_string(&w->in, &c));
        assert_true(message_end(&w->in));
        assert_int_equal(u32, UINT32_MAX);
        assert_int_equal(u64, UINT64_MAX - 1);
        assert_string_equal(a, "na\xc3\xafve");
        assert_string_equal(b, "");
        assert_string_equal(c, "");
        assert_int_equal(got.count, 3);
        assert_memory_equal(got.items, list.items, 3 * sizeof(uint32_t));
}

static void descriptors_come_back_in_order(void **state)
{
        World *w = *state;
        _cleanup_close_ int first = -EBADF, second = -EBADF;

        message_put_fd(&w->out, w->pair[0]);
        message_put_fd(&w->out, w->pair[1]);
        pass(w);
        assert_true(message_get_fd(&w->in, &first) && message_get_fd(&w->in, &second));
        assert_true(message_end(&w->in));
        assert_int_equal(cookie_of(first), cookie_of(w->pair[0]));
        assert_int_equal(cookie_of(second), cookie_of(w->pair[1]));
}

/* SEC-02: what nobody takes is closed when the message is used again. */
static void descriptors_not_taken_are_closed(void **state)
{
        World *w = *state;
        unsigned before = count_open_fds();

        message_put_fd(&w->out, w->pair[0]);
        pass(w);
        assert_int_equal(count_open_fds(), before + 1);
        assert_false(message_end(&w->in));
        assert_int_equal(message_receive(&w->in, w->pair[1]), -EAGAIN);
        assert_int_equal(count_open_fds(), before);
}

static void most_descriptors_and_one_more(void **state)
{
        World *w = *state;
        unsigned before = count_open_fds();

        for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
                message_put_fd(&w->out, w->pair[0]);
        pass(w);
        assert_int_equal(count_open_fds(), before + MESSAGE_FDS_MAX);
        message_put_fd(&w->out, w->pair[0]);
        assert_true(w->out.bad);
        assert_int_equal(message_send(&w->out, w->pair[0]), -EMSGSIZE);
}

/* SEC-02: a peer with more descriptors than we take. */
static void too_many_received_descriptors(void **state)
{
        World *w = *state;
        union {
                struct cmsghdr align;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * (MESSAGE_FDS_MAX + 1))];
        } control;
        uint16_t header[4] = { TYPE, MESSAGE_FDS_MAX }; /* a lie that fits what arrives */
        struct iovec iov = { header, sizeof(header) };
        struct msghdr mh = { .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control) };
        struct cmsghdr *c = &control.align;

        *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS,
                               .cmsg_len = CMSG_LEN(sizeof(int) * (MESSAGE_FDS_MAX + 1)) };
        for (unsigned i = 0; i <= MESSAGE_FDS_MAX; i++)
                memcpy(CMSG_DATA(c) + i * sizeof(int), &w->pair[0], sizeof(int));
        assert_int_equal(sendmsg(w->pair[0], &mh, 0), sizeof(header));
        assert_int_equal(message_receive(&w->in, w->pair[1]), -EBADMSG);
}

/* SEC-02: the header says another number of descriptors than there are. */
static void wrong_number_of_descriptors(void **state)
{
        World *w = *state;
        uint16_t header[4] = { TYPE, 1 };

        assert_int_equal(send(w->pair[0], header, sizeof(header), 0), sizeof(header));
        assert_int_equal(message_receive(&w->in, w->pair[1]), -EBADMSG);
}

/* SEC-01 */
static void datagrams_of_a_wrong_size(void **state)
{
        World *w = *state;
        _cleanup_free_ uint8_t *bytes = calloc(1, MESSAGE_BYTES_MAX + 1);

        for (size_t n = 1; n < HEADER_BYTES; n++) {
                assert_int_equal(send(w->pair[0], bytes, n, 0), n);
                assert_int_equal(message_receive(&w->in, w->pair[1]), -EBADMSG);
                assert_int_equal(message_parse(&w->in, bytes, n), -EBADMSG);
        }
        assert_int_equal(send(w->pair[0], bytes, MESSAGE_BYTES_MAX, 0), MESSAGE_BYTES_MAX);
        assert_int_equal(message_receive(&w->in, w->pair[1]), 1);
        assert_int_equal(send(w->pair[0], bytes, MESSAGE_BYTES_MAX + 1, 0), MESSAGE_BYTES_MAX + 1);
        assert_int_equal(message_receive(&w->in, w->pair[1]), -EBADMSG);
        assert_int_equal(message_parse(&w->in, bytes, MESSAGE_BYTES_MAX + 1), -EMSGSIZE);
        assert_int_equal(message_parse(&w->in, NULL, 0), -EBADMSG);
}

static void end_of_the_stream(void **state)
{
        World *w = *state;

        message_put_u32(&w->out, 1);
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        w->pair[0] = fd_close(w->pair[0]);
        assert_int_equal(message_receive(&w->in, w->pair[1]), 1);
        assert_int_equal(message_receive(&w->in, w->pair[1]), 0);
        assert_int_equal(message_send(&w->out, w->pair[1]), -EPIPE);
}

/* A full socket is a condition, not an error; nothing of the message is lost. */
static void full_socket(void **state)
{
        World *w = *state;
        unsigned sent = 0, received = 0;
        int r;

        while ((r = message_send(&w->out, w->pair[0])) == 0)
                sent++;
        assert_int_equal(r, -EAGAIN);
        while (message_receive(&w->in, w->pair[1]) == 1)
                received++;
        assert_int_equal(received, sent);
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
}

static void message_too_long_is_not_sent(void **state)
{
        World *w = *state;
        _cleanup_free_ char *text = malloc(MESSAGE_BYTES_MAX + 1);
        size_t fits = MESSAGE_BYTES_MAX - HEADER_BYTES - sizeof(uint32_t) - 1;
        const char *got;

        memset(text, 'a', MESSAGE_BYTES_MAX);
        text[fits] = 0;
        message_put_string(&w->out, text);
        pass(w);
        assert_true(message_get_string(&w->in, &got) && message_end(&w->in));
        assert_string_equal(got, text);

        text[fits] = 'a';
        text[fits + 1] = 0;
        message_begin(&w->out, TYPE, SERIAL);
        message_put_string(&w->out, text);
        message_put_u32(&w->out, 1); /* would fit, but the message is spoilt */
        assert_int_equal(message_send(&w->out, w->pair[0]), -EMSGSIZE);

        text[fits + 1] = 'a';
        text[MESSAGE_BYTES_MAX] = 0;
        message_begin(&w->out, TYPE, SERIAL);
        message_put_string(&w->out, text);
        assert_int_equal(message_send(&w->out, w->pair[0]), -EMSGSIZE);
        assert_int_equal(message_receive(&w->in, w->pair[1]), -EAGAIN);
}

/* The fields of a datagram with these bytes behind the header. */
static void given(World *w, const void *bytes, size_t n)
{
        uint8_t datagram[HEADER_BYTES + 512] = { TYPE };

        assert_true(n <= 512);
        memcpy(datagram + HEADER_BYTES, bytes, n);
        assert_int_equal(message_parse(&w->in, datagram, HEADER_BYTES + n), 0);
}

#define GIVEN(w, bytes) given(w, bytes, sizeof(bytes) - 1)

/* SEC-01 */
static void strings_that_are_none(void **state)
{
        World *w = *state;
        const char *untouched = "untouched", *s = untouched;

        GIVEN(w, "\x03\0\0\0abc"); /* no NUL */
        assert_false(message_get_string(&w->in, &s));
        GIVEN(w, "\x03\0\0\0abcd"); /* no NUL at its place */
        assert_false(message_get_string(&w->in, &s));
        GIVEN(w, "\x03\0\0\0a\0c\0"); /* a NUL inside */
        assert_false(message_get_string(&w->in, &s));
        GIVEN(w, "\xff\xff\xff\xff\0"); /* longer than the message */
        assert_false(message_get_string(&w->in, &s));
        GIVEN(w, "\0\0\0\0"); /* its NUL is missing */
        assert_false(message_get_string(&w->in, &s));
        GIVEN(w, "\0\0\0"); /* its length is cut off */
        assert_false(message_get_string(&w->in, &s));
        assert_ptr_equal(s, untouched);
}

static void lists_that_are_too_long(void **state)
{
        World *w = *state;
        uint32_t words[1 + MESSAGE_FDS_MAX + 1] = { MESSAGE_FDS_MAX + 1 };
        U32List list = { 0 };

        given(w, words, sizeof(words));
        assert_false(message_get_u32_list(&w->in, &list));
        words[0] = MESSAGE_FDS_MAX;
        given(w, words, sizeof(words) - sizeof(words[0]));
        assert_true(message_get_u32_list(&w->in, &list) && message_end(&w->in));
        given(w, words, sizeof(words) - 2 * sizeof(words[0]));
        assert_false(message_get_u32_list(&w->in, &list));
}

/* SEC-01: one breach and the message is bad for good. */
static void bad_stays_bad(void **state)
{
        World *w = *state;
        uint32_t u32 = 5;
        uint64_t u64 = 6;
        int fd = -EBADF;

        GIVEN(w, "\x01\0\0\0");
        assert_false(message_get_u64(&w->in, &u64));
        assert_false(message_get_u32(&w->in, &u32));
        assert_false(message_end(&w->in));
        assert_int_equal(u32, 5);
        assert_int_equal(u64, 6);
        GIVEN(w, "");
        assert_false(message_get_fd(&w->in, &fd));
        assert_false(message_end(&w->in));
        assert_int_equal(fd, -EBADF);
}

static void rest_is_a_breach(void **state)
{
        World *w = *state;
        uint32_t u32;

        GIVEN(w, "\x01\0\0\0\0");
        assert_true(message_get_u32(&w->in, &u32));
        assert_false(message_end(&w->in));
}

/* ---- many at a time ---- */

static void many_are_sent_and_read_in_order(void **state)
{
        World *w = *state;
        Message *messages[MESSAGES_AT_ONCE + 1], *m = NULL;
        Inbox inbox;

        assert_int_equal(inbox_init(&inbox), 0);
        assert_int_equal(inbox_fill(&inbox, w->pair[1]), -EAGAIN);
        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                messages[i] = &w->out;
        assert_int_equal(message_send_many(messages, ELEMENTS(messages), w->pair[0]),
                         MESSAGES_AT_ONCE);
        message_begin(&w->out, TYPE + 1, SERIAL);
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        assert_int_equal(inbox_fill(&inbox, w->pair[1]), MESSAGES_AT_ONCE);
        for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++) {
                assert_int_equal(inbox_next(&inbox, &m), 1);
                assert_int_equal(m->type, TYPE);
        }
        assert_int_equal(inbox_next(&inbox, &m), -EAGAIN);
        assert_int_equal(inbox_fill(&inbox, w->pair[1]), 1);
        assert_int_equal(inbox_next(&inbox, &m), 1);
        assert_int_equal(m->type, TYPE + 1);
        inbox_done(&inbox);
}

/* SEC-01: what came before counts, nothing after it. */
static void a_malformed_one_ends_the_inbox(void **state)
{
        World *w = *state;
        Message *m = NULL;
        Inbox inbox;

        assert_int_equal(inbox_init(&inbox), 0);
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        assert_int_equal(send(w->pair[0], "abc", 3, 0), 3);
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        assert_int_equal(inbox_fill(&inbox, w->pair[1]), 3);
        assert_int_equal(inbox_next(&inbox, &m), 1);
        assert_int_equal(inbox_next(&inbox, &m), -EBADMSG);
        assert_int_equal(inbox_next(&inbox, &m), -EBADMSG);
        inbox_done(&inbox);
}

static void the_inbox_sees_the_end(void **state)
{
        World *w = *state;
        Message *m = NULL;
        Inbox inbox;

        assert_int_equal(inbox_init(&inbox), 0);
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        w->pair[0] = fd_close(w->pair[0]);
        assert_true(inbox_fill(&inbox, w->pair[1]) >= 1);
        assert_int_equal(inbox_next(&inbox, &m), 1);
        if (inbox_next(&inbox, &m) == -EAGAIN)
                assert_true(inbox_fill(&inbox, w->pair[1]) >= 1);
        assert_int_equal(inbox_next(&inbox, &m), 0);
        inbox_done(&inbox);
}

/* SEC-02 */
static void the_inbox_closes_what_nobody_took(void **state)
{
        World *w = *state;
        unsigned before = count_open_fds();
        Message *m = NULL;
        Inbox inbox;

        assert_int_equal(inbox_init(&inbox), 0);
        message_put_fd(&w->out, w->pair[0]);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        assert_int_equal(inbox_fill(&inbox, w->pair[1]), 3);
        assert_int_equal(count_open_fds(), before + 3);
        assert_int_equal(inbox_next(&inbox, &m), 1);
        message_close(m);
        assert_int_equal(count_open_fds(), before + 2);
        assert_int_equal(inbox_fill(&inbox, w->pair[1]), -EAGAIN);
        assert_int_equal(count_open_fds(), before);
        assert_int_equal(message_send(&w->out, w->pair[0]), 0);
        assert_int_equal(inbox_fill(&inbox, w->pair[1]), 1);
        inbox_done(&inbox);
        assert_int_equal(count_open_fds(), before);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(fields_come_back),
                TEST(descriptors_come_back_in_order),
                TEST(descriptors_not_taken_are_closed),
                TEST(most_descriptors_and_one_more),
                TEST(too_many_received_descriptors),
                TEST(wrong_number_of_descriptors),
                TEST(datagrams_of_a_wrong_size),
                TEST(end_of_the_stream),
                TEST(full_socket),
                TEST(message_too_long_is_not_sent),
                TEST(strings_that_are_none),
                TEST(lists_that_are_too_long),
                TEST(bad_stays_bad),
                TEST(rest_is_a_breach),
                TEST(many_are_sent_and_read_in_order),
                TEST(a_malformed_one_ends_the_inbox),
                TEST(the_inbox_sees_the_end),
                TEST(the_inbox_closes_what_nobody_took),
        };

        return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
