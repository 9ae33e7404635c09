/*
 * The database file: opening it with the settings that durability needs, making its tables, and
 * setting aside one that cannot be read. What is in the tables is the store's (store.h).
 */
#pragma once

#include "basic/macros.h"
#include "store/anchor.h"

#include <sqlite3.h>

/* Between the database's name and the time, in the name of one that was set aside. */
#define DATABASE_ASIDE ".unreadable-"

/* Opens or creates the database. One that is damaged or unreadable is renamed and kept, never
   deleted, and a new one begun; one without its log is used, and the log of the service says so. 0
   or -errno; -EPROTONOSUPPORT: a later version made it, and it was not touched. */
int database_open(const char *path, sqlite3 **ret);
/* Its tables are right: from now on, until it is closed, its log is a part of it. */
void database_begin(sqlite3 *db);
/* db may be NULL, and the anchor not set yet. DUR-481: a log that lies under the database's name
   and is not its own stays untouched; what is in its own is in the database then. */
void database_close(sqlite3 *db, const Anchor *anchor);
/* As database_open() does it, for one whose tables turned out to be wrong; it must be closed. */
int database_set_aside(const char *path, const char *why);
/* The newest that was set aside and is still there, the caller's to free; NULL: none. 0 or
   -errno. */
int database_find_aside(const char *path, char **ret);

/* Runs statements without results. 0 or -errno. */
int database_execute(sqlite3 *db, const char *sql);
/* SQLite's result as an errno that the layers above can act on; 0 for success. `db` may be NULL. */
int database_errno(sqlite3 *db, int result);
