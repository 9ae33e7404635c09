/*
 * Switches that make, fill and move jobs, and /transfer, which does all of it and waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bitsadmin/call.h"

#include "cli/format.h"

#include <stdio.h>
#include <strings.h>

/* ---- making ---- */

static bool type_parse(const char *text, bits_job_type *ret)
{
        for (int i = BITS_JOB_DOWNLOAD; i <= BITS_JOB_UPLOAD_REPLY; i++)
                if (text[0] == '/' && word_is(text + 1, bits_job_type_name((bits_job_type)i))) {
                        *ret = (bits_job_type)i;
                        return true;
                }
        return false;
}

/* CLI-286 */
int run_create(Call *call)
{
        bits_job_type type = BITS_JOB_DOWNLOAD;
        char guid[GUID_SIZE];
        int first = call->argc > 0 && type_parse(call->argv[0], &type);

        if (call->argc - first != 1)
                return fail_text("Invalid argument: a name is needed, after /download, /upload or "
                                 "/upload-reply.");
        if (bits_manager_create_job(call->manager, call->argv[first], type, &call->job) < 0)
                return fail_action("create job");
        guid_text(bits_job_id(call->job), guid);
        if (call->raw)
                printf("%s", guid);
        else
                printf("Created job %s.\n", guid);
        return EXIT_OK;
}

int run_addfile(Call *call)
{
        if (bits_job_add_file(call->job, call->argv[0], call->argv[1]) < 0)
                return fail_action("add file to job");
        put_text(call, "Added %s -> %s to job.\n", call->argv[0], call->argv[1]);
        return EXIT_OK;
}

/* "offset:length[,offset:length…]"; a length may be "eof". NULL: no such list, or no memory. */
static bits_range *parse_ranges(const char *text, size_t *ret_n)
{
        _cleanup_free_ bits_range *ranges = NULL;
        size_t n = 0;

        do {
                bits_range *larger = reallocarray(ranges, n + 1, sizeof(*larger));
                char *end;

                if (!larger)
                        return NULL;
                ranges = larger;
                errno = 0;
                if (*text < '0' || *text > '9')
                        return NULL;
                ranges[n].offset = strtoull(text, &end, 10);
                if (errno != 0 || *end != ':')
                        return NULL;
                text = end + 1;
                if (strncasecmp(text, "eof", 3) == 0) {
                        ranges[n++].length = BITS_LENGTH_TO_EOF;
                        text += 3;
                        continue;
                }
                if (*text < '0' || *text > '9')
                        return NULL;
                ranges[n++].length = strtoull(text, &end, 10);
                if (errno != 0)
                        return NULL;
                text = end;
        } while (*text == ',' && *++text);
        if (*text || text[-1] == ',')
                return NULL;
        *ret_n = n;
        return TAKE(ranges);
}

/* CLI-331 */
int run_addfilewithranges(Call *call)
{
        _cleanup_free_ bits_range *ranges = NULL;
        size_t n = 0;

        ranges = parse_ranges(call->argv[2], &n);
        if (!ranges)
                return fail_text(
                        "Invalid argument: '%s' is no list offset:length[,offset:length…]; "
                        "a length may be eof.",
                        call->argv[2]);
        if (bits_job_add_file_with_ranges(call->job, call->argv[0], call->argv[1], ranges, n) < 0)
                return fail_action("add file to job");
        put_text(call, "Added %s -> %s to job.\n", call->argv[0], call->argv[1]);
        return EXIT_OK;
}

/* One pair on a line, divided by blanks; # begins a comment. */
static int read_pairs(FILE *file, bits_file_pair **ret_pairs, size_t *ret_n)
{
        _cleanup_free_ char *line = NULL;
        size_t size = 0, number = 0;

        while (getline(&line, &size, file) >= 0) {
                char *remote = line + strspn(line, " \t"), *local, *rest;
                bits_file_pair *larger;

                number++;
                remote[strcspn(remote, "\r\n")] = '\0';
                if (!*remote || *remote == '#')
                        continue;
                local = remote + strcspn(remote, " \t");
                rest = local + strspn(local, " \t");
                if (!*rest)
                        return fail_text("Line %zu has no local name.", number);
                *local = '\0';
                larger = reallocarray(*ret_pairs, *ret_n + 1, sizeof(*larger));
                if (!larger)
                        return fail_text("Out of memory.");
                *ret_pairs = larger;
                larger[*ret_n] = (bits_file_pair){ strdup(remote), strdup(rest) };
                if (!larger[*ret_n].remote_name || !larger[*ret_n].local_name)
                        return fail_text("Out of memory.");
                ++*ret_n;
        }
        return EXIT_OK;
}

int run_addfileset(Call *call)
{
        _cleanup_free_ bits_file_pair *pairs = NULL;
        FILE *file = fopen(call->argv[0], "re");
        size_t n = 0;
        int r;

        if (!file)
                return fail_text("Unable to open %s - %s", call->argv[0], strerror(errno));
        r = read_pairs(file, &pairs, &n);
        if (r == EXIT_OK && ferror(file))
                r = fail_text("Unable to read %s - %s", call->argv[0], strerror(errno));
        fclose(file);
        if (r == EXIT_OK && n == 0)
                r = fail_text("%s has no files.", call->argv[0]);
        if (r == EXIT_OK && bits_job_add_files(call->job, pairs, n) < 0)
                r = fail_action("add file to job");
        for (size_t i = 0; i < n; i++) {
                if (r == EXIT_OK)
                        put_text(call, "Added %s -> %s\n", pairs[i].remote_name,
                                 pairs[i].local_name);
                free((char *)pairs[i].remote_name);
                free((char *)pairs[i].local_name);
        }
        return r;
}

/* ---- moving ---- */

int run_suspend(Call *call)
{
        if (bits_job_suspend(call->job) < 0)
                return fail_action("suspend job");
        put_text(call, "Job suspended.\n");
        return EXIT_OK;
}

int run_resume(Call *call)
{
        if (bits_job_resume(call->job) < 0)
                return fail_action("resume job");
        put_text(call, "Job resumed.\n");
        return EXIT_OK;
}

static void put_remark(const Call *call, uint32_t code)
{
        const char *text = code != 0 ? bits_code_text(code) : NULL;

        if (text)
                put_text(call, "%s\n", text);
}

int run_cancel(Call *call)
{
        uint32_t code;

        if (bits_job_cancel(call->job, &code) < 0)
                return fail_action("cancel job");
        put_text(call, "Job canceled.\n");
        put_remark(call, code);
        return EXIT_OK;
}

int run_complete(Call *call)
{
        uint32_t code;

        if (bits_job_complete(call->job, &code) < 0)
                return fail_action("complete job");
        put_text(call, "Job completed.\n");
        put_remark(call, code);
        return EXIT_OK;
}

int run_takeownership(Call *call)
{
        if (bits_job_take_ownership(call->job) < 0)
                return fail_action("take ownership");
        put_text(call, "Took ownership of the job.\n");
        return EXIT_OK;
}

/* ---- /transfer ---- */

static int print_progress(const Call *call, const char *name, bits_job_type type,
                          bits_job_state *ret_state)
{
        char kind[WORD_SIZE], state[WORD_SIZE], priority[WORD_SIZE], done[NUMBER_SIZE];
        char total[NUMBER_SIZE], percent[FORMAT_SIZE];
        bits_job_priority job_priority;
        bits_progress progress;

        if (bits_job_get_state(call->job, ret_state) < 0 ||
            bits_job_get_priority(call->job, &job_priority) < 0 ||
            bits_job_get_progress(call->job, &progress) < 0)
                return fail_action("get job information");
        put_text(call, "DISPLAY: '%s' TYPE: %s STATE: %s\n", name,
                 word_text(bits_job_type_name(type), kind), state_text(*ret_state, state));
        put_text(call, "PRIORITY: %s FILES: %u / %u BYTES: %s / %s (%s)\n",
                 word_text(bits_job_priority_name(job_priority), priority),
                 progress.files_transferred, progress.files_total,
                 size_text(progress.bytes_transferred, done),
                 size_text(progress.bytes_total, total),
                 format_percent(progress.bytes_transferred, progress.bytes_total, percent));
        fflush(stdout);
        return EXIT_OK;
}

/* Transient errors are waited out; a fatal one cancels the job. */
static int wait_and_complete(const Call *call, const char *name, bits_job_type type)
{
        bits_job_error error;
        bits_job_state state;
        int r;

        do {
                r = bits_job_wait(call->job, 1000000, NULL);
                if (r < 0)
                        return fail_action("wait for the job");
                if (print_progress(call, name, type, &state) != EXIT_OK)
                        return EXIT_FAILED;
        } while (r == 0);
        if (state == BITS_STATE_TRANSFERRED) {
                if (bits_job_complete(call->job, NULL) < 0)
                        return fail_action("complete job");
                put_text(call, "Transfer complete.\n");
                return EXIT_OK;
        }
        if (state == BITS_STATE_ERROR && bits_job_get_error(call->job, &error) >= 0) {
                _cleanup_free_ char *text = format_safe(error.text);

                fail_text("Unable to complete transfer.\nERROR CODE:    0x%08x - %s\nERROR "
                          "CONTEXT: 0x%08x - %s",
                          error.code, text ? text : "", error.context,
                          format_context(error.context));
                bits_job_error_done(&error);
        } else
                fail_text("Unable to complete transfer: somebody else changed the job.");
        if (state == BITS_STATE_ERROR)
                (void)bits_job_cancel(call->job, NULL);
        return EXIT_FAILED;
}

/* Nothing remains of a transfer that could not begin. */
static int give_up(const Call *call, const char *action)
{
        int r = fail_action(action);

        (void)bits_job_cancel(call->job, NULL);
        return r;
}

/* CLI-287, CLI-331 */
int run_transfer(Call *call)
{
        bits_job_type type = BITS_JOB_DOWNLOAD;
        bits_job_priority priority = BITS_PRIORITY_NORMAL;
        const char *name = call->argv[0];
        bool dynamic = false;
        uint32_t acl_flags = 0;
        int i = 1;

        if (looks_like_guid(name))
                return fail_text("The name of a transfer must not be a GUID.");
        for (; i < call->argc && call->argv[i][0] == '/'; i++)
                if (word_is(call->argv[i], "/priority") && i + 1 < call->argc &&
                    priority_parse(call->argv[i + 1], &priority))
                        i++;
                else if (word_is(call->argv[i], "/aclflags") && i + 1 < call->argc &&
                         acl_flags_parse(call->argv[i + 1], &acl_flags))
                        i++;
                else if (word_is(call->argv[i], "/dynamic"))
                        dynamic = true;
                else if (!type_parse(call->argv[i], &type) || type == BITS_JOB_UPLOAD_REPLY)
                        break; /* a local path begins so, too */
        if (i == call->argc || (call->argc - i) % 2 != 0)
                return fail_text("Invalid argument: pairs of a remote and a local name are "
                                 "needed.");
        if (bits_manager_create_job(call->manager, name, type, &call->job) < 0)
                return fail_action("create job");
        if (bits_job_set_priority(call->job, priority) < 0)
                return give_up(call, "set priority");
        if (acl_flags != 0 && bits_job_set_file_acl_flags(call->job, acl_flags) < 0)
                return give_up(call, "set ACL flags");
        if (dynamic && bits_job_set_dynamic_content(call->job, true) < 0)
                return give_up(call, "set dynamic content");
        for (; i < call->argc; i += 2)
                if (bits_job_add_file(call->job, call->argv[i], call->argv[i + 1]) < 0)
                        return give_up(call, "add file to job");
        if (bits_job_resume(call->job) < 0)
                return give_up(call, "resume job");
        return wait_and_complete(call, name, type);
}
