/*
 * The library says what happened. The advice is the command's own, because it is made of its verbs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/report.h"

#include "cli/format.h"

#include <stdarg.h>
#include <stdio.h>

/* "%s" stands for the job. What helps a job that failed need not help a call that did. */
static const struct {
        uint32_t code;
        const char *advice, *of_call; /* NULL: the same */
} advices[] = {
        { BITS_CODE_NOT_FOUND, "'bits list' shows your jobs" },
        { BITS_CODE_INVALID_STATE,
          "'bits show %s' shows its state; a completed or cancelled job stays so" },
        { BITS_CODE_EMPTY, "add a file first: bits add %s URL FILE" },
        { BITS_CODE_TOO_MANY_JOBS_PER_USER, "complete or cancel some jobs first: bits list" },
        { BITS_CODE_TOO_MANY_JOBS_PER_MACHINE, "some jobs of this machine have to end first" },
        { BITS_CODE_TOO_MANY_FILES_IN_JOB, "use another job for more files" },
        { BITS_CODE_TOKEN_REQUIRED,
          "give the job its helper again: bits token set %s --as USER; or go on without: "
          "bits token flags %s none; then: bits resume %s",
          "give the job its helper: bits token set %s --as USER; or go on without: "
          "bits token flags %s none; then try again" },
        { BITS_CODE_PATH_NOT_FOUND, "make the directory first, or check the path" },
        { BITS_CODE_NO_SUCH_FILE, "check the path" },
        { BITS_CODE_ACCESS_DENIED, NULL },
        { BITS_CODE_DISK_FULL, "make room on the disk, then: bits resume %s" },
        { BITS_CODE_QUOTA_EXCEEDED, "make room in the quota, then: bits resume %s" },
        { BITS_CODE_SECURE_FAILURE,
          "check the server's certificate, or its authority in this machine's store" },
        { BITS_CODE_HTTP(404), "check the address" },
        { BITS_CODE_HTTP(401),
          "name them: bits credentials set %s server SCHEME USER; then: bits resume %s" },
        { BITS_CODE_HTTP(407),
          "name them: bits credentials set %s proxy SCHEME USER; then: bits resume %s" },
        { BITS_CODE_HTTP(403), "the server refuses this file to this user" },
};

/* CLI-30 */
const char *advice_for(uint32_t code, const char *short_id, char *buffer, size_t size)
{
        const char *id = short_id ? short_id : "JOB", *advice = NULL;
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTS(advices); i++)
                if (advices[i].code == code)
                        advice = !short_id && advices[i].of_call ? advices[i].of_call
                                                                 : advices[i].advice;
        if (!advice)
                return NULL;
        /* Not a printf format: the number of places for the job differs. */
        for (const char *p = advice; *p && n + 1 < size; p++)
                if (p[0] == '%' && p[1] == 's') {
                        n += (size_t)snprintf(buffer + n, size - n, "%s", id);
                        p++;
                        if (n >= size)
                                n = size - 1;
                } else {
                        buffer[n++] = *p;
                }
        buffer[n] = '\0';
        return buffer;
}

static void print_safe(const char *prefix, const char *text)
{
        _cleanup_free_ char *safe = format_safe(text);

        fprintf(stderr, "%s%s\n", prefix, safe ? safe : "");
}

int report_failure(const char *what, ...)
{
        _cleanup_free_ char *message = format_safe(bits_error_message());
        uint32_t code = bits_error_code();
        const char *name = bits_code_name(code), *advice;
        char buffer[256];
        va_list ap;

        /* A bar may stand on the terminal, and standard output may be the same terminal. */
        fflush(stdout);
        fprintf(stderr, "bits: ");
        if (what) {
                _cleanup_free_ char *text = NULL, *safe = NULL;

                va_start(ap, what);
                if (vasprintf(&text, what, ap) < 0)
                        text = NULL;
                va_end(ap);
                safe = format_safe(text ? text : "");
                fprintf(stderr, "%s: ", safe ? safe : "");
        }
        fprintf(stderr, "%s", message ? message : "out of memory");
        if (name)
                fprintf(stderr, " (%s 0x%08X)", name, code);
        fputc('\n', stderr);
        advice = advice_for(code, NULL, buffer, sizeof(buffer));
        if (advice)
                fprintf(stderr, "bits: %s\n", advice);
        return EXIT_FAILED;
}

void report_note_v(const char *format, va_list ap)
{
        _cleanup_free_ char *text = NULL;

        fflush(stdout);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        print_safe("bits: ", text ? text : "out of memory");
}

int report_error(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        report_note_v(format, ap);
        va_end(ap);
        return EXIT_FAILED;
}

void report_note(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        report_note_v(format, ap);
        va_end(ap);
}

void report_success_code(const char *id, uint32_t code)
{
        char shorter[SHORT_ID_SIZE];
        const char *text = bits_code_text_localized(code, NULL);

        if (code == 0)
                return;
        format_short_id(id, shorter);
        report_note("job %s: %s (%s 0x%08X)", shorter, text ? text : "done, with a remark",
                    bits_code_name(code) ? bits_code_name(code) : "?", code);
}

void report_job_error(bits_job *job, const char *action, const char *name)
{
        char shorter[SHORT_ID_SIZE], buffer[256];
        bits_job_error error;
        const char *code, *advice, *sentence;

        format_short_id(bits_job_id(job), shorter);
        if (bits_job_get_error(job, &error) < 0) {
                report_failure("job %s failed, and why cannot be read", shorter);
                return;
        }
        code = bits_code_name(error.code);
        if (action)
                report_error("cannot %s %s", action, name);
        else
                report_error("job %s failed", shorter);
        fprintf(stderr, "  error   %s (0x%08X), %s\n", code ? code : "unknown code", error.code,
                format_context(error.context));
        sentence = bits_code_text_localized(error.code, NULL);
        if (sentence)
                print_safe("  reason  ", sentence);
        if (!string_equal(error.text, bits_code_text(error.code)))
                print_safe(sentence ? "          " : "  reason  ", error.text);
        if (!string_empty(error.remote_name))
                print_safe("  remote  ", error.remote_name);
        if (!string_empty(error.local_name))
                print_safe("  local   ", error.local_name);
        advice = advice_for(error.code, shorter, buffer, sizeof(buffer));
        if (advice)
                fprintf(stderr, "  advice  %s\n", advice);
        fprintf(stderr,
                "  next    the job remains: 'bits resume %s' tries again, 'bits cancel %s' removes "
                "it\n",
                shorter, shorter);
        bits_job_error_done(&error);
}
