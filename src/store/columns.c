#include "store/columns.h"

#include "core/range.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- statements ---- */

static char *join(const Column *columns, size_t n, const char *suffix)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s%s%s", i > 0 ? ", " : "", columns ? columns[i].name : "", suffix);
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

char *columns_names(const Column *columns, size_t n)
{
        return join(columns, n, "");
}

char *columns_assignments(const Column *columns, size_t n)
{
        return join(columns, n, "=?");
}

char *columns_marks(size_t n)
{
        return join(NULL, n, "?");
}

/* ---- integers of several widths ---- */

static uint64_t load_integer(const void *member, size_t size)
{
        uint64_t wide;
        uint32_t narrow;

        switch (size) {
        case 1:
                return *(const uint8_t *)member;
        case sizeof(narrow):
                memcpy(&narrow, member, sizeof(narrow));
                return narrow;
        }
        assert(size == sizeof(wide));
        memcpy(&wide, member, sizeof(wide));
        return wide;
}

static int store_integer(void *member, size_t size, uint64_t value)
{
        uint32_t narrow = (uint32_t)value;

        switch (size) {
        case 1:
                *(bool *)member = value != 0;
                return 0;
        case sizeof(narrow):
                memcpy(member, &narrow, sizeof(narrow));
                return narrow == value ? 0 : -EBADMSG;
        }
        assert(size == sizeof(value));
        memcpy(member, &value, sizeof(value));
        return 0;
}

/* ---- binding ---- */

static void bind_text(sqlite3_stmt *s, int parameter, const char *text)
{
        if (text)
                sqlite3_bind_text(s, parameter, text, -1, SQLITE_STATIC);
        else
                sqlite3_bind_null(s, parameter);
}

static void bind_blob(sqlite3_stmt *s, int parameter, const uint8_t *bytes, size_t size)
{
        if (bytes)
                sqlite3_bind_blob64(s, parameter, bytes, size, SQLITE_STATIC);
        else
                sqlite3_bind_null(s, parameter);
}

/* Out of memory it is NULL, which the column refuses: the commit fails and is tried again. */
static void bind_ranges(sqlite3_stmt *s, int parameter, const Ranges *ranges)
{
        char *text = ranges_format(ranges);

        if (text)
                sqlite3_bind_text(s, parameter, text, -1, free);
        else
                sqlite3_bind_null(s, parameter);
}

int columns_bind(sqlite3_stmt *s, const Column *columns, size_t n, const void *object)
{
        int parameter = 1;

        for (const Column *c = columns; c < columns + n; c++, parameter++) {
                const char *member = (const char *)object + c->offset;

                switch (c->kind) {
                case COLUMN_INTEGER:
                        sqlite3_bind_int64(s, parameter,
                                           (sqlite3_int64)load_integer(member, c->size));
                        break;
                case COLUMN_TEXT:
                case COLUMN_TEXT_OR_NULL:
                        bind_text(s, parameter, *(char *const *)member);
                        break;
                case COLUMN_CHARACTERS:
                        bind_text(s, parameter, member);
                        break;
                case COLUMN_RANGES:
                        bind_ranges(s, parameter, (const Ranges *)(const void *)member);
                        break;
                case COLUMN_BLOB:
                        bind_blob(s, parameter, *(uint8_t *const *)member,
                                  *(const size_t *)((const char *)object + c->count));
                        break;
                }
        }
        return parameter;
}

/* ---- reading ---- */

static int read_text(sqlite3_stmt *s, int column, char **ret)
{
        const char *text = (const char *)sqlite3_column_text(s, column);

        free(*ret);
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? -ENOMEM : 0;
}

static int read_characters(sqlite3_stmt *s, int column, char *member, size_t size)
{
        const char *text = (const char *)sqlite3_column_text(s, column);

        if (!text || strlen(text) >= size)
                return -EBADMSG;
        strcpy(member, text);
        return 0;
}

static int read_blob(sqlite3_stmt *s, int column, uint8_t **ret, size_t *ret_size)
{
        const void *bytes = sqlite3_column_blob(s, column);
        size_t size = (size_t)sqlite3_column_bytes(s, column);

        free(*ret);
        *ret = NULL;
        *ret_size = 0;
        if (!bytes || size == 0)
                return 0;
        *ret = malloc(size);
        if (!*ret)
                return -ENOMEM;
        memcpy(*ret, bytes, size);
        *ret_size = size;
        return 0;
}

static int read_ranges(sqlite3_stmt *s, int column, Ranges *ret)
{
        const char *text = (const char *)sqlite3_column_text(s, column);
        int r = text ? ranges_parse(text, ret) : -EINVAL;

        return r == -EINVAL ? -EBADMSG : r;
}

static int read_column(sqlite3_stmt *s, int column, const Column *c, void *object)
{
        char *member = (char *)object + c->offset;
        int r;

        switch (c->kind) {
        case COLUMN_INTEGER:
                return store_integer(member, c->size, (uint64_t)sqlite3_column_int64(s, column));
        case COLUMN_TEXT:
                r = read_text(s, column, (char **)member);
                return r >= 0 && !*(char **)member ? -EBADMSG : r;
        case COLUMN_TEXT_OR_NULL:
                return read_text(s, column, (char **)member);
        case COLUMN_CHARACTERS:
                return read_characters(s, column, member, c->size);
        case COLUMN_RANGES:
                return read_ranges(s, column, (Ranges *)(void *)member);
        case COLUMN_BLOB:
                return read_blob(s, column, (uint8_t **)member,
                                 (size_t *)((char *)object + c->count));
        }
        return -EBADMSG;
}

int columns_read(sqlite3_stmt *s, int first, const Column *columns, size_t n, void *object)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = read_column(s, first + (int)i, columns + i, object);
        return r;
}

/* ---- from one object to another ---- */

static int copy_text(const char *from, char **ret)
{
        *ret = from ? strdup(from) : NULL;
        return from && !*ret ? -ENOMEM : 0;
}

static int copy_blob(const uint8_t *from, size_t size, uint8_t **ret, size_t *ret_size)
{
        if (!from)
                return 0;
        *ret = malloc(size);
        if (!*ret)
                return -ENOMEM;
        memcpy(*ret, from, size);
        *ret_size = size;
        return 0;
}

static int copy_column(const Column *c, const char *from, char *to)
{
        switch (c->kind) {
        case COLUMN_INTEGER:
        case COLUMN_CHARACTERS:
                memcpy(to + c->offset, from + c->offset, c->size);
                return 0;
        case COLUMN_TEXT:
        case COLUMN_TEXT_OR_NULL:
                return copy_text(*(char *const *)(from + c->offset), (char **)(to + c->offset));
        case COLUMN_RANGES:
                return ranges_copy((const Ranges *)(const void *)(from + c->offset),
                                   (Ranges *)(void *)(to + c->offset));
        case COLUMN_BLOB:
                return copy_blob(*(uint8_t *const *)(from + c->offset),
                                 *(const size_t *)(from + c->count), (uint8_t **)(to + c->offset),
                                 (size_t *)(to + c->count));
        }
        return -EBADMSG;
}

int columns_copy(const Column *columns, size_t n, const void *from, void *to)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = copy_column(columns + i, from, to);
        return r;
}

static void swap_bytes(char *one, char *other, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                char byte = one[i];

                one[i] = other[i];
                other[i] = byte;
        }
}

void columns_swap(const Column *columns, size_t n, void *one, void *other)
{
        for (const Column *c = columns; c < columns + n; c++) {
                swap_bytes((char *)one + c->offset, (char *)other + c->offset, c->size);
                if (c->kind == COLUMN_BLOB)
                        swap_bytes((char *)one + c->count, (char *)other + c->count,
                                   sizeof(size_t));
        }
}
