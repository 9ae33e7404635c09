/*
 * The record is a file in memory: a fixed head, the supplementary groups, the session's name.
 * Sealed means that its bytes are those which the broker wrote, whoever has held the descriptor
 * since.
 *
 * It names the kept end by the kernel's number of that socket, so a record cannot be used with
 * another token; and after a reboot, when such numbers begin anew, the store is empty.
 */
#include "broker/keep.h"

#include "basic/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
        NAME_BYTES = 32,
        SESSION_BYTES_MAX = 256,
        SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

#define MAGIC UINT64_C(0x316e656b6f742d62) /* "b-token1" */

typedef struct Head {
        uint64_t magic;
        uint64_t cookie;      /* of the end that was given away */
        uint64_t kept_cookie; /* of the end that lies beside the record */
        uint32_t uid, gid;
        uint32_t signed_on;
        uint32_t n_groups;
        uint32_t session_bytes; /* without a NUL; 0: outside any session */
        uint32_t reserved;      /* 0 */
} Head;

static void name_of(uint64_t cookie, char ret[NAME_BYTES])
{
        snprintf(ret, NAME_BYTES, KEEP_NAME "%llu", (unsigned long long)cookie);
}

/* ---- records ---- */

static int write_all(int fd, const void *data, size_t size)
{
        ssize_t n = size > 0 ? write(fd, data, size) : 0;

        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -EIO;
}

int keep_write(uint64_t cookie, int kept, const Identity *identity, int *ret)
{
        _cleanup_close_ int fd = -EBADF;
        const char *session = identity->session ? identity->session : "";
        Head head = { .magic = MAGIC,
                      .cookie = cookie,
                      .uid = identity->uid,
                      .gid = identity->gid,
                      .signed_on = identity->signed_on,
                      .n_groups = (uint32_t)identity->n_groups,
                      .session_bytes = (uint32_t)strlen(session) };
        int r = fd_socket_cookie(kept, &head.kept_cookie);

        if (r < 0)
                return r;
        if (head.session_bytes > SESSION_BYTES_MAX)
                return -EMSGSIZE;
        fd = memfd_create("token-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        r = write_all(fd, &head, sizeof(head));
        if (r >= 0)
                r = write_all(fd, identity->groups, identity->n_groups * sizeof(gid_t));
        if (r >= 0)
                r = write_all(fd, session, head.session_bytes);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int read_at(int fd, void *data, size_t size, off_t offset)
{
        return size == 0 || pread(fd, data, size, offset) == (ssize_t)size ? 0 : -EBADMSG;
}

static int read_head(int record, int kept, Head *ret)
{
        struct stat st;
        uint64_t cookie;
        Head head;

        if (fcntl(record, F_GET_SEALS) != SEALS || fstat(record, &st) < 0 ||
            read_at(record, &head, sizeof(head), 0) < 0)
                return -EBADMSG;
        if (head.magic != MAGIC || head.reserved != 0 || head.signed_on > 1 ||
            head.n_groups > IDENTITY_GROUPS_MAX || head.session_bytes > SESSION_BYTES_MAX)
                return -EBADMSG;
        if ((size_t)st.st_size != sizeof(head) + head.n_groups * sizeof(gid_t) + head.session_bytes)
                return -EBADMSG;
        if (head.uid == (uid_t)-1 || head.gid == (gid_t)-1)
                return -EBADMSG;
        if (fd_socket_cookie(kept, &cookie) < 0 || cookie != head.kept_cookie)
                return -EBADMSG;
        *ret = head;
        return 0;
}

static int read_tail(int record, const Head *head, Identity *identity)
{
        size_t groups = head->n_groups * sizeof(gid_t);
        int r;

        identity->groups = malloc(groups + 1);
        identity->session = head->session_bytes > 0 ? calloc(1, head->session_bytes + 1) : NULL;
        if (!identity->groups || (head->session_bytes > 0 && !identity->session))
                return -ENOMEM;
        identity->n_groups = head->n_groups;
        r = read_at(record, identity->groups, groups, sizeof(*head));
        if (r >= 0)
                r = read_at(record, identity->session, head->session_bytes,
                            (off_t)(sizeof(*head) + groups));
        return r;
}

/* TOK-68 */
int keep_read(int record, int kept, uint64_t *ret_cookie, Identity *ret)
{
        Identity identity = { 0 };
        Head head;
        int r = read_head(record, kept, &head);

        if (r < 0)
                return r;
        identity.uid = head.uid;
        identity.gid = head.gid;
        identity.signed_on = head.signed_on;
        r = read_tail(record, &head, &identity);
        if (r < 0) {
                identity_done(&identity);
                return r;
        }
        *ret_cookie = head.cookie;
        *ret = identity;
        return 0;
}

/* ---- the store ---- */

int keep_token(uint64_t cookie, int kept, const Identity *identity)
{
        _cleanup_close_ int record = -EBADF;
        char name[NAME_BYTES], text[64 + NAME_BYTES];
        int r = keep_write(cookie, kept, identity, &record);

        if (r < 0)
                return r;
        name_of(cookie, name);
        snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
        r = sd_pid_notify_with_fds(0, false, text, (int[]){ kept, record }, 2);
        return r < 0 ? r : 0;
}

void keep_forget(uint64_t cookie)
{
        char name[NAME_BYTES], text[64 + NAME_BYTES];

        name_of(cookie, name);
        snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        (void)sd_notify(false, text);
}
