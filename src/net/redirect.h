/*
 * URLs: which of them this worker asks for, where a redirect leads, and how a URL is shown to
 * people. Pure; parsing is libcurl's, so that it agrees with what is then connected to.
 */
#pragma once

#include "basic/macros.h"

enum {
        REDIRECT_HOPS_MAX = 20,
};

typedef enum Redirect {
        REDIRECT_FOLLOW,
        REDIRECT_DISALLOWED, /* the job's policy, or https → http without permission */
        REDIRECT_TOO_MANY,
        REDIRECT_NONSENSE, /* no URL, or neither http nor https */
        REDIRECT_MAX,
        REDIRECT_INVALID = -1,
} Redirect;

/* Decides about the hop number `hops` (the first is 1) from `base` to `location`, which may be
   relative. `flags` are NET_FLAG_…. *ret_url (free it) is set for REDIRECT_FOLLOW, and for
   REDIRECT_DISALLOWED when the job wants no redirect at all and the place is one to ask at. */
Redirect redirect_decide(const char *base, const char *location, uint32_t flags, unsigned hops,
                         char **ret_url);

/* http or https with a host, and nothing in it but printable ASCII. */
bool url_is_acceptable(const char *url);
bool url_is_https(const char *url);

/* The same scheme, host and port: what was said to one may be said to the other. */
bool url_same_origin(const char *a, const char *b);

/* The same origin, or a step up from it: the host's ordinary https instead of its ordinary http. */
bool url_same_site(const char *a, const char *b);
/* "example.org:443" */
void url_peer(const char *url, char *ret, size_t size);
/* The same URL at another host, scheme and port as they are; NULL if that makes none. Free it. */
char *url_with_host(const char *url, const char *host);

/* Takes user and password out of the URL, in place. True: there is a user; both are decoded, owned
   by the caller, and the password is a secret. False: there is none, or none for a header. */
bool url_take_user(char *url, char **ret_user, char **ret_password);

/* The host ("example.org"), and the URL without user, password, query and fragment, as plain ASCII,
   cut to fit. "?" if there is none. */
void url_host(const char *url, char *ret, size_t size);
void url_for_people(const char *url, char *ret, size_t size);

/* What a script of the network's may know of a URL: no user, no fragment, and of https nothing
   behind the host. Its host in lower case. NULL: it is no URL. Free it. */
char *url_for_script(const char *url);
