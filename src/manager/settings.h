/*
 * bitsd's configuration files: bitsd.conf and then those of bitsd.conf.d by name, in one directory;
 * what is said later holds. A wrong line changes nothing: every wrong line of every file is told
 * with its place, what is wrong and what is allowed, and what was in force stays so.
 */
#pragma once

#include "core/config.h"

typedef struct Settings Settings;

/* Reads the files; none is fine. -EINVAL after a line in the log for each wrong line, or another
   -errno when a file that is there cannot be read. */
int settings_new(const char *directory, Settings **ret);
void settings_free(Settings *settings);
DEFINE_CLEANUP(Settings, settings_free);

/* Reads them again: as above, and nothing is changed unless it returns 0. */
int settings_reload(Settings *settings);

/* Stays where it is; its contents change in settings_reload() alone. */
const Config *settings_config(const Settings *settings);
/* "/etc/openbits/bitsd.conf" for the number in an origin; NULL for 0, a default. */
const char *settings_file(const Settings *settings, uint32_t number);
