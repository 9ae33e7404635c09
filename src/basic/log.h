/*
 * Log lines to standard error, in the journal's form: a "<priority>" prefix when standard error is
 * the journal, a program name otherwise. One call is one line. Job contents, credentials and URL
 * queries do not belong into the log.
 */
#pragma once

#include "basic/macros.h"

#include <syslog.h>

/* Sets the name shown before each line and the least important level that is printed. */
void log_open(const char *program, int max_level);

/* level: LOG_ERR … LOG_DEBUG. */
void log_write(int level, const char *format, ...) _printf_(2, 3);

/* Writes "what: why" for a negative errno and returns it, so that callers can end with it. */
int log_errno(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_error(...)   log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
