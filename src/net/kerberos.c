#include "net/kerberos.h"

#include "basic/log.h"

#include <dirent.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
        READABLE_MAX = 64, /* configuration files and those of a DIR cache */
        REFRESH_SECONDS = 5,
};

/* What tells one state of a FILE or DIR cache from the next without reading it. */
typedef struct Stamp {
        bool there;
        dev_t device;
        ino_t inode;
        struct timespec changed; /* of a directory */
} Stamp;

struct Kerberos {
        krb5_context context; /* NULL: no usable configuration */
        char *source;         /* the user's cache, "TYPE:rest" */
        char *path;           /* of a FILE or DIR cache, else NULL */
        char *account;
        Stamp stamp;
        char *readable[READABLE_MAX + 1];
        size_t n_readable;
        time_t refreshed; /* 0: not yet */
        time_t end;       /* of the copied tickets */
};

/* ---- the user's cache ---- */

static Stamp stamp_of(const char *path)
{
        Stamp stamp = { 0 };
        struct stat st;

        if (!path || stat(path, &st) < 0)
                return stamp;
        stamp = (Stamp){ .there = true, .device = st.st_dev, .inode = st.st_ino };
        if (S_ISDIR(st.st_mode))
                stamp.changed = st.st_mtim;
        return stamp;
}

static bool stamp_equal(const Stamp *a, const Stamp *b)
{
        return a->there == b->there && a->device == b->device && a->inode == b->inode &&
               a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void add_readable(Kerberos *k, const char *path)
{
        if (k->n_readable == READABLE_MAX)
                return;
        k->readable[k->n_readable] = strdup(path);
        if (k->readable[k->n_readable])
                k->n_readable++;
}

/* SEC-86: a regular file of this very user, or it is not opened to the worker. */
static void add_own_file(Kerberos *k, const char *path)
{
        struct stat st;

        if (lstat(path, &st) < 0)
                return;
        if (S_ISREG(st.st_mode) && st.st_uid == geteuid())
                add_readable(k, path);
        else
                log_notice("The credential cache %s is not a file of uid %u: not used", path,
                           (unsigned)geteuid());
}

static void add_directory(Kerberos *k, const char *path)
{
        DIR *directory = opendir(path);
        struct dirent *entry;

        while (directory && (entry = readdir(directory))) {
                char file[4096];

                if (strncmp(entry->d_name, "tkt", 3) != 0 &&
                    !string_equal(entry->d_name, "primary"))
                        continue;
                if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) <
                    sizeof(file))
                        add_own_file(k, file);
        }
        if (directory)
                closedir(directory);
}

/* The files behind the cache. KEYRING, KCM and the rest have none. TOK-35 */
static void find_files(Kerberos *k)
{
        const char *rest = strchr(k->source, ':');

        if (k->source[0] == '/' || strncmp(k->source, "FILE:", 5) == 0) {
                k->path = strdup(k->source[0] == '/' ? k->source : rest + 1);
                if (k->path)
                        add_own_file(k, k->path);
        } else if (strncmp(k->source, "DIR::", 5) == 0) {
                k->path = strdup(rest + 2);
                if (k->path)
                        add_own_file(k, k->path);
        } else if (strncmp(k->source, "DIR:", 4) == 0) {
                k->path = strdup(rest + 1);
                if (k->path)
                        add_directory(k, k->path);
        }
        k->stamp = stamp_of(k->path);
}

static void find_configuration(Kerberos *k)
{
        const char *variable = getenv("KRB5_CONFIG");
        char *list = variable ? strdup(variable) : NULL, *rest = list, *path;

        /* Those below /etc the sandbox leaves readable anyway. */
        while ((path = strsep(&rest, ":")))
                if (path[0] == '/')
                        add_readable(k, path);
        free(list);
}

int kerberos_new(Kerberos **ret)
{
        _cleanup_(kerberos_freep) Kerberos *k = calloc(1, sizeof(*k));
        struct passwd *account = getpwuid(geteuid());
        const char *name;

        if (!k)
                return -ENOMEM;
        if (account)
                k->account = strdup(account->pw_name);
        else if (asprintf(&k->account, "uid %u", (unsigned)geteuid()) < 0)
                k->account = NULL;
        if (krb5_init_context(&k->context) != 0) {
                log_notice("The Kerberos configuration cannot be read: no tickets are used");
                k->context = NULL;
        }
        name = k->context ? krb5_cc_default_name(k->context) : NULL;
        k->source = strdup(name ? name : "");
        if (!k->source || !k->account)
                return -ENOMEM;
        find_configuration(k);
        find_files(k);
        /* SEC-84: whoever forgets to choose finds nothing. */
        if (setenv("KRB5CCNAME", KERBEROS_NONE, 1) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(k);
        return 0;
}

void kerberos_free(Kerberos *k)
{
        if (!k)
                return;
        if (k->context) {
                kerberos_forget(k, KERBEROS_OWN);
                krb5_free_context(k->context);
        }
        for (size_t i = 0; i < k->n_readable; i++)
                free(k->readable[i]);
        free(k->source);
        free(k->path);
        free(k->account);
        free(k);
}

const char *const *kerberos_readable(const Kerberos *k)
{
        return (const char *const *)k->readable;
}

/* ---- copying ---- */

/* Until when the tickets in the cache are good: the ticket-granting one, or, without one, any. */
static krb5_error_code read_end(krb5_context context, krb5_ccache cache, time_t *ret)
{
        krb5_timestamp granting = 0, any = 0;
        krb5_cc_cursor cursor;
        krb5_creds creds;
        krb5_error_code e = krb5_cc_start_seq_get(context, cache, &cursor);

        if (e)
                return e;
        while ((e = krb5_cc_next_cred(context, cache, &cursor, &creds)) == 0) {
                if (!krb5_is_config_principal(context, creds.server)) {
                        const krb5_data *service = creds.server->data;

                        any = MAX(any, creds.times.endtime);
                        if (creds.server->length == 2 && service->length == 6 &&
                            memcmp(service->data, "krbtgt", 6) == 0)
                                granting = MAX(granting, creds.times.endtime);
                }
                krb5_free_cred_contents(context, &creds);
        }
        krb5_cc_end_seq_get(context, cache, &cursor);
        /* The library's times are unsigned 32 bits in a signed type. */
        *ret = (time_t)(uint32_t)(granting ? granting : any);
        return e == KRB5_CC_END ? 0 : e;
}

/* NET-70, SEC-88: into memory, where GSS-API adds its service tickets. */
static krb5_error_code copy_cache(Kerberos *k)
{
        krb5_ccache from = NULL, to = NULL;
        krb5_principal principal = NULL;
        krb5_error_code e = krb5_cc_resolve(k->context, k->source, &from);

        if (!e)
                e = krb5_cc_get_principal(k->context, from, &principal);
        if (!e)
                e = read_end(k->context, from, &k->end);
        if (!e)
                e = krb5_cc_resolve(k->context, KERBEROS_OWN, &to);
        if (!e)
                e = krb5_cc_initialize(k->context, to, principal);
        if (!e)
                e = krb5_cc_copy_creds(k->context, from, to);
        if (to)
                krb5_cc_close(k->context, to);
        if (from)
                krb5_cc_close(k->context, from);
        krb5_free_principal(k->context, principal);
        return e;
}

/* A service's own keytab for clients: GSS-API gets tickets with it by itself, into the copy. */
static bool has_client_keytab(Kerberos *k)
{
        krb5_keytab keytab;
        bool has;

        if (krb5_kt_client_default(k->context, &keytab) != 0)
                return false;
        has = krb5_kt_have_content(k->context, keytab) == 0;
        krb5_kt_close(k->context, keytab);
        return has;
}

void kerberos_forget(Kerberos *k, const char *cache)
{
        krb5_ccache copy;

        if (k->context && krb5_cc_resolve(k->context, cache, &copy) == 0)
                krb5_cc_destroy(k->context, copy);
}

/* NET-71, NET-72 */
int kerberos_refresh(Kerberos *k, char *why)
{
        time_t now = time(NULL);
        Stamp stamp = stamp_of(k->path);

        if (!k->context) {
                snprintf(why, NET_DETAIL_MAX, "the Kerberos configuration cannot be read");
                return -ENOKEY;
        }
        if (!stamp_equal(&stamp, &k->stamp))
                return -ESTALE;
        if (k->refreshed != 0 && now >= k->refreshed && now - k->refreshed < REFRESH_SECONDS &&
            k->end > now)
                return 0;
        k->refreshed = 0;
        kerberos_forget(k, KERBEROS_OWN);
        if (copy_cache(k) != 0) {
                kerberos_forget(k, KERBEROS_OWN);
                if (has_client_keytab(k))
                        return 0;
                snprintf(why, NET_DETAIL_MAX,
                         "%s has no Kerberos ticket in %s; run kinit as %s and resume", k->account,
                         k->source, k->account);
                return -ENOKEY;
        }
        if (k->end <= now) {
                snprintf(why, NET_DETAIL_MAX,
                         "the Kerberos ticket of %s has expired; run kinit as %s and resume",
                         k->account, k->account);
                return -EKEYEXPIRED;
        }
        k->refreshed = now;
        return 0;
}

/* ---- names and passwords ---- */

/* "REALM\user" is how others write user@REALM. */
static krb5_error_code parse_user(krb5_context context, const char *user, krb5_principal *ret)
{
        const char *backslash = strchr(user, '\\');
        _cleanup_free_ char *turned = NULL;

        if (backslash &&
            asprintf(&turned, "%s@%.*s", backslash + 1, (int)(backslash - user), user) < 0)
                return ENOMEM;
        return krb5_parse_name(context, turned ? turned : user, ret);
}

static krb5_error_code login(krb5_context context, const char *cache, const char *user,
                             const char *password)
{
        krb5_principal principal = NULL;
        krb5_ccache to = NULL;
        krb5_creds creds = { 0 };
        krb5_error_code e = parse_user(context, user, &principal);

        if (!e)
                e = krb5_get_init_creds_password(context, &creds, principal, password, NULL, NULL,
                                                 0, NULL, NULL);
        if (!e)
                e = krb5_cc_resolve(context, cache, &to);
        if (!e)
                e = krb5_cc_initialize(context, to, creds.client);
        if (!e)
                e = krb5_cc_store_cred(context, to, &creds);
        krb5_free_cred_contents(context, &creds);
        if (to)
                krb5_cc_close(context, to);
        krb5_free_principal(context, principal);
        return e;
}

/* NET-73 */
int kerberos_login(Kerberos *k, const char *cache, const char *user, const char *password,
                   char *why)
{
        krb5_error_code e =
                k->context ? login(k->context, cache, user, password) : KRB5_CONFIG_CANTOPEN;
        const char *text;

        if (e == 0)
                return 0;
        text = k->context ? krb5_get_error_message(k->context, e) : NULL;
        snprintf(why, NET_DETAIL_MAX,
                 "no Kerberos ticket for the user of the job's credentials: %s",
                 text ? text : "the Kerberos configuration cannot be read");
        if (k->context)
                krb5_free_error_message(k->context, text);
        return -EKEYREJECTED;
}

void kerberos_select(const char *cache)
{
        OM_uint32 minor;

        (void)gss_krb5_ccache_name(&minor, cache, NULL);
}
