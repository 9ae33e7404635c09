/*
 * A box is: nonce, authentication tag, and encrypted: the job's id (so that a box that is moved to
 * another row opens to nothing), the bytes.
 *
 * The key file is complete or not there: it is written under another name, synced, renamed, and its
 * directory synced, before anything is sealed with it. There is one bitsd for a state directory.
 */
#include "store/vault.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/secret.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_NAME "credentials.key"

struct Vault {
        char *directory;
        bool has_key;
        uint8_t key[crypto_secretbox_KEYBYTES];
};

enum {
        NONCE = crypto_secretbox_NONCEBYTES,
        TAG = crypto_secretbox_MACBYTES,
};

int vault_new(const char *directory, Vault **ret)
{
        _cleanup_(vault_freep) Vault *vault = calloc(1, sizeof(*vault));

        if (!vault)
                return -ENOMEM;
        vault->directory = strdup(directory);
        if (!vault->directory || sodium_init() < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(vault);
        return 0;
}

void vault_free(Vault *vault)
{
        if (!vault)
                return;
        sodium_memzero(vault->key, sizeof(vault->key));
        free(vault->directory);
        free(vault);
}

/* SEC-83: nobody else's file, nobody else may read it. */
static int read_key(Vault *vault, int directory)
{
        _cleanup_close_ int fd = openat(directory, KEY_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0 ||
            st.st_size != (off_t)sizeof(vault->key))
                return -EPERM;
        if (read(fd, vault->key, sizeof(vault->key)) != (ssize_t)sizeof(vault->key))
                return -EIO;
        vault->has_key = true;
        return 0;
}

static int write_key(int directory, const char *name, const uint8_t *key, size_t size)
{
        _cleanup_close_ int fd = openat(
                directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0600) < 0)
                return -errno;
        if (write(fd, key, size) != (ssize_t)size)
                return -EIO;
        return fsync(fd) < 0 ? -errno : 0;
}

static int make_key(int directory)
{
        static const char draft[] = KEY_NAME ".new";
        uint8_t key[crypto_secretbox_KEYBYTES];
        int r;

        crypto_secretbox_keygen(key);
        r = write_key(directory, draft, key, sizeof(key));
        sodium_memzero(key, sizeof(key));
        if (r >= 0 && renameat(directory, draft, directory, KEY_NAME) < 0)
                r = -errno;
        if (r >= 0 && fsync(directory) < 0)
                r = -errno;
        return r;
}

static int need_key(Vault *vault, bool make)
{
        _cleanup_close_ int directory = -EBADF;
        int r;

        if (vault->has_key)
                return 0;
        directory = open(vault->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        r = read_key(vault, directory);
        if (r == -ENOENT && make) {
                r = make_key(directory);
                if (r >= 0)
                        r = read_key(vault, directory);
        }
        return r < 0 ? log_errno(LOG_ERR, r, "cannot use the key of the credentials, %s/" KEY_NAME,
                                 vault->directory)
                     : 0;
}

/* SEC-82 */
int vault_seal(Vault *vault, const char *job_id, const uint8_t *bytes, size_t size, uint8_t **ret,
               size_t *ret_size)
{
        size_t plain_size = JOB_ID_CHARACTERS + size;
        uint8_t *plain, *box;
        int r = need_key(vault, true);

        if (r < 0)
                return r;
        plain = malloc(plain_size);
        box = malloc(NONCE + TAG + plain_size);
        if (!plain || !box) {
                free(plain);
                free(box);
                return -ENOMEM;
        }
        memcpy(plain, job_id, JOB_ID_CHARACTERS);
        if (size > 0)
                memcpy(plain + JOB_ID_CHARACTERS, bytes, size);
        randombytes_buf(box, NONCE);
        crypto_secretbox_easy(box + NONCE, plain, plain_size, box, vault->key);
        secret_free(plain, plain_size);
        *ret = box;
        *ret_size = NONCE + TAG + plain_size;
        return 0;
}

int vault_open(Vault *vault, const char *job_id, const uint8_t *box, size_t size, uint8_t **ret,
               size_t *ret_size)
{
        size_t plain_size;
        uint8_t *plain;
        int r;

        if (size < NONCE + TAG + JOB_ID_CHARACTERS)
                return -EBADMSG;
        r = need_key(vault, false);
        if (r < 0)
                return r;
        plain_size = size - NONCE - TAG;
        plain = malloc(plain_size);
        if (!plain)
                return -ENOMEM;
        if (crypto_secretbox_open_easy(plain, box + NONCE, size - NONCE, box, vault->key) != 0 ||
            memcmp(plain, job_id, JOB_ID_CHARACTERS) != 0) {
                secret_free(plain, plain_size);
                return -EBADMSG;
        }
        memmove(plain, plain + JOB_ID_CHARACTERS, plain_size - JOB_ID_CHARACTERS);
        explicit_bzero(plain + plain_size - JOB_ID_CHARACTERS, JOB_ID_CHARACTERS);
        *ret = plain;
        *ret_size = plain_size - JOB_ID_CHARACTERS;
        return 0;
}
