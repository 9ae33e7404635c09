/*
 * The reply of an upload-reply job.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/job.h"

#include <unistd.h>

int bits_job_set_reply_file_name(bits_job *job, const char *name)
{
        int r;

        if (!job)
                return error_state_null("job");
        r = name ? job_check_place(job, name) : 0;
        return r < 0 ? r
                     : handle_call(job->handle, NULL, JOB_INTERFACE, "SetReplyFileName", "s",
                                   name ? name : "");
}

int bits_job_get_reply_file_name(bits_job *job, char **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        char *copy;
        int r;

        if (!job || !ret)
                return error_state_null("job and the place for the result");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetReplyFileName", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 's', &name);
        if (r <= 0)
                return error_state_bad_reply(r);
        copy = *name ? strdup(name) : NULL;
        if (*name && !copy)
                return error_state_oom();
        *ret = copy;
        return 0;
}

int bits_job_get_reply_progress(bits_job *job, uint64_t *ret_total, uint64_t *ret_transferred)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t total, transferred;
        int r;

        if (!job || !ret_total || !ret_transferred)
                return error_state_null("job and the places for the result");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetReplyProgress", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "tt", &total, &transferred);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_total = total;
        *ret_transferred = transferred;
        return 0;
}

static int read_all(int fd, char *data, size_t size)
{
        size_t done = 0;

        while (done < size) {
                ssize_t n = pread(fd, data + done, size - done, (off_t)done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (size_t)n;
        }
        return 0;
}

/* LIB-120: the length is told also of a reply that is too long to be given. */
int bits_job_get_reply_data(bits_job *job, void **ret_data, size_t *ret_length)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *data = NULL;
        uint64_t total, length;
        int fd, r;

        if (!ret_data || !ret_length)
                return error_state_null("the places for the result");
        r = bits_job_get_reply_progress(job, &total, &length);
        if (r < 0)
                return r;
        *ret_length = (size_t)length;
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetReplyData", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ht", &fd, &length);
        if (r <= 0)
                return error_state_bad_reply(r);
        if (length > 0) {
                data = malloc(length);
                if (!data)
                        return error_state_oom();
                r = read_all(fd, data, length);
                if (r < 0)
                        return error_state_bad_reply(r);
        }
        *ret_data = TAKE_PTR(data);
        *ret_length = (size_t)length;
        return 0;
}
