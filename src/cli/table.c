/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libsmartcols knows flat tables only. A list inside an object is a table of its own, printed into
 * a string, whose array becomes a cell of type "number" of the outer one: that type is printed as
 * it is. Each column remembers its own index, since those that are not shown are left out.
 */
#include "cli/table.h"

#include "cli/format.h"
#include "cli/report.h"
#include "cli/terminal.h"

#include <stdio.h>

#define NARROWEST 40 /* columns */

struct Table {
        struct libscols_table *scols;
        int *shown; /* index in scols by index in the caller's columns; -1: left out */
        bool json;
};

static int add_column(struct libscols_table *table, const Column *column, bool json)
{
        struct libscols_column *c;

        static const int flags[] = {
                [COLUMN_TEXT] = SCOLS_FL_TRUNC,
                [COLUMN_WORD] = 0,
                [COLUMN_NUMBER] = SCOLS_FL_RIGHT,
                [COLUMN_BOOLEAN] = SCOLS_FL_TRUNC,
        };

        c = scols_table_new_column(table, json ? column->key : column->head, 0.1,
                                   flags[column->type]);
        if (!c)
                return -ENOMEM;
        switch (column->type) {
        case COLUMN_TEXT:
        case COLUMN_WORD:
                return scols_column_set_json_type(c, SCOLS_JSON_STRING);
        case COLUMN_NUMBER:
                return scols_column_set_json_type(c, SCOLS_JSON_NUMBER);
        case COLUMN_BOOLEAN:
                return scols_column_set_json_type(c, SCOLS_JSON_BOOLEAN);
        }
        return 0;
}

Table *table_new(const char *name, const Column *columns, size_t n, bool json)
{
        _cleanup_(table_freep) Table *table = calloc(1, sizeof(*table));
        int next = 0;

        if (!table || !(table->scols = scols_new_table()) ||
            !(table->shown = calloc(n, sizeof(int)))) {
                report_error("out of memory");
                return NULL;
        }
        table->json = json;
        /* With less room columns would be broken into lines of their own. CLI-494 */
        if (terminal_is_live() && terminal_width() < NARROWEST)
                (void)scols_table_set_termwidth(table->scols, NARROWEST);
        scols_table_enable_json(table->scols, json);
        scols_table_set_name(table->scols, name);
        for (size_t i = 0; i < n; i++) {
                bool shown = json ? columns[i].json : columns[i].head != NULL;

                table->shown[i] = shown ? next++ : -1;
                if (shown && add_column(table->scols, &columns[i], json) < 0) {
                        report_error("out of memory");
                        return NULL;
                }
        }
        return TAKE(table);
}

void table_free(Table *table)
{
        scols_unref_table(table->scols);
        free(table->shown);
        free(table);
}

struct libscols_line *table_row(Table *table)
{
        return scols_table_new_line(table->scols, NULL);
}

struct libscols_line *table_get_row(Table *table, size_t index)
{
        return scols_table_get_line(table->scols, index);
}

void table_cell(Table *table, struct libscols_line *row, size_t column, const char *text)
{
        /* A cell without memory stays empty: the table is still worth printing. */
        if (row && table->shown[column] >= 0 && text)
                (void)scols_line_set_data(row, (size_t)table->shown[column], text);
}

void table_cell_uint64(Table *table, struct libscols_line *row, size_t column, uint64_t value)
{
        char text[FORMAT_SIZE];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        table_cell(table, row, column, text);
}

void table_cell_size(Table *table, struct libscols_line *row, size_t column, uint64_t value)
{
        char text[FORMAT_SIZE];

        if (!table->json)
                table_cell(table, row, column, format_size(value, text));
        else if (value != BITS_SIZE_UNKNOWN)
                table_cell_uint64(table, row, column, value);
}

void table_cell_code(Table *table, struct libscols_line *row, size_t column, uint32_t code)
{
        char text[FORMAT_SIZE];

        if (code)
                table_cell(table, row, column, format_code(code, text));
}

void table_cell_boolean(Table *table, struct libscols_line *row, size_t column, bool value)
{
        table_cell(table, row, column, table->json ? (value ? "1" : "0") : value ? "yes" : "no");
}

char *table_text(Table *table)
{
        _cleanup_free_ char *bare = NULL;
        char *text = NULL;
        int r = scols_print_table_to_string(table->scols, &bare);
        size_t n = r < 0 || !bare ? 0 : strlen(bare);

        if (r < 0)
                report_error("cannot print: %s", strerror(-r));
        else if (!bare || !(text = malloc(n + 2)))
                report_error("out of memory");
        else /* printed into a string, the last line of a table has no end */
                strcpy(mempcpy(text, bare, n), n > 0 && bare[n - 1] == '\n' ? "" : "\n");
        return text;
}

int table_print(Table *table)
{
        int r = scols_print_table(table->scols);

        return r < 0 ? report_error("cannot print: %s", strerror(-r)) : EXIT_OK;
}

static char *json_part(Table *table, char open, char close)
{
        _cleanup_free_ char *text = NULL;
        const char *begin, *end;

        if (scols_table_get_nlines(table->scols) == 0)
                return strdup(open == '[' ? "[]" : "null");
        if (scols_print_table_to_string(table->scols, &text) < 0 || !text)
                return NULL;
        /* { "name": [ {…}, … ] } */
        begin = strchr(text, '[');
        if (begin && open == '{')
                begin = strchr(begin, '{');
        end = strrchr(text, ']');
        if (end && close == '}')
                while (end > text && *end != '}')
                        end--;
        return begin && end && end > begin ? strndup(begin, (size_t)(end - begin) + 1) : NULL;
}

char *table_json_array(Table *table)
{
        return json_part(table, '[', ']');
}

char *table_json_object(Table *table)
{
        return json_part(table, '{', '}');
}
