/*
 * What a job shows of itself over HTTP and how it judges servers, as options: for the verbs that
 * make a job.
 */
#pragma once

#include "cli/base.h"
#include "cli/format.h"

/* Option numbers, above those of a verb. */
enum {
        HTTP_CERTIFICATE = 2000,
        HTTP_KEY,
        HTTP_PASSPHRASE_FILE,
        HTTP_HEADER,
        HTTP_METHOD,
        HTTP_SECURITY,
};

#define HTTP_OPTIONS                                                                  \
        { "certificate", required_argument, NULL, HTTP_CERTIFICATE },                 \
                { "key", required_argument, NULL, HTTP_KEY },                         \
                { "passphrase-file", required_argument, NULL, HTTP_PASSPHRASE_FILE }, \
                { "header", required_argument, NULL, HTTP_HEADER },                   \
                { "method", required_argument, NULL, HTTP_METHOD },                   \
        {                                                                             \
                "security", required_argument, NULL, HTTP_SECURITY                    \
        }

/* What flags may be written as. */
#define HTTP_SECURITY_VALUES                                                             \
        "none, a number, or check-revocation, ignore-name, ignore-date, ignore-issuer, " \
        "ignore-usage, report-redirects, no-redirects, https-to-http with commas between"

enum {
        HTTP_SECURITY_SIZE = 160,
};

bool http_parse_security(const char *text, uint32_t *ret);
const char *http_security_text(uint32_t flags, char buffer[static HTTP_SECURITY_SIZE]);

/* Zeroed: nothing. */
typedef struct Http {
        char *certificate, *key; /* owned: absolute */
        const char *passphrase_file, *method;
        bool ask_passphrase; /* on the terminal */
        char *headers;       /* owned: lines */
        uint32_t flags;
        bool has_flags;
} Http;

/* Takes one of the options. -1 when it is none of them, else an exit status. */
int http_option(int option, const char *value, Http *http);
/* Sets what was given on a job, 0 or an exit status after saying why not. */
int http_apply(const Http *http, bits_job *job);
void http_done(Http *http);
