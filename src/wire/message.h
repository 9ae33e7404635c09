/*
 * One message between two of the programs: a type, a serial, fields of fixed widths, descriptors.
 *
 * A message is one datagram of a SOCK_SEQPACKET socket:
 *
 *      u16 type | u16 descriptors | u32 serial | fields …          (machine byte order: one
 * machine)
 *
 * A field is a u32, a u64, a string (u32 length, the bytes, one NUL; no NUL inside) or a list of
 * u32. Descriptors travel beside the fields and are taken in order. Reading checks every bound
 * before use; `message_end()` insists that nothing is left over, neither byte nor descriptor. Any
 * breach makes the message bad for good: the reader cuts the peer off, it does not guess.
 */
#pragma once

#include "basic/macros.h"

enum {
        MESSAGE_BYTES_MAX = 65536, /* a datagram: header and fields */
        MESSAGE_FDS_MAX = 64,      /* well below the kernel's 253 */
        /* In one system call. Where net.unix.max_dgram_qlen is the kernel's 10, a socket holds
           eleven; whoever fills it waits. */
        MESSAGES_AT_ONCE = 8,
};

typedef struct Message {
        uint16_t type;
        uint32_t serial;
        bool bad; /* a field did not fit, or could not be read */

        uint8_t *data;   /* owned; MESSAGE_BYTES_MAX bytes */
        size_t size;     /* bytes used, header included */
        size_t position; /* next byte to read */

        int fds[MESSAGE_FDS_MAX]; /* received: owned until taken. To send: borrowed, unless owned */
        unsigned n_fds;
        unsigned next_fd;
        bool owns_fds;
} Message;

/* True when sending or receiving failed because the other program has ended: no fault of this one,
   which has nobody left to work for. */
static inline bool message_peer_is_gone(int error)
{
        return error == -EPIPE || error == -ECONNRESET;
}

/* A list of numbers, and a list of descriptors, as fields. */
typedef struct U32List {
        uint32_t items[MESSAGE_FDS_MAX];
        unsigned count;
} U32List;

typedef struct FdList {
        int items[MESSAGE_FDS_MAX];
        unsigned count;
} FdList;

/* Closes them all; the list is empty then. */
void fd_list_close(FdList *fds);

/* Who closes the descriptors of messages, and the sockets that these come by, for this process: its
   fd_close() unless it serves more than one user and may not wait for the files of any. */
void message_close_by(int (*closing)(int fd));
int message_close_fd(int fd);

/* Allocates the buffer once; a Message is reused for many sends or receives. 0 or -ENOMEM. */
int message_init(Message *m);
/* Closes descriptors received but not taken, frees the buffer. Accepts a zeroed Message. */
void message_done(Message *m);

/* Closes the descriptors that the message owns (`owns_fds`) and that nobody took. */
void message_close(Message *m);

/* Starts writing a new message over whatever was there. */
void message_begin(Message *m, uint16_t type, uint32_t serial);
void message_put_u32(Message *m, uint32_t value);
void message_put_u64(Message *m, uint64_t value);
void message_put_string(Message *m, const char *value); /* NULL is sent as "" */
void message_put_u32_list(Message *m, const U32List *value);
void message_put_fd(Message *m, int fd); /* borrowed until the message is sent */

/* Reading leaves *ret alone and marks the message bad when the field is not there. Strings point
   into the message and live until it is reused. A descriptor that was taken is the caller's. */
bool message_get_u32(Message *m, uint32_t *ret);
bool message_get_u64(Message *m, uint64_t *ret);
bool message_get_string(Message *m, const char **ret);
bool message_get_u32_list(Message *m, U32List *ret);
bool message_get_fd(Message *m, int *ret);
/* True when every byte and descriptor was read and nothing was bad. */
bool message_end(Message *m);

/* One datagram. -EAGAIN when the socket is full or empty, -EPIPE or -ECONNRESET when the peer is
   gone, -EBADMSG for a malformed datagram, -EMSGSIZE for a message that is bad or too long.
   Receiving returns 1 for a message and 0 at the end of the stream. Both retry on EINTR. */
int message_send(Message *m, int socket);
int message_receive(Message *m, int socket);

/* Some of them, at most MESSAGES_AT_ONCE, from the first on: how many, or as message_send() when it
   is none. */
int message_send_many(Message *const *messages, unsigned n, int socket);

/* What a socket had at one moment, to be read one after the other. Every message of it was sent
   before any is read. Of its memory only what is used counts. */
typedef struct Inbox {
        uint8_t *buffer;
        Message items[MESSAGES_AT_ONCE];
        int results[MESSAGES_AT_ONCE];
        unsigned count, next;
} Inbox;

/* 0 or -ENOMEM. */
int inbox_init(Inbox *inbox);
/* Closes descriptors that nobody took. Accepts a zeroed one. */
void inbox_done(Inbox *inbox);
/* Forgets what is left and takes what is there without waiting: how many, or -errno as
   message_receive(). */
int inbox_fill(Inbox *inbox, int socket);
/* As message_receive(); -EAGAIN when all are read. The message lives until the next fill. */
int inbox_next(Inbox *inbox, Message **ret);

/* Gives a received message its fields back from plain bytes: for the fuzzer and unit tests. */
int message_parse(Message *m, const uint8_t *bytes, size_t size);
