#include "manager/store.h"

#include "manager/database.h"

#include "basic/log.h"
#include "basic/secret.h"
#include "manager/vault.h"

#include <sqlite3.h>
#include <stdio.h>

typedef enum Statement {
        JOB_INSERT,
        JOB_UPDATE,
        JOB_DELETE,
        FILE_INSERT,
        FILE_UPDATE,
        STATEMENT_MAX,
} Statement;

static const char *const statement_texts[] = {
        [JOB_INSERT] =
                "INSERT INTO jobs (id, owner, type, priority, state, pending, display_name,"
                " description, minimum_retry_delay, no_progress_timeout, notify_flags, token_flags,"
                " created, modified, transfer_completed, error_count, fault_context,"
                " fault_code, fault_detail, fault_file, owner_elevated, owner_integrity, "
                "last_helper,"
                " proxy_usage, proxy_list, proxy_bypass, credential_cache,"
                " helper_credential_cache, credentials)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [JOB_UPDATE] =
                "UPDATE jobs SET id=?, owner=?, type=?, priority=?, state=?, pending=?,"
                " display_name=?, description=?, minimum_retry_delay=?,"
                " no_progress_timeout=?, notify_flags=?, token_flags=?, created=?, modified=?,"
                " transfer_completed=?, error_count=?, fault_context=?, fault_code=?,"
                " fault_detail=?, fault_file=?, owner_elevated=?, owner_integrity=?, last_helper=?,"
                " proxy_usage=?, proxy_list=?, proxy_bypass=?, credential_cache=?,"
                " helper_credential_cache=?, credentials=?"
                " WHERE row=?",
        [JOB_DELETE] = "DELETE FROM jobs WHERE row=?",
        [FILE_INSERT] = "INSERT INTO files (remote_name, local_name, temporary_name, device, inode,"
                        " birth, kept, written, total, etag, last_modified, modification_time,"
                        " resumable, transferred, completed, job, number)"
                        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [FILE_UPDATE] = "UPDATE files SET remote_name=?, local_name=?, temporary_name=?, device=?,"
                        " inode=?, birth=?, kept=?, written=?, total=?, etag=?, last_modified=?, "
                        "modification_time=?,"
                        " resumable=?, transferred=?, completed=? WHERE row=?",
};
static_assert_table(statement_texts, STATEMENT_MAX);

typedef struct Removal {
        STAILQ_ENTRY(Removal) entries;
        uint64_t row;
} Removal;

struct Store {
        sqlite3 *db;
        sqlite3_stmt *statements[STATEMENT_MAX];
        TAILQ_HEAD(, Job) jobs;
        TAILQ_HEAD(, File) files;
        STAILQ_HEAD(, Removal) removals;
        bool promised;
        Vault *vault;
};

static int prepare_all(Store *store)
{
        for (size_t i = 0; i < STATEMENT_MAX; i++) {
                int r = sqlite3_prepare_v3(store->db, statement_texts[i], -1,
                                           SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);

                if (r != SQLITE_OK)
                        return database_errno(store->db, r);
        }
        return 0;
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
        r = database_open(path, &store->db);
        if (r >= 0)
                r = prepare_all(store);
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
        for (size_t i = 0; i < STATEMENT_MAX; i++)
                sqlite3_finalize(store->statements[i]);
        sqlite3_close(store->db);
        vault_free(store->vault);
        while ((removal = STAILQ_FIRST(&store->removals))) {
                STAILQ_REMOVE_HEAD(&store->removals, entries);
                free(removal);
        }
        free(store);
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

static char *column_text(sqlite3_stmt *s, int column)
{
        const char *text = (const char *)sqlite3_column_text(s, column);

        return text ? strdup(text) : NULL;
}

static uint64_t column_u64(sqlite3_stmt *s, int column)
{
        return (uint64_t)sqlite3_column_int64(s, column);
}

static int replace_text(sqlite3_stmt *s, int column, char **text)
{
        free(*text);
        *text = column_text(s, column);
        return *text ? 0 : -ENOMEM;
}

/* From column `c` on: how the job reaches the network, and as whom. */
static int read_network(sqlite3_stmt *s, int c, Job *job)
{
        char **texts[] = { &job->proxy_list, &job->proxy_bypass, &job->credential_cache,
                           &job->helper_credential_cache };
        const void *box;
        int size, r = 0;

        job->proxy_usage = (ProxyUsage)sqlite3_column_int(s, c++);
        if (!proxy_usage_name(job->proxy_usage))
                return -EBADMSG;
        for (size_t i = 0; r >= 0 && i < ELEMENTS(texts); i++)
                r = replace_text(s, c++, texts[i]);
        box = sqlite3_column_blob(s, c);
        size = sqlite3_column_bytes(s, c);
        if (r >= 0 && box && size > 0) {
                uint8_t *copy = malloc((size_t)size);

                if (!copy)
                        return -ENOMEM;
                memcpy(copy, box, (size_t)size);
                job_set_credentials(job, copy, (size_t)size);
        }
        return r;
}

/* DUR-43 */
static int read_job(sqlite3_stmt *s, Job **ret)
{
        static const uint8_t no_random[JOB_ID_BYTES];
        _cleanup_(job_freep) Job *job = NULL;
        int c = 0, r;

        r = job_new(no_random, 0, JOB_DOWNLOAD, "", 0, &job);
        if (r < 0)
                return r;
        job->row = column_u64(s, c++);
        if (!job_id_parse((const char *)sqlite3_column_text(s, c++), job->id))
                return -EBADMSG;
        job->owner = (uid_t)column_u64(s, c++);
        job->type = (JobType)sqlite3_column_int(s, c++);
        job->priority = (JobPriority)sqlite3_column_int(s, c++);
        job->state = (JobState)sqlite3_column_int(s, c++);
        job->pending = (PendingCall)sqlite3_column_int(s, c++);
        free(job->display_name);
        free(job->description);
        job->display_name = column_text(s, c++);
        job->description = column_text(s, c++);
        job->minimum_retry_delay = (uint32_t)column_u64(s, c++);
        job->no_progress_timeout = (uint32_t)column_u64(s, c++);
        job->notify_flags = (uint32_t)column_u64(s, c++);
        job->token_flags = (uint32_t)column_u64(s, c++);
        job->created = column_u64(s, c++);
        job->modified = column_u64(s, c++);
        job->transfer_completed = column_u64(s, c++);
        job->error_count = (uint32_t)column_u64(s, c++);
        job->fault.context = (ErrorContext)sqlite3_column_int(s, c++);
        job->fault.code = (BitsCode)column_u64(s, c++);
        job->fault.detail = column_text(s, c++);
        job->fault_file = sqlite3_column_int64(s, c++);
        job->owner_elevated = sqlite3_column_int(s, c++);
        job->owner_integrity = (uint32_t)column_u64(s, c++);
        job->last_helper = (uid_t)column_u64(s, c++);
        r = read_network(s, c, job);
        if (r < 0)
                return r;
        if (!job->display_name || !job->description)
                return -ENOMEM;
        if (!job_type_name(job->type) || !job_priority_name(job->priority) ||
            !job_state_name(job->state) || job->pending < 0 || job->pending >= PENDING_MAX ||
            (job->token_flags & ~(uint32_t)TOKEN_FLAGS_ALL) != 0 ||
            !error_context_name(job->fault.context))
                return -EBADMSG;
        *ret = TAKE_PTR(job);
        return 0;
}

static int read_file(sqlite3_stmt *s, File **ret)
{
        static const uint8_t no_random[6];
        _cleanup_(file_freep) File *file = NULL;
        int c = 1, r;

        r = file_new("", "", no_random, &file);
        if (r < 0)
                return r;
        free(file->remote_name);
        free(file->local_name);
        free(file->temporary_name);
        file->row = column_u64(s, c++);
        file->remote_name = column_text(s, c++);
        file->local_name = column_text(s, c++);
        file->temporary_name = column_text(s, c++);
        file->device = column_u64(s, c++);
        file->inode = column_u64(s, c++);
        file->birth = column_u64(s, c++);
        file->kept = column_u64(s, c++);
        file->written = file->stored_written = MAX(column_u64(s, c++), file->kept);
        file->total = column_u64(s, c++);
        file->etag = column_text(s, c++);
        file->last_modified = column_text(s, c++);
        file->modification_time = column_u64(s, c++);
        file->resumable = sqlite3_column_int(s, c++);
        file->transferred = sqlite3_column_int(s, c++);
        file->completed = sqlite3_column_int(s, c++);
        if (!file->remote_name || !file->local_name || !file->temporary_name)
                return -ENOMEM;
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
        int r = sqlite3_prepare_v2(
                store->db,
                "SELECT row, id, owner, type, priority, state, pending, display_name, description,"
                " minimum_retry_delay, no_progress_timeout, notify_flags, token_flags, created, "
                "modified,"
                " transfer_completed, error_count, fault_context, fault_code, fault_detail,"
                " fault_file, owner_elevated, owner_integrity, last_helper, proxy_usage, "
                "proxy_list,"
                " proxy_bypass, credential_cache, helper_credential_cache, credentials FROM jobs "
                "ORDER BY row",
                -1, &reader->jobs, NULL);

        if (r == SQLITE_OK)
                r = sqlite3_prepare_v2(
                        store->db,
                        "SELECT job, row, remote_name, local_name, temporary_name, device, inode,"
                        " birth, kept, written, total, etag, last_modified, modification_time,"
                        " resumable, transferred, completed FROM files ORDER BY job, number",
                        -1, &reader->files, NULL);
        return r == SQLITE_OK ? next_file(store, reader) : database_errno(store->db, r);
}

/* Files of a job that was left out are passed over. */
static int read_files_of(Store *store, Reader *reader, Job *job)
{
        int r = 0;

        while (r >= 0 && reader->more_files && column_u64(reader->files, 0) <= job->row) {
                File *file = NULL;

                if (column_u64(reader->files, 0) == job->row) {
                        r = read_file(reader->files, &file);
                        if (r >= 0 && (r = job_append_file(job, file)) < 0)
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

                if (step != SQLITE_ROW) {
                        r = database_errno(store->db, step);
                        break;
                }
                r = read_job(reader.jobs, &job);
                if (r == -EBADMSG) { /* DUR-49: all the others must not suffer for it */
                        log_error("a job in the store makes no sense and is left out (row %lld)",
                                  (long long)sqlite3_column_int64(reader.jobs, 0));
                        r = 0;
                        continue;
                }
                if (r >= 0)
                        r = read_files_of(store, &reader, job);
                if (r >= 0)
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

/* DUR-46 */
void store_remove_job(Store *store, Job *job)
{
        Removal *removal;

        unmark_job(store, job);
        for (size_t i = 0; i < job->n_files; i++)
                unmark_file(store, job->files[i]);
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

bool store_has_promises(const Store *store)
{
        return store->promised;
}

bool store_is_dirty(const Store *store)
{
        return !TAILQ_EMPTY(&store->jobs) || !TAILQ_EMPTY(&store->files) ||
               !STAILQ_EMPTY(&store->removals);
}

static void bind_u64(sqlite3_stmt *s, int *parameter, uint64_t value)
{
        sqlite3_bind_int64(s, (*parameter)++, (sqlite3_int64)value);
}

static void bind_text(sqlite3_stmt *s, int *parameter, const char *value)
{
        if (value)
                sqlite3_bind_text(s, (*parameter)++, value, -1, SQLITE_STATIC);
        else
                sqlite3_bind_null(s, (*parameter)++);
}

static int run(Store *store, sqlite3_stmt *s)
{
        int r = database_errno(store->db, sqlite3_step(s));

        sqlite3_reset(s);
        sqlite3_clear_bindings(s);
        return r;
}

/* JOB-55, JOB-70. TOK-58: flags are stored, a token never is. */
static int write_job(Store *store, Job *job)
{
        sqlite3_stmt *s = store->statements[job->row == 0 ? JOB_INSERT : JOB_UPDATE];
        int p = 1, r;

        bind_text(s, &p, job->id);
        bind_u64(s, &p, job->owner);
        bind_u64(s, &p, (uint64_t)job->type);
        bind_u64(s, &p, (uint64_t)job->priority);
        bind_u64(s, &p, (uint64_t)job->state);
        bind_u64(s, &p, (uint64_t)job->pending);
        bind_text(s, &p, job->display_name);
        bind_text(s, &p, job->description);
        bind_u64(s, &p, job->minimum_retry_delay);
        bind_u64(s, &p, job->no_progress_timeout);
        bind_u64(s, &p, job->notify_flags);
        bind_u64(s, &p, job->token_flags);
        bind_u64(s, &p, job->created);
        bind_u64(s, &p, job->modified);
        bind_u64(s, &p, job->transfer_completed);
        bind_u64(s, &p, job->error_count);
        bind_u64(s, &p, (uint64_t)job->fault.context);
        bind_u64(s, &p, job->fault.code);
        bind_text(s, &p, job->fault.detail);
        bind_u64(s, &p, (uint64_t)job->fault_file);
        bind_u64(s, &p, job->owner_elevated);
        bind_u64(s, &p, job->owner_integrity);
        bind_u64(s, &p, job->last_helper);
        bind_u64(s, &p, (uint64_t)job->proxy_usage);
        bind_text(s, &p, job->proxy_list);
        bind_text(s, &p, job->proxy_bypass);
        bind_text(s, &p, job->credential_cache);
        bind_text(s, &p, job->helper_credential_cache);
        if (job->credentials)
                sqlite3_bind_blob64(s, p++, job->credentials, job->credentials_size, SQLITE_STATIC);
        else
                sqlite3_bind_null(s, p++);
        if (job->row != 0)
                bind_u64(s, &p, job->row);
        r = run(store, s);
        if (r >= 0 && job->row == 0)
                job->row = (uint64_t)sqlite3_last_insert_rowid(store->db);
        return r;
}

static int write_file(Store *store, File *file)
{
        sqlite3_stmt *s = store->statements[file->row == 0 ? FILE_INSERT : FILE_UPDATE];
        int p = 1, r;

        bind_text(s, &p, file->remote_name);
        bind_text(s, &p, file->local_name);
        bind_text(s, &p, file->temporary_name);
        bind_u64(s, &p, file->device);
        bind_u64(s, &p, file->inode);
        bind_u64(s, &p, file->birth);
        bind_u64(s, &p, file->kept);
        bind_u64(s, &p, file->written);
        bind_u64(s, &p, file->total);
        bind_text(s, &p, file->etag);
        bind_text(s, &p, file->last_modified);
        bind_u64(s, &p, file->modification_time);
        bind_u64(s, &p, file->resumable);
        bind_u64(s, &p, file->transferred);
        bind_u64(s, &p, file->completed);
        if (file->row == 0) {
                bind_u64(s, &p, file->job->row);
                bind_u64(s, &p, file->index);
        } else
                bind_u64(s, &p, file->row);
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
                int p = 1;

                bind_u64(delete, &p, removal->row);
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
        store->promised = false;
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
        r = database_execute(store->db, "BEGIN IMMEDIATE");
        if (r < 0)
                return r;
        last_job = last_row(store, "SELECT max(row) FROM jobs");
        last_file = last_row(store, "SELECT max(row) FROM files");
        r = write_marked(store);
        if (r >= 0)
                r = database_execute(store->db, "COMMIT");
        if (r < 0) {
                (void)database_execute(store->db, "ROLLBACK");
                void_rows(store, last_job, last_file);
                return log_errno(LOG_ERR, r, "cannot write the job store");
        }
        forget_marks(store);
        return 0;
}
