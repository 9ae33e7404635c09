/*
 * One file of a job. It lives below the job's path and is reached over the job's handle, which is
 * borrowed: many files cost the service no connection.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/job.h"

#include <stdarg.h>
#include <stdio.h>

#define FILE_INTERFACE       "org.openbits.BITS1.File"
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

struct bits_file {
        Handle *handle; /* of the job */
        char *path;
};

DEFINE_CLEANUP(bits_file, bits_file_free);

/* ---- calls ---- */

/* A call of the file's own interface; `types` and what follows as for handle_call(). */
static int call(bits_file *file, sd_bus_message **ret_reply, const char *method, const char *types,
                ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list ap;
        int r;

        r = handle_message_to(file->handle, file->path, FILE_INTERFACE, method, &message);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = string_empty(types) ? 0 : sd_bus_message_appendv(message, types, ap);
        va_end(ap);
        if (r < 0)
                return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                       "%s: an argument cannot be sent (%s); is all text UTF-8?",
                                       method, strerror(-r));
        return handle_send(file->handle, message, ret_reply);
}

/* The reply to Properties.Get, positioned inside the variant. */
static int get(bits_file *file, const char *property, const char *type, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        int r;

        r = handle_message_to(file->handle, file->path, PROPERTIES_INTERFACE, "Get", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "ss", FILE_INTERFACE, property);
        if (r < 0)
                return error_state_oom();
        r = handle_send(file->handle, message, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'v', type);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_reply = TAKE_PTR(reply);
        return 0;
}

static int get_name(bits_file *file, const char *property, char **ret_name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r;

        if (!file || !ret_name)
                return error_state_null("file and ret_name");
        r = get(file, property, "s", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 's', &text);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_name = strdup(text);
        return *ret_name ? 0 : error_state_oom();
}

static int get_flag(bits_file *file, const char *property, int *ret_flag)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (!file || !ret_flag)
                return error_state_null("file and its result");
        r = get(file, property, "b", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'b', ret_flag);
        return r <= 0 ? error_state_bad_reply(r) : 0;
}

/* ---- the object ---- */

/* LIB-170: asks for a property, so that a file that is not there is told at once. */
int bits_job_get_file(bits_job *job, uint32_t index, bits_file **ret_file)
{
        _cleanup_(bits_file_freep) bits_file *file = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (!job || !ret_file)
                return error_state_null("job and ret_file");
        file = calloc(1, sizeof(*file));
        if (!file)
                return error_state_oom();
        file->handle = job->handle;
        if (asprintf(&file->path, "%s/file/%u", job->handle->path, index) < 0) {
                file->path = NULL;
                return error_state_oom();
        }
        r = get(file, "Progress", "(ttb)", &reply);
        if (r < 0 && bits_error_code() == BG_E_NOT_FOUND)
                return error_state_set(r, BG_E_NOT_FOUND, "the job has no file number %u", index);
        if (r < 0)
                return r;
        *ret_file = TAKE_PTR(file);
        return 0;
}

void bits_file_free(bits_file *file)
{
        if (!file)
                return;
        free(file->path);
        free(file);
}

int bits_file_get_remote_name(bits_file *file, char **ret_name)
{
        return get_name(file, "RemoteName", ret_name);
}

int bits_file_set_remote_name(bits_file *file, const char *remote_name)
{
        if (!file || !remote_name)
                return error_state_null("file and remote_name");
        return call(file, NULL, "SetRemoteName", "s", remote_name);
}

int bits_file_get_local_name(bits_file *file, char **ret_name)
{
        return get_name(file, "LocalName", ret_name);
}

int bits_file_get_temporary_name(bits_file *file, char **ret_name)
{
        return get_name(file, "TemporaryName", ret_name);
}

/* LIB-155 */
int bits_file_get_response_headers(bits_file *file, char **ret_headers)
{
        return get_name(file, "ResponseHeaders", ret_headers);
}

int bits_file_get_progress(bits_file *file, bits_file_progress *ret_progress)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        bits_file_progress progress;
        int r;

        if (!file || !ret_progress)
                return error_state_null("file and ret_progress");
        r = get(file, "Progress", "(ttb)", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "(ttb)", &progress.bytes_total, &progress.bytes_transferred,
                                &progress.completed);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_progress = progress;
        return 0;
}

/* ---- ranges ---- */

static int append_ranges(sd_bus_message *message, const bits_range *ranges, size_t count)
{
        int r = sd_bus_message_open_container(message, 'a', "(tt)");

        for (size_t i = 0; r >= 0 && i < count; i++)
                r = sd_bus_message_append(message, "(tt)", ranges[i].offset, ranges[i].length);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int read_ranges(sd_bus_message *reply, bits_range **ret_ranges, size_t *ret_count)
{
        _cleanup_free_ bits_range *ranges = NULL;
        size_t n = 0, room = 0;
        bits_range range;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(tt)");
        if (r < 0)
                return error_state_bad_reply(r);
        while ((r = sd_bus_message_read(reply, "(tt)", &range.offset, &range.length)) > 0) {
                if (n == room) {
                        bits_range *larger;

                        room = room ? room * 2 : 8;
                        larger = reallocarray(ranges, room, sizeof(*larger));
                        if (!larger)
                                return error_state_oom();
                        ranges = larger;
                }
                ranges[n++] = range;
        }
        if (r < 0)
                return error_state_bad_reply(r);
        *ret_ranges = TAKE_PTR(ranges);
        *ret_count = n;
        return 0;
}

static int get_ranges(bits_file *file, const char *method, bits_range **ret_ranges,
                      size_t *ret_count)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (!file || !ret_ranges || !ret_count)
                return error_state_null("file, ret_ranges and ret_count");
        r = call(file, &reply, method, "");
        return r < 0 ? r : read_ranges(reply, ret_ranges, ret_count);
}

int bits_file_get_ranges(bits_file *file, bits_range **ret_ranges, size_t *ret_count)
{
        int r = get_ranges(file, "GetFileRanges", ret_ranges, ret_count);

        return r < 0 ? r : *ret_count == 0;
}

int bits_file_get_filled_ranges(bits_file *file, bits_range **ret_ranges, size_t *ret_count)
{
        return get_ranges(file, "GetFilledFileRanges", ret_ranges, ret_count);
}

int bits_file_request_ranges(bits_file *file, const bits_range *ranges, size_t count)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!file || (!ranges && count > 0))
                return error_state_null("file and ranges");
        r = handle_message_to(file->handle, file->path, FILE_INTERFACE, "RequestFileRanges",
                              &message);
        if (r < 0)
                return r;
        if (append_ranges(message, ranges, count) < 0)
                return error_state_oom();
        return handle_send(file->handle, message, NULL);
}

int bits_file_update_download_position(bits_file *file, uint64_t offset)
{
        if (!file)
                return error_state_null("file");
        return call(file, NULL, "UpdateDownloadPosition", "t", offset);
}

int bits_job_add_file_with_ranges(bits_job *job, const char *remote_name, const char *local_name,
                                  const bits_range *ranges, size_t count)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!job || !remote_name || !local_name || (!ranges && count > 0))
                return error_state_null("job, remote_name, local_name and ranges");
        r = job_check_place(job, local_name);
        if (r >= 0)
                r = handle_message(job->handle, JOB_INTERFACE, "AddFileWithRanges", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "ss", remote_name, local_name);
        if (r >= 0)
                r = append_ranges(message, ranges, count);
        if (r < 0)
                return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                       "the names of the file cannot be sent (%s); is all text "
                                       "UTF-8?",
                                       strerror(-r));
        return handle_send(job->handle, message, NULL);
}

/* ---- validation, peers ---- */

int bits_file_set_validation_state(bits_file *file, int valid)
{
        if (!file)
                return error_state_null("file");
        return call(file, NULL, "SetValidationState", "b", valid != 0);
}

int bits_file_get_validation_state(bits_file *file, int *ret_valid)
{
        return get_flag(file, "ValidationState", ret_valid);
}

int bits_file_get_peer_download_stats(bits_file *file, uint64_t *ret_origin, uint64_t *ret_peers)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t origin, peers;
        int r;

        if (!file || !ret_origin || !ret_peers)
                return error_state_null("file, ret_origin and ret_peers");
        r = call(file, &reply, "GetPeerDownloadStats", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "tt", &origin, &peers);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_origin = origin;
        *ret_peers = peers;
        return 0;
}

int bits_file_is_downloaded_from_peer(bits_file *file, int *ret_from_peer)
{
        return get_flag(file, "DownloadedFromPeer", ret_from_peer);
}
