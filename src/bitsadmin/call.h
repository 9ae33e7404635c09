/*
 * What the switches of bitsadmin share: their arguments, how they print values and failures, and
 * the words of the original. Everything goes to standard output, failures too: scripts that were
 * written for the original read them there.
 */
#pragma once

#include "cli/base.h"

typedef struct Call {
        bits_manager *manager;
        bits_job *job; /* of a switch that names one */
        int argc;      /* what follows the switch, without the job */
        char **argv;
        bool raw; /* /rawreturn: the value, and nothing else */
} Call;

/* A value of a /get… switch: a line, or with /rawreturn exactly the text. */
void put_value(const Call *call, const char *format, ...) _printf_(2, 3);
/* What is no value: nothing with /rawreturn. */
void put_text(const Call *call, const char *format, ...) _printf_(2, 3);
/* "Unable to ACTION - 0x…" and the sentence, of the library's last failure. Always EXIT_FAILED. */
int fail_action(const char *action);
/* A failure of the command itself. Always EXIT_FAILED. */
int fail_text(const char *format, ...) _printf_(1, 2);

enum {
        GUID_SIZE = 40,
        WORD_SIZE = 32,
        NUMBER_SIZE = 24,
        DATE_SIZE = 64,
};

/* "{3B2E0159-…}" */
const char *guid_text(const char *id, char buffer[static GUID_SIZE]);
/* "transient-error" → "TRANSIENT_ERROR"; NULL: "UNKNOWN". */
const char *word_text(const char *word, char buffer[static WORD_SIZE]);
const char *state_text(bits_job_state state, char buffer[static WORD_SIZE]);
/* "UNKNOWN" for BITS_SIZE_UNKNOWN. */
const char *size_text(uint64_t size, char buffer[static NUMBER_SIZE]);
/* Local date and time of µs since 1970; "UNKNOWN" for 0. */
const char *date_text(uint64_t usec, char buffer[static DATE_SIZE]);

/* Words compare without regard to case. */
bool word_is(const char *word, const char *other);
/* Decimal or 0x…. */
bool number_parse(const char *text, uint32_t *ret);
bool priority_parse(const char *text, bits_job_priority *ret);
/* Letters of "ogds". */
bool acl_flags_parse(const char *text, uint32_t *ret);
/* The original's words, by bits_proxy_usage. */
enum {
        PROXY_WORDS = BITS_PROXY_AUTODETECT + 1,
};
extern const char *const proxy_words[PROXY_WORDS];
/* NULL stands for no text. */
const char *null_or(const char *text);

/* "{…}" of the right length. */
bool looks_like_guid(const char *name);
/* By name or GUID, one's own first, for root everybody's. 0, or EXIT_FAILED after saying why not.
 */
int job_find(bits_manager *manager, const char *wanted, bits_job **ret_job);

/* ---- the switches ---- */

/* list.c */
int run_list(Call *call);
int run_monitor(Call *call);
int run_reset(Call *call);
int run_info(Call *call);
int run_listfiles(Call *call);

/* jobs.c */
int run_create(Call *call);
int run_addfile(Call *call);
int run_addfileset(Call *call);
int run_addfilewithranges(Call *call);
int run_suspend(Call *call);
int run_resume(Call *call);
int run_cancel(Call *call);
int run_complete(Call *call);
int run_takeownership(Call *call);
int run_transfer(Call *call);

/* read.c: every /get… */
int run_get(Call *call, const char *name);
bool is_get(const char *name);
void help_get(void);

/* change.c: every /set… and the like */
int run_set(Call *call, const char *name);
bool is_set(const char *name);
void help_set(void);
