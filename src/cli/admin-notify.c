/*
 * bits admin notify: every notification command line of the machine, whoever set it. Programs that
 * start by themselves are where one looks for what should not be there.
 *
 * What can run lies in the broker's ledger and nowhere else: the folder "commands" in its state
 * directory, one file UID.JOB for each, with the bytes that the user sealed: "openbits-command-1",
 * job, program and parameters, each with a NUL behind it. So this verb is root's, reads the ledger
 * itself and believes no daemon about it; how a command ended last, the service is asked, if it
 * answers. The broker looks for the file at each start: a removal holds at once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/admin.h"

#include "cli/format.h"
#include "cli/notify-command.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        BYTES_MAX = 32768,
        JOB_SIZE = 36 + 1,
};

typedef struct Kept {
        uint32_t uid;
        char job[JOB_SIZE];
        uint64_t since; /* µs since 1970 */
        char *bytes;    /* owned; the texts lie in it */
        const char *program, *parameters;
} Kept;

/* UID.JOB; false for anything else. */
static bool parse_name(const char *name, Kept *kept)
{
        char again[64];
        unsigned uid;

        if (sscanf(name, "%u.%36[0-9a-f-]", &uid, kept->job) != 2)
                return false;
        kept->uid = uid;
        snprintf(again, sizeof(again), "%u.%s", uid, kept->job);
        return string_equal(again, name);
}

/* What cannot be read as one is shown as well: somebody put it there. */
static void find_texts(Kept *kept, size_t size)
{
        const char *texts[4], *p = kept->bytes, *end = kept->bytes + size;

        kept->program = "(not a command line)";
        kept->parameters = "";
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                const char *nul = memchr(p, '\0', (size_t)(end - p));

                if (!nul)
                        return;
                texts[i] = p;
                p = nul + 1;
        }
        kept->program = texts[2];
        kept->parameters = texts[3];
}

static bool read_kept(int directory, const char *name, Kept *kept)
{
        int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        ssize_t n = -1;

        if (fd < 0)
                return false;
        kept->bytes = malloc(BYTES_MAX);
        if (kept->bytes && fstat(fd, &st) == 0)
                n = read(fd, kept->bytes, BYTES_MAX);
        close(fd);
        if (n < 0) {
                free(kept->bytes);
                return false;
        }
        kept->since = (uint64_t)st.st_mtim.tv_sec * 1000000;
        find_texts(kept, (size_t)n);
        return true;
}

enum {
        COLUMN_UID,
        COLUMN_NAME,
        COLUMN_JOB,
        COLUMN_SINCE,
        COLUMN_SINCE_TEXT,
        COLUMN_RESULT,
        COLUMN_PROGRAM,
        COLUMN_PARAMETERS,
        COLUMN_COMMAND,
};

static const Column columns[] = {
        [COLUMN_UID] = { "uid", NULL, COLUMN_NUMBER, true },
        [COLUMN_NAME] = { "name", "USER", COLUMN_TEXT, true },
        [COLUMN_JOB] = { "job", "JOB", COLUMN_TEXT, true },
        [COLUMN_SINCE] = { "since", NULL, COLUMN_NUMBER, true },
        [COLUMN_SINCE_TEXT] = { NULL, "SINCE", COLUMN_TEXT, false },
        [COLUMN_RESULT] = { "result", "LAST RUN", COLUMN_TEXT, true },
        [COLUMN_PROGRAM] = { "program", NULL, COLUMN_TEXT, true },
        [COLUMN_PARAMETERS] = { "parameters", NULL, COLUMN_TEXT, true },
        [COLUMN_COMMAND] = { NULL, "COMMAND", COLUMN_TEXT, false },
};

/* What the service says of the job; "no such job": a command line that nobody asks for any more. */
static void add_result(Table *table, struct libscols_line *row, bits_manager *manager,
                       const Kept *kept)
{
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        _cleanup_free_ char *text = NULL;

        if (!manager)
                return;
        if (bits_manager_get_job(manager, kept->job, &job) < 0)
                table_cell(table, row, COLUMN_RESULT, "no such job");
        else if (notify_result_get(job, &text) >= 0)
                table_cell(table, row, COLUMN_RESULT, text);
}

static void add_row(Table *table, bits_manager *manager, const Kept *kept)
{
        const struct passwd *account = getpwuid(kept->uid);
        struct libscols_line *row = table_row(table);
        _cleanup_free_ char *user = format_user(kept->uid);
        _cleanup_free_ char *command = notify_command_text(kept->program, kept->parameters);
        char text[FORMAT_SIZE];

        table_cell_uint64(table, row, COLUMN_UID, kept->uid);
        table_cell(table, row, COLUMN_NAME, account ? account->pw_name : arg_json ? NULL : user);
        table_cell(table, row, COLUMN_JOB, kept->job);
        table_cell_uint64(table, row, COLUMN_SINCE, kept->since);
        table_cell(table, row, COLUMN_SINCE_TEXT, format_time(kept->since, text));
        table_cell(table, row, COLUMN_PROGRAM, kept->program);
        table_cell(table, row, COLUMN_PARAMETERS, kept->parameters);
        table_cell(table, row, COLUMN_COMMAND, command);
        add_result(table, row, manager, kept);
}

/* CLI-242 */
static int list_commands(int directory)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        DIR *stream = fdopendir(dup(directory));
        struct dirent *d;
        bool any = false;

        if (!stream)
                return report_error("cannot read the ledger of command lines: %s", strerror(errno));
        if (try_service(&manager) < 0)
                manager = NULL; /* the ledger is the answer, the service adds to it */
        table = table_new("commands", columns, ELEMENTS(columns), arg_json);
        while (table && (d = readdir(stream))) {
                Kept kept = {};

                if (!parse_name(d->d_name, &kept) || !read_kept(directory, d->d_name, &kept))
                        continue;
                add_row(table, manager, &kept);
                free(kept.bytes);
                any = true;
        }
        closedir(stream);
        if (!table)
                return EXIT_FAILED;
        if (!any) {
                printf(arg_json ? "{\"commands\": []}\n" : "no command lines\n");
                return EXIT_OK;
        }
        return table_print(table);
}

/* CLI-390: the job is not to show what will never run. The ledger alone decides about that, so a
   service that does not answer now finds out when it tries. */
static void tell_service(const char *id)
{
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;

        if (try_service(&manager) < 0 || bits_manager_get_job(manager, id, &job) < 0)
                return;
        if (bits_job_set_notify_cmd_line(job, NULL, NULL) < 0)
                report_note("the command line is removed, but job %s still shows it: %s", id,
                            bits_error_message());
}

/* CLI-243: of that job, whoever set it. */
static int remove_command(int directory, const char *job)
{
        struct dirent *d;
        bool found = false;
        int r = EXIT_OK;
        DIR *stream;

        if (strlen(job) < 8)
                return report_error("'%s' is too short for the id of a job", job);
        stream = fdopendir(dup(directory));
        if (!stream)
                return report_error("cannot read the ledger of command lines: %s", strerror(errno));
        rewinddir(stream);
        while ((d = readdir(stream))) {
                Kept kept = {};

                if (!parse_name(d->d_name, &kept) || strncmp(kept.job, job, strlen(job)) != 0)
                        continue;
                found = true;
                if (unlinkat(directory, d->d_name, 0) < 0)
                        r = report_error("cannot remove '%s': %s", d->d_name, strerror(errno));
                else
                        tell_service(kept.job);
        }
        closedir(stream);
        return found ? r : report_error("no command line is kept for a job '%s'", job);
}

int admin_notify(const char *state, int argc, char **argv)
{
        static const AdminLedger ledger = { "commands", "ledger of command lines", list_commands,
                                            remove_command };

        return admin_ledger(state, &ledger, argc, argv);
}
