/*
 * Feeds a datagram to the reader of every message. A reader may refuse it; what it accepts has to
 * be exactly what the writer would have sent, byte for byte, so that no two datagrams mean the same
 * and nothing is overlooked at the end.
 *
 * libFuzzer drives this with `-Dfuzzers=true` and clang; test-protocol drives it with datagrams
 * that are the same each time.
 */
#include "wire/protocol.h"

#include <stdio.h>

enum {
        HEADER_BYTES = 8,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static Message in, out;

static void same(const char *name)
{
        if (out.bad || out.n_fds != 0 || out.size != in.size ||
            memcmp(out.data + HEADER_BYTES, in.data + HEADER_BYTES, in.size - HEADER_BYTES) != 0) {
                fprintf(stderr, "%s: accepted what its writer does not send\n", name);
                abort();
        }
}

#define EXERCISE(number, Type, stem, TABLE)                                              \
        {                                                                                \
                Type x;                                                                  \
                                                                                         \
                if (message_parse(&in, bytes, size) >= 0 && stem##_read(&in, &x) >= 0) { \
                        stem##_write(&out, in.serial, &x);                               \
                        same(#TABLE);                                                    \
                }                                                                        \
        }

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
        if (!in.data && (message_init(&in) < 0 || message_init(&out) < 0))
                abort();
        MESSAGES(EXERCISE)
        return 0;
}
