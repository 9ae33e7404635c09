#include "net/crl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <strings.h>
#include <sys/queue.h>

enum {
        LISTS_MAX = 32,
};

typedef struct Entry {
        TAILQ_ENTRY(Entry) entries;
        char *address;
        X509_CRL *list;
} Entry;

struct Crls {
        TAILQ_HEAD(, Entry) entries; /* oldest first */
        unsigned count;
};

DEFINE_CLEANUP(BIO, BIO_free_all);
DEFINE_CLEANUP(CRL_DIST_POINTS, CRL_DIST_POINTS_free);

int crls_new(Crls **ret)
{
        Crls *crls = calloc(1, sizeof(*crls));

        if (!crls)
                return -ENOMEM;
        TAILQ_INIT(&crls->entries);
        *ret = crls;
        return 0;
}

static void entry_free(Crls *crls, Entry *entry)
{
        TAILQ_REMOVE(&crls->entries, entry, entries);
        crls->count--;
        X509_CRL_free(entry->list);
        free(entry->address);
        free(entry);
}

void crls_free(Crls *crls)
{
        if (!crls)
                return;
        while (!TAILQ_EMPTY(&crls->entries))
                entry_free(crls, TAILQ_FIRST(&crls->entries));
        free(crls);
}

static Entry *find(const Crls *crls, const char *address)
{
        Entry *entry;

        TAILQ_FOREACH (entry, &crls->entries, entries)
                if (strcmp(entry->address, address) == 0)
                        return entry;
        return NULL;
}

static X509_CRL *parse(const void *bytes, size_t size)
{
        _cleanup_(BIO_free_allp) BIO *pem = BIO_new_mem_buf(bytes, (int)size);
        _cleanup_(BIO_free_allp) BIO *der = BIO_new_mem_buf(bytes, (int)size);
        X509_CRL *list = NULL;

        if (pem && der) {
                list = PEM_read_bio_X509_CRL(pem, NULL, NULL, (void *)"");
                if (!list)
                        list = d2i_X509_CRL_bio(der, NULL);
        }
        ERR_clear_error();
        return list;
}

int crls_add(Crls *crls, const char *address, const void *bytes, size_t size)
{
        Entry *entry = find(crls, address);
        X509_CRL *list = size <= CRL_BYTES_MAX ? parse(bytes, size) : NULL;

        if (!list)
                return -EBADMSG;
        if (entry)
                entry_free(crls, entry);
        else if (crls->count == LISTS_MAX)
                entry_free(crls, TAILQ_FIRST(&crls->entries));
        entry = calloc(1, sizeof(*entry));
        if (entry)
                entry->address = strdup(address);
        if (!entry || !entry->address) {
                X509_CRL_free(list);
                free(entry);
                return -ENOMEM;
        }
        entry->list = list;
        TAILQ_INSERT_TAIL(&crls->entries, entry, entries);
        crls->count++;
        return 0;
}

STACK_OF(X509_CRL) * crls_all(const Crls *crls)
{
        STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
        Entry *entry;

        TAILQ_FOREACH (entry, &crls->entries, entries)
                if (all && X509_CRL_up_ref(entry->list) == 1 && !sk_X509_CRL_push(all, entry->list))
                        X509_CRL_free(entry->list);
        return all;
}

bool crls_has(const Crls *crls, const char *address)
{
        const Entry *entry = find(crls, address);
        const ASN1_TIME *next = entry ? X509_CRL_get0_nextUpdate(entry->list) : NULL;

        return entry && (!next || X509_cmp_current_time(next) > 0);
}

static bool address_of(const GENERAL_NAME *name, char ret[CRL_ADDRESS_MAX])
{
        const ASN1_IA5STRING *text;
        int size;

        if (name->type != GEN_URI)
                return false;
        text = name->d.uniformResourceIdentifier;
        size = ASN1_STRING_length(text);
        if (size <= 0 || size >= CRL_ADDRESS_MAX)
                return false;
        memcpy(ret, ASN1_STRING_get0_data(text), (size_t)size);
        ret[size] = 0;
        return strlen(ret) == (size_t)size && strncasecmp(ret, "http://", 7) == 0;
}

bool crl_address(const X509 *certificate, char ret[CRL_ADDRESS_MAX])
{
        _cleanup_(CRL_DIST_POINTS_freep) CRL_DIST_POINTS *points =
                X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);

        for (int i = 0; points && i < sk_DIST_POINT_num(points); i++) {
                const DIST_POINT_NAME *point = sk_DIST_POINT_value(points, i)->distpoint;

                if (!point || point->type != 0)
                        continue;
                for (int j = 0; j < sk_GENERAL_NAME_num(point->name.fullname); j++)
                        if (address_of(sk_GENERAL_NAME_value(point->name.fullname, j), ret))
                                return true;
        }
        return false;
}
