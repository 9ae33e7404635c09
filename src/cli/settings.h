/*
 * The properties of a job that people read and set, one row each: `bits set`, `bits show` and
 * completion know them from here. Keys are BITS's names in kebab case.
 */
#pragma once

#include "cli/base.h"

typedef enum SettingKind {
        SETTING_TEXT,
        SETTING_NUMBER, /* 32 bits, decimal or 0x… */
        SETTING_LARGE,  /* 64 bits */
        SETTING_SWITCH, /* yes or no */
} SettingKind;

typedef struct Setting {
        const char *key;
        const char *values; /* what may be written, for people: "a number of seconds" */
        const char *unit;   /* behind the number in `bits show`; NULL: none */
        SettingKind kind;
        bool hexadecimal; /* in `bits show`; JSON has the number */
        bool apart;       /* `bits show JOB` has it among the first lines, JSON in columns */
        bool quiet;       /* not in the text of `bits show JOB` while it is empty */
        bool (*allowed)(const char *text); /* NULL: what fits the kind */
        /* Those of the kind; NULL: cannot be set, or read. */
        int (*set_text)(bits_job *job, const char *text);
        int (*get_text)(bits_job *job, char **ret_text);
        int (*set_number)(bits_job *job, uint32_t number);
        int (*get_number)(bits_job *job, uint32_t *ret_number);
        int (*set_large)(bits_job *job, uint64_t number);
        int (*get_large)(bits_job *job, uint64_t *ret_number);
        int (*set_switch)(bits_job *job, int on);
        int (*get_switch)(bits_job *job, int *ret_on);
} Setting;

extern const Setting settings[];
extern const size_t n_settings;

/* The row of the first `length` characters of `key`, NULL if there is none. */
const Setting *setting_find(const char *key, size_t length);
/* " (did you mean 'KEY'?)", or "", for one that is none. */
const char *setting_suggest(const char *key, size_t length, char *buffer, size_t size);
bool setting_can_be_set(const Setting *setting);
bool setting_can_be_read(const Setting *setting);
/* Whether it is a value of that kind; the service may still refuse it. */
bool setting_allows(const Setting *setting, const char *text);
/* The library's result. `text` is allowed. */
int setting_apply(const Setting *setting, bits_job *job, const char *text);
/* The value as JSON's content would have it ("600", "true", "text"), the caller frees it; "" for
   none. The library's result. */
int setting_read(const Setting *setting, bits_job *job, char **ret_text);
