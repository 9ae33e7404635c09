/*
 * The notification command line as one text: a full path, and what follows are its parameters. The
 * path is argv[0] as well.
 */
#pragma once

#include "cli/base.h"

/* "" for none. The library's result. */
int notify_command_set(bits_job *job, const char *text);
int notify_command_get(bits_job *job, char **ret_text);

/* What is known of it, each as a text, "" without a command line: who set it, when it last ran, how
   often, how that ended, and why it does not run. */
int notify_author_get(bits_job *job, char **ret_text);
int notify_last_run_get(bits_job *job, char **ret_text);
int notify_runs_get(bits_job *job, char **ret_text);
int notify_result_get(bits_job *job, char **ret_text);
int notify_objection_get(bits_job *job, char **ret_text);

/* Program and parameters for people; NULL without memory. */
char *notify_command_text(const char *program, const char *parameters);
