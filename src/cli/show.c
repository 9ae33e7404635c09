/*
 * bits show: all about a job, as text or JSON. What can be set, too, comes from the table of
 * settings.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/format.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/settings.h"
#include "cli/table.h"
#include "cli/verbs.h"

#include <pwd.h>
#include <stdio.h>

typedef struct Shown {
        const char *id;
        char *name, *description, *owner_sid, *wait_reason, *helper_sid;
        uint32_t owner_uid, error_count, flags;
        char **values; /* of the settings, by their index; NULL: the caller may not ask */
        int owner_elevated;
        uint32_t owner_integrity;
        bool helper_known; /* the caller may ask for the helper */
        bits_job_type type;
        bits_job_state state;
        bits_job_priority priority;
        bits_progress progress;
        bits_times times;
        bool has_error;
        bits_job_error error;
        uint64_t error_time;
        bits_file_list *files;
} Shown;

static void shown_done(Shown *shown)
{
        free(shown->name);
        free(shown->description);
        free(shown->owner_sid);
        free(shown->wait_reason);
        free(shown->helper_sid);
        bits_job_error_done(&shown->error);
        bits_file_list_free(shown->files);
        for (size_t i = 0; shown->values && i < n_settings; i++)
                free(shown->values[i]);
        free(shown->values);
}

/* Somebody else's job: an administrator may read it, but not its helper. */
static void read_helper(bits_job *job, Shown *shown)
{
        _cleanup_(bits_token_options_freep) bits_token_options *options = NULL;

        shown->helper_known =
                bits_job_query_token_options(job, &options) >= 0 &&
                bits_token_options_get_helper_token_flags(options, &shown->flags) >= 0 &&
                bits_token_options_get_helper_token_sid(options, &shown->helper_sid) >= 0;
}

/* An administrator may not read all of somebody else's. */
static int read_settings(bits_job *job, Shown *shown)
{
        shown->values = calloc(n_settings, sizeof(*shown->values));
        if (!shown->values)
                return report_error("out of memory");
        for (size_t i = 0; i < n_settings; i++)
                if (setting_can_be_read(&settings[i]) && !settings[i].apart)
                        (void)setting_read(&settings[i], job, &shown->values[i]);
        return EXIT_OK;
}

static int read_job(bits_job *job, Shown *shown)
{
        shown->id = bits_job_id(job);
        if (bits_job_get_display_name(job, &shown->name) < 0 ||
            bits_job_get_description(job, &shown->description) < 0 ||
            bits_job_get_owner(job, &shown->owner_sid) < 0 ||
            bits_job_get_owner_uid(job, &shown->owner_uid) < 0 ||
            bits_job_get_owner_elevated(job, &shown->owner_elevated) < 0 ||
            bits_job_get_owner_integrity_level(job, &shown->owner_integrity) < 0 ||
            bits_job_get_wait_reason(job, &shown->wait_reason) < 0 ||
            bits_job_get_type(job, &shown->type) < 0 ||
            bits_job_get_state(job, &shown->state) < 0 ||
            bits_job_get_priority(job, &shown->priority) < 0 ||
            bits_job_get_progress(job, &shown->progress) < 0 ||
            bits_job_get_times(job, &shown->times) < 0 ||
            bits_job_get_error_count(job, &shown->error_count) < 0 ||
            bits_job_list_files(job, &shown->files) < 0)
                return report_failure("cannot read job %.8s", shown->id);
        shown->has_error = bits_job_get_error(job, &shown->error) >= 0 &&
                           bits_job_get_error_time(job, &shown->error_time) >= 0;
        read_helper(job, shown);
        return read_settings(job, shown);
}

static Table *files_table(const Shown *shown, bool json)
{
        enum { REMOTE, LOCAL, TEMPORARY, TOTAL, TRANSFERRED, COMPLETED };
        static const Column columns[] = {
                [REMOTE] = { "remote-name", "REMOTE", COLUMN_TEXT, true },
                [LOCAL] = { "local-name", "LOCAL", COLUMN_TEXT, true },
                [TEMPORARY] = { "temporary-name", NULL, COLUMN_TEXT, true },
                [TOTAL] = { "bytes-total", "SIZE", COLUMN_NUMBER, true },
                [TRANSFERRED] = { "bytes-transferred", "TRANSFERRED", COLUMN_NUMBER, true },
                [COMPLETED] = { "completed", "COMPLETED", COLUMN_BOOLEAN, true },
        };
        Table *table = table_new("files", columns, ELEMENTS(columns), json);

        for (size_t i = 0; table && i < bits_file_list_count(shown->files); i++) {
                const bits_file_info *file = bits_file_list_get(shown->files, i);
                _cleanup_free_ char *remote = format_safe(file->remote_name);
                struct libscols_line *row = table_row(table);

                table_cell(table, row, REMOTE, json ? file->remote_name : remote);
                table_cell(table, row, LOCAL, file->local_name);
                table_cell(table, row, TEMPORARY,
                           string_empty(file->temporary_name) ? NULL : file->temporary_name);
                table_cell_size(table, row, TOTAL, file->bytes_total);
                table_cell_size(table, row, TRANSFERRED, file->bytes_transferred);
                table_cell_boolean(table, row, COMPLETED, file->completed);
        }
        return table;
}

/* CLI-65: the identity that does one part of the work, in words. */
static char *identity_text(const Shown *shown, uint32_t flag)
{
        _cleanup_free_ char *user = NULL;
        uint32_t uid;
        char *text;

        if (!shown->helper_known) /* TOK-463 */
                return strdup("only the owner may ask");
        if (!(shown->flags & flag)) {
                user = format_user(shown->owner_uid);
                return user && asprintf(&text, "owner, %s", user) >= 0 ? text : NULL;
        }
        if (!shown->helper_sid)
                return asprintf(&text,
                                "helper, but there is no helper token: bits token set "
                                "%.8s --as USER",
                                shown->id) >= 0
                               ? text
                               : NULL;
        if (!parse_user_sid(shown->helper_sid, &uid))
                return asprintf(&text, "helper, %s", shown->helper_sid) >= 0 ? text : NULL;
        user = format_user(uid);
        return user && asprintf(&text, "helper, %s", user) >= 0 ? text : NULL;
}

static void line(const char *key, const char *text)
{
        _cleanup_free_ char *safe = format_safe(text ? text : "");

        printf("%-30s %s\n", key, safe ? safe : "");
}

/* The service knows users by number. */
static void print_wait_reason(const char *reason)
{
        const char *as = strstr(reason, " --as "), *end = as ? as + strlen(" --as ") : NULL;
        unsigned long uid = end ? strtoul(end, (char **)&end, 10) : 0;
        const struct passwd *account = as && end[-1] != ' ' ? getpwuid((uid_t)uid) : NULL;
        _cleanup_free_ char *text = NULL;

        if (account && asprintf(&text, "%.*s --as %s%s", (int)(as - reason), reason,
                                account->pw_name, end) >= 0)
                reason = text;
        line("waits", reason);
}

/* JOB-262, CLI-260 */
static void print_error_lines(const Shown *shown)
{
        char text[96], buffer[256], shorter[SHORT_ID_SIZE], time[FORMAT_SIZE];
        const char *name = bits_code_name(shown->error.code), *advice;
        const char *sentence = bits_code_text_localized(shown->error.code, NULL);

        snprintf(text, sizeof(text), "%s (0x%08X), %s", name ? name : "unknown code",
                 shown->error.code, format_context(shown->error.context));
        line(shown->error_time != 0 ? "error" : "last error", text);
        if (sentence)
                line("", sentence);
        if (!string_equal(shown->error.text, bits_code_text(shown->error.code)))
                line("", shown->error.text);
        if (!string_empty(shown->error.remote_name))
                line("", shown->error.remote_name);
        if (!string_empty(shown->error.local_name))
                line("", shown->error.local_name);
        if (shown->error_time != 0)
                line("error since", format_time(shown->error_time, time));
        format_short_id(shown->id, shorter);
        advice = advice_for(shown->error.code, shorter, buffer, sizeof(buffer));
        /* TOK-460: its helper is there again, or not needed any more. */
        if (shown->error.code == BITS_CODE_TOKEN_REQUIRED && shown->helper_known &&
            (shown->flags == 0 || shown->helper_sid)) {
                snprintf(buffer, sizeof(buffer), "the job has what it needs: bits resume %s",
                         shorter);
                advice = buffer;
        }
        if (advice && shown->error_time != 0) /* else it goes on by itself */
                line("advice", advice);
}

static void print_progress_line(const Shown *shown)
{
        char done[FORMAT_SIZE], total[FORMAT_SIZE], percent[FORMAT_SIZE], text[160];
        const bits_progress *p = &shown->progress;

        snprintf(text, sizeof(text), "%s of %s (%s), %u of %u files",
                 format_size(p->bytes_transferred, done), format_size(p->bytes_total, total),
                 p->files_total ? format_percent(p->bytes_transferred, p->bytes_total, percent)
                                : "-",
                 p->files_transferred, p->files_total);
        line("progress", text);
}

/* CLI-281 */
static void print_settings(const Shown *shown)
{
        for (size_t i = 0; i < n_settings; i++) {
                const Setting *setting = &settings[i];
                const char *value = shown->values[i];
                char text[FORMAT_SIZE];

                if (!value || setting->apart || (setting->quiet && !*value))
                        continue;
                if (setting->kind == SETTING_SWITCH)
                        line(setting->key, string_equal(value, "true") ? "yes" : "no");
                else if (setting->hexadecimal) {
                        snprintf(text, sizeof(text), "0x%llX", strtoull(value, NULL, 10));
                        line(setting->key, text);
                } else if (setting->unit)
                        printf("%-30s %s %s\n", setting->key, value, setting->unit);
                else
                        line(setting->key, value);
        }
}

static int print_text(const Shown *shown)
{
        _cleanup_free_ char *owner = format_user(shown->owner_uid);
        _cleanup_free_ char *local = identity_text(shown, BITS_TOKEN_LOCAL_FILE);
        _cleanup_free_ char *network = identity_text(shown, BITS_TOKEN_NETWORK);
        _cleanup_free_ char *certificate = identity_text(shown, BITS_TOKEN_CLIENT_CERTIFICATE);
        _cleanup_(table_freep) Table *table = NULL;
        char text[FORMAT_SIZE];

        line("id", shown->id);
        line("display-name", shown->name);
        if (!string_empty(shown->description))
                line("description", shown->description);
        line("owner", owner);
        line("type", bits_job_type_name(shown->type));
        line("state", bits_job_state_name(shown->state));
        if (!string_empty(shown->wait_reason))
                print_wait_reason(shown->wait_reason);
        if (shown->has_error)
                print_error_lines(shown);
        line("priority", bits_job_priority_name(shown->priority));
        print_progress_line(shown);
        line("created", format_time(shown->times.creation, text));
        line("modified", format_time(shown->times.modification, text));
        line("transferred", format_time(shown->times.transfer_completion, text));
        print_settings(shown);
        printf("%-30s %u\n", "error-count", shown->error_count);
        line("helper-flags",
             shown->helper_known ? token_flags_text(shown->flags, text) : "only the owner may ask");
        line("helper-sid", !shown->helper_known ? "only the owner may ask"
                           : shown->helper_sid  ? shown->helper_sid
                                                : "none");
        line("local files as", local);
        line("network as", network);
        if (shown->helper_known && shown->flags & BITS_TOKEN_CLIENT_CERTIFICATE)
                line("client certificate as", certificate);
        if (bits_file_list_count(shown->files) == 0) {
                printf("\nno files: bits add %.8s URL FILE\n", shown->id);
                return EXIT_OK;
        }
        putchar('\n');
        table = files_table(shown, false);
        return table ? table_print(table) : EXIT_FAILED;
}

static char *error_json(const Shown *shown)
{
        enum { CONTEXT, CODE, NAME, TEXT, SINCE, REMOTE, LOCAL };
        static const Column columns[] = {
                [CONTEXT] = { "context", NULL, COLUMN_NUMBER, true },
                [CODE] = { "code", NULL, COLUMN_TEXT, true },
                [NAME] = { "name", NULL, COLUMN_TEXT, true },
                [TEXT] = { "text", NULL, COLUMN_TEXT, true },
                [SINCE] = { "since", NULL, COLUMN_NUMBER, true },
                [REMOTE] = { "remote-name", NULL, COLUMN_TEXT, true },
                [LOCAL] = { "local-name", NULL, COLUMN_TEXT, true },
        };
        _cleanup_(table_freep) Table *table = table_new("error", columns, ELEMENTS(columns), true);
        struct libscols_line *row;

        if (!table)
                return NULL;
        if (shown->has_error) {
                row = table_row(table);
                table_cell_uint64(table, row, CONTEXT, shown->error.context);
                table_cell_code(table, row, CODE, shown->error.code);
                table_cell(table, row, NAME, bits_code_name(shown->error.code));
                table_cell(table, row, TEXT, shown->error.text);
                if (shown->error_time != 0)
                        table_cell_uint64(table, row, SINCE, shown->error_time);
                table_cell(table, row, REMOTE, shown->error.remote_name);
                table_cell(table, row, LOCAL, shown->error.local_name);
        }
        return table_json_object(table);
}

enum {
        SHOW_ID,
        SHOW_NAME,
        SHOW_DESCRIPTION,
        SHOW_OWNER,
        SHOW_OWNER_UID,
        SHOW_OWNER_ELEVATED,
        SHOW_OWNER_INTEGRITY,
        SHOW_TYPE,
        SHOW_STATE,
        SHOW_WAIT_REASON,
        SHOW_PRIORITY,
        SHOW_BYTES_TOTAL,
        SHOW_BYTES_TRANSFERRED,
        SHOW_FILES_TOTAL,
        SHOW_FILES_TRANSFERRED,
        SHOW_CREATION,
        SHOW_MODIFICATION,
        SHOW_COMPLETION,
        SHOW_ERROR_COUNT,
        SHOW_HELPER_FLAGS,
        SHOW_HELPER_SID,
        SHOW_ERROR,
        SHOW_FILES,
        SHOW_MAX,
};

static const Column show_columns[SHOW_MAX] = {
        [SHOW_ID] = { "id", NULL, COLUMN_TEXT, true },
        [SHOW_NAME] = { "display-name", NULL, COLUMN_TEXT, true },
        [SHOW_DESCRIPTION] = { "description", NULL, COLUMN_TEXT, true },
        [SHOW_OWNER] = { "owner", NULL, COLUMN_TEXT, true },
        [SHOW_OWNER_UID] = { "owner-uid", NULL, COLUMN_NUMBER, true },
        [SHOW_OWNER_ELEVATED] = { "owner-elevated", NULL, COLUMN_BOOLEAN, true },
        [SHOW_OWNER_INTEGRITY] = { "owner-integrity-level", NULL, COLUMN_NUMBER, true },
        [SHOW_TYPE] = { "type", NULL, COLUMN_TEXT, true },
        [SHOW_STATE] = { "state", NULL, COLUMN_TEXT, true },
        [SHOW_WAIT_REASON] = { "wait-reason", NULL, COLUMN_TEXT, true },
        [SHOW_PRIORITY] = { "priority", NULL, COLUMN_TEXT, true },
        [SHOW_BYTES_TOTAL] = { "bytes-total", NULL, COLUMN_NUMBER, true },
        [SHOW_BYTES_TRANSFERRED] = { "bytes-transferred", NULL, COLUMN_NUMBER, true },
        [SHOW_FILES_TOTAL] = { "files-total", NULL, COLUMN_NUMBER, true },
        [SHOW_FILES_TRANSFERRED] = { "files-transferred", NULL, COLUMN_NUMBER, true },
        [SHOW_CREATION] = { "creation-time", NULL, COLUMN_NUMBER, true },
        [SHOW_MODIFICATION] = { "modification-time", NULL, COLUMN_NUMBER, true },
        [SHOW_COMPLETION] = { "transfer-completion-time", NULL, COLUMN_NUMBER, true },
        [SHOW_ERROR_COUNT] = { "error-count", NULL, COLUMN_NUMBER, true },
        [SHOW_HELPER_FLAGS] = { "helper-flags", NULL, COLUMN_TEXT, true },
        [SHOW_HELPER_SID] = { "helper-sid", NULL, COLUMN_TEXT, true },
        [SHOW_ERROR] = { "error", NULL, COLUMN_NUMBER, true },
        [SHOW_FILES] = { "files", NULL, COLUMN_NUMBER, true },
};

static void show_row(Table *table, const Shown *shown)
{
        struct libscols_line *row = table_row(table);
        char text[FORMAT_SIZE];

        table_cell(table, row, SHOW_ID, shown->id);
        table_cell(table, row, SHOW_NAME, shown->name);
        table_cell(table, row, SHOW_DESCRIPTION, shown->description);
        table_cell(table, row, SHOW_OWNER, shown->owner_sid);
        table_cell_uint64(table, row, SHOW_OWNER_UID, shown->owner_uid);
        table_cell_boolean(table, row, SHOW_OWNER_ELEVATED, shown->owner_elevated);
        table_cell_uint64(table, row, SHOW_OWNER_INTEGRITY, shown->owner_integrity);
        table_cell(table, row, SHOW_TYPE, bits_job_type_name(shown->type));
        table_cell(table, row, SHOW_STATE, bits_job_state_name(shown->state));
        table_cell(table, row, SHOW_WAIT_REASON,
                   string_empty(shown->wait_reason) ? NULL : shown->wait_reason);
        table_cell(table, row, SHOW_PRIORITY, bits_job_priority_name(shown->priority));
        table_cell_size(table, row, SHOW_BYTES_TOTAL, shown->progress.bytes_total);
        table_cell_size(table, row, SHOW_BYTES_TRANSFERRED, shown->progress.bytes_transferred);
        table_cell_uint64(table, row, SHOW_FILES_TOTAL, shown->progress.files_total);
        table_cell_uint64(table, row, SHOW_FILES_TRANSFERRED, shown->progress.files_transferred);
        table_cell_uint64(table, row, SHOW_CREATION, shown->times.creation);
        table_cell_uint64(table, row, SHOW_MODIFICATION, shown->times.modification);
        if (shown->times.transfer_completion)
                table_cell_uint64(table, row, SHOW_COMPLETION, shown->times.transfer_completion);
        table_cell_uint64(table, row, SHOW_ERROR_COUNT, shown->error_count);
        table_cell(table, row, SHOW_HELPER_FLAGS,
                   shown->helper_known ? token_flags_text(shown->flags, text) : NULL);
        table_cell(table, row, SHOW_HELPER_SID, shown->helper_sid);
}

/* The fixed columns, then the settings. The caller frees it. */
static Column *all_columns(size_t *ret_n)
{
        Column *columns = calloc(SHOW_MAX + n_settings, sizeof(*columns));

        *ret_n = SHOW_MAX + n_settings;
        for (size_t i = 0; columns && i < SHOW_MAX; i++)
                columns[i] = show_columns[i];
        for (size_t i = 0; columns && i < n_settings; i++)
                columns[SHOW_MAX + i] = (Column){
                        .key = settings[i].key,
                        .type = settings[i].kind == SETTING_TEXT     ? COLUMN_TEXT
                                : settings[i].kind == SETTING_SWITCH ? COLUMN_BOOLEAN
                                                                     : COLUMN_NUMBER,
                        .json = setting_can_be_read(&settings[i]) && !settings[i].apart,
                };
        return columns;
}

static int print_json(const Shown *shown)
{
        _cleanup_(table_freep) Table *table = NULL, *files = NULL;
        _cleanup_free_ char *files_text = NULL, *error_text = error_json(shown);
        _cleanup_free_ Column *columns = NULL;
        struct libscols_line *row;
        size_t n;

        columns = all_columns(&n);
        if (!columns)
                return report_error("out of memory");
        table = table_new("jobs", columns, n, true);
        files = files_table(shown, true);
        if (!table || !files)
                return EXIT_FAILED;
        files_text = table_json_array(files);
        if (!error_text || !files_text)
                return report_error("out of memory");
        show_row(table, shown);
        row = table_get_row(table, 0);
        table_cell(table, row, SHOW_ERROR, error_text);
        table_cell(table, row, SHOW_FILES, files_text);
        for (size_t i = 0; i < n_settings; i++)
                table_cell(table, row, SHOW_MAX + i, shown->values[i]);
        return table_print(table);
}

/* CLI-282: the values alone, for scripts. */
static int print_values(bits_job *job, int n, char **keys)
{
        for (int i = 0; i < n; i++) {
                const Setting *setting = setting_find(keys[i], strlen(keys[i]));
                _cleanup_free_ char *value = NULL;

                if (setting_read(setting, job, &value) < 0)
                        return report_failure("cannot read %s", keys[i]);
                printf("%s\n", value);
        }
        return EXIT_OK;
}

int verb_show(int argc, char **argv)
{
        static const struct option options[] = { COMMON_OPTIONS };
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(bits_job_freep) bits_job *job = NULL;
        _cleanup_(shown_done) Shown shown = {};
        char near[64];
        int r;

        while (next_option(argc, argv, "h", options) >= 0)
                return usage_error(NULL);
        if (argc == optind)
                return usage_error("which job?");
        for (int i = optind + 1; i < argc; i++) {
                const Setting *setting = setting_find(argv[i], strlen(argv[i]));

                if (!setting || !setting_can_be_read(setting))
                        return usage_error(
                                "there is no property '%s' to show%s; 'bits show JOB' "
                                "shows all",
                                argv[i],
                                setting_suggest(argv[i], strlen(argv[i]), near, sizeof(near)));
        }
        if (arg_json && argc - optind > 1)
                return usage_error("--json shows all properties");
        r = open_service(&manager);
        if (r == EXIT_OK)
                r = open_job(manager, argv[optind], &job);
        if (r == EXIT_OK && argc - optind > 1)
                return print_values(job, argc - optind - 1, argv + optind + 1);
        if (r == EXIT_OK)
                r = read_job(job, &shown);
        if (r != EXIT_OK)
                return r;
        return arg_json ? print_json(&shown) : print_text(&shown);
}
