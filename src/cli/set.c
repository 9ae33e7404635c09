/*
 * bits set: properties of a job, from the table of settings. All words are understood before
 * anything is changed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/report.h"
#include "cli/select.h"
#include "cli/settings.h"
#include "cli/table.h"
#include "cli/verbs.h"

#include <stdio.h>

typedef struct Assignment {
        const Setting *setting;
        const char *text;
} Assignment;

/* "display-name, description, … or proxy", those that can be set. */
static char *list_keys(void)
{
        char *text = NULL;
        size_t size, n = 0, i = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t k = 0; k < n_settings; k++)
                n += setting_can_be_set(&settings[k]);
        for (size_t k = 0; k < n_settings; k++)
                if (setting_can_be_set(&settings[k])) {
                        fprintf(f, "%s%s",
                                i == 0       ? ""
                                : i + 1 == n ? " or "
                                             : ", ",
                                settings[k].key);
                        i++;
                }
        fclose(f);
        return text;
}

/* 0, or a usage error. */
static int parse(const char *word, Assignment *ret)
{
        const char *equals = strchr(word, '=');
        _cleanup_free_ char *keys = NULL;
        char near[64];

        if (!equals)
                return usage_error("'%s' is not KEY=VALUE", word);
        ret->setting = setting_find(word, (size_t)(equals - word));
        ret->text = equals + 1;
        if (!ret->setting) {
                keys = list_keys();
                return usage_error(
                        "there is no property '%.*s'%s: %s", (int)(equals - word), word,
                        setting_suggest(word, (size_t)(equals - word), near, sizeof(near)),
                        keys ? keys : "see bits(1)");
        }
        if (!setting_can_be_set(ret->setting))
                return usage_error("%s can be read, not set", ret->setting->key);
        if (!setting_allows(ret->setting, ret->text))
                return usage_error("'%s' is no %s: %s", ret->text, ret->setting->key,
                                   ret->setting->values);
        return EXIT_OK;
}

static int print_keys_json(void)
{
        static const Column columns[] = {
                { "key", NULL, COLUMN_TEXT, true },
                { "values", NULL, COLUMN_TEXT, true },
        };
        _cleanup_(table_freep) Table *table = table_new("keys", columns, ELEMENTS(columns), true);

        for (size_t i = 0; table && i < n_settings; i++)
                if (setting_can_be_set(&settings[i])) {
                        struct libscols_line *row = table_row(table);

                        table_cell(table, row, 0, settings[i].key);
                        table_cell(table, row, 1, settings[i].values);
                }
        return table ? table_print(table) : EXIT_FAILED;
}

/* CLI-283: for people and for completion. CLI-423 */
static int print_keys(void)
{
        if (arg_json)
                return print_keys_json();
        for (size_t i = 0; i < n_settings; i++)
                if (setting_can_be_set(&settings[i]))
                        printf("%-30s %s\n", settings[i].key, settings[i].values);
        return EXIT_OK;
}

/* CLI-23 */
int verb_set(int argc, char **argv)
{
        enum { KEYS = OPTION_OWN };
        static const struct option options[] = {
                { "keys", no_argument, NULL, KEYS },
                COMMON_OPTIONS,
        };
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        _cleanup_free_ Assignment *assignments = NULL;
        bool keys = false;
        int c, r, n;

        while ((c = next_option(argc, argv, "h", options)) >= 0) {
                if (c != KEYS)
                        return usage_error(NULL);
                keys = true;
        }
        if (keys)
                return print_keys();
        n = argc - optind - 1;
        if (n < 1)
                return usage_error(n < 0 ? "which job?" : "nothing to set");
        assignments = calloc((size_t)n, sizeof(*assignments));
        if (!assignments)
                return report_error("out of memory");
        for (int i = 0; i < n; i++) {
                r = parse(argv[optind + 1 + i], &assignments[i]);
                if (r != EXIT_OK)
                        return r;
        }
        r = open_service(&manager);
        if (r == EXIT_OK)
                r = open_job(manager, argv[optind], &job);
        for (int i = 0; r == EXIT_OK && i < n; i++)
                if (setting_apply(assignments[i].setting, job, assignments[i].text) < 0)
                        r = report_failure("cannot set %s", assignments[i].setting->key);
        return r;
}
