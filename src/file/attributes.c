/*
 * On Linux there are no access lists that a directory passes on to what lies in it for ever: its
 * default list is a template for new files. So "the rights of the source" are its permission bits
 * and its access list as they are, in place of what the template gave.
 *
 * No worker has a capability: a file is given away only where that changes nothing, and a group
 * must be one of this identity's.
 */
#include "file/attributes.h"

#include "basic/log.h"
#include "wire/protocol.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACL_NAME "system.posix_acl_access"

enum {
        ACL_BYTES_MAX = 8 * 1024, /* some 1,000 entries */
};

char *attributes_acl(int fd)
{
        uint8_t bytes[ACL_BYTES_MAX];
        ssize_t n = fgetxattr(fd, ACL_NAME, bytes, sizeof(bytes));
        char *text;

        if (n <= 0)
                return NULL;
        text = malloc((size_t)n * 2 + 1);
        for (ssize_t i = 0; text && i < n; i++)
                snprintf(text + i * 2, 3, "%02x", bytes[i]);
        return text;
}

static int digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number of bytes, or -EBADMSG. */
static ssize_t parse_acl(const char *text, uint8_t ret[static ACL_BYTES_MAX])
{
        size_t n = strlen(text);

        if (n % 2 != 0 || n / 2 > ACL_BYTES_MAX)
                return -EBADMSG;
        for (size_t i = 0; i < n; i += 2) {
                int high = digit(text[i]), low = digit(text[i + 1]);

                if (high < 0 || low < 0)
                        return -EBADMSG;
                ret[i / 2] = (uint8_t)(high << 4 | low);
        }
        return (ssize_t)(n / 2);
}

/* What the owning group may by the list: the mode of a file with a list has its mask there, which
   without the list would give the group more than it had. */
static mode_t mode_without_list(mode_t mode, const uint8_t *bytes, size_t n)
{
        mode_t group = mode >> 3 & 07;

        for (size_t at = sizeof(struct posix_acl_xattr_header);
             at + sizeof(struct posix_acl_xattr_entry) <= n;
             at += sizeof(struct posix_acl_xattr_entry)) {
                struct posix_acl_xattr_entry entry;

                memcpy(&entry, bytes + at, sizeof(entry));
                if (le16toh(entry.e_tag) == ACL_GROUP_OBJ)
                        group &= le16toh(entry.e_perm);
        }
        return (mode & ~(mode_t)070) | group << 3;
}

/* Where no list can be, there is none to remove. */
static int remove_list(int fd)
{
        if (fremovexattr(fd, ACL_NAME) == 0 || errno == ENODATA || errno == EOPNOTSUPP)
                return 0;
        return -errno;
}

/* FIL-117, FIL-118 */
static int apply_rights(int fd, const Attributes *a)
{
        uint8_t bytes[ACL_BYTES_MAX];
        mode_t mode = a->mode & ATTRIBUTES_MODE;
        ssize_t n = parse_acl(a->acl, bytes);
        int r;

        if (n < 0)
                return (int)n;
        if (n > 0) {
                if (fsetxattr(fd, ACL_NAME, bytes, (size_t)n, 0) == 0)
                        return 0; /* the mode comes with it */
                if (errno != EOPNOTSUPP)
                        return errno == EINVAL ? -EBADMSG : -errno;
                mode = mode_without_list(mode, bytes, (size_t)n);
        }
        r = remove_list(fd);
        if (r < 0)
                return r;
        return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* FIL-115. A courtesy: content that is there without its date is better than no content. */
static void apply_time(int fd, const struct timespec *modified)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *modified };

        if (futimens(fd, times) < 0)
                log_errno(LOG_DEBUG, -errno, "modification time not set");
}

/* FIL-116: rights last but for the owner: nobody gets them for a group that it will not be, and who
   has given a file away may not change it any more. */
int attributes_apply(int fd, const Attributes *a)
{
        int r;

        if ((a->flags & ATTRIBUTE_GROUP) && fchown(fd, (uid_t)-1, a->group) < 0)
                return -errno;
        if (a->flags & ATTRIBUTE_RIGHTS) {
                r = apply_rights(fd, a);
                if (r < 0)
                        return r;
        }
        if ((a->flags & ATTRIBUTE_OWNER) && fchown(fd, a->owner, (gid_t)-1) < 0)
                return -errno;
        if (a->flags & ATTRIBUTE_TIME)
                apply_time(fd, &a->modified);
        if ((a->flags & (ATTRIBUTE_OWNER | ATTRIBUTE_GROUP | ATTRIBUTE_RIGHTS)) == 0)
                return 0;
        return fsync(fd) < 0 ? -errno : 0; /* DUR-100 */
}
