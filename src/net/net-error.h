/*
 * From libcurl's results to a job's failure: context, BITS code, and one English sentence with the
 * host and the reason. The only place of the worker where a CURLcode gets a meaning.
 */
#pragma once

#include "core/error.h"

#include <curl/curl.h>

enum {
        NET_DETAIL_MAX = 512,
};

/* A failure while a transfer runs; the sentence lies in the structure. */
typedef struct NetFailure {
        ErrorContext context;
        BitsCode code; /* 0: none so far */
        char detail[NET_DETAIL_MAX];
} NetFailure;

/* The code for a result other than CURLE_OK; `connect_status` is the HTTP status with which a proxy
   refused the tunnel, 0 if none did. */
BitsCode net_code(CURLcode result, long connect_status);

/* `explanation` is libcurl's error buffer, maybe empty. */
void net_failure_curl(NetFailure *f, CURLcode result, long connect_status, const char *url,
                      const char *explanation);
/* NET-350: no connection could be made, with this errno (positive), for there is no network. */
void net_failure_no_network(NetFailure *f, const char *url, int error);
/* A line of a server's header has no end. */
void net_failure_long_line(NetFailure *f, const char *url);
/* NET-30: the server's status as error: "example.org answered 404 Not Found". */
void net_failure_status(NetFailure *f, unsigned status, const char *url);
/* NET-31: a write failed with this errno (positive). */
void net_failure_file(NetFailure *f, int error);
/* The service itself has not enough memory. */
void net_failure_memory(NetFailure *f);
/* Any other: the sentence is made from the format and reduced to plain ASCII. */
void net_failure_set(NetFailure *f, ErrorContext context, BitsCode code, const char *format, ...)
        _printf_(4, 5);
/* Adds to the sentence of a failure. */
void net_failure_add(NetFailure *f, const char *format, ...) _printf_(2, 3);

/* "Not Found", or "" for a status without a well-known phrase. */
const char *http_reason(unsigned status);
