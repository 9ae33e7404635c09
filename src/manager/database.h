/*
 * The database file: opening it with the settings that durability needs, making its tables, and
 * setting aside one that cannot be read. What is in the tables is the store's (store.h).
 */
#pragma once

#include "basic/macros.h"

#include <sqlite3.h>

/* Opens or creates the database. One that is damaged, or that a later version made, is renamed and
   kept, never deleted, and a new one begun. 0 or -errno. */
int database_open(const char *path, sqlite3 **ret);

/* Runs statements without results. 0 or -errno. */
int database_execute(sqlite3 *db, const char *sql);
/* SQLite's result as an errno that the layers above can act on; 0 for success. `db` may be NULL. */
int database_errno(sqlite3 *db, int result);
