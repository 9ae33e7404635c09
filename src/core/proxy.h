/*
 * The proxy settings of a job (reference 03 section 4): which proxies, for which hosts none. A list
 * is stored as it was given and judged when it is used, as in BITS.
 */
#pragma once

#include "core/error.h"

/* Numbers are stored and travel. */
typedef enum ProxyUsage {
        PROXY_PRECONFIG, /* the service's environment: http_proxy and its like */
        PROXY_NONE,
        PROXY_OVERRIDE,
        PROXY_AUTODETECT, /* the network says it: a list of its own for each URL */
        PROXY_USAGE_MAX,
        PROXY_USAGE_INVALID = -1,
} ProxyUsage;

enum {
        PROXY_LIST_CHARACTERS_MAX = 4000, /* of the list, and of the bypass list */
        PROXY_URL_MAX = 512,
        PROXY_ANSWER_ENTRIES_MAX = 16, /* of a script's answer, which is not ours to be long */
};

/* "preconfig", "no-proxy", "override", "autodetect"; NULL out of range. */
const char *proxy_usage_name(ProxyUsage usage);
ProxyUsage proxy_usage_parse(const char *name);

/* SetProxySettings: 0, or the code of the reference and a sentence. "" is the reference's NULL. */
BitsCode proxy_check(ProxyUsage usage, const char *list, const char *bypass, const char **ret_why);

/* The proxy number `index` (from 0) of the list for remote names of `scheme` ("http", "https"), as
   URL with a port, as libcurl knows it; "" is no proxy. 1: written; 0: the list has fewer; -EINVAL:
   an entry is no proxy. */
int proxy_select(const char *list, const char *scheme, unsigned index, char ret[PROXY_URL_MAX]);
/* The list for what a configuration script answers ("PROXY a:3128; DIRECT"): what is no proxy is
   left out. "": no proxy. Free it. 0, -ENOMEM, or -EINVAL: all of it is nonsense. */
int proxy_list_from_answer(const char *answer, char **ret);
/* True when the bypass list names the host. */
bool proxy_bypassed(const char *bypass, const char *host);
