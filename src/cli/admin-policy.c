/*
 * bits admin policy: the settings of bitsd.conf that are in force, and which line says so. Anybody
 * may read them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/admin.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"

#include <stdio.h>

static int print_policy(const bits_policy *policy)
{
        static const Column columns[] = {
                { "section", "SECTION", COLUMN_TEXT, true },
                { "name", "SETTING", COLUMN_TEXT, true },
                { "value", "VALUE", COLUMN_TEXT, true },
                { "file", NULL, COLUMN_TEXT, true },
                { "line", NULL, COLUMN_NUMBER, true },
                { NULL, "FROM", COLUMN_TEXT, false },
        };
        _cleanup_(table_freep) Table *table =
                table_new("policy", columns, ELEMENTS(columns), arg_json);

        if (!table)
                return EXIT_FAILED;
        for (size_t i = 0; i < bits_policy_count(policy); i++) {
                const bits_setting *setting = bits_policy_get(policy, i);
                struct libscols_line *row = table_row(table);
                _cleanup_free_ char *from = NULL;

                if (setting->line > 0 && asprintf(&from, "%s:%u", setting->file, setting->line) < 0)
                        from = NULL;
                table_cell(table, row, 0, setting->section);
                table_cell(table, row, 1, setting->name);
                table_cell(table, row, 2, setting->value);
                table_cell(table, row, 3, setting->line > 0 ? setting->file : NULL);
                table_cell_uint64(table, row, 4, setting->line);
                table_cell(table, row, 5, from ? from : "default");
        }
        return table_print(table);
}

/* POL-206 */
int admin_policy(void)
{
        bits_manager *manager;
        bits_policy *policy = NULL;
        int r = open_service(&manager);

        if (r != EXIT_OK)
                return r;
        r = bits_manager_get_policy(manager, &policy) < 0 ? report_failure("cannot read the policy")
                                                          : print_policy(policy);
        bits_policy_free(policy);
        bits_manager_close(manager);
        return r;
}
