#include "wire/message.h"

#include "basic/fd.h"

#include <sys/socket.h>

typedef struct Header {
        uint16_t type;
        uint16_t n_fds;
        uint32_t serial;
} Header;

static int (*close_fd)(int fd) = fd_close;

/* SEC-482 */
void message_close_by(int (*closing)(int fd))
{
        close_fd = closing;
}

int message_close_fd(int fd)
{
        return close_fd(fd);
}

void fd_list_close(FdList *fds)
{
        while (fds->count > 0)
                (void)close_fd(fds->items[--fds->count]);
}

int message_init(Message *m)
{
        *m = (Message){ .data = malloc(MESSAGE_BYTES_MAX) };
        return m->data ? 0 : -ENOMEM;
}

void message_close(Message *m)
{
        if (m->owns_fds)
                for (unsigned i = m->next_fd; i < m->n_fds; i++)
                        (void)close_fd(m->fds[i]);
        m->n_fds = m->next_fd = 0;
        m->owns_fds = false;
}

void message_done(Message *m)
{
        message_close(m);
        free(m->data);
        *m = (Message){ 0 };
}

void message_begin(Message *m, uint16_t type, uint32_t serial)
{
        message_close(m);
        m->type = type;
        m->serial = serial;
        m->bad = false;
        m->size = sizeof(Header);
        m->position = sizeof(Header);
}

static void put(Message *m, const void *bytes, size_t n)
{
        if (m->bad || n > MESSAGE_BYTES_MAX - m->size) {
                m->bad = true;
                return;
        }
        if (n > 0)
                memcpy(m->data + m->size, bytes, n);
        m->size += n;
}

void message_put_u32(Message *m, uint32_t value)
{
        put(m, &value, sizeof(value));
}

void message_put_u64(Message *m, uint64_t value)
{
        put(m, &value, sizeof(value));
}

void message_put_string(Message *m, const char *value)
{
        size_t n = value ? strlen(value) : 0;

        if (n >= MESSAGE_BYTES_MAX) {
                m->bad = true;
                return;
        }
        message_put_u32(m, (uint32_t)n);
        put(m, value ? value : "", n + 1);
}

void message_put_u32_list(Message *m, const U32List *value)
{
        assert(value->count <= ELEMENTS(value->items));
        message_put_u32(m, value->count);
        put(m, value->items, value->count * sizeof(value->items[0]));
}

void message_put_fd(Message *m, int fd)
{
        if (m->bad || m->n_fds == MESSAGE_FDS_MAX || fd < 0) {
                m->bad = true;
                return;
        }
        m->fds[m->n_fds++] = fd;
}

static bool get(Message *m, void *ret, size_t n)
{
        if (m->bad || n > m->size - m->position) {
                m->bad = true;
                return false;
        }
        if (n > 0)
                memcpy(ret, m->data + m->position, n);
        m->position += n;
        return true;
}

bool message_get_u32(Message *m, uint32_t *ret)
{
        return get(m, ret, sizeof(*ret));
}

bool message_get_u64(Message *m, uint64_t *ret)
{
        return get(m, ret, sizeof(*ret));
}

bool message_get_string(Message *m, const char **ret)
{
        uint32_t n;

        if (!message_get_u32(m, &n))
                return false;
        if (n >= m->size - m->position || m->data[m->position + n] != 0 ||
            memchr(m->data + m->position, 0, n)) {
                m->bad = true;
                return false;
        }
        *ret = (const char *)m->data + m->position;
        m->position += n + 1;
        return true;
}

bool message_get_u32_list(Message *m, U32List *ret)
{
        uint32_t n;

        if (!message_get_u32(m, &n))
                return false;
        if (n > ELEMENTS(ret->items)) {
                m->bad = true;
                return false;
        }
        ret->count = n;
        return get(m, ret->items, n * sizeof(ret->items[0]));
}

bool message_get_fd(Message *m, int *ret)
{
        if (m->bad || m->next_fd >= m->n_fds) {
                m->bad = true;
                return false;
        }
        *ret = m->fds[m->next_fd++];
        return true;
}

/* SEC-01, SEC-04: nothing may be left over. */
bool message_end(Message *m)
{
        if (m->position != m->size || m->next_fd != m->n_fds)
                m->bad = true;
        return !m->bad;
}

static void write_header(Message *m)
{
        Header h = { m->type, (uint16_t)m->n_fds, m->serial };

        memcpy(m->data, &h, sizeof(h));
}

static int read_header(Message *m, size_t size, unsigned n_fds)
{
        Header h;

        if (size < sizeof(h))
                return -EBADMSG;
        memcpy(&h, m->data, sizeof(h));
        m->type = h.type;
        m->serial = h.serial;
        m->bad = false;
        m->size = size;
        m->position = sizeof(h);
        return h.n_fds == n_fds ? 0 : -EBADMSG;
}

/* Room for the descriptors of one datagram. */
typedef union Control {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
} Control;

/* `iov` and `control` have to live as long as `ret`. */
static void write_datagram(Message *m, struct iovec *iov, Control *control, struct msghdr *ret)
{
        struct cmsghdr *c = &control->align;

        write_header(m);
        *iov = (struct iovec){ m->data, m->size };
        *ret = (struct msghdr){ .msg_iov = iov, .msg_iovlen = 1 };
        if (m->n_fds == 0)
                return;
        ret->msg_control = control;
        ret->msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);
        *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        c->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
        memcpy(CMSG_DATA(c), m->fds, sizeof(int) * m->n_fds);
}

int message_send(Message *m, int socket)
{
        Control control;
        struct iovec iov;
        struct msghdr mh;

        if (m->bad)
                return -EMSGSIZE;
        write_datagram(m, &iov, &control, &mh);
        for (;;) {
                if (sendmsg(socket, &mh, MSG_NOSIGNAL) >= 0)
                        return 0;
                if (errno != EINTR)
                        return -errno;
        }
}

int message_send_many(Message *const *messages, unsigned n, int socket)
{
        Control controls[MESSAGES_AT_ONCE];
        struct iovec iovs[MESSAGES_AT_ONCE];
        struct mmsghdr headers[MESSAGES_AT_ONCE];
        unsigned good = 0;
        int r;

        n = MIN(n, (unsigned)MESSAGES_AT_ONCE);
        for (; good < n && !messages[good]->bad; good++)
                write_datagram(messages[good], &iovs[good], &controls[good],
                               &headers[good].msg_hdr);
        if (good == 0)
                return n == 0 ? 0 : -EMSGSIZE;
        do
                r = sendmmsg(socket, headers, good, MSG_NOSIGNAL);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r;
}

/* Descriptors are collected even from a datagram that turns out malformed, so that they are closed.
   SEC-02 */
static void collect_fds(Message *m, struct msghdr *mh)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (m->n_fds < MESSAGE_FDS_MAX)
                                m->fds[m->n_fds++] = fd;
                        else
                                (void)close_fd(fd);
                }
        }
}

static void read_datagram(Message *m, struct iovec *iov, Control *control, struct msghdr *ret)
{
        message_close(m);
        *iov = (struct iovec){ m->data, MESSAGE_BYTES_MAX };
        *ret = (struct msghdr){ .msg_iov = iov,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof(*control) };
}

/* What came into it; as message_receive(). */
static int take_datagram(Message *m, size_t n, struct msghdr *mh)
{
        m->owns_fds = true;
        collect_fds(m, mh);
        if (n == 0 && m->n_fds == 0)
                return 0;
        if (mh->msg_flags & (MSG_TRUNC | MSG_CTRUNC))
                return -EBADMSG;
        return read_header(m, n, m->n_fds) < 0 ? -EBADMSG : 1;
}

int message_receive(Message *m, int socket)
{
        Control control;
        struct iovec iov;
        struct msghdr mh;
        ssize_t n;

        read_datagram(m, &iov, &control, &mh);
        do
                n = recvmsg(socket, &mh, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : take_datagram(m, (size_t)n, &mh);
}

/* ---- many at a time ---- */

int inbox_init(Inbox *inbox)
{
        *inbox = (Inbox){ .buffer = malloc((size_t)MESSAGES_AT_ONCE * MESSAGE_BYTES_MAX) };
        if (!inbox->buffer)
                return -ENOMEM;
        for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++)
                inbox->items[i].data = inbox->buffer + (size_t)i * MESSAGE_BYTES_MAX;
        return 0;
}

void inbox_done(Inbox *inbox)
{
        for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++)
                message_close(&inbox->items[i]);
        free(inbox->buffer);
        *inbox = (Inbox){ 0 };
}

int inbox_fill(Inbox *inbox, int socket)
{
        Control controls[MESSAGES_AT_ONCE];
        struct iovec iovs[MESSAGES_AT_ONCE];
        struct mmsghdr headers[MESSAGES_AT_ONCE];
        int n;

        for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++)
                read_datagram(&inbox->items[i], &iovs[i], &controls[i], &headers[i].msg_hdr);
        inbox->count = inbox->next = 0;
        do
                n = recvmmsg(socket, headers, MESSAGES_AT_ONCE, MSG_CMSG_CLOEXEC | MSG_DONTWAIT,
                             NULL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        inbox->count = (unsigned)n;
        for (unsigned i = 0; i < inbox->count; i++)
                inbox->results[i] =
                        take_datagram(&inbox->items[i], headers[i].msg_len, &headers[i].msg_hdr);
        return n;
}

int inbox_next(Inbox *inbox, Message **ret)
{
        int r;

        if (inbox->next == inbox->count)
                return -EAGAIN;
        r = inbox->results[inbox->next];
        *ret = &inbox->items[inbox->next];
        if (r > 0) /* an end, of whatever kind, stays one */
                inbox->next++;
        return r;
}

int message_parse(Message *m, const uint8_t *bytes, size_t size)
{
        message_close(m);
        if (size > MESSAGE_BYTES_MAX)
                return -EMSGSIZE;
        if (size > 0)
                memcpy(m->data, bytes, size);
        return read_header(m, size, 0);
}
