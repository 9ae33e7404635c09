/*
 * The few words that every file of the project uses: scope-bound cleanup, transfer of
 * ownership, table sizes. Knows nothing of the project.
 */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define _cleanup_(function)  __attribute__((cleanup(function)))
#define _printf_(text, args) __attribute__((format(printf, text, args)))
#define _unused_             __attribute__((unused))
#define _noreturn_           __attribute__((noreturn))
#define _fallthrough_        __attribute__((fallthrough))

#define ELEMENTS(array)      (sizeof(array) / sizeof((array)[0]))
/* Each argument is evaluated once. */
#define MIN(a, b)                                  \
        ({                                         \
                typeof(a) _min_a = (a);            \
                typeof(b) _min_b = (b);            \
                _min_a < _min_b ? _min_a : _min_b; \
        })
#define MAX(a, b)                                  \
        ({                                         \
                typeof(a) _max_a = (a);            \
                typeof(b) _max_b = (b);            \
                _max_a > _max_b ? _max_a : _max_b; \
        })

/* Every enumerator has its text: `static_assert_table(names, NOUN_MAX)`. */
#define static_assert_table(array, max) \
        static_assert(ELEMENTS(array) == (size_t)(max), "table and enumeration differ in length")

/* Moves a pointer or a file descriptor out of a variable that a _cleanup_ would release. */
#define TAKE_PTR(pointer)                            \
        ({                                           \
                typeof(pointer) *_from = &(pointer); \
                typeof(pointer) _moved = *_from;     \
                *_from = NULL;                       \
                _moved;                              \
        })
#define TAKE_FD(fd)                  \
        ({                           \
                int *_from = &(fd);  \
                int _moved = *_from; \
                *_from = -EBADF;     \
                _moved;              \
        })

/* Declares `x_freep()` for `_cleanup_(x_freep) X *x = NULL;`. */
#define DEFINE_CLEANUP(Type, free_function)           \
        static inline void free_function##p(Type **p) \
        {                                             \
                if (*p)                               \
                        free_function(*p);            \
        }                                             \
        struct _allow_trailing_semicolon_

static inline void freep(void *p)
{
        free(*(void **)p);
}

#define _cleanup_free_ _cleanup_(freep)

static inline bool string_equal(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool string_empty(const char *s)
{
        return !s || !*s;
}

/* An owned text becomes a copy of another one. 0, or -ENOMEM and nothing is changed. */
static inline int string_replace(char **text, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*text);
        *text = copy;
        return 0;
}
