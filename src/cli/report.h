/*
 * What the command says when something failed: what failed, why (the library's sentence, name and
 * number of the code), and what to do next. All of it to standard error, all of it safe to show on
 * a terminal whatever names a job has.
 */
#pragma once

#include "cli/base.h"

#include <stdarg.h>

/* Reports the library's last failure in this thread. `what` may be NULL: "cannot add the file".
   Always EXIT_FAILED. */
int report_failure(const char *what, ...) _printf_(1, 2);

/* A failure of the command itself. Always EXIT_FAILED. */
int report_error(const char *format, ...) _printf_(1, 2);

/* A line that is no failure: "bits: …". */
void report_note(const char *format, ...) _printf_(1, 2);
void report_note_v(const char *format, va_list ap) _printf_(1, 0);

/* What a success code of Complete or Cancel means to the user; 0: silent. */
void report_success_code(const char *id, uint32_t code);

/* A job in the state ERROR: code, sentence, file, and how to go on. "cannot fetch
   URL": action and name; both NULL: "job … failed". */
void report_job_error(bits_job *job, const char *action, const char *name);

/* What to do about a code, as one sentence without a full stop, NULL if nothing special.
   `short_id` names the job in it and may be NULL. */
const char *advice_for(uint32_t code, const char *short_id, char *buffer, size_t size);
