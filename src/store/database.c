#include "store/database.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "store/migrate.h"

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

enum {
        SCHEMA_VERSION = 2,
        OUR_TABLES = 3,

        /* Where the file has SQLite's application_id, four bytes, and how long the beginning of a
           log is, which says nothing yet. */
        MARK_OFFSET = 68,
        LOG_HEADER_BYTES = 32,
        LOG_IN_USE = 0x62697473,
};

static const char schema_text[] =
#include "schema.inc"
        ;

/* SQLite's result as an errno that the layers above can act on. DUR-267: only -EBADMSG speaks of
   the database itself. */
int database_errno(sqlite3 *db, int r)
{
        switch (r & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW:
                return 0;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_ERROR: /* our statements are right: the tables are not ours */
        case SQLITE_SCHEMA:
        case SQLITE_MISMATCH:
                return -EBADMSG;
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
                return db && sqlite3_system_errno(db) > 0 ? -sqlite3_system_errno(db) : -EACCES;
        }
        return -EIO;
}

int database_execute(sqlite3 *db, const char *sql)
{
        return database_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static int schema_version(sqlite3 *db, int *ret)
{
        sqlite3_stmt *s = NULL;
        int r = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL);

        if (r == SQLITE_OK && (r = sqlite3_step(s)) == SQLITE_ROW)
                *ret = sqlite3_column_int(s, 0);
        r = database_errno(db, r);
        sqlite3_finalize(s);
        return r;
}

/* DUR-48: damage is found now, while the database can still be set aside, and not in the middle of
   its jobs. */
static int check_content(sqlite3 *db)
{
        sqlite3_stmt *s = NULL;
        int r = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL);

        if (r == SQLITE_OK)
                r = sqlite3_step(s);
        if (r == SQLITE_ROW && !string_equal((const char *)sqlite3_column_text(s, 0), "ok"))
                r = SQLITE_CORRUPT;
        r = database_errno(db, r);
        sqlite3_finalize(s);
        return r;
}

/* One transaction makes all tables or none. */
static int create_schema(sqlite3 *db)
{
        int r = database_execute(db, "BEGIN EXCLUSIVE");

        if (r >= 0)
                r = database_execute(db, schema_text);
        if (r >= 0)
                r = database_execute(db, "COMMIT");
        if (r < 0)
                (void)database_execute(db, "ROLLBACK");
        return r;
}

/* DUR-51: bytes that were written but not synced outlive every process, but not the machine. In the
   first start after a boot nothing but the synced bytes counts. */
static int is_boot_of_store(sqlite3 *db, const char *boot, bool *ret)
{
        sqlite3_stmt *s = NULL;
        int r = sqlite3_prepare_v2(
                db, "SELECT count(*) FROM facts WHERE key = 'boot' AND value = ?", -1, &s, NULL);

        if (r == SQLITE_OK)
                r = sqlite3_bind_text(s, 1, boot, -1, SQLITE_STATIC);
        if (r == SQLITE_OK && (r = sqlite3_step(s)) == SQLITE_ROW)
                *ret = sqlite3_column_int(s, 0) > 0;
        r = database_errno(db, r);
        sqlite3_finalize(s);
        return r;
}

/* DUR-268: in the same boot nothing is written, so that a full disk does not stop the start.
   FIL-220: after another one numbers of devices mean nothing; the inode and its birth are enough.
   */
static int forget_unsynced(sqlite3 *db)
{
        char sql[256], boot[SD_ID128_STRING_MAX];
        sd_id128_t id;
        bool same = false;
        int r = sd_id128_get_boot(&id);

        if (r < 0)
                return database_execute(db, "UPDATE files SET written = kept WHERE written > kept");
        r = is_boot_of_store(db, sd_id128_to_string(id, boot), &same);
        if (r < 0 || same)
                return r;
        snprintf(sql, sizeof(sql),
                 "BEGIN; UPDATE files SET written = kept WHERE written > kept;"
                 "UPDATE files SET device = 0 WHERE birth <> 0;"
                 "REPLACE INTO facts (key, value) VALUES ('boot', '%s'); COMMIT",
                 boot);
        return database_execute(db, sql);
}

/* ---- the log ---- */

/*
 * DUR-480. Changes are in the log until a checkpoint; without it SQLite takes the database as it
 * was then. So the database says itself whether its log has to be there: a mark in its first page,
 * written into the file before the first change of a service and taken back by its last, when it
 * ends in order. Each is one commit, and no other costs more for it. SQLite syncs a new log and its
 * folder before the mark can reach the file, and a log never becomes shorter; so no power cut
 * leaves the mark without the log.
 */

/* Before SQLite has opened it: closing a file gives up every lock that the process has on it. */
static bool is_marked(const char *path)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint32_t mark = 0;

        return fd >= 0 && pread(fd, &mark, sizeof(mark), MARK_OFFSET) == sizeof(mark) &&
               be32toh(mark) == LOG_IN_USE;
}

/* The database alone is whole, and as it was at the last checkpoint. */
static void tell_of_lost_log(const char *path)
{
        _cleanup_free_ char *log = NULL;
        struct stat st;

        if (!is_marked(path) || asprintf(&log, "%s-wal", path) < 0 ||
            (stat(log, &st) == 0 && st.st_size > LOG_HEADER_BYTES))
                return;
        log_error("the log %s of the job store is gone or empty: jobs are as they were at some "
                  "time before the service ended, and what changed since then is lost, unless "
                  "another program opened the store meanwhile and put it in",
                  log);
}

static int mark_log(sqlite3 *db, bool in_use)
{
        char sql[64];

        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", in_use ? LOG_IN_USE : 0);
        return database_execute(db, sql);
}

/* ---- opening ---- */

/* What can be seen from outside; NULL: nothing is wrong. An empty database was not left by us: the
   first commit makes its tables. SQLite would throw the log of one away. DUR-265 */
static const char *wrong_from_outside(const char *path)
{
        _cleanup_free_ char *log = NULL;
        struct stat st;

        if (asprintf(&log, "%s-wal", path) < 0) {
                log = NULL;
                return NULL;
        }
        if (stat(path, &st) < 0)
                return errno == ENOENT && access(log, F_OK) == 0 ? "only its log is left" : NULL;
        if (!S_ISREG(st.st_mode))
                return "it is no regular file";
        if (st.st_size == 0)
                return "it is empty";
        return access(path, R_OK | W_OK) < 0 && (errno == EACCES || errno == EPERM)
                       ? "bitsd has no permission to read and write it"
                       : NULL;
}

/* Of any kind, and those that every version has. */
static int count_tables(sqlite3 *db, int *ret, int *ret_ours)
{
        sqlite3_stmt *s = NULL;
        int r = sqlite3_prepare_v2(db,
                                   "SELECT count(*), total(type = 'table' AND name IN"
                                   " ('jobs', 'files', 'facts')) FROM sqlite_schema",
                                   -1, &s, NULL);

        if (r == SQLITE_OK && (r = sqlite3_step(s)) == SQLITE_ROW) {
                *ret = sqlite3_column_int(s, 0);
                *ret_ours = sqlite3_column_int(s, 1);
        }
        r = database_errno(db, r);
        sqlite3_finalize(s);
        return r;
}

/* DUR-394: nothing is wrong with it, so that it is neither set aside nor touched. */
static int refuse_later(sqlite3 *db, int version)
{
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        log_error(
                "a later version of bitsd made the job store %s (%d; this one knows versions up to "
                "%d): nothing was touched; install that version again, or move the file away",
                sqlite3_db_filename(db, NULL), version, SCHEMA_VERSION);
        return -EPROTONOSUPPORT;
}

/* 0 in *ret_version: a new database. `ret_why` is set when the file can be set aside; it has not
   been written to by then. */
static int check_version(sqlite3 *db, int *ret_version, const char **ret_why)
{
        int tables = 0, ours = 0;
        int r = schema_version(db, ret_version);

        if (r >= 0)
                r = count_tables(db, &tables, &ours);
        if (r < 0)
                return r;
        if (*ret_version == 0 && tables == 0)
                return 0;
        if (*ret_version > SCHEMA_VERSION && ours == OUR_TABLES)
                return refuse_later(db, *ret_version);
        if (*ret_version <= 0 || *ret_version > SCHEMA_VERSION || ours != OUR_TABLES)
                *ret_why = "something else made it";
        return *ret_why ? -EBADMSG : 0;
}

static int prepare(sqlite3 *db, int version)
{
        int r = database_execute(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                     "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
                                     "PRAGMA wal_autocheckpoint=4000;");

        if (r < 0)
                return r;
        if (version == 0)
                return create_schema(db);
        r = check_content(db);
        if (r >= 0 && version < SCHEMA_VERSION)
                r = database_migrate(db, schema_text, version, SCHEMA_VERSION);
        return r;
}

static int open_file(const char *path, sqlite3 **ret, const char **ret_why)
{
        sqlite3 *db = NULL;
        int version = 0;
        /* One thread: no lock per value. */
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        int r;

        *ret_why = wrong_from_outside(path);
        if (*ret_why)
                return -EBADMSG;
        r = sqlite3_open_v2(path, &db, flags, NULL);
        r = database_errno(db, r);
        /* Exclusive: one process, hence no shared-memory file and no lock per transaction. */
        if (r >= 0)
                r = database_execute(db, "PRAGMA locking_mode=EXCLUSIVE");
        if (r >= 0)
                r = check_version(db, &version, ret_why);
        if (r >= 0)
                r = prepare(db, version);
        if (r >= 0)
                r = forget_unsynced(db);
        if (r < 0) {
                if (r == -EBADMSG && !*ret_why)
                        *ret_why = "it is damaged";
                sqlite3_close(db);
                return r;
        }
        *ret = db;
        return 0;
}

/* ---- setting aside ---- */

static const char *const suffixes[] = { "", "-wal", "-shm" };

static bool any_exists(const char *path)
{
        for (size_t i = 0; i < ELEMENTS(suffixes); i++) {
                _cleanup_free_ char *name = NULL;
                struct stat st;

                if (asprintf(&name, "%s%s", path, suffixes[i]) < 0)
                        name = NULL;
                if (!name || lstat(name, &st) == 0 || errno != ENOENT)
                        return true;
        }
        return false;
}

/* A name that no earlier one has: what was kept once is not replaced. */
static char *name_aside(const char *path)
{
        struct tm tm;
        time_t now = time(NULL);
        char stamp[32], *aside;

        (void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
        for (unsigned n = 0; n < 1000; n++) {
                if (asprintf(&aside, n > 0 ? "%s" DATABASE_ASIDE "%s-%u" : "%s" DATABASE_ASIDE "%s",
                             path, stamp, n) < 0)
                        return NULL;
                if (!any_exists(aside))
                        return aside;
                free(aside);
        }
        return NULL;
}

/* The database first: a log without one is set aside by the next start. DUR-48 */
int database_set_aside(const char *path, const char *why)
{
        _cleanup_free_ char *aside = name_aside(path);

        if (!aside)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTS(suffixes); i++) {
                _cleanup_free_ char *from = NULL, *to = NULL;

                if (asprintf(&from, "%s%s", path, suffixes[i]) < 0 ||
                    asprintf(&to, "%s%s", aside, suffixes[i]) < 0)
                        return -ENOMEM;
                if (rename(from, to) < 0 && errno != ENOENT)
                        return log_errno(LOG_ERR, -errno,
                                         "the job store %s cannot be used (%s), and cannot be set "
                                         "aside",
                                         path, why);
        }
        log_error("the job store %s cannot be used: %s. It is kept as %s, and a new one is begun",
                  path, why, aside);
        return 0;
}

/* The stamps in the names sort by time. */
int database_find_aside(const char *path, char **ret)
{
        const char *slash = strrchr(path, '/'), *name = slash + 1;
        _cleanup_free_ char *folder = strndup(path, (size_t)(slash - path));
        _cleanup_free_ char *newest = NULL;
        struct dirent *entry;
        DIR *directory = folder ? opendir(folder) : NULL;
        int r = 0;

        *ret = NULL;
        if (!directory)
                return folder ? -errno : -ENOMEM;
        while (r >= 0 && (entry = readdir(directory))) {
                const char *rest = entry->d_name + strlen(name);

                if (strncmp(entry->d_name, name, strlen(name)) != 0 ||
                    strncmp(rest, DATABASE_ASIDE, strlen(DATABASE_ASIDE)) != 0 ||
                    (newest && strcmp(entry->d_name, newest) <= 0))
                        continue;
                free(newest);
                newest = strdup(entry->d_name);
                r = newest ? 0 : -ENOMEM;
        }
        (void)closedir(directory);
        if (r < 0 || !newest)
                return r;
        return asprintf(ret, "%s/%s", folder, newest) < 0 ? -ENOMEM : 0;
}

int database_open(const char *path, sqlite3 **ret)
{
        const char *why = NULL;
        int r;

        tell_of_lost_log(path);
        r = open_file(path, ret, &why);
        if (!why)
                return r;
        r = database_set_aside(path, why);
        return r < 0 ? r : open_file(path, ret, &why);
}

static bool is_log_in_use(sqlite3 *db)
{
        sqlite3_stmt *s = NULL;
        bool in_use = sqlite3_prepare_v2(db, "PRAGMA application_id", -1, &s, NULL) == SQLITE_OK &&
                      sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == LOG_IN_USE;

        sqlite3_finalize(s);
        return in_use;
}

/* DUR-268: on a full disk the service starts without. */
void database_begin(sqlite3 *db)
{
        int r = 0;

        if (is_log_in_use(db))
                return;
        r = mark_log(db, true);
        if (r >= 0)
                r = database_execute(db, "PRAGMA wal_checkpoint(PASSIVE)");
        if (r < 0)
                log_errno(LOG_NOTICE, r, "a loss of the job store's log would not be noticed");
}

/* Without a checkpoint SQLite leaves the log where it is. */
static void close_as_it_is(sqlite3 *db)
{
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_close(db);
}

void database_close(sqlite3 *db, const Anchor *anchor)
{
        if (!db || !anchor->database.path)
                sqlite3_close(db);
        else if (mark_log(db, false) < 0)
                close_as_it_is(db);
        else if (!anchor_holds_log(anchor)) {
                (void)database_execute(db, "PRAGMA wal_checkpoint(FULL)");
                close_as_it_is(db);
        } else
                sqlite3_close(db);
}
