/*
 * A C program that uses the library as others will: every function of the header, and bad days.
 * Built with the sanitizers it shows what Python, which loads the library, cannot:
 * reads of freed memory, and leaks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"

int failures;

bits_manager *open_manager(void)
{
        const char *mode = getenv("OPENBITS_TEST_MODE");
        bits_manager *manager = NULL;

        if ((mode && strcmp(mode, "user") == 0 ? bits_manager_open_user(&manager)
                                               : bits_manager_open(&manager)) < 0) {
                printf("no service: %s\n", bits_error_message());
                exit(2);
        }
        return manager;
}

bits_job *new_job(bits_manager *manager)
{
        bits_job *job = NULL;

        if (bits_manager_create_job(manager, "of the test", BITS_JOB_DOWNLOAD, &job) < 0) {
                printf("no job: %s\n", bits_error_message());
                exit(2);
        }
        return job;
}

int main(int argc, char *argv[])
{
        if (argc == 4 && strcmp(argv[1], "everything") == 0)
                call_everything(argv[2], argv[3]);
        else if (argc == 4 && strcmp(argv[1], "bad-days") == 0)
                bad_days(argv[2], argv[3]);
        else if (argc == 3 && strcmp(argv[1], "many") == 0)
                open_many(atoi(argv[2]));
        else
                return 2;
        return failures > 0;
}
