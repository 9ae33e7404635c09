/*
 * One HTTP request at a time, whatever is asked: which connection, how secure, over which proxy,
 * and who is shown to whoever demands to know. What the request is about, and what its answer
 * means, is the affair of the protocol that uses this (transfer.h).
 */
#pragma once

#include "core/proxy.h"
#include "net/auth.h"
#include "net/net-error.h"
#include "net/pool.h"
#include "wire/protocol.h"

/* What is the same for all requests of the process; outlives them. */
typedef struct RequestSettings {
        const char *ca_file, *ca_path; /* NULL: the system's */
        long stall_seconds;            /* without a byte */
        struct curl_slist *headers;    /* of every request */
} RequestSettings;

/* What the job says about all its requests. */
typedef struct RequestTerms {
        const char *url;
        ProxyUsage proxy_usage;
        const char *proxy_list, *proxy_bypass;
} RequestTerms;

typedef struct Request {
        Pool *pool;
        const RequestSettings *settings;
        void (*on_done)(void *userdata, CURLcode result);
        void *userdata;

        char *url;   /* of the request that runs */
        char *first; /* the one asked for: the job's credentials are for its host */
        ProxyUsage proxy_usage;
        char *proxy_list, *proxy_bypass;
        unsigned proxy_index; /* of the proxy that is tried */
        Auth auth[AUTH_TARGET_MAX];

        CURL *easy; /* borrowed while a request runs */
        char explanation[CURL_ERROR_SIZE];
        NetFailure failure; /* the first one is the one that is told */
} Request;

/* How to go on after an answer or a failure that is not the protocol's. */
typedef enum RequestNext {
        REQUEST_AGAIN,  /* make the request again */
        REQUEST_STALE,  /* this process cannot see the tickets as they are now, a fresh one can */
        REQUEST_FAILED, /* `failure` says why */
        REQUEST_NEXT_MAX,
        REQUEST_NEXT_INVALID = -1,
} RequestNext;

/* Takes `pool` in any case. 0 or -ENOMEM; request_done() is due in any case. */
int request_init(Request *r, Pool *pool, const RequestSettings *settings, const RequestTerms *terms,
                 void (*on_done)(void *userdata, CURLcode result), void *userdata);
void request_done(Request *r);

/* Borrows r->easy and sets all that does not depend on what is asked. 0 or -errno. */
int request_prepare(Request *r);
/* Starts what was prepared; on_done follows from the loop. 0 or -errno. */
int request_run(Request *r);
/* Gives the handle back; a request that runs is cut off. */
void request_drop(Request *r);

/* Another URL, which this takes: whoever answers there has to ask for himself. */
void request_move(Request *r, char *url);

/* A 401 or 407 was the answer. */
RequestNext request_challenged(Request *r, unsigned status);
/* libcurl failed; `answered`: a server's header had been seen. */
RequestNext request_broken(Request *r, CURLcode result, bool answered);

/* Adds one line to a list of headers. 0 or -ENOMEM. */
int request_append_header(struct curl_slist **list, const char *line);

/* The CurlGlue's callback for all requests. */
void request_on_done(void *request, CURLcode result);
