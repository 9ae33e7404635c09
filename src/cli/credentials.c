/*
 * bits credentials: names and passwords for servers and proxies.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/credentials.h"

#include "cli/password.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/verbs.h"

#include <stdio.h>

static const char *const targets[] = {
        [BITS_AUTH_SERVER] = "server",
        [BITS_AUTH_PROXY] = "proxy",
};

static const char *const schemes[] = {
        [BITS_AUTH_BASIC] = "basic",       [BITS_AUTH_DIGEST] = "digest",
        [BITS_AUTH_NTLM] = "ntlm",         [BITS_AUTH_NEGOTIATE] = "negotiate",
        [BITS_AUTH_PASSPORT] = "passport",
};

static int find_word(const char *word, const char *const *words, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (string_equal(word, words[i]))
                        return (int)i;
        return -1;
}

/* ---- the verb ---- */

typedef struct CredentialsCall {
        bool remove, implicit;
        const char *job, *user, *password_file;
        bits_auth_target target;
        bits_auth_scheme scheme;
} CredentialsCall;

static int call(const CredentialsCall *what)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        _cleanup_(password_done) Password password = {};
        int r = open_service(&manager);

        if (r == EXIT_OK)
                r = open_job(manager, what->job, &job);
        if (r == EXIT_OK && !what->remove && !what->implicit)
                r = password_read(what->user, what->password_file, &password);
        if (r != EXIT_OK)
                return r;
        if (!what->remove) {
                r = bits_job_set_credentials(job, what->target, what->scheme, what->user,
                                             password.text);
                return r < 0 ? report_failure("cannot set credentials of job '%s'", what->job)
                             : EXIT_OK;
        }
        r = bits_job_remove_credentials(job, what->target, what->scheme);
        if (r < 0)
                return report_failure("cannot remove credentials of job '%s'", what->job);
        if (r > 0)
                report_note("job '%s' had no such credentials", what->job);
        return EXIT_OK;
}

static int parse_words(int n, char **words, CredentialsCall *ret)
{
        int target, scheme;

        if (n < 1 || (!string_equal(words[0], "set") && !string_equal(words[0], "remove")))
                return usage_error(n < 1 ? "set or remove?" : "'%s' is not set or remove",
                                   n < 1 ? "" : words[0]);
        ret->remove = string_equal(words[0], "remove");
        if (n < 4)
                return usage_error(n < 2 ? "which job?" : "which target and scheme?");
        target = find_word(words[2], targets, ELEMENTS(targets));
        scheme = find_word(words[3], schemes, ELEMENTS(schemes));
        if (target < 0)
                return usage_error("'%s' is no target: server or proxy", words[2]);
        if (scheme < 0)
                return usage_error("'%s' is no scheme: basic, digest, ntlm, negotiate or passport",
                                   words[3]);
        ret->job = words[1];
        ret->target = (bits_auth_target)target;
        ret->scheme = (bits_auth_scheme)scheme;
        ret->user = n > 4 ? words[4] : NULL;
        if (n > (ret->remove || ret->implicit ? 4 : 5))
                return usage_error(n > 5 ? "too many words (a password is never one)"
                                         : "a user does not go with that");
        if (!ret->remove && !ret->implicit && !ret->user)
                return usage_error("which user? (--implicit: whoever makes the connection)");
        if (ret->password_file && (ret->remove || ret->implicit))
                return usage_error("--password-file goes with a user");
        return EXIT_OK;
}

/* CLI-50 */
int verb_credentials(int argc, char **argv)
{
        enum { IMPLICIT = OPTION_OWN, PASSWORD_FILE };
        static const struct option options[] = {
                { "implicit", no_argument, NULL, IMPLICIT },
                { "password-file", required_argument, NULL, PASSWORD_FILE },
                COMMON_OPTIONS,
        };
        CredentialsCall what = {};
        int c, r;

        while ((c = next_option(argc, argv, "h", options)) >= 0)
                switch (c) {
                case IMPLICIT:
                        what.implicit = true;
                        break;
                case PASSWORD_FILE:
                        what.password_file = optarg;
                        break;
                default:
                        return usage_error(NULL);
                }
        r = parse_words(argc - optind, argv + optind, &what);
        return r == EXIT_OK ? call(&what) : r;
}

/* CLI-52 */
int proxy_set(bits_job *job, const char *value)
{
        if (string_equal(value, "preconfig"))
                return bits_job_set_proxy_settings(job, BITS_PROXY_PRECONFIG, NULL, NULL);
        if (string_equal(value, "no-proxy"))
                return bits_job_set_proxy_settings(job, BITS_PROXY_NO_PROXY, NULL, NULL);
        if (string_equal(value, "autodetect"))
                return bits_job_set_proxy_settings(job, BITS_PROXY_AUTODETECT, NULL, NULL);
        return bits_job_set_proxy_settings(job, BITS_PROXY_OVERRIDE, value, NULL);
}

int proxy_set_bypass(bits_job *job, const char *value)
{
        _cleanup_free_ char *list = NULL, *bypass = NULL;
        bits_proxy_usage usage;
        int r = bits_job_get_proxy_settings(job, &usage, &list, &bypass);

        return r < 0 ? r : bits_job_set_proxy_settings(job, usage, list, value);
}
