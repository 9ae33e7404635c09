/*
 * The few words of C that the command shares among its files. The command stands on the public
 * library alone, so it does not borrow the ones inside the project's programs.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openbits.h>

#define _cleanup_(function)  __attribute__((cleanup(function)))
#define _printf_(text, args) __attribute__((format(printf, text, args)))
#define _unused_             __attribute__((unused))
#define ELEMENTS(array)      (sizeof(array) / sizeof((array)[0]))

#define TAKE(pointer)                                \
        ({                                           \
                typeof(pointer) *_from = &(pointer); \
                typeof(pointer) _moved = *_from;     \
                *_from = NULL;                       \
                _moved;                              \
        })

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

DEFINE_CLEANUP(bits_manager, bits_manager_close);
DEFINE_CLEANUP(bits_job, bits_job_free);
DEFINE_CLEANUP(bits_job_list, bits_job_list_free);
DEFINE_CLEANUP(bits_file_list, bits_file_list_free);
DEFINE_CLEANUP(bits_file, bits_file_free);
DEFINE_CLEANUP(bits_token_options, bits_token_options_free);
DEFINE_CLEANUP(bits_http_options, bits_http_options_free);

/* What the shell sees. */
enum {
        EXIT_OK = 0,
        EXIT_FAILED = 1,
        EXIT_USAGE = 2,
        EXIT_TIMED_OUT = 124, /* as timeout(1) */
        EXIT_INTERRUPTED = 130,
};

static inline bool string_equal(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool string_empty(const char *s)
{
        return !s || !*s;
}

/* An owned copy; "" for NULL. 0 or -ENOMEM. */
static inline int string_copy(const char *s, char **ret)
{
        *ret = strdup(s ? s : "");
        return *ret ? 0 : -ENOMEM;
}
