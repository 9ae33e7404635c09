/*
 * One HTTP request at a time, whatever is asked: which connection, how secure, over which proxy,
 * with which headers of the job, and who is shown to whoever demands to know. What the request is
 * about, and what its answer means, is the affair of the protocol that uses this (transfer.h).
 */
#pragma once

#include "core/proxy.h"
#include "net/auth.h"
#include "net/autodetect.h"
#include "net/net-error.h"
#include "net/pacer.h"
#include "net/pool.h"
#include "net/tls.h"
#include "net/window.h"
#include "net/work.h"
#include "wire/protocol.h"

/* What is the same for all requests of the process; outlives them. */
typedef struct RequestSettings {
        const char *ca_file, *ca_path; /* NULL: the system's */
        long stall_seconds;            /* without a byte */
        struct curl_slist *headers;    /* of every request */
        Pacer *pacer;                  /* borrowed */
        Autodetect *autodetect;        /* borrowed */
} RequestSettings;

/* What the job says about all its requests. */
typedef struct RequestTerms {
        const char *url;
        ProxyUsage proxy_usage;
        const char *proxy_list, *proxy_bypass;
        NetClass class;
        const WorkListener *listener; /* its on_certificate alone is used */
        void *userdata;
} RequestTerms;

/* Of whichever message begins work: the fields have the same names. */
#define REQUEST_TERMS(start, work_listener, work)                                         \
        {                                                                                 \
                .url = (start)->url, .proxy_usage = (ProxyUsage)(start)->proxy_usage,     \
                .proxy_list = (start)->proxy_list, .proxy_bypass = (start)->proxy_bypass, \
                .class = net_class_of((start)->flags), .listener = (work_listener),       \
                .userdata = (work),                                                       \
        }

typedef struct Request {
        Pool *pool;
        const RequestSettings *settings;
        void (*on_done)(void *userdata, CURLcode result);
        void *userdata;

        char *url;         /* of the request that runs */
        char *first;       /* the one asked for: the job's credentials are for its host */
        Credential of_url; /* the user whom that one named, and no URL names any more */
        ProxyUsage proxy_usage;
        char *proxy_list, *proxy_bypass;
        unsigned proxy_index; /* of the proxy that is tried */
        /* Of PROXY_AUTODETECT: the list is this URL's once the network has been asked. */
        ProxyQuestion *question;
        bool proxies_known;
        char *proxy_note; /* why there is none; NULL: nothing to say */
        Auth auth[AUTH_TARGET_MAX];

        CURL *easy;                 /* borrowed while a request runs */
        struct curl_slist *headers; /* of that request; the protocol adds its own */
        Paced paced;
        Window window; /* of its connection */
        char explanation[CURL_ERROR_SIZE];
        NetFailure failure; /* the first one is the one that is told */

        /* What stands between a certificate and its judgement (request-tls.c). */
        Tls *tls; /* of that request; NULL: not https */
        char accepted[FINGERPRINT_MAX];
        bool asking;  /* request_accept() is due */
        CURL *errand; /* fetches a list of revoked certificates */
        uint8_t *fetched;
        size_t n_fetched;
        unsigned errands, questions;
        CURLcode result; /* of the request, while that is found out */
        bool found_out;
        const WorkListener *listener;
        void *listener_userdata;
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

/* Borrows r->easy, or takes the one of the request before, and sets all that does not depend on
   what is asked. 0; or -errno, maybe with `failure` set. */
int request_prepare(Request *r);
/* Starts what was prepared, with r->headers; on_done follows from the loop. 0 or -errno. */
int request_run(Request *r);
/* Gives the handle back; a request that runs is cut off. */
void request_drop(Request *r);

/* Asked in a data callback before it moves anything: false, and it has to answer that it pauses
   (CURL_WRITEFUNC_PAUSE, CURL_READFUNC_PAUSE); it is called again when the pacer lets it go on. */
bool request_may_move(Request *r);
/* How much of what is sent goes in one piece, at most; asked after request_may_move(). */
size_t request_piece(const Request *r);
/* What it moved. */
void request_moved(Request *r, size_t bytes);

/* Another URL, which this takes, without its user: whoever answers there has to ask for himself. */
void request_move(Request *r, char *url);

/* NET_ACCEPT: the answer to on_certificate; one that nobody waits for is passed over. */
void request_accept(Request *r, BitsCode code, const char *detail);

/* Another URL, which this takes, for everything from now on: whoever answers there is who the job's
   credentials are for. 0 or -ENOMEM, and `url` is freed. */
int request_pin(Request *r, char *url);

/* A 401 or 407 was the answer. */
RequestNext request_challenged(Request *r, unsigned status);
/* libcurl failed; `answered`: a server's header had been seen. Not to be called when `failure` is
   set. */
RequestNext request_broken(Request *r, CURLcode result, bool answered);

/* Adds one line to a list of headers. 0 or -ENOMEM. */
int request_append_header(struct curl_slist **list, const char *line);

/* The CurlGlue's for all requests. */
extern const CurlGlueListener request_glue_listener;

/* Between the two files of this module: the proxy for a URL, on a handle. 0 or -errno. */
int request_set_proxy(Request *r, CURL *easy, const char *url);
/* A judge for the request's connections. 0 or -errno. */
int request_judge(Request *r);
/* libcurl is done. True: something is found out first, and on_done called later. */
bool request_find_out(Request *r);
/* An errand is done; calls on_done. */
void request_errand_done(Request *r, CURLcode result);
void request_drop_errand(Request *r);
