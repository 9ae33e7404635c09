/*
 * A name means what the mounts of a process make of it. The service is told which directory this
 * program means, before the job is given a name in it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/job.h"

#include <limits.h>
#include <sys/stat.h>

/* FIL-370. A directory that this program cannot see is the service's to judge. */
int job_check_place(bits_job *job, const char *local_name)
{
        const char *slash = strrchr(local_name, '/');
        char directory[PATH_MAX];
        struct stat st;
        size_t n = slash ? (size_t)(slash - local_name) + 1 : 0;
        int r;

        if (local_name[0] != '/' || n >= sizeof(directory))
                return 0;
        memcpy(directory, local_name, n);
        directory[n] = 0;
        if (job->checked && string_equal(job->checked, directory))
                return 0;
        if (stat(directory, &st) < 0)
                return 0;
        r = handle_call(job->handle, NULL, JOB_INTERFACE, "CheckDirectory", "stt", local_name,
                        (uint64_t)st.st_dev, (uint64_t)st.st_ino);
        if (r < 0)
                return r;
        free(job->checked);
        job->checked = strdup(directory); /* without memory it is asked again */
        return 0;
}
