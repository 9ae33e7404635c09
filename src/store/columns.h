/*
 * Rows of the store as members of structures: which column is which member stands in one table for
 * each SQL table, and statements, writing and reading come from it. A member that is to be stored
 * needs a row there and a line in schema.sql, nothing else.
 */
#pragma once

#include "basic/macros.h"

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ColumnKind {
        COLUMN_INTEGER,      /* any integer, enumeration or bool of 1, 4 or 8 bytes */
        COLUMN_TEXT,         /* char *, owned by the structure, never NULL */
        COLUMN_TEXT_OR_NULL, /* likewise, may be NULL */
        COLUMN_CHARACTERS,   /* char[] */
        COLUMN_RANGES,       /* Ranges, as ranges_format() writes them */
        COLUMN_BLOB,         /* uint8_t *, owned by the structure, with a size_t; NULL: none */
} ColumnKind;

typedef struct Column {
        const char *name;
        ColumnKind kind;
        size_t offset, size; /* of the member */
        size_t count;        /* COLUMN_BLOB: offset of the size_t */
} Column;

#define COLUMN_OF(column, column_kind, Type, member)                                    \
        {                                                                               \
                .name = #column, .kind = column_kind, .offset = offsetof(Type, member), \
                .size = sizeof(((Type *)NULL)->member)                                  \
        }
#define COLUMN_BLOB_OF(column, Type, member, count_member)                                    \
        {                                                                                     \
                .name = #column, .kind = COLUMN_BLOB, .offset = offsetof(Type, member),       \
                .size = sizeof(((Type *)NULL)->member), .count = offsetof(Type, count_member) \
        }

/* The columns' names, as a list ("a, b"), as assignments ("a=?, b=?"), and as marks ("?, ?"). The
   caller frees it; NULL out of memory. */
char *columns_names(const Column *columns, size_t n);
char *columns_assignments(const Column *columns, size_t n);
char *columns_marks(size_t n);

/* Binds the members of `object` to the parameters from 1 on; texts and blobs are borrowed until the
   statement is reset. The number of the next parameter. */
int columns_bind(sqlite3_stmt *s, const Column *columns, size_t n, const void *object);
/* Replaces the members of `object` by the columns from `first` on. 0, -ENOMEM, or -EBADMSG for a
   value that does not fit. */
int columns_read(sqlite3_stmt *s, int first, const Column *columns, size_t n, void *object);

/* Copies the members into an object whose own are empty. 0, or -ENOMEM with some of them copied. */
int columns_copy(const Column *columns, size_t n, const void *from, void *to);
/* Each has the other's members. */
void columns_swap(const Column *columns, size_t n, void *one, void *other);
