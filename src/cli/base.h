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

/* Codes that the command acts on, besides showing them. */
enum {
        CODE_NOT_FOUND = 0x80200001u,              /* BG_E_NOT_FOUND */
        CODE_INVALID_STATE = 0x80200002u,          /* BG_E_INVALID_STATE */
        CODE_EMPTY = 0x80200003u,                  /* BG_E_EMPTY */
        CODE_NO_ERROR = 0x8020000Fu,               /* BG_E_ERROR_INFORMATION_UNAVAILABLE */
        CODE_TOO_MANY_JOBS = 0x80200049u,          /* BG_E_TOO_MANY_JOBS_PER_USER */
        CODE_MACHINE_IS_FULL = 0x80200050u,        /* BG_E_TOO_MANY_JOBS_PER_MACHINE */
        CODE_TOO_MANY_FILES = 0x80200051u,         /* BG_E_TOO_MANY_FILES_IN_JOB */
        CODE_TOKEN_REQUIRED = 0x80200056u,         /* BG_E_TOKEN_REQUIRED */
        CODE_NOT_IMPLEMENTED = 0x80004001u,        /* E_NOTIMPL */
        CODE_FILE_NOT_FOUND = 0x80070002u,         /* ERROR_FILE_NOT_FOUND */
        CODE_PATH_NOT_FOUND = 0x80070003u,         /* ERROR_PATH_NOT_FOUND */
        CODE_ACCESS_DENIED = 0x80070005u,          /* E_ACCESSDENIED */
        CODE_DISK_FULL = 0x80070070u,              /* ERROR_DISK_FULL */
        CODE_QUOTA_EXCEEDED = 0x8007050Fu,         /* ERROR_DISK_QUOTA_EXCEEDED */
        CODE_UNREACHABLE = 0x800706BAu,            /* RPC_S_SERVER_UNAVAILABLE */
        CODE_SECURE_FAILURE = 0x80072F8Fu,         /* ERROR_WINHTTP_SECURE_FAILURE */
        CODE_HTTP_UNAUTHORIZED = 0x80190191u,      /* BG_E_HTTP_ERROR_401 */
        CODE_HTTP_FORBIDDEN = 0x80190193u,         /* BG_E_HTTP_ERROR_403 */
        CODE_HTTP_NOT_FOUND = 0x80190194u,         /* BG_E_HTTP_ERROR_404 */
        CODE_HTTP_PROXY_CREDENTIALS = 0x80190197u, /* BG_E_HTTP_ERROR_407 */
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
