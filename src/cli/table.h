/*
 * Tables: for people with a head line, or as JSON, from the same rows. libsmartcols lays out, cuts
 * and escapes.
 */
#pragma once

#include "cli/base.h"

#include <libsmartcols.h>

typedef enum ColumnType {
        COLUMN_TEXT,   /* cut where a terminal is too narrow */
        COLUMN_WORD,   /* text that is not cut: half an id is another one's */
        COLUMN_NUMBER, /* right-aligned; a JSON number, or any JSON value given as text */
        COLUMN_BOOLEAN,
} ColumnType;

typedef struct Column {
        const char *key;  /* in JSON */
        const char *head; /* NULL: only in JSON */
        ColumnType type;
        bool json; /* in JSON at all */
} Column;

typedef struct Table Table;

/* name: the JSON array's key. NULL after saying that there is no memory. */
Table *table_new(const char *name, const Column *columns, size_t n, bool json);
/* A row; its cells are set by the index of their column. */
struct libscols_line *table_row(Table *table);
/* A row that is there already. */
struct libscols_line *table_get_row(Table *table, size_t index);
/* Copies the text; NULL is null. Columns that are not shown are ignored. */
void table_cell(Table *table, struct libscols_line *row, size_t column, const char *text);
void table_cell_uint64(Table *table, struct libscols_line *row, size_t column, uint64_t value);
/* BITS_SIZE_UNKNOWN is null. */
void table_cell_size(Table *table, struct libscols_line *row, size_t column, uint64_t value);
/* 0 is null. */
void table_cell_code(Table *table, struct libscols_line *row, size_t column, uint32_t code);
void table_cell_boolean(Table *table, struct libscols_line *row, size_t column, bool value);

int table_print(Table *table);
/* What table_print() would print; the caller frees it. NULL after saying why not. */
char *table_text(Table *table);
/* The rows alone as a JSON array, to be a cell of another table. NULL without memory. */
char *table_json_array(Table *table);
/* The only row as a JSON object. */
char *table_json_object(Table *table);
void table_free(Table *table);
DEFINE_CLEANUP(Table, table_free);
