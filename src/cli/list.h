/*
 * A list of jobs as text, for those that show one.
 */
#pragma once

#include "cli/base.h"

/* 0, or an exit status after saying why not. */
int list_jobs(bits_manager *manager, bool all_users, bits_job_list **ret_list);

/* The jobs of these indices, in that order (NULL: the first n), as a table or as JSON. rates: by
   index, bytes a second, 0: none; NULL: without that column. The caller frees it; NULL after saying
   why not. */
char *list_text(const bits_job_list *list, const size_t *indices, size_t n, const double *rates,
                bool all_users);
