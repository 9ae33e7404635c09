/*
 * The proxies of a network, as the network itself says it (WPAD): found once for a while, asked
 * for each URL. Whatever goes wrong in it ends in "no proxy", with a note that says why.
 */
#pragma once

#include "net/curl-glue.h"

typedef struct Autodetect Autodetect;
typedef struct ProxyQuestion ProxyQuestion;

/* `list`: as core/proxy.h has it, "" for no proxy; `note`: why none was found, "" if the network
   has said so. Both are borrowed. */
typedef void (*OnProxies)(void *userdata, const char *list, const char *note);

typedef struct AutodetectTerms {
        int keeper;                    /* of bits-pac; taken. -errno: there is none */
        const char *ca_file, *ca_path; /* borrowed; NULL: the system's */
} AutodetectTerms;

/* Takes the keeper in any case. 0 or -errno. */
int autodetect_new(sd_event *event, int64_t priority, const AutodetectTerms *terms,
                   Autodetect **ret);
/* Questions that are open must have been dropped. NULL is fine. */
void autodetect_free(Autodetect *a);
DEFINE_CLEANUP(Autodetect, autodetect_free);

/* 0: `on_proxies` follows from the loop, unless the question is dropped before. -ENOMEM. */
int autodetect_ask(Autodetect *a, const char *url, OnProxies on_proxies, void *userdata,
                   ProxyQuestion **ret);
/* NULL is fine. */
void autodetect_drop(ProxyQuestion *question);

/* What was found does not lead anywhere: this may be another network by now. */
void autodetect_doubt(Autodetect *a);
