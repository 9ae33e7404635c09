/*
 * Text for people: sizes, rates, durations, times, names. Pure.
 */
#pragma once

#include "cli/base.h"

enum {
        FORMAT_SIZE = 48, /* enough for any result below that goes into a buffer */
        SHORT_ID_SIZE = 9,
};

/* "17 B", "1.5 KiB", "2.0 GiB", "?" for BITS_SIZE_UNKNOWN. */
const char *format_size(uint64_t bytes, char buffer[static FORMAT_SIZE]);
/* Bytes per second: "1.5 MiB/s". */
const char *format_rate(double bytes_per_second, char buffer[static FORMAT_SIZE]);
/* "0:07", "12:03", "3:04:05", "8 d 03 h"; "-:--" for UINT64_MAX. */
const char *format_duration(uint64_t seconds, char buffer[static FORMAT_SIZE]);
/* Local time of µs since 1970; "-" for 0. */
const char *format_time(uint64_t usec, char buffer[static FORMAT_SIZE]);
/* "0x80200056". */
const char *format_code(uint32_t code, char buffer[static FORMAT_SIZE]);
/* "45%", "-" while the total is unknown; an empty file is complete when it is transferred. */
const char *format_percent(uint64_t done, uint64_t total, char buffer[static FORMAT_SIZE]);
/* The first eight digits: what a person types. */
void format_short_id(const char *id, char ret_short[static SHORT_ID_SIZE]);

/* A copy without anything that a terminal obeys, control characters and invalid UTF-8 become "?",
   and without the passwords of URLs. NULL without memory. */
char *format_safe(const char *text);
/* Columns that a safe text takes on a terminal. */
size_t format_columns(const char *text);

/* What was going on: "while reaching the server", … */
const char *format_context(uint32_t context);
/* "owner alice (uid 1000)" without the first word; the number alone for a nameless user. Free
   it. */
char *format_user(uint32_t uid);
/* The uid of "S-1-22-1-1000". False for another kind of SID. */
bool parse_user_sid(const char *sid, uint32_t *ret_uid);

/* A whole decimal number that fits. */
bool parse_uint32(const char *text, uint32_t *ret_value);
bool parse_priority(const char *text, bits_job_priority *ret_priority);
bool parse_type(const char *text, bits_job_type *ret_type);
/* The right to copy that a letter of "ogds" stands for; 0: it is none of them. */
uint32_t acl_flag_of(char letter);
/* The letters of these flags, "" for none. */
const char *acl_flags_text(uint32_t flags, char buffer[static FORMAT_SIZE]);
/* "none", or words "local-file", "network", "client-certificate" with commas between. */
bool parse_token_flags(const char *text, uint32_t *ret_flags);
/* The reverse. */
const char *token_flags_text(uint32_t flags, char buffer[static FORMAT_SIZE]);
