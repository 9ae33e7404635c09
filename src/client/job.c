/*
 * The calls of a job, all of them over its handle, and waiting for it.
 *
 * Waiting asks for the state first and then sleeps until the service says that something changed:
 * a change between the two is in the queue by then, so nothing is missed and nothing is polled.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/job.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "client/error-state.h"
#include "client/list.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

/* "/org/openbits/BITS1/job/" and the id without its dashes. */
static int job_path(const char *id, char *ret_path, size_t size)
{
        size_t n = (size_t)snprintf(ret_path, size, "%s/job/", SERVICE_PATH);

        for (; *id; id++) {
                if (*id == '-')
                        continue;
                if (n + 1 >= size)
                        return -EINVAL;
                ret_path[n++] = *id >= 'A' && *id <= 'F' ? (char)(*id - 'A' + 'a') : *id;
        }
        ret_path[n] = '\0';
        return 0;
}

int job_new(bits_manager *manager, const char *id, int fd, bits_job **ret_job)
{
        _cleanup_close_ int owned = fd;
        char path[96];
        bits_job *job;
        int r;

        if (job_path(id, path, sizeof(path)) < 0)
                return error_state_set(-EINVAL, BITS_E_INVALID_ARGUMENT, "'%s' is no job id", id);
        job = calloc(1, sizeof(*job));
        if (!job)
                return error_state_oom();
        job->id = strdup(id);
        r = job->id ? handle_new(manager, TAKE_FD(owned), path, job_on_news, job, &job->handle)
                    : error_state_oom();
        if (r < 0) {
                bits_job_free(job);
                return r;
        }
        *ret_job = job;
        return 0;
}

static int fail_closed(void)
{
        return error_state_set(-ENOTCONN, CLIENT_E_UNREACHABLE,
                               "the manager of this job is closed; open a new one");
}

int job_query_interface(bits_job *job, const char *interface, handle_news on_signal, void *userdata,
                        Handle **ret_handle)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r;

        if (!job->handle->manager)
                return fail_closed();
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "QueryInterface", "s", interface);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'h', &fd);
        if (r <= 0)
                return error_state_bad_reply(r);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return error_state_set(-errno, BITS_E_TOO_MANY_OPEN_FILES,
                                       "no descriptor for another interface: %s", strerror(errno));
        return handle_new(job->handle->manager, fd, job->handle->path, on_signal, userdata,
                          ret_handle);
}

void bits_job_free(bits_job *job)
{
        if (!job)
                return;
        if (job->freed)
                *job->freed = true;
        handle_free(job->handle);
        free(job->id);
        free(job->checked);
        free(job);
}

const char *bits_job_id(const bits_job *job)
{
        return job ? job->id : NULL;
}

/* ---- files ---- */

int bits_job_add_file(bits_job *job, const char *remote_name, const char *local_name)
{
        int r;

        if (!job || !remote_name || !local_name)
                return error_state_null("job, remote_name and local_name");
        r = job_check_place(job, local_name);
        return r < 0 ? r
                     : handle_call(job->handle, NULL, JOB_INTERFACE, "AddFile", "ss", remote_name,
                                   local_name);
}

static int append_pairs(sd_bus_message *message, const bits_file_pair *files, size_t count)
{
        int r;

        r = sd_bus_message_open_container(message, 'a', "(ss)");
        if (r < 0)
                return r;
        for (size_t i = 0; i < count; i++) {
                if (!files[i].remote_name || !files[i].local_name)
                        return -EINVAL;
                r = sd_bus_message_append(message, "(ss)", files[i].remote_name,
                                          files[i].local_name);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(message);
}

int bits_job_add_files(bits_job *job, const bits_file_pair *files, size_t count)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!job || (!files && count > 0))
                return error_state_null("job and files");
        r = handle_message(job->handle, JOB_INTERFACE, "AddFiles", &message);
        for (size_t i = 0; i < count && r >= 0; i++)
                r = files[i].local_name ? job_check_place(job, files[i].local_name) : 0;
        if (r < 0)
                return r;
        r = append_pairs(message, files, count);
        if (r < 0)
                return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                       "the names of the files cannot be sent (%s); is all text "
                                       "UTF-8?",
                                       strerror(-r));
        return handle_send(job->handle, message, NULL);
}

int bits_job_list_files(bits_job *job, bits_file_list **ret_list)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (!job || !ret_list)
                return error_state_null("job and ret_list");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "ListFiles", "");
        if (r < 0)
                return r;
        return file_list_new(reply, ret_list);
}

/* ---- calls that move it ---- */

int bits_job_suspend(bits_job *job)
{
        if (!job)
                return error_state_null("job");
        return handle_call(job->handle, NULL, JOB_INTERFACE, "Suspend", "");
}

int bits_job_take_ownership(bits_job *job)
{
        if (!job)
                return error_state_null("job");
        return handle_call(job->handle, NULL, JOB_INTERFACE, "TakeOwnership", "");
}

int bits_job_resume(bits_job *job)
{
        if (!job)
                return error_state_null("job");
        return handle_call(job->handle, NULL, JOB_INTERFACE, "Resume", "");
}

static int call_with_code(bits_job *job, const char *method, uint32_t *ret_code)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t code;
        int r;

        if (!job)
                return error_state_null("job");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, method, "");
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'u', &code);
        if (r <= 0)
                return error_state_bad_reply(r);
        if (ret_code)
                *ret_code = code;
        return 0;
}

int bits_job_cancel(bits_job *job, uint32_t *ret_code)
{
        return call_with_code(job, "Cancel", ret_code);
}

int bits_job_complete(bits_job *job, uint32_t *ret_code)
{
        return call_with_code(job, "Complete", ret_code);
}

/* ---- failure ---- */

int bits_job_get_error(bits_job *job, bits_job_error *ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text, *remote_name, *local_name;
        bits_job_error error = {};
        int r;

        if (!job || !ret_error)
                return error_state_null("job and ret_error");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetError", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "uusss", &error.context, &error.code, &text, &remote_name,
                                &local_name);
        if (r <= 0)
                return error_state_bad_reply(r);
        error.text = strdup(text);
        error.remote_name = strdup(remote_name);
        error.local_name = strdup(local_name);
        if (!error.text || !error.remote_name || !error.local_name) {
                bits_job_error_done(&error);
                return error_state_oom();
        }
        *ret_error = error;
        return 0;
}

int bits_job_get_error_protocol(bits_job *job, char **ret_protocol)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *protocol;
        char *copy;
        int r;

        if (!job || !ret_protocol)
                return error_state_null("job and ret_protocol");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetErrorProtocol", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 's', &protocol);
        if (r <= 0)
                return error_state_bad_reply(r);
        copy = strdup(protocol);
        if (!copy)
                return error_state_oom();
        *ret_protocol = copy;
        return 0;
}

void bits_job_error_done(bits_job_error *error)
{
        if (!error)
                return;
        free(error->text);
        free(error->remote_name);
        free(error->local_name);
        *error = (bits_job_error){};
}

/* ---- waiting ---- */

static bool state_is_underway(bits_job_state state)
{
        return state == BITS_STATE_QUEUED || state == BITS_STATE_CONNECTING ||
               state == BITS_STATE_TRANSFERRING || state == BITS_STATE_TRANSIENT_ERROR;
}

static uint64_t deadline_after(uint64_t timeout_usec)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        return timeout_usec > UINT64_MAX - now ? UINT64_MAX : now + timeout_usec;
}

/* Whoever is told news may free the job and close the manager. */
static int process_news(bits_job *job)
{
        bool *outer = job->freed, gone = false;
        int r;

        job->freed = &gone;
        r = bits_manager_process(job->handle->manager);
        if (gone) {
                if (outer)
                        *outer = true;
                return error_state_set(-ECANCELED, BG_E_INVALID_STATE,
                                       "the job's object was freed while it was waited for");
        }
        job->freed = outer;
        return r < 0 ? r : r > 0 && !job->handle->manager ? fail_closed() : r;
}

/* Until the job has news. 1, or 0 when the deadline has passed. */
static int wait_for_news(bits_job *job, uint64_t deadline)
{
        unsigned seen = job->news;
        int r;

        while (job->news == seen) {
                r = process_news(job);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                r = manager_poll(job->handle->manager, deadline);
                if (r <= 0)
                        return r;
        }
        return 1;
}

/* LIB-12, LIB-411 */
int bits_job_wait(bits_job *job, uint64_t timeout_usec, bits_job_state *ret_state)
{
        uint64_t deadline = deadline_after(timeout_usec);
        bits_job_state state;
        int r;

        if (!job)
                return error_state_null("job");
        if (!job->handle->manager)
                return fail_closed();
        for (;;) {
                r = bits_job_get_state(job, &state);
                if (r < 0)
                        return r;
                if (!state_is_underway(state)) {
                        if (ret_state)
                                *ret_state = state;
                        return 1;
                }
                r = wait_for_news(job, deadline);
                if (r <= 0)
                        return r;
        }
}
