/*
 * From the tables of an earlier version to those of this one.
 */
#pragma once

#include <sqlite3.h>

/* In one transaction: a migration that is cut off has not begun. `schema` makes the new tables and
   sets the new version. 0 or -errno; -EBADMSG: the tables are not what they should be. */
int database_migrate(sqlite3 *db, const char *schema, int from, int to);
