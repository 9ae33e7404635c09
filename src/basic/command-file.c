/*
 * Two things make the owner of an anonymous file its author. Its inode gets the user of the thread
 * that made it, and giving a file away takes a capability that neither users nor the service have.
 * And the seals are for good: whoever passes the file on passes on what the author wrote.
 */
#include "basic/command-file.h"

#include "basic/secret.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAGIC "openbits-command-1"

enum {
        SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
        TEXTS = 4,
};

int command_file_write(const char *job, const char *program, const char *parameters, int *ret_fd)
{
        const char *const texts[TEXTS] = { MAGIC, job, program, parameters };
        char bytes[COMMAND_FILE_BYTES_MAX];
        size_t size = 0;
        int fd;

        for (size_t i = 0; i < TEXTS; i++) {
                size_t length = strlen(texts[i]) + 1;

                if (length > sizeof(bytes) - size)
                        return -EMSGSIZE;
                memcpy(bytes + size, texts[i], length);
                size += length;
        }
        fd = secret_to_fd(bytes, size);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

/* NTF-243: only a file in memory can be sealed at all. */
bool command_file_is_sealed(int fd, uid_t *ret_author)
{
        struct stat st;
        int seals = fcntl(fd, F_GET_SEALS);

        if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
                return false;
        if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > COMMAND_FILE_BYTES_MAX)
                return false;
        *ret_author = st.st_uid;
        return true;
}

static int find_texts(char *bytes, size_t size, const char *ret[TEXTS])
{
        char *p = bytes, *end = bytes + size;

        for (size_t i = 0; i < TEXTS; i++) {
                char *nul = memchr(p, '\0', (size_t)(end - p));

                if (!nul)
                        return -EBADMSG;
                ret[i] = p;
                p = nul + 1;
        }
        return p == end && string_equal(ret[0], MAGIC) ? 0 : -EBADMSG;
}

int command_file_read(int fd, CommandFile *ret)
{
        const char *texts[TEXTS];
        uint8_t *bytes;
        size_t size;
        int r = secret_from_fd(fd, COMMAND_FILE_BYTES_MAX, &bytes, &size);

        if (r < 0)
                return r;
        r = find_texts((char *)bytes, size, texts);
        if (r < 0) {
                free(bytes);
                return r;
        }
        *ret = (CommandFile){ (char *)bytes, texts[1], texts[2], texts[3] };
        return 0;
}

void command_file_done(CommandFile *file)
{
        free(file->bytes);
        *file = (CommandFile){ 0 };
}
