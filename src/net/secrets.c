#include "net/secrets.h"

#include "basic/secret.h"
#include "core/credentials.h"
#include "core/http-options.h"

static const struct {
        uint32_t bit;
        size_t offset;
        size_t bytes_max;
} kinds[] = {
        { NET_SECRET_CREDENTIALS, offsetof(Secrets, credentials), CREDENTIALS_BYTES_MAX },
        { NET_SECRET_HEADERS, offsetof(Secrets, headers), 4 * HTTP_HEADERS_CHARACTERS_MAX },
        { NET_SECRET_CERTIFICATE, offsetof(Secrets, certificate), CERTIFICATE_BYTES_MAX },
        { NET_SECRET_KEY, offsetof(Secrets, key), CERTIFICATE_BYTES_MAX },
        { NET_SECRET_PASSPHRASE, offsetof(Secrets, passphrase), CERTIFICATE_PASSPHRASE_MAX },
};

static Secret *secret_at(Secrets *s, size_t kind)
{
        return (Secret *)((char *)s + kinds[kind].offset);
}

/* SEC-80 */
void secrets_done(Secrets *s)
{
        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                secret_free(secret_at(s, i)->bytes, secret_at(s, i)->size);
        *s = (Secrets){ 0 };
}

static int read_all(uint32_t which, const FdList *files, Secrets *s)
{
        unsigned next = 0;

        for (size_t i = 0; i < ELEMENTS(kinds); i++) {
                Secret *secret = secret_at(s, i);
                int r;

                if (!(which & kinds[i].bit))
                        continue;
                if (next == files->count)
                        return -EBADMSG;
                r = secret_from_fd(files->items[next++], kinds[i].bytes_max, &secret->bytes,
                                   &secret->size);
                if (r < 0)
                        return r;
        }
        return next == files->count ? 0 : -EBADMSG;
}

/* SEC-81 */
int secrets_read(uint32_t which, FdList *files, Secrets *ret)
{
        Secrets s = { 0 };
        int r = (which & ~(uint32_t)NET_SECRET_MAX) == 0 ? read_all(which, files, &s) : -EBADMSG;

        fd_list_close(files);
        if (r < 0)
                secrets_done(&s);
        else
                *ret = s;
        return r;
}
