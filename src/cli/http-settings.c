/*
 * bits certificate, and the HTTP options among the settings.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/http-settings.h"

#include "cli/format.h"
#include "cli/http.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/verbs.h"

#include <stdio.h>

/* ---- certificates ---- */

int http_set_certificate(bits_job *job, const char *text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(job, &options);

        if (r < 0)
                return r;
        return string_empty(text)
                       ? bits_http_options_remove_client_certificate(options)
                       : bits_http_options_set_client_certificate(options, text, NULL, NULL);
}

/* Without a certificate there is nothing to read, which is no failure here. */
static int get_certificate(bits_job *job, bool key, char **ret_text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        _cleanup_free_ char *certificate = NULL, *key_file = NULL;
        int r = bits_job_query_http_options(job, &options);

        if (r >= 0)
                (void)bits_http_options_get_client_certificate(options, &certificate, &key_file);
        return r < 0 ? r : string_copy(key ? key_file : certificate, ret_text);
}

int http_get_certificate(bits_job *job, char **ret_text)
{
        return get_certificate(job, false, ret_text);
}

int http_get_certificate_key(bits_job *job, char **ret_text)
{
        return get_certificate(job, true, ret_text);
}

/* ---- headers ---- */

int http_set_headers(bits_job *job, const char *text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        _cleanup_free_ char *lines = malloc(2 * strlen(text) + 1);
        char *to = lines;
        int r = bits_job_query_http_options(job, &options);

        if (r < 0)
                return r;
        if (!lines)
                return -ENOMEM;
        for (const char *p = text; *p; p++) {
                bool written = p[0] == '\\' && p[1] == 'n';

                if (!written && *p != '\n') {
                        *to++ = *p;
                        continue;
                }
                p += written;
                *to++ = '\r';
                *to++ = '\n';
        }
        *to = '\0';
        return bits_http_options_set_custom_headers(options, lines);
}

int http_get_headers(bits_job *job, char **ret_text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        _cleanup_free_ char *lines = NULL;
        char *from, *to;
        int r = bits_job_query_http_options(job, &options);

        if (r >= 0)
                r = bits_http_options_get_custom_headers(options, &lines);
        if (r < 0)
                return r;
        if (!lines)
                return string_copy("", ret_text);
        for (from = to = lines; *from; from++) /* on one line, as it may be written */
                if (*from == '\n')
                        *to++ = 'n';
                else
                        *to++ = *from == '\r' ? '\\' : *from;
        *to = '\0';
        return string_copy(lines, ret_text);
}

int http_set_headers_write_only(bits_job *job, int on)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(job, &options);

        if (r < 0 || !on) /* nothing takes it back */
                return r;
        return bits_http_options_make_custom_headers_write_only(options);
}

int http_set_method(bits_job *job, const char *text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(job, &options);

        return r < 0 ? r : bits_http_options_set_http_method(options, text);
}

int http_get_method(bits_job *job, char **ret_text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(job, &options);

        return r < 0 ? r : bits_http_options_get_http_method(options, ret_text);
}

/* ---- flags as words: CLI-291 ---- */

bool http_is_security(const char *text)
{
        uint32_t flags;

        return http_parse_security(text, &flags);
}

int http_set_security(bits_job *job, const char *text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        uint32_t flags = 0;
        int r = bits_job_query_http_options(job, &options);

        (void)http_parse_security(text, &flags);
        return r < 0 ? r : bits_http_options_set_security_flags(options, flags);
}

int http_get_security(bits_job *job, char **ret_text)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        char text[HTTP_SECURITY_SIZE];
        uint32_t flags;
        int r = bits_job_query_http_options(job, &options);

        if (r >= 0)
                r = bits_http_options_get_security_flags(options, &flags);
        return r < 0 ? r : string_copy(http_security_text(flags, text), ret_text);
}

/* ---- rights of a copied file ---- */

static bool parse_acl_flags(const char *text, uint32_t *ret_flags)
{
        uint32_t flags = 0;

        if (!*text)
                return false;
        for (const char *p = string_equal(text, "none") ? "" : text; *p; p++) {
                if (acl_flag_of(*p) == 0)
                        return false;
                flags |= acl_flag_of(*p);
        }
        *ret_flags = flags;
        return true;
}

bool acl_is_flags(const char *text)
{
        uint32_t flags;

        return parse_acl_flags(text, &flags);
}

int acl_set_flags(bits_job *job, const char *text)
{
        uint32_t flags = 0;

        (void)parse_acl_flags(text, &flags);
        return bits_job_set_file_acl_flags(job, flags);
}

int acl_get_flags(bits_job *job, char **ret_text)
{
        char text[FORMAT_SIZE];
        uint32_t flags;
        int r = bits_job_get_file_acl_flags(job, &flags);

        if (r < 0)
                return r;
        (void)acl_flags_text(flags, text);
        return string_copy(*text ? text : "none", ret_text);
}

/* ---- bits certificate ---- */

static int remove_certificate(bits_job *job, const char *name)
{
        _cleanup_(bits_http_options_freep) bits_http_options *options = NULL;
        int r = bits_job_query_http_options(job, &options);

        if (r >= 0)
                r = bits_http_options_remove_client_certificate(options);
        if (r < 0)
                return report_failure("cannot remove the certificate of job '%s'", name);
        if (r > 0)
                report_note("job '%s' had no certificate", name);
        return EXIT_OK;
}

/* CLI-290 */
int verb_certificate(int argc, char **argv)
{
        enum { PASSPHRASE = OPTION_OWN };
        static const struct option options[] = {
                { "key", required_argument, NULL, HTTP_KEY },
                { "passphrase-file", required_argument, NULL, HTTP_PASSPHRASE_FILE },
                { "passphrase", no_argument, NULL, PASSPHRASE },
                COMMON_OPTIONS,
        };
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        _cleanup_(http_done) Http http = {};
        bool set;
        int c, n, r = EXIT_OK;

        while (r == EXIT_OK && (c = next_option(argc, argv, "h", options)) >= 0)
                if (c == PASSPHRASE)
                        http.ask_passphrase = true;
                else if ((r = http_option(c, optarg, &http)) < 0)
                        return usage_error(NULL);
        if (r != EXIT_OK)
                return r;
        n = argc - optind;
        set = n > 0 && string_equal(argv[optind], "set");
        if (n == 0 || (!set && !string_equal(argv[optind], "remove")))
                return usage_error("set or remove?");
        if (n != (set ? 3 : 2))
                return usage_error(n < 2           ? "which job?"
                                   : set && n == 2 ? "which certificate?"
                                                   : "too many words");
        if (!set && (http.key || http.passphrase_file || http.ask_passphrase))
                return usage_error("--key and --passphrase go with 'set'");
        if (set)
                r = http_option(HTTP_CERTIFICATE, argv[optind + 2], &http);
        if (r == EXIT_OK)
                r = open_service(&manager);
        if (r == EXIT_OK)
                r = open_job(manager, argv[optind + 1], &job);
        if (r != EXIT_OK)
                return r;
        return set ? http_apply(&http, job) : remove_certificate(job, argv[optind + 1]);
}
