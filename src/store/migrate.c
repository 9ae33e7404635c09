/*
 * The old tables are renamed, the new ones made, and what both know is copied, column by column;
 * what is new has the default of schema.sql. Nothing here names a table or a column, so a later
 * version needs no step of its own, as long as a column keeps its name and meaning.
 *
 * DUR-56
 */
#include "store/migrate.h"

#include "basic/log.h"
#include "store/database.h"

#define OLD "old_"

enum {
        NAMES_MAX = 64,
};

/* Calls back with each value of a query's only column. All are read first: the callback changes
   the tables that the query reads. */
static int for_each(sqlite3 *db, const char *query, int (*call)(sqlite3 *, const char *))
{
        char *names[NAMES_MAX];
        sqlite3_stmt *s = NULL;
        size_t n = 0;
        int r = sqlite3_prepare_v2(db, query, -1, &s, NULL);

        while (r == SQLITE_OK && (r = sqlite3_step(s)) == SQLITE_ROW) {
                names[n] = sqlite3_mprintf("%s", sqlite3_column_text(s, 0));
                r = !names[n] ? SQLITE_NOMEM : ++n < NAMES_MAX ? SQLITE_OK : SQLITE_CORRUPT;
        }
        r = database_errno(db, r);
        sqlite3_finalize(s);
        for (size_t i = 0; i < n; i++) {
                if (r >= 0)
                        r = call(db, names[i]);
                sqlite3_free(names[i]);
        }
        return r;
}

static int execute(sqlite3 *db, const char *format, const char *name)
{
        char *sql = sqlite3_mprintf(format, name, name, name, name);
        int r = sql ? database_execute(db, sql) : -ENOMEM;

        sqlite3_free(sql);
        return r;
}

static int rename_table(sqlite3 *db, const char *name)
{
        return execute(db, "ALTER TABLE \"%w\" RENAME TO \"" OLD "%w\"", name);
}

/* The new tables bring theirs. */
static int drop_index(sqlite3 *db, const char *name)
{
        return execute(db, "DROP INDEX \"%w\"", name);
}

/* `name` is the new table's; one that is gone is not copied. */
static int copy_table(sqlite3 *db, const char *name)
{
        sqlite3_stmt *s = NULL;
        char *columns = NULL, *sql = NULL;
        int r = sqlite3_prepare_v2(db,
                                   "SELECT group_concat('\"' || name || '\"') FROM"
                                   " (SELECT name FROM pragma_table_info('" OLD "' || ?1)"
                                   " INTERSECT SELECT name FROM pragma_table_info(?1))",
                                   -1, &s, NULL);

        if (r == SQLITE_OK)
                r = sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
        if (r == SQLITE_OK)
                r = sqlite3_step(s);
        if (r == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_TEXT)
                columns = sqlite3_mprintf("%s", sqlite3_column_text(s, 0));
        r = database_errno(db, r);
        sqlite3_finalize(s);
        if (r >= 0 && columns) {
                sql = sqlite3_mprintf("INSERT INTO \"%w\" (%s) SELECT %s FROM \"" OLD "%w\"", name,
                                      columns, columns, name);
                r = sql ? database_execute(db, sql) : -ENOMEM;
        }
        sqlite3_free(columns);
        sqlite3_free(sql);
        return r;
}

static int drop_table(sqlite3 *db, const char *name)
{
        return execute(db, "DROP TABLE \"%w\"", name);
}

static int rebuild(sqlite3 *db, const char *schema)
{
        static const char old_tables[] =
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 4) = '" OLD
                "'";
        int r = for_each(db, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL",
                         drop_index);

        if (r >= 0)
                r = for_each(db,
                             "SELECT name FROM sqlite_schema WHERE type = 'table'"
                             " AND name NOT LIKE 'sqlite_%'",
                             rename_table);
        if (r >= 0)
                r = database_execute(db, schema);
        if (r >= 0)
                r = for_each(db,
                             "SELECT name FROM sqlite_schema WHERE type = 'table'"
                             " AND name NOT LIKE 'sqlite_%' AND substr(name, 1, 4) <> '" OLD "'",
                             copy_table);
        return r >= 0 ? for_each(db, old_tables, drop_table) : r;
}

int database_migrate(sqlite3 *db, const char *schema, int from, int to)
{
        int r = database_execute(db, "PRAGMA foreign_keys=OFF; BEGIN EXCLUSIVE");

        if (r >= 0)
                r = rebuild(db, schema);
        if (r < 0 && (sqlite3_errcode(db) & 0xff) == SQLITE_CONSTRAINT)
                r = -EBADMSG;
        if (r >= 0)
                r = database_execute(db, "COMMIT");
        if (r < 0)
                (void)database_execute(db, "ROLLBACK");
        else
                log_info("the job store is of version %d: brought to version %d", from, to);
        if (r >= 0)
                r = database_execute(db, "PRAGMA foreign_keys=ON");
        return r;
}
