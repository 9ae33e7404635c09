#include "manager/database.h"

#include "basic/log.h"

#include <stdio.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

enum {
        SCHEMA_VERSION = 2,
};

static const char schema_text[] =
#include "schema.inc"
        ;

/* SQLite's result as an errno that the layers above can act on. */
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

static const char *const tables[] = { "jobs", "files", "facts" };

/* The columns that the old table has in common with the new one; the caller frees it. */
static int common_columns(sqlite3 *db, const char *table, char **ret)
{
        sqlite3_stmt *s = NULL;
        char sql[256];
        int r;

        snprintf(sql, sizeof(sql),
                 "SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info('old_%s')"
                 " INTERSECT SELECT name FROM pragma_table_info('%s'))",
                 table, table);
        r = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
        if (r == SQLITE_OK)
                r = sqlite3_step(s);
        *ret = NULL;
        if (r == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_TEXT)
                *ret = strdup((const char *)sqlite3_column_text(s, 0));
        r = database_errno(db, r);
        sqlite3_finalize(s);
        return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

static int copy_table(sqlite3 *db, const char *table)
{
        _cleanup_free_ char *columns = NULL, *sql = NULL;
        int r = common_columns(db, table, &columns);

        if (r < 0)
                return r;
        if (asprintf(&sql, "INSERT INTO %s (%s) SELECT %s FROM old_%s", table, columns, columns,
                     table) < 0) {
                sql = NULL;
                return -ENOMEM;
        }
        return database_execute(db, sql);
}

static int rebuild_tables(sqlite3 *db)
{
        int r = database_execute(db, "ALTER TABLE jobs RENAME TO old_jobs;"
                                     "ALTER TABLE files RENAME TO old_files;"
                                     "ALTER TABLE facts RENAME TO old_facts");

        if (r >= 0)
                r = database_execute(db, schema_text);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(tables); i++)
                r = copy_table(db, tables[i]);
        return r < 0 ? r
                     : database_execute(
                               db,
                               "DROP TABLE old_files; DROP TABLE old_jobs; DROP TABLE old_facts");
}

/* From an earlier version: what both know is copied, what is new has the default of schema.sql. One
   transaction: a migration that is cut off has not begun. DUR-56 */
static int migrate(sqlite3 *db, int version)
{
        int r = database_execute(db, "PRAGMA foreign_keys=OFF; BEGIN EXCLUSIVE");

        if (r >= 0)
                r = rebuild_tables(db);
        if (r >= 0)
                r = database_execute(db, "COMMIT");
        if (r < 0)
                (void)database_execute(db, "ROLLBACK");
        else
                log_info("the job store is of version %d: brought to version %d", version,
                         SCHEMA_VERSION);
        if (r >= 0)
                r = database_execute(db, "PRAGMA foreign_keys=ON");
        return r;
}

/* DUR-51: bytes that were written but not synced outlive every process, but not the machine. In the
   first start after a boot nothing but the synced bytes counts. */
static int forget_unsynced(sqlite3 *db)
{
        char sql[256], boot[SD_ID128_STRING_MAX];
        sd_id128_t id;
        int r = sd_id128_get_boot(&id);

        if (r < 0)
                return database_execute(db, "UPDATE files SET written = kept WHERE written > kept");
        snprintf(sql, sizeof(sql),
                 "BEGIN; UPDATE files SET written = kept WHERE written > kept AND NOT EXISTS"
                 " (SELECT 1 FROM facts WHERE key = 'boot' AND value = '%s');"
                 "REPLACE INTO facts (key, value) VALUES ('boot', '%s'); COMMIT",
                 sd_id128_to_string(id, boot), boot);
        return database_execute(db, sql);
}

static int open_file(const char *path, sqlite3 **ret)
{
        sqlite3 *db = NULL;
        int version = 0;
        /* One thread: no lock per value. */
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        int r = database_errno(NULL, sqlite3_open_v2(path, &db, flags, NULL));

        /* Exclusive: one process, hence no shared-memory file and no lock per transaction. */
        if (r >= 0)
                r = database_execute(db,
                                     "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                                     "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                                     "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000;");
        if (r >= 0)
                r = schema_version(db, &version);
        if (r >= 0 && version == 0)
                r = create_schema(db);
        else if (r >= 0 && (version < 0 || version > SCHEMA_VERSION))
                r = -EPROTONOSUPPORT;
        else if (r >= 0)
                r = check_content(db);
        if (r >= 0 && version > 0 && version < SCHEMA_VERSION)
                r = migrate(db, version);
        if (r >= 0)
                r = forget_unsynced(db);
        if (r < 0) {
                sqlite3_close(db);
                return r;
        }
        *ret = db;
        return 0;
}

/* A database that is no database, or that was made by a later version, is kept for people. DUR-48
   */
static int set_aside(const char *path)
{
        _cleanup_free_ char *aside = NULL;
        static const char *const suffixes[] = { "", "-wal", "-shm" };

        if (asprintf(&aside, "%s.unreadable-%lld", path, (long long)time(NULL)) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTS(suffixes); i++) {
                _cleanup_free_ char *from = NULL, *to = NULL;

                if (asprintf(&from, "%s%s", path, suffixes[i]) < 0 ||
                    asprintf(&to, "%s%s", aside, suffixes[i]) < 0)
                        return -ENOMEM;
                if (rename(from, to) < 0 && errno != ENOENT)
                        return -errno;
        }
        log_error("the job store %s cannot be read; it is kept as %s and a new one is begun", path,
                  aside);
        return 0;
}

int database_open(const char *path, sqlite3 **ret)
{
        int r = open_file(path, ret);

        if (r != -EBADMSG && r != -EPROTONOSUPPORT)
                return r;
        r = set_aside(path);
        return r < 0 ? r : open_file(path, ret);
}
