#include "store/store.h"

#include "store/columns.h"
#include "store/database.h"

#include "basic/log.h"
#include "basic/secret.h"
#include "core/fill.h"
#include "store/service-clock.h"
#include "store/vault.h"

#include <sqlite3.h>
#include <stdio.h>

/* JOB-55, JOB-70. TOK-58: flags are stored, a token never is. */
static const Column job_columns[] = {
        COLUMN_OF(id, COLUMN_CHARACTERS, Job, id),
        COLUMN_OF(owner, COLUMN_INTEGER, Job, owner),
        COLUMN_OF(owner_elevated, COLUMN_INTEGER, Job, owner_elevated),
        COLUMN_OF(owner_integrity, COLUMN_INTEGER, Job, owner_integrity),
        COLUMN_OF(last_helper, COLUMN_INTEGER, Job, last_helper),
        COLUMN_OF(type, COLUMN_INTEGER, Job, type),
        COLUMN_OF(priority, COLUMN_INTEGER, Job, priority),
        COLUMN_OF(state, COLUMN_INTEGER, Job, state),
        COLUMN_OF(pending, COLUMN_INTEGER, Job, pending),
        COLUMN_OF(display_name, COLUMN_TEXT, Job, display_name),
        COLUMN_OF(description, COLUMN_TEXT, Job, description),
        COLUMN_OF(minimum_retry_delay, COLUMN_INTEGER, Job, minimum_retry_delay),
        COLUMN_OF(no_progress_timeout, COLUMN_INTEGER, Job, no_progress_timeout),
        COLUMN_OF(maximum_download_time, COLUMN_INTEGER, Job, maximum_download_time),
        COLUMN_OF(retry_at, COLUMN_INTEGER, Job, timers.retry_at),
        COLUMN_OF(failing_since, COLUMN_INTEGER, Job, timers.failing_since),
        COLUMN_OF(failures, COLUMN_INTEGER, Job, timers.failures),
        COLUMN_OF(busy_since, COLUMN_INTEGER, Job, timers.busy_since),
        COLUMN_OF(busy, COLUMN_INTEGER, Job, timers.busy),
        COLUMN_OF(active_at, COLUMN_INTEGER, Job, timers.active_at),
        COLUMN_OF(notify_flags, COLUMN_INTEGER, Job, notify_flags),
        COLUMN_OF(notify_event, COLUMN_INTEGER, Job, notify_event),
        COLUMN_OF(notify_interval, COLUMN_INTEGER, Job, notify_interval),
        COLUMN_OF(command_program, COLUMN_TEXT_OR_NULL, Job, command.program),
        COLUMN_OF(command_parameters, COLUMN_TEXT_OR_NULL, Job, command.parameters),
        COLUMN_OF(command_author, COLUMN_INTEGER, Job, command.author),
        COLUMN_OF(command_kept, COLUMN_INTEGER, Job, command.kept),
        COLUMN_OF(command_started, COLUMN_INTEGER, Job, command.started),
        COLUMN_OF(command_runs, COLUMN_INTEGER, Job, command.runs),
        COLUMN_OF(command_result, COLUMN_INTEGER, Job, command.result),
        COLUMN_OF(cost_flags, COLUMN_INTEGER, Job, cost_flags),
        COLUMN_OF(token_flags, COLUMN_INTEGER, Job, token_flags),
        COLUMN_OF(file_acl_flags, COLUMN_INTEGER, Job, file_acl_flags),
        COLUMN_OF(created, COLUMN_INTEGER, Job, created),
        COLUMN_OF(modified, COLUMN_INTEGER, Job, modified),
        COLUMN_OF(transfer_completed, COLUMN_INTEGER, Job, transfer_completed),
        COLUMN_OF(failed, COLUMN_INTEGER, Job, failed),
        COLUMN_OF(error_count, COLUMN_INTEGER, Job, error_count),
        COLUMN_OF(fault_context, COLUMN_INTEGER, Job, fault.context),
        COLUMN_OF(fault_code, COLUMN_INTEGER, Job, fault.code),
        COLUMN_OF(fault_detail, COLUMN_TEXT_OR_NULL, Job, fault.detail),
        COLUMN_OF(fault_file, COLUMN_INTEGER, Job, fault_file),
        COLUMN_OF(proxy_usage, COLUMN_INTEGER, Job, proxy_usage),
        COLUMN_OF(proxy_list, COLUMN_TEXT, Job, proxy_list),
        COLUMN_OF(proxy_bypass, COLUMN_TEXT, Job, proxy_bypass),
        COLUMN_OF(credential_cache, COLUMN_TEXT, Job, credential_cache),
        COLUMN_OF(helper_credential_cache, COLUMN_TEXT, Job, helper_credential_cache),
        COLUMN_OF(upload_session, COLUMN_TEXT, Job, upload.session),
        COLUMN_OF(upload_host, COLUMN_TEXT, Job, upload.host),
        COLUMN_OF(upload_host_fallback, COLUMN_INTEGER, Job, upload.host_fallback),
        COLUMN_OF(upload_host_failed_at, COLUMN_INTEGER, Job, upload.host_failed_at),
        COLUMN_OF(upload_reply_url, COLUMN_TEXT, Job, upload.reply_url),
        COLUMN_OF(upload_closing, COLUMN_INTEGER, Job, upload.closing),
        COLUMN_OF(upload_source_known, COLUMN_INTEGER, Job, upload.source_known),
        COLUMN_OF(upload_source_time, COLUMN_INTEGER, Job, upload.source_time),
        COLUMN_OF(upload_reply_name, COLUMN_TEXT, Job, upload.reply_name),
        COLUMN_OF(upload_reply_automatic, COLUMN_INTEGER, Job, upload.reply_name_automatic),
        COLUMN_OF(upload_cancel_until, COLUMN_INTEGER, Job, upload.cancel_until),
        COLUMN_BLOB_OF(credentials, Job, credentials, credentials_size),
        COLUMN_OF(resumed, COLUMN_INTEGER, Job, resumed),
        COLUMN_OF(dynamic_content, COLUMN_INTEGER, Job, dynamic_content),
        COLUMN_OF(high_performance, COLUMN_INTEGER, Job, high_performance),
        COLUMN_OF(on_demand, COLUMN_INTEGER, Job, on_demand),
        COLUMN_OF(max_download_size, COLUMN_INTEGER, Job, max_download_size),
        COLUMN_OF(peer_caching_flags, COLUMN_INTEGER, Job, peer_caching_flags),
        COLUMN_OF(certificate, COLUMN_TEXT, Job, http.certificate),
        COLUMN_OF(certificate_key, COLUMN_TEXT, Job, http.certificate_key),
        COLUMN_BLOB_OF(certificate_passphrase, Job, http.passphrase, http.passphrase_size),
        COLUMN_OF(security_flags, COLUMN_INTEGER, Job, http.security_flags),
        COLUMN_OF(http_method, COLUMN_TEXT, Job, http.method),
        COLUMN_BLOB_OF(custom_headers, Job, http.headers, http.headers_size),
        COLUMN_OF(proxy_tickets, COLUMN_INTEGER, Job, proxy_tickets),
        COLUMN_OF(validated, COLUMN_INTEGER, Job, http.validated),
        COLUMN_OF(headers_write_only, COLUMN_INTEGER, Job, http.headers_write_only),
};

static const Column file_columns[] = {
        COLUMN_OF(remote_name, COLUMN_TEXT, File, remote_name),
        COLUMN_OF(local_name, COLUMN_TEXT, File, local_name),
        COLUMN_OF(temporary_name, COLUMN_TEXT, File, temporary_name),
        COLUMN_OF(device, COLUMN_INTEGER, File, device),
        COLUMN_OF(inode, COLUMN_INTEGER, File, inode),
        COLUMN_OF(birth, COLUMN_INTEGER, File, birth),
        COLUMN_OF(kept, COLUMN_INTEGER, File, kept),
        COLUMN_OF(written, COLUMN_INTEGER, File, written),
        COLUMN_OF(total, COLUMN_INTEGER, File, total),
        COLUMN_OF(etag, COLUMN_TEXT_OR_NULL, File, etag),
        COLUMN_OF(last_modified, COLUMN_TEXT_OR_NULL, File, last_modified),
        COLUMN_OF(response_headers, COLUMN_TEXT_OR_NULL, File, response_headers),
        COLUMN_OF(modification_time, COLUMN_INTEGER, File, modification_time),
        COLUMN_OF(resumable, COLUMN_INTEGER, File, resumable),
        COLUMN_OF(transferred, COLUMN_INTEGER, File, transferred),
        COLUMN_OF(completed, COLUMN_INTEGER, File, completed),
        COLUMN_OF(wanted, COLUMN_RANGES, File, wanted),
        COLUMN_OF(remote_size, COLUMN_INTEGER, File, remote_size),
        COLUMN_OF(scattered, COLUMN_INTEGER, File, scattered),
        COLUMN_OF(filled, COLUMN_RANGES, File, filled),
        COLUMN_OF(requested, COLUMN_RANGES, File, requested),
        COLUMN_OF(validated, COLUMN_INTEGER, File, validated),
};

enum {
        N_JOB_COLUMNS = ELEMENTS(job_columns),
        N_FILE_COLUMNS = ELEMENTS(file_columns),
};

typedef enum Statement {
        JOB_INSERT,
        JOB_UPDATE,
        JOB_DELETE,
        FILE_INSERT,
        FILE_UPDATE,
        STATEMENT_MAX,
} Statement;

typedef struct Removal {
        STAILQ_ENTRY(Removal) entries;
        uint64_t row;
} Removal;

struct Store {
        sqlite3 *db;
        Anchor anchor;
        sqlite3_stmt *statements[STATEMENT_MAX];
        TAILQ_HEAD(, Job) jobs;
        TAILQ_HEAD(, File) files;
        STAILQ_HEAD(, Removal) removals;
        bool promised;
        ServiceClock clock;
        bool note_clock; /* with the next commit, whatever else is in it */
        Vault *vault;
        char *aside; /* a database that was set aside, NULL: none */
};

static int prepare(Store *store, sqlite3_stmt **ret, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static int prepare(Store *store, sqlite3_stmt **ret, const char *format, ...)
{
        _cleanup_free_ char *sql = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&sql, format, arguments);
        va_end(arguments);
        if (r < 0) {
                sql = NULL;
                return -ENOMEM;
        }
        return database_errno(store->db, sqlite3_prepare_v3(store->db, sql, -1,
                                                            SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

/* A file's row has its job and number besides the columns. */
static int prepare_all(Store *store)
{
        _cleanup_free_ char *jobs = columns_names(job_columns, N_JOB_COLUMNS);
        _cleanup_free_ char *files = columns_names(file_columns, N_FILE_COLUMNS);
        _cleanup_free_ char *set_job = columns_assignments(job_columns, N_JOB_COLUMNS);
        _cleanup_free_ char *set_file = columns_assignments(file_columns, N_FILE_COLUMNS);
        _cleanup_free_ char *job_marks = columns_marks(N_JOB_COLUMNS);
        _cleanup_free_ char *file_marks = columns_marks(N_FILE_COLUMNS);
        sqlite3_stmt **s = store->statements;
        int r;

        if (!jobs || !files || !set_job || !set_file || !job_marks || !file_marks)
                return -ENOMEM;
        r = prepare(store, &s[JOB_INSERT], "INSERT INTO jobs (%s) VALUES (%s)", jobs, job_marks);
        if (r >= 0)
                r = prepare(store, &s[JOB_UPDATE], "UPDATE jobs SET %s WHERE row=?", set_job);
        if (r >= 0)
                r = prepare(store, &s[JOB_DELETE], "DELETE FROM jobs WHERE row=?");
        if (r >= 0)
                r = prepare(store, &s[FILE_INSERT],
                            "INSERT INTO files (%s, job, number) VALUES (%s, ?, ?)", files,
                            file_marks);
        if (r >= 0)
                r = prepare(store, &s[FILE_UPDATE], "UPDATE files SET %s WHERE row=?", set_file);
        return r;
}

static int open_database(Store *store, const char *path)
{
        int r = database_open(path, &store->db);

        if (r >= 0)
                r = prepare_all(store);
        if (r >= 0)
                r = anchor_set(path, &store->anchor);
        if (r >= 0)
                database_begin(store->db);
        return r;
}

static void close_database(Store *store)
{
        for (size_t i = 0; i < STATEMENT_MAX; i++) {
                sqlite3_finalize(store->statements[i]);
                store->statements[i] = NULL;
        }
        database_close(store->db, &store->anchor);
        store->db = NULL;
        anchor_done(&store->anchor);
}

int store_open(const char *directory, Store **ret)
{
        _cleanup_(store_closep) Store *store = calloc(1, sizeof(*store));
        _cleanup_free_ char *path = NULL;
        int r;

        if (!store || asprintf(&path, "%s/jobs.sqlite", directory) < 0)
                return -ENOMEM;
        TAILQ_INIT(&store->jobs);
        TAILQ_INIT(&store->files);
        STAILQ_INIT(&store->removals);
        r = open_database(store, path);
        if (r == -EBADMSG) { /* the right version, but not the tables of that version */
                close_database(store);
                r = database_set_aside(path, "its tables are not those of its version");
                if (r >= 0)
                        r = open_database(store, path);
        }
        if (r >= 0)
                r = service_clock_open(&store->clock, store->db);
        if (r >= 0)
                r = database_find_aside(path, &store->aside);
        if (r == -EBUSY) /* DUR-395 */
                return log_errno(LOG_ERR, r, "the job store %s is in use by another bitsd", path);
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot open the job store %s", path);
        r = vault_new(directory, &store->vault);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(store);
        return 0;
}

void store_close(Store *store)
{
        Removal *removal;

        if (!store)
                return;
        if (store->clock.write)
                (void)service_clock_note(&store->clock);
        service_clock_close(&store->clock);
        close_database(store);
        vault_free(store->vault);
        free(store->aside);
        while ((removal = STAILQ_FIRST(&store->removals))) {
                STAILQ_REMOVE_HEAD(&store->removals, entries);
                free(removal);
        }
        free(store);
}

const char *store_set_aside(const Store *store)
{
        return store->aside;
}

Vault *store_vault(Store *store)
{
        return store->vault;
}

/* ---- credentials ---- */

int store_read_credentials(Store *store, const Job *job, Credentials *ret)
{
        uint8_t *bytes = NULL;
        size_t size = 0;
        int r = 0;

        if (job->credentials)
                r = vault_open(store->vault, job->id, job->credentials, job->credentials_size,
                               &bytes, &size);
        if (r >= 0)
                r = credentials_decode(bytes, size, ret);
        secret_free(bytes, size);
        return r < 0 ? log_errno(LOG_ERR, r, "cannot read the credentials of job %s", job->id) : 0;
}

int store_write_credentials(Store *store, Job *job, const Credentials *credentials)
{
        uint8_t *bytes = NULL, *box = NULL;
        size_t size = 0, box_size = 0;
        int r = 0;

        if (!credentials_empty(credentials)) {
                r = credentials_encode(credentials, &bytes, &size);
                if (r >= 0 && size > CREDENTIALS_BYTES_MAX)
                        r = -EMSGSIZE;
                if (r >= 0)
                        r = vault_seal(store->vault, job->id, bytes, size, &box, &box_size);
                secret_free(bytes, size);
        }
        if (r >= 0)
                job_set_credentials(job, box, box_size);
        return r;
}

int store_credentials_to_fd(Store *store, const Job *job)
{
        uint8_t *bytes = NULL;
        size_t size = 0;
        int r;

        if (!job->credentials)
                return -ENODATA;
        r = vault_open(store->vault, job->id, job->credentials, job->credentials_size, &bytes,
                       &size);
        if (r >= 0)
                r = secret_to_fd(bytes, size);
        secret_free(bytes, size);
        return r < 0 ? log_errno(LOG_ERR, r, "cannot read the credentials of job %s", job->id) : r;
}

/* ---- reading ---- */

static uint64_t column_u64(sqlite3_stmt *s, int column)
{
        return (uint64_t)sqlite3_column_int64(s, column);
}

/* What the columns cannot know of themselves. DUR-49 */
static bool job_makes_sense(const Job *job)
{
        char id[JOB_ID_CHARACTERS + 1];
        const char *why;

        return job_id_parse(job->id, id) && string_equal(id, job->id) && job_type_name(job->type) &&
               job_priority_name(job->priority) && job_state_name(job->state) &&
               job->pending >= 0 && job->pending < PENDING_MAX &&
               (job->token_flags & ~(uint32_t)TOKEN_FLAGS_ALL) == 0 &&
               error_context_name(job->fault.context) && proxy_usage_name(job->proxy_usage) &&
               http_check_security_flags(job->http.security_flags, &why) == 0 &&
               http_check_method(job->http.method, &why) == 0;
}

/* DUR-43 */
static int read_job(sqlite3_stmt *s, Job **ret)
{
        static const uint8_t no_random[JOB_ID_BYTES];
        _cleanup_(job_freep) Job *job = NULL;
        int r = job_new(no_random, 0, JOB_DOWNLOAD, "", 0, &job);

        if (r >= 0)
                r = columns_read(s, 1, job_columns, N_JOB_COLUMNS, job);
        if (r < 0)
                return r;
        job->row = column_u64(s, 0);
        if (!job_makes_sense(job))
                return -EBADMSG;
        *ret = TAKE_PTR(job);
        return 0;
}

static int read_file(sqlite3_stmt *s, File **ret)
{
        _cleanup_(file_freep) File *file = NULL;
        int r = file_new_blank(&file);

        if (r >= 0)
                r = columns_read(s, 2, file_columns, N_FILE_COLUMNS, file);
        if (r < 0)
                return r;
        file->row = column_u64(s, 1);
        fill_restore(file);
        file->stored_written = file->written;
        *ret = TAKE_PTR(file);
        return 0;
}

/* Both tables are read once, in job order, side by side: no query per job. DUR-47 */
typedef struct Reader {
        sqlite3_stmt *jobs, *files;
        bool more_files;
} Reader;

static int next_file(Store *store, Reader *reader)
{
        int r = sqlite3_step(reader->files);

        reader->more_files = r == SQLITE_ROW;
        return database_errno(store->db, r);
}

static int reader_open(Store *store, Reader *reader)
{
        _cleanup_free_ char *jobs = columns_names(job_columns, N_JOB_COLUMNS);
        _cleanup_free_ char *files = columns_names(file_columns, N_FILE_COLUMNS);
        int r;

        if (!jobs || !files)
                return -ENOMEM;
        r = prepare(store, &reader->jobs, "SELECT row, %s FROM jobs ORDER BY row", jobs);
        if (r >= 0)
                r = prepare(store, &reader->files,
                            "SELECT job, row, %s FROM files ORDER BY job, number", files);
        return r >= 0 ? next_file(store, reader) : r;
}

/* Files of a job that was left out are passed over. False: one of them makes no sense. */
static int read_files_of(Store *store, Reader *reader, Job *job, bool *ret_sensible)
{
        int r = 0;

        *ret_sensible = true;

        while (r >= 0 && reader->more_files && column_u64(reader->files, 0) <= job->row) {
                File *file = NULL;

                if (column_u64(reader->files, 0) == job->row) {
                        r = read_file(reader->files, &file);
                        if (r == -EBADMSG) {
                                *ret_sensible = false;
                                r = 0;
                        } else if (r >= 0 && (r = job_append_file(job, file)) < 0)
                                file_free(file);
                }
                if (r >= 0)
                        r = next_file(store, reader);
        }
        return r;
}

/* DUR-49 */
int store_load(Store *store, int (*on_job)(void *userdata, Job *job), void *userdata)
{
        Reader reader = { 0 };
        int r = reader_open(store, &reader);

        while (r >= 0) {
                _cleanup_(job_freep) Job *job = NULL;
                int step = sqlite3_step(reader.jobs);
                bool sensible;

                if (step != SQLITE_ROW) {
                        r = database_errno(store->db, step);
                        break;
                }
                r = read_job(reader.jobs, &job);
                sensible = r != -EBADMSG;
                if (r >= 0)
                        r = read_files_of(store, &reader, job, &sensible);
                if (!sensible) { /* DUR-49: all the others must not suffer for it */
                        log_error("a job in the store makes no sense and is left out (row %lld)",
                                  (long long)sqlite3_column_int64(reader.jobs, 0));
                        r = r == -EBADMSG ? 0 : r;
                } else if (r >= 0)
                        r = on_job(userdata, TAKE_PTR(job));
        }
        sqlite3_finalize(reader.jobs);
        sqlite3_finalize(reader.files);
        return r;
}

/* ---- writing ---- */

/* DUR-44 */
void store_mark_job(Store *store, Job *job, StoreUrgency urgency)
{
        if (job_state_is_final(job->state) && job->row == 0)
                return;
        if (!job->dirty) {
                TAILQ_INSERT_TAIL(&store->jobs, job, dirty_entries);
                job->dirty = true;
        }
        store->promised = store->promised || urgency == STORE_PROMISED;
}

void store_mark_file(Store *store, File *file, StoreUrgency urgency)
{
        assert(file->job);
        if (!file->dirty) {
                TAILQ_INSERT_TAIL(&store->files, file, dirty_entries);
                file->dirty = true;
        }
        store->promised = store->promised || urgency == STORE_PROMISED;
}

static void unmark_job(Store *store, Job *job)
{
        if (job->dirty)
                TAILQ_REMOVE(&store->jobs, job, dirty_entries);
        job->dirty = false;
}

static void unmark_file(Store *store, File *file)
{
        if (file->dirty)
                TAILQ_REMOVE(&store->files, file, dirty_entries);
        file->dirty = false;
}

void store_keep_job(Store *store, Job *job)
{
        File *file;

        for (size_t i = 0; (file = job_file(job, i)); i++)
                unmark_file(store, file);
        store_mark_job(store, job, STORE_PROMISED);
}

/* DUR-46 */
void store_remove_job(Store *store, Job *job)
{
        Removal *removal;
        File *file;

        unmark_job(store, job);
        for (size_t i = 0; (file = job_file(job, i)); i++)
                unmark_file(store, file);
        if (job->row == 0)
                return;
        removal = calloc(1, sizeof(*removal));
        if (!removal) {
                log_error("out of memory: job %s comes back at the next start", job->id);
                return;
        }
        removal->row = job->row;
        job->row = 0;
        STAILQ_INSERT_TAIL(&store->removals, removal, entries);
        store->promised = true;
}

void store_forget_file(Store *store, File *file)
{
        assert(file->row == 0);
        unmark_file(store, file);
}

/* ---- as it was ---- */

int store_remember_job(const Job *job, Job **ret)
{
        _cleanup_(job_freep) Job *memory = calloc(1, sizeof(*memory));
        int r = memory ? columns_copy(job_columns, N_JOB_COLUMNS, job, memory) : -ENOMEM;

        if (r >= 0)
                *ret = TAKE_PTR(memory);
        return r;
}

void store_recall_job(Job *job, Job *memory)
{
        columns_swap(job_columns, N_JOB_COLUMNS, job, memory);
}

int store_remember_file(const File *file, File **ret)
{
        _cleanup_(file_freep) File *memory = calloc(1, sizeof(*memory));
        int r = memory ? columns_copy(file_columns, N_FILE_COLUMNS, file, memory) : -ENOMEM;

        if (r >= 0)
                *ret = TAKE_PTR(memory);
        return r;
}

void store_recall_file(File *file, File *memory)
{
        columns_swap(file_columns, N_FILE_COLUMNS, file, memory);
        job_count_files(file->job);
}

bool store_has_promises(const Store *store)
{
        return store->promised;
}

bool store_is_dirty(const Store *store)
{
        return !TAILQ_EMPTY(&store->jobs) || !TAILQ_EMPTY(&store->files) ||
               !STAILQ_EMPTY(&store->removals) || store->note_clock;
}

const ServiceClock *store_clock(const Store *store)
{
        return &store->clock;
}

void store_note_clock(Store *store)
{
        store->note_clock = true;
}

static int run(Store *store, sqlite3_stmt *s)
{
        int r = database_errno(store->db, sqlite3_step(s));

        sqlite3_reset(s);
        sqlite3_clear_bindings(s);
        return r;
}

static int write_job(Store *store, Job *job)
{
        sqlite3_stmt *s = store->statements[job->row == 0 ? JOB_INSERT : JOB_UPDATE];
        int p = columns_bind(s, job_columns, N_JOB_COLUMNS, job), r;

        if (job->row != 0)
                sqlite3_bind_int64(s, p, (sqlite3_int64)job->row);
        r = run(store, s);
        if (r >= 0 && job->row == 0)
                job->row = (uint64_t)sqlite3_last_insert_rowid(store->db);
        return r;
}

static int write_file(Store *store, File *file)
{
        sqlite3_stmt *s = store->statements[file->row == 0 ? FILE_INSERT : FILE_UPDATE];
        int p = columns_bind(s, file_columns, N_FILE_COLUMNS, file), r;

        if (file->row == 0) {
                sqlite3_bind_int64(s, p++, (sqlite3_int64)file->job->row);
                sqlite3_bind_int64(s, p, file->index);
        } else
                sqlite3_bind_int64(s, p, (sqlite3_int64)file->row);
        r = run(store, s);
        if (r >= 0 && file->row == 0)
                file->row = (uint64_t)sqlite3_last_insert_rowid(store->db);
        return r;
}

static int write_marked(Store *store)
{
        sqlite3_stmt *delete = store->statements[JOB_DELETE];
        Removal *removal;
        Job *job;
        File *file;
        int r;

        TAILQ_FOREACH (job, &store->jobs, dirty_entries) {
                r = write_job(store, job);
                if (r < 0)
                        return r;
        }
        TAILQ_FOREACH (file, &store->files, dirty_entries) {
                r = write_file(store, file);
                if (r < 0)
                        return r;
        }
        /* DUR-45: last, so that new rows get numbers above all that were there before: void_rows()
           knows them by that. */
        STAILQ_FOREACH (removal, &store->removals, entries) {
                sqlite3_bind_int64(delete, 1, (sqlite3_int64)removal->row);
                r = run(store, delete);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* After a commit the marks go; after a failure the rows given in this transaction are void. */
static void forget_marks(Store *store)
{
        Removal *removal;
        Job *job;
        File *file;

        while ((removal = STAILQ_FIRST(&store->removals))) {
                STAILQ_REMOVE_HEAD(&store->removals, entries);
                free(removal);
        }
        while ((job = TAILQ_FIRST(&store->jobs)))
                unmark_job(store, job);
        while ((file = TAILQ_FIRST(&store->files))) {
                file->stored_written = file->written;
                unmark_file(store, file);
        }
        store->promised = store->note_clock = false;
}

/* Rows above these were given in the transaction that failed. DUR-45 */
static void void_rows(Store *store, uint64_t last_job, uint64_t last_file)
{
        Job *job;
        File *file;

        TAILQ_FOREACH (job, &store->jobs, dirty_entries)
                if (job->row > last_job)
                        job->row = 0;
        TAILQ_FOREACH (file, &store->files, dirty_entries)
                if (file->row > last_file)
                        file->row = 0;
}

static uint64_t last_row(Store *store, const char *sql)
{
        sqlite3_stmt *s = NULL;
        uint64_t row = 0;

        if (sqlite3_prepare_v2(store->db, sql, -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
                row = column_u64(s, 0);
        sqlite3_finalize(s);
        return row;
}

/* DUR-17: all that is marked, or nothing. */
int store_commit(Store *store)
{
        uint64_t last_job, last_file;
        int r;

        if (!store_is_dirty(store)) {
                store->promised = false;
                return 0;
        }
        r = anchor_check(&store->anchor);
        if (r >= 0)
                r = database_execute(store->db, "BEGIN IMMEDIATE");
        if (r < 0)
                return r;
        last_job = last_row(store, "SELECT max(row) FROM jobs");
        last_file = last_row(store, "SELECT max(row) FROM files");
        r = write_marked(store);
        if (r >= 0)
                r = database_errno(store->db, service_clock_note(&store->clock));
        if (r >= 0)
                r = database_execute(store->db, "COMMIT");
        if (r < 0) {
                (void)database_execute(store->db, "ROLLBACK");
                void_rows(store, last_job, last_file);
                return r;
        }
        forget_marks(store);
        return 0;
}
