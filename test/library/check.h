/*
 * What the programs of this folder share: a check that names what failed and goes on, and the
 * service of the world they run in.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <openbits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int failures;

#define CHECK(condition)                                                                     \
        do {                                                                                 \
                if (!(condition)) {                                                          \
                        failures++;                                                          \
                        printf("%s:%d: %s\n    0x%08X %s\n", __FILE__, __LINE__, #condition, \
                               bits_error_code(), bits_error_message());                     \
                }                                                                            \
        } while (0)
#define FAILS(call, code) CHECK((call) < 0 && bits_error_code() == (code))

enum {
        S_FALSE = 1,
};

/* Of the bus in the environment: the system's, or with "user" in OPENBITS_TEST_MODE the user's. */
bits_manager *open_manager(void);
bits_job *new_job(bits_manager *manager);

/* The programs: url is of something to fetch, folder where it may be put. */
void call_everything(const char *url, const char *folder);
void bad_days(const char *url, const char *folder);
void open_many(int count);
