/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/http.h"

#include "cli/password.h"
#include "cli/paths.h"
#include "cli/report.h"
#include "cli/verbs.h"

#include <stdio.h>

static const struct {
        const char *word;
        uint32_t flag;
} words[] = {
        { "check-revocation", BITS_SSL_ENABLE_CRL_CHECK },
        { "ignore-name", BITS_SSL_IGNORE_CERT_CN_INVALID },
        { "ignore-date", BITS_SSL_IGNORE_CERT_DATE_INVALID },
        { "ignore-issuer", BITS_SSL_IGNORE_UNKNOWN_CA },
        { "ignore-usage", BITS_SSL_IGNORE_CERT_WRONG_USAGE },
        { "report-redirects", BITS_HTTP_REDIRECT_ALLOW_REPORT },
        { "no-redirects", BITS_HTTP_REDIRECT_DISALLOW },
        { "https-to-http", BITS_HTTP_REDIRECT_ALLOW_HTTPS_TO_HTTP },
};

static bool parse_word(const char *word, size_t n, uint32_t *flags)
{
        for (size_t i = 0; i < ELEMENTS(words); i++)
                if (strlen(words[i].word) == n && strncmp(words[i].word, word, n) == 0) {
                        *flags |= words[i].flag;
                        return true;
                }
        return false;
}

bool http_parse_security(const char *text, uint32_t *ret)
{
        char *end;
        unsigned long number;

        *ret = 0;
        if (string_equal(text, "none"))
                return true;
        errno = 0;
        number = strtoul(text, &end, 0);
        if (*text >= '0' && *text <= '9') {
                *ret = (uint32_t)number;
                return errno == 0 && !*end && number <= UINT32_MAX;
        }
        for (;; text++) {
                size_t n = strcspn(text, ",");

                if (!parse_word(text, n, ret))
                        return false;
                text += n;
                if (!*text)
                        return true;
        }
}

const char *http_security_text(uint32_t flags, char buffer[static HTTP_SECURITY_SIZE])
{
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTS(words); i++)
                if (flags & words[i].flag)
                        n += (size_t)snprintf(buffer + n, HTTP_SECURITY_SIZE - n, "%s%s",
                                              n ? "," : "", words[i].word);
        return n ? buffer : "none";
}

static int parse_security(const char *list, Http *http)
{
        http->has_flags = true;
        return http_parse_security(list, &http->flags)
                       ? EXIT_OK
                       : usage_error("'%s' are no security flags: %s", list, HTTP_SECURITY_VALUES);
}

static int add_header(const char *line, Http *http)
{
        char *longer;

        if (strpbrk(line, "\r\n"))
                return usage_error("a header is one line: Name: value");
        if (asprintf(&longer, "%s%s\r\n", http->headers ? http->headers : "", line) < 0)
                return report_error("out of memory");
        free(http->headers);
        http->headers = longer;
        return EXIT_OK;
}

static int set_path(const char *name, char **path)
{
        free(TAKE(*path));
        return local_path(name, name, path);
}

/* CLI-150 */
int http_option(int option, const char *value, Http *http)
{
        switch (option) {
        case HTTP_CERTIFICATE:
                if (!string_equal(value, "none"))
                        return set_path(value, &http->certificate);
                free(http->certificate);
                http->certificate = strdup(value);
                return http->certificate ? EXIT_OK : report_error("out of memory");
        case HTTP_KEY:
                return set_path(value, &http->key);
        case HTTP_PASSPHRASE_FILE:
                http->passphrase_file = value;
                return EXIT_OK;
        case HTTP_HEADER:
                return add_header(value, http);
        case HTTP_METHOD:
                http->method = value;
                return EXIT_OK;
        case HTTP_SECURITY:
                return parse_security(value, http);
        }
        return -1;
}

static int set_certificate(const Http *http, bits_http_options *options)
{
        _cleanup_(password_done) Password passphrase = {};
        int r = EXIT_OK;

        if (http->passphrase_file || http->ask_passphrase)
                r = password_read(http->key ? http->key : http->certificate, http->passphrase_file,
                                  &passphrase);
        if (r == EXIT_OK && bits_http_options_set_client_certificate(
                                    options, http->certificate, http->key, passphrase.text) < 0)
                r = report_failure("cannot use the client certificate %s", http->certificate);
        return r;
}

int http_apply(const Http *http, bits_job *job)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r;

        if (!http->certificate && (http->key || http->passphrase_file))
                return usage_error("--key and --passphrase-file belong to --certificate");
        if (!http->certificate && !http->headers && !http->method && !http->has_flags)
                return EXIT_OK;
        if (bits_job_query_http_options(job, &options) < 0)
                return report_failure("cannot set the job's HTTP options");
        r = http->certificate ? set_certificate(http, options) : EXIT_OK;
        if (r != EXIT_OK)
                return r;
        if (http->headers && bits_http_options_set_custom_headers(options, http->headers) < 0)
                return report_failure("cannot set the headers");
        if (http->has_flags && bits_http_options_set_security_flags(options, http->flags) < 0)
                return report_failure("cannot set the security flags");
        if (http->method && bits_http_options_set_http_method(options, http->method) < 0)
                return report_failure("cannot set the method");
        return EXIT_OK;
}

void http_done(Http *http)
{
        free(http->certificate);
        free(http->key);
        if (http->headers)
                explicit_bzero(http->headers, strlen(http->headers));
        free(http->headers);
}
