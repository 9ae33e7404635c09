/*
 * Every message of the table, by the table: it comes back as it was sent, and nothing shorter,
 * longer or with another number of descriptors is taken for it.
 */
#include "wire/protocol.h"
#include "wire/test-fds.h"

#include <stdio.h>

enum {
        HEADER_BYTES = 8,
        RANDOM_DATAGRAMS = 200000,
        RANDOM_BYTES_MAX = 192,
        LIST_ITEMS = 3,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int wire[2];
static Message out, in;
static unsigned counter;

/* A different value for every field. */
static uint32_t next_u32(void)
{
        return 0x01010101u * ++counter;
}

static const char *next_text(void)
{
        static char texts[16][32];
        char *text = texts[++counter % ELEMENTS(texts)];

        snprintf(text, sizeof(texts[0]), "text %u", counter);
        return text;
}

#define FILL_U32(name) x->name = next_u32();
#define FILL_U64(name) x->name = (uint64_t)next_u32() << 24 | 1;
#define FILL_STR(name) x->name = next_text();
#define FILL_U32S(name)                                                      \
        for (x->name.count = 0; x->name.count < LIST_ITEMS; x->name.count++) \
                x->name.items[x->name.count] = next_u32();
#define FILL_FD(name) x->name = wire[0];
#define FILL_FDS(name)              \
        x->name.count = 2;          \
        x->name.items[0] = wire[1]; \
        x->name.items[1] = wire[0];

#define SAME_U32(name) assert_int_equal(x->name, y->name);
#define SAME_U64(name) assert_int_equal(x->name, y->name);
#define SAME_STR(name) assert_string_equal(x->name, y->name);
#define SAME_U32S(name)                                 \
        assert_int_equal(x->name.count, y->name.count); \
        assert_memory_equal(x->name.items, y->name.items, x->name.count * sizeof(uint32_t));
#define SAME_FD(name) assert_int_equal(cookie_of(x->name), cookie_of(y->name));
#define SAME_FDS(name)                                  \
        assert_int_equal(x->name.count, y->name.count); \
        for (unsigned i = 0; i < x->name.count; i++)    \
                assert_int_equal(cookie_of(x->name.items[i]), cookie_of(y->name.items[i]));

#define NOTHING(name)
#define CLOSE_FD(name) fd_close(x->name);
#define CLOSE_FDS(name)                              \
        for (unsigned i = 0; i < x->name.count; i++) \
                fd_close(x->name.items[i]);

#define DEFINE_HELPERS(number, Type, stem, TABLE)                                          \
        static void stem##_fill(Type *x)                                                   \
        {                                                                                  \
                *x = (Type){ 0 };                                                          \
                FIELDS_##TABLE(FILL_U32, FILL_U64, FILL_STR, FILL_U32S, FILL_FD, FILL_FDS) \
        }                                                                                  \
        static void stem##_same(const Type *x, const Type *y)                              \
        {                                                                                  \
                (void)x;                                                                   \
                (void)y;                                                                   \
                FIELDS_##TABLE(SAME_U32, SAME_U64, SAME_STR, SAME_U32S, SAME_FD, SAME_FDS) \
        }                                                                                  \
        static void stem##_close(const Type *x)                                            \
        {                                                                                  \
                (void)x;                                                                   \
                FIELDS_##TABLE(NOTHING, NOTHING, NOTHING, NOTHING, CLOSE_FD, CLOSE_FDS)    \
        }
MESSAGES(DEFINE_HELPERS)

static void transfer(void)
{
        assert_int_equal(message_send(&out, wire[0]), 0);
        assert_int_equal(message_receive(&in, wire[1]), 1);
}

/* SEC-03: both sides come from one table. */
#define ROUND_TRIP(number, Type, stem, TABLE)                           \
        {                                                               \
                unsigned before = count_open_fds();                     \
                Type x, y;                                              \
                                                                        \
                stem##_fill(&x);                                        \
                stem##_write(&out, number + 1000, &x);                  \
                transfer();                                             \
                assert_int_equal(in.type, number);                      \
                assert_int_equal(in.type, MESSAGE_##TABLE);             \
                assert_int_equal(in.serial, number + 1000);             \
                assert_int_equal(stem##_read(&in, &y), 0);              \
                stem##_same(&x, &y);                                    \
                stem##_close(&y);                                       \
                assert_int_equal(count_open_fds(), before);             \
                assert_string_equal(message_type_name(number), #TABLE); \
        }

static void every_message_comes_back(void **state)
{
        (void)state;
        MESSAGES(ROUND_TRIP)
}

/* SEC-01: as many bytes as there are fields for, no less and no more. */
#define CUT_AND_PAD(number, Type, stem, TABLE)                                                \
        {                                                                                     \
                Type x, y;                                                                    \
                                                                                              \
                stem##_fill(&x);                                                              \
                stem##_write(&out, 1, &x);                                                    \
                for (size_t size = HEADER_BYTES, full = out.size; size <= full + 1; size++) { \
                        out.size = size;                                                      \
                        transfer();                                                           \
                        if (size == full)                                                     \
                                continue;                                                     \
                        if (stem##_read(&in, &y) != -EBADMSG)                                 \
                                fail_msg(#TABLE " with %zu of %zu bytes", size, full);        \
                }                                                                             \
        }

static void cut_or_padded_messages_are_refused(void **state)
{
        unsigned before = count_open_fds();

        (void)state;
        MESSAGES(CUT_AND_PAD)
        assert_int_equal(message_receive(&in, wire[1]), -EAGAIN);
        assert_int_equal(count_open_fds(), before);
}

/* True when a table's last field is FDS, which takes whatever number there is. */
#define IS_FDS(name)  +1
#define OPEN_END(TAB) (0 FIELDS_##TAB(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, IS_FDS))
#define IS_FD(name)   +1
#define HAS_FD(TAB)   (0 FIELDS_##TAB(NOTHING, NOTHING, NOTHING, NOTHING, IS_FD, NOTHING))

/* SEC-02: neither a descriptor too many nor one too few; none stays open. */
#define WRONG_FDS(number, Type, stem, TABLE)                              \
        if (!OPEN_END(TABLE)) {                                           \
                Type x, y;                                                \
                                                                          \
                stem##_fill(&x);                                          \
                stem##_write(&out, 1, &x);                                \
                message_put_fd(&out, wire[0]);                            \
                transfer();                                               \
                assert_int_equal(stem##_read(&in, &y), -EBADMSG);         \
                if (HAS_FD(TABLE)) {                                      \
                        out.n_fds = 0;                                    \
                        transfer();                                       \
                        assert_int_equal(stem##_read(&in, &y), -EBADMSG); \
                }                                                         \
        }

static void wrong_number_of_descriptors_is_refused(void **state)
{
        unsigned before = count_open_fds();

        (void)state;
        MESSAGES(WRONG_FDS)
        assert_int_equal(message_receive(&in, wire[1]), -EAGAIN);
        assert_int_equal(count_open_fds(), before);
}

/* The programs log what they cut off: every number has a name, every other number none. */
static void unknown_types_have_no_name(void **state)
{
        unsigned known = 0;

        (void)state;
        for (unsigned type = 0; type <= UINT16_MAX; type++)
                known += message_type_name((uint16_t)type) != NULL;
#define COUNT(number, Type, stem, TABLE) +1
        assert_int_equal(known, 0 MESSAGES(COUNT));
        assert_null(message_type_name(0));
}

static void words_for_people(void **state)
{
        (void)state;
        for (WorkerKind k = 0; k < WORKER_KIND_MAX; k++)
                assert_non_null(worker_kind_name(k));
        assert_string_equal(worker_kind_name(WORKER_FILE), "bits-file");
        assert_null(worker_kind_name(WORKER_KIND_MAX));
        assert_null(worker_kind_name(WORKER_KIND_INVALID));
        for (Refusal r = 0; r < REFUSAL_MAX; r++)
                assert_non_null(refusal_text(r));
        assert_null(refusal_text(REFUSAL_MAX));
        assert_null(refusal_text(REFUSAL_INVALID));
}

static uint64_t random_state = 88172645463325252u;

/* xorshift64: the same datagrams in every run and on every machine. */
static uint64_t random_u64(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state;
}

static size_t noise(uint8_t *bytes)
{
        size_t size = random_u64() % RANDOM_BYTES_MAX;

        for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t)(random_u64() % 3 ? random_u64() % 4 : random_u64());
        if (size >= HEADER_BYTES)
                bytes[2] = bytes[3] = 0; /* no descriptors: get past the header */
        return size;
}

#define WRITE_ONE(number, Type, stem, TABLE) \
        if (number == type) {                \
                Type x;                      \
                                             \
                stem##_fill(&x);             \
                stem##_write(&out, 1, &x);   \
        }

/* A right message with a few bytes changed, and sometimes cut. */
static size_t near_miss(uint8_t *bytes)
{
        unsigned type;

        do
                type = (unsigned)(random_u64() % 64);
        while (!message_type_name((uint16_t)type));
        MESSAGES(WRITE_ONE)
        assert_true(out.size <= RANDOM_BYTES_MAX);
        memset(bytes, 0, HEADER_BYTES);
        memcpy(bytes + HEADER_BYTES, out.data + HEADER_BYTES, out.size - HEADER_BYTES);
        for (uint64_t n = random_u64() % 3; n > 0 && out.size > HEADER_BYTES; n--)
                bytes[HEADER_BYTES + random_u64() % (out.size - HEADER_BYTES)] ^=
                        (uint8_t)(1u << random_u64() % 8);
        return random_u64() % 4 ? out.size : random_u64() % (out.size + 1);
}

/* SEC-04: the fuzzer's property, which aborts when it does not hold. */
static void random_datagrams_do_no_harm(void **state)
{
        uint8_t bytes[RANDOM_BYTES_MAX];

        (void)state;
        for (unsigned i = 0; i < RANDOM_DATAGRAMS; i++) {
                size_t size = i % 2 ? noise(bytes) : near_miss(bytes);

                LLVMFuzzerTestOneInput(bytes, size);
        }
}

static int set_up(void **state)
{
        (void)state;
        if (message_init(&out) < 0 || message_init(&in) < 0)
                return -1;
        return fd_socketpair(SOCK_SEQPACKET, true, wire);
}

static int tear_down(void **state)
{
        (void)state;
        message_done(&out);
        message_done(&in);
        fd_close(wire[0]);
        fd_close(wire[1]);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_message_comes_back),
                cmocka_unit_test(cut_or_padded_messages_are_refused),
                cmocka_unit_test(wrong_number_of_descriptors_is_refused),
                cmocka_unit_test(unknown_types_have_no_name),
                cmocka_unit_test(words_for_people),
                cmocka_unit_test(random_datagrams_do_no_harm),
        };

        return cmocka_run_group_tests_name("protocol", tests, set_up, tear_down);
}
