/*
 * Channels on a real event loop: order, back pressure, ends, and a listener that frees the channel
 * under the loop's feet.
 */
#include "wire/channel.h"
#include "wire/test-fds.h"

enum {
        NUMBER = 1, /* type of a message with a counter */
        REASON_NONE = 1,
        LARGE = 4 * 1024 * 1024, /* more than any socket takes at once */
};

typedef struct World {
        sd_event *event;
        Channel *channel;
        int peer; /* the other end, non-blocking */
        Message message;
        unsigned open_fds;

        unsigned received, ended;
        int reason;
        int answer; /* what on_message returns */
        bool free_on_message, free_on_end, take_fd;
        int taken;
} World;

static int on_message(void *userdata, Message *m)
{
        World *w = userdata;
        uint32_t number;

        assert_int_equal(w->ended, 0);
        if (w->take_fd)
                assert_true(message_get_fd(m, &w->taken));
        else if (m->n_fds == 0) {
                assert_true(message_get_u32(m, &number));
                assert_int_equal(number, w->received);
        }
        w->received++;
        if (w->free_on_message) {
                channel_free(w->channel);
                w->channel = NULL;
        }
        return w->answer;
}

static void on_end(void *userdata, int reason)
{
        World *w = userdata;

        w->ended++;
        w->reason = reason;
        if (w->free_on_end) {
                channel_free(w->channel);
                w->channel = NULL;
        }
}

static const ChannelListener listener = { on_message, on_end };

static int set_up(void **state)
{
        World *w = calloc(1, sizeof(*w));
        int pair[2];

        w->reason = REASON_NONE;
        w->taken = -EBADF;
        w->open_fds = count_open_fds();
        if (sd_event_new(&w->event) < 0 || message_init(&w->message) < 0 ||
            fd_socketpair(SOCK_SEQPACKET, true, pair) < 0)
                return -1;
        w->peer = pair[1];
        if (channel_new(w->event, pair[0], 0, &listener, w, &w->channel) < 0)
                return -1;
        *state = w;
        return 0;
}

static int tear_down(void **state)
{
        World *w = *state;
        unsigned before = w->open_fds;

        channel_free(w->channel);
        message_done(&w->message);
        fd_close(w->peer);
        fd_close(w->taken);
        sd_event_unref(w->event);
        free(w);
        assert_int_equal(count_open_fds(), before);
        return 0;
}

/* Until the loop has nothing to do. */
static void run(World *w)
{
        while (sd_event_run(w->event, 0) > 0)
                ;
}

static void peer_says(World *w, uint32_t number)
{
        message_begin(&w->message, NUMBER, 0);
        message_put_u32(&w->message, number);
        assert_int_equal(message_send(&w->message, w->peer), 0);
}

static int say(World *w, uint32_t number, size_t padding)
{
        _cleanup_free_ char *text = calloc(1, padding + 1);
        Message *m = channel_draft(w->channel);

        memset(text, 'x', padding);
        message_begin(m, NUMBER, number);
        message_put_u32(m, number);
        message_put_string(m, text);
        return channel_send(w->channel);
}

static void messages_arrive_in_order(void **state)
{
        World *w = *state;

        for (uint32_t i = 0; i < 150; i++) /* several bursts */
                peer_says(w, i);
        run(w);
        assert_int_equal(w->received, 150);
        assert_int_equal(w->ended, 0);
}

/* ENG-08: what the socket does not take waits, and arrives in order when there is room. */
static void full_socket_queues(void **state)
{
        World *w = *state;
        uint32_t sent = 0, number, want = 0;
        const char *text;

        while (channel_queued(w->channel) < 10)
                assert_int_equal(say(w, sent++, 30000), 0);
        assert_int_equal(message_receive(&w->message, w->peer), 1);
        assert_int_equal(say(w, sent++, 0), 0); /* there is room, but others were first */
        want = 1;
        for (;;) {
                run(w);
                if (message_receive(&w->message, w->peer) != 1)
                        break;
                assert_int_equal(w->message.serial, want);
                assert_true(message_get_u32(&w->message, &number) &&
                            message_get_string(&w->message, &text) && message_end(&w->message));
                assert_int_equal(number, want++);
        }
        assert_int_equal(want, sent);
        assert_int_equal(channel_queued(w->channel), 0);
}

/* The sender may close his descriptor while the message still waits. */
static void queued_descriptors_stay_alive(void **state)
{
        World *w = *state;
        _cleanup_close_ int got = -EBADF;
        Message *m;
        uint64_t cookie;
        int pair[2];

        for (uint32_t i = 0; channel_queued(w->channel) == 0; i++)
                assert_int_equal(say(w, i, 30000), 0);
        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
        cookie = cookie_of(pair[0]);
        m = channel_draft(w->channel);
        message_begin(m, NUMBER, 0);
        message_put_fd(m, pair[0]);
        assert_int_equal(channel_send(w->channel), 0);
        fd_close(pair[0]);
        fd_close(pair[1]);
        while (got < 0) {
                run(w);
                assert_int_equal(message_receive(&w->message, w->peer), 1);
                if (w->message.n_fds > 0)
                        assert_true(message_get_fd(&w->message, &got));
        }
        assert_int_equal(cookie_of(got), cookie);
}

/* Queued descriptors of a channel that ends are closed: see tear_down. */
static void queue_is_dropped_with_the_channel(void **state)
{
        World *w = *state;
        Message *m;

        for (uint32_t i = 0; channel_queued(w->channel) == 0; i++)
                assert_int_equal(say(w, i, 30000), 0);
        m = channel_draft(w->channel);
        message_begin(m, NUMBER, 0);
        message_put_fd(m, w->peer);
        assert_int_equal(channel_send(w->channel), 0);
}

/* LIM-09: a peer that never reads costs a bounded amount of memory. */
static void queue_has_a_bound(void **state)
{
        World *w = *state;
        size_t bytes = 0;
        int r;

        while ((r = say(w, 0, 60000)) == 0)
                bytes += 60000;
        assert_int_equal(r, -ENOBUFS);
        assert_in_range(bytes, LARGE, 16 * LARGE);
}

static void message_too_long_is_not_queued(void **state)
{
        World *w = *state;

        assert_int_equal(say(w, 0, MESSAGE_BYTES_MAX), -EMSGSIZE);
        assert_int_equal(channel_queued(w->channel), 0);
}

/* What the peer said before it hung up still counts. */
static void orderly_end_comes_last_and_once(void **state)
{
        World *w = *state;

        peer_says(w, 0);
        peer_says(w, 1);
        w->peer = fd_close(w->peer);
        run(w);
        assert_int_equal(w->received, 2);
        assert_int_equal(w->ended, 1);
        assert_int_equal(w->reason, 0);
}

/* SEC-01 */
static void malformed_datagram_ends_the_channel(void **state)
{
        World *w = *state;

        assert_int_equal(send(w->peer, "abc", 3, 0), 3);
        peer_says(w, 0);
        run(w);
        assert_int_equal(w->received, 0);
        assert_int_equal(w->ended, 1);
        assert_int_equal(w->reason, -EBADMSG);
}

/* SEC-01: so does a message that the listener finds wrong. */
static void refused_message_ends_the_channel(void **state)
{
        World *w = *state;

        w->answer = -EPROTO;
        peer_says(w, 0);
        peer_says(w, 1);
        run(w);
        assert_int_equal(w->received, 1);
        assert_int_equal(w->ended, 1);
        assert_int_equal(w->reason, -EPROTO);
}

static void listener_may_free_on_a_message(void **state)
{
        World *w = *state;

        w->free_on_message = true;
        peer_says(w, 0);
        peer_says(w, 1);
        run(w);
        assert_int_equal(w->received, 1);
        assert_int_equal(w->ended, 0);
}

static void listener_may_free_and_refuse(void **state)
{
        World *w = *state;

        w->free_on_message = true;
        w->answer = -EPROTO;
        peer_says(w, 0);
        run(w);
        assert_int_equal(w->ended, 0);
        assert_null(w->channel);
}

static void listener_may_free_at_the_end(void **state)
{
        World *w = *state;

        w->free_on_end = true;
        peer_says(w, 0);
        w->peer = fd_close(w->peer);
        run(w);
        assert_int_equal(w->received, 1);
        assert_int_equal(w->ended, 1);
        assert_null(w->channel);
}

/* A descriptor that is taken is the listener's, others are closed once the message is over. */
static void descriptors_received(void **state)
{
        World *w = *state;
        unsigned before = count_open_fds();

        message_begin(&w->message, NUMBER, 0);
        message_put_fd(&w->message, w->peer);
        assert_int_equal(message_send(&w->message, w->peer), 0);
        run(w);
        assert_int_equal(w->received, 1);
        assert_int_equal(count_open_fds(), before);

        w->take_fd = true;
        assert_int_equal(message_send(&w->message, w->peer), 0);
        run(w);
        assert_int_equal(w->received, 2);
        assert_int_equal(cookie_of(w->taken), cookie_of(w->peer));
}

static void sending_to_nobody(void **state)
{
        World *w = *state;

        w->peer = fd_close(w->peer);
        assert_int_equal(say(w, 0, 0), -EPIPE);
        run(w);
        assert_int_equal(w->ended, 1);
}

/* ---- gathering ---- */

static void gather(World *w)
{
        assert_int_equal(channel_gather(w->channel, 10), 0);
}

/* How many numbers from `first` on have reached the peer by now, in order. */
static unsigned arrived(World *w, uint32_t first)
{
        unsigned n = 0;

        for (; message_receive(&w->message, w->peer) == 1; n++)
                assert_int_equal(w->message.serial, first + n);
        return n;
}

/* ENG-360 */
static void gathered_messages_wait_for_the_loop(void **state)
{
        World *w = *state;

        gather(w);
        for (uint32_t i = 0; i < 3; i++)
                assert_int_equal(say(w, i, 100), 0);
        assert_int_equal(channel_queued(w->channel), 3);
        assert_int_equal(arrived(w, 0), 0);
        run(w);
        assert_int_equal(arrived(w, 0), 3);
        assert_int_equal(channel_queued(w->channel), 0);
}

/* ENG-360: however much one callback says, it does not pile up. */
static void enough_gathered_messages_leave(void **state)
{
        World *w = *state;

        gather(w);
        for (uint32_t i = 0; i < MESSAGES_AT_ONCE + 1; i++)
                assert_int_equal(say(w, i, 0), 0);
        assert_int_equal(arrived(w, 0), MESSAGES_AT_ONCE);
        run(w);
        assert_int_equal(arrived(w, MESSAGES_AT_ONCE), 1);
}

static void gathered_messages_leave_with_a_descriptor(void **state)
{
        World *w = *state;
        Message *m = channel_draft(w->channel);
        unsigned before;

        gather(w);
        assert_int_equal(say(w, 0, 0), 0);
        before = count_open_fds();
        message_begin(m, NUMBER, 1);
        message_put_fd(m, w->peer);
        assert_int_equal(channel_send(w->channel), 0);
        assert_int_equal(count_open_fds(), before);
        assert_int_equal(arrived(w, 0), 2);
}

/* ENG-430 */
static void one_that_cannot_wait_takes_the_others_along(void **state)
{
        World *w = *state;

        gather(w);
        assert_int_equal(say(w, 0, 0), 0);
        message_begin(channel_draft(w->channel), NUMBER, 1);
        assert_int_equal(channel_send_at_once(w->channel), 0);
        assert_int_equal(arrived(w, 0), 2);
}

static void gathered_messages_survive_the_channel(void **state)
{
        World *w = *state;

        gather(w);
        assert_int_equal(say(w, 0, 0), 0);
        channel_free(w->channel);
        w->channel = NULL;
        assert_int_equal(arrived(w, 0), 1);
}

/* ENG-08: a full socket is the same with and without. */
static void gathered_messages_wait_for_room(void **state)
{
        World *w = *state;
        uint32_t sent = 0, got = 0;
        unsigned n;

        gather(w);
        while (channel_queued(w->channel) < 3 * MESSAGES_AT_ONCE)
                assert_int_equal(say(w, sent++, 30000), 0);
        do {
                n = arrived(w, got);
                got += n;
                run(w);
        } while (n > 0);
        assert_int_equal(got, sent);
        assert_int_equal(channel_queued(w->channel), 0);
        assert_int_equal(say(w, sent, 0), 0); /* and then it gathers again */
        assert_int_equal(arrived(w, sent), 0);
        run(w);
        assert_int_equal(arrived(w, sent), 1);
}

static void gathering_for_nobody(void **state)
{
        World *w = *state;

        gather(w);
        peer_says(w, 0);
        assert_int_equal(say(w, 0, 0), 0);
        w->peer = fd_close(w->peer);
        run(w);
        assert_int_equal(w->received, 1);
        assert_int_equal(w->ended, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(messages_arrive_in_order),
                TEST(full_socket_queues),
                TEST(queued_descriptors_stay_alive),
                TEST(queue_is_dropped_with_the_channel),
                TEST(queue_has_a_bound),
                TEST(message_too_long_is_not_queued),
                TEST(orderly_end_comes_last_and_once),
                TEST(malformed_datagram_ends_the_channel),
                TEST(refused_message_ends_the_channel),
                TEST(listener_may_free_on_a_message),
                TEST(listener_may_free_and_refuse),
                TEST(listener_may_free_at_the_end),
                TEST(descriptors_received),
                TEST(sending_to_nobody),
                TEST(gathered_messages_wait_for_the_loop),
                TEST(enough_gathered_messages_leave),
                TEST(gathered_messages_leave_with_a_descriptor),
                TEST(gathered_messages_survive_the_channel),
                TEST(one_that_cannot_wait_takes_the_others_along),
                TEST(gathered_messages_wait_for_room),
                TEST(gathering_for_nobody),
        };

        return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
