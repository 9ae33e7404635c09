/*
 * The table of codes, for error.c and its test only.
 */
#pragma once

#include "core/error.h"

/* Column K of reference 04. */
typedef enum ErrorKind {
        ERROR_ANSWER,    /* what a call answers, or a text: no running job meets it */
        ERROR_FATAL,     /* ends a running job */
        ERROR_TRANSIENT, /* tried again by itself */
} ErrorKind;

typedef struct ErrorEntry {
        BitsCode code;
        ErrorKind kind;
        const char *name;
        const char *bus_name; /* unique; at most 48 characters */
        const char *text;
} ErrorEntry;

/* Sorted by code, each code once. */
extern const ErrorEntry error_table[];
extern const size_t error_table_length;
