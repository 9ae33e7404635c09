/*
 * A passphrase comes from a file or from standard input ("-"), never from the command line, where
 * everybody could read it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/http.h"

#include "cli/paths.h"
#include "cli/report.h"
#include "cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
        PASSPHRASE_BYTES_MAX = 1024,
};

DEFINE_CLEANUP(bits_http_options, bits_http_options_free);

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
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (strlen(words[i].word) == n && strncmp(words[i].word, word, n) == 0) {
                        *flags |= words[i].flag;
                        return true;
                }
        return false;
}

static int parse_security(const char *list, Http *http)
{
        http->has_flags = true;
        while (*list) {
                size_t n = strcspn(list, ",");

                if (!parse_word(list, n, &http->flags))
                        return usage_error("'%.*s' is no security flag: check-revocation, "
                                           "ignore-name, ignore-date, ignore-issuer, ignore-usage, "
                                           "report-redirects, no-redirects or https-to-http",
                                           (int)n, list);
                list += n + (list[n] == ',');
        }
        return EXIT_OK;
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

/* The first line, without its end. */
static int read_passphrase(const char *file, char text[PASSPHRASE_BYTES_MAX + 2])
{
        int fd = string_equal(file, "-") ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
        size_t n = 0;
        ssize_t got = 0;

        while (fd >= 0 && n < PASSPHRASE_BYTES_MAX + 1 && (got = read(fd, text + n, 1)) > 0 &&
               text[n] != '\n')
                n++;
        text[n] = 0;
        if (n > 0 && text[n - 1] == '\r')
                text[n - 1] = 0;
        if (fd < 0 || got < 0)
                return report_error("cannot read the passphrase from %s: %s", file,
                                    strerror(errno));
        if (fd != STDIN_FILENO)
                close(fd);
        return EXIT_OK;
}

static int set_certificate(const Http *http, bits_http_options *options)
{
        char passphrase[PASSPHRASE_BYTES_MAX + 2] = "";
        int r = EXIT_OK;

        if (http->passphrase_file)
                r = read_passphrase(http->passphrase_file, passphrase);
        if (r == EXIT_OK && bits_http_options_set_client_certificate(options, http->certificate,
                                                                     http->key, passphrase) < 0)
                r = report_failure("cannot use the client certificate %s", http->certificate);
        explicit_bzero(passphrase, sizeof(passphrase));
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
