/*
 * bits token: the second identity of a job. The interface is asked for first, as oneself, and the
 * token is captured afterwards, as the helper.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/format.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/users.h"
#include "cli/verbs.h"

#include <stdio.h>

static int print_token(const char *id, uint32_t flags, const char *sid)
{
        static const Column columns[] = {
                { "id", NULL, COLUMN_TEXT, true },
                { "helper-flags", NULL, COLUMN_TEXT, true },
                { "helper-sid", NULL, COLUMN_TEXT, true },
        };
        char text[FORMAT_SIZE];
        _cleanup_(table_freep) Table *table = NULL;
        _cleanup_free_ char *user = NULL;
        struct libscols_line *row;
        uint32_t uid;

        if (!arg_json) {
                if (parse_user_sid(sid, &uid))
                        user = format_user(uid);
                printf("flags   %s\n", token_flags_text(flags, text));
                printf("helper  %s%s%s\n", sid ? sid : "none", user ? "  " : "", user ? user : "");
                return EXIT_OK;
        }
        table = table_new("tokens", columns, ELEMENTS(columns), true);
        if (!table)
                return EXIT_FAILED;
        row = table_row(table);
        table_cell(table, row, 0, id);
        table_cell(table, row, 1, token_flags_text(flags, text));
        table_cell(table, row, 2, sid);
        return table_print(table);
}

static int show(bits_job *job, bits_token_options *options)
{
        _cleanup_free_ char *sid = NULL;
        uint32_t flags;

        if (bits_token_options_get_helper_token_flags(options, &flags) < 0 ||
            bits_token_options_get_helper_token_sid(options, &sid) < 0)
                return report_failure("cannot read the job's helper");
        return print_token(bits_job_id(job), flags, sid);
}

typedef struct TokenCall {
        const char *what; /* set, clear, flags, show */
        const char *name;
        const User *user; /* NULL: the caller */
        uint32_t flags;
} TokenCall;

static int call(const TokenCall *token)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;
        int r;

        r = open_service(&manager);
        if (r == EXIT_OK)
                r = open_job(manager, token->name, &job);
        if (r != EXIT_OK)
                return r;
        if (bits_job_query_token_options(job, &options) < 0)
                return report_failure("cannot reach the helper of job '%s'", token->name);
        if (string_equal(token->what, "set"))
                return user_set_helper_token(options, token->user);
        if (string_equal(token->what, "show"))
                return show(job, options);
        if (string_equal(token->what, "clear"))
                r = bits_token_options_clear_helper_token(options);
        else
                r = bits_token_options_set_helper_token_flags(options, token->flags);
        return r < 0 ? report_failure("cannot change the helper of job '%s'", token->name)
                     : EXIT_OK;
}

int verb_token(int argc, char **argv)
{
        enum { AS = OPTION_OWN };
        static const struct option options[] = {
                { "as", required_argument, NULL, AS },
                COMMON_OPTIONS,
        };
        _cleanup_(user_done) User user = {};
        TokenCall token = {};
        int c, r, n, wanted;

        while ((c = next_option(argc, argv, "h", options)) >= 0) {
                if (c != AS)
                        return usage_error(NULL);
                user_done(&user);
                r = user_parse(optarg, &user);
                if (r != EXIT_OK)
                        return r;
                token.user = &user;
        }
        n = argc - optind;
        if (n == 0)
                return usage_error("set, clear, flags or show?");
        token.what = argv[optind];
        if (!string_equal(token.what, "set") && !string_equal(token.what, "clear") &&
            !string_equal(token.what, "flags") && !string_equal(token.what, "show"))
                return usage_error("'%s' is not set, clear, flags or show", token.what);
        wanted = string_equal(token.what, "flags") ? 3 : 2;
        if (n != wanted)
                return usage_error(n < 2        ? "which job?"
                                   : n < wanted ? "which flags?"
                                                : "too many words");
        if (token.user && !string_equal(token.what, "set"))
                return usage_error("--as goes with 'set'");
        if (wanted == 3 && !parse_token_flags(argv[optind + 2], &token.flags))
                return usage_error("'%s' is not none, nor local-file, network, client-certificate "
                                   "with commas between",
                                   argv[optind + 2]);
        token.name = argv[optind + 1];
        return call(&token);
}
