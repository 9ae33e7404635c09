/*
 * The properties of a job: each getter is one Properties.Get over the handle, each setter one Set.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/job.h"
#include "client/words.h"

int bits_job_get_progress(bits_job *job, bits_progress *ret_progress)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        bits_progress progress;
        int r;

        if (!job || !ret_progress)
                return error_state_null("job and ret_progress");
        r = handle_get(job->handle, "Progress", "(ttuu)", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "(ttuu)", &progress.bytes_total, &progress.bytes_transferred,
                                &progress.files_total, &progress.files_transferred);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_progress = progress;
        return 0;
}

int bits_job_get_times(bits_job *job, bits_times *ret_times)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        bits_times times;
        int r;

        if (!job || !ret_times)
                return error_state_null("job and ret_times");
        r = handle_get(job->handle, "Times", "(ttt)", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "(ttt)", &times.creation, &times.modification,
                                &times.transfer_completion);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_times = times;
        return 0;
}

/* JOB-262 */
int bits_job_get_error_time(bits_job *job, uint64_t *ret_usec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (!job || !ret_usec)
                return error_state_null("job and ret_usec");
        r = handle_get(job->handle, "ErrorTime", "t", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 't', ret_usec);
        return r <= 0 ? error_state_bad_reply(r) : 0;
}

int bits_job_get_state(bits_job *job, bits_job_state *ret_state)
{
        _cleanup_free_ char *word = NULL;
        int r;

        if (!job || !ret_state)
                return error_state_null("job and ret_state");
        r = handle_get_string(job->handle, "State", &word);
        if (r < 0)
                return r;
        return word_to_state(word, ret_state) ? 0 : error_state_bad_reply(-EBADMSG);
}

int bits_job_get_type(bits_job *job, bits_job_type *ret_type)
{
        _cleanup_free_ char *word = NULL;
        int r;

        if (!job || !ret_type)
                return error_state_null("job and ret_type");
        r = handle_get_string(job->handle, "Type", &word);
        if (r < 0)
                return r;
        return word_to_type(word, ret_type) ? 0 : error_state_bad_reply(-EBADMSG);
}

int bits_job_get_priority(bits_job *job, bits_job_priority *ret_priority)
{
        _cleanup_free_ char *word = NULL;
        int r;

        if (!job || !ret_priority)
                return error_state_null("job and ret_priority");
        r = handle_get_string(job->handle, "Priority", &word);
        if (r < 0)
                return r;
        return word_to_priority(word, ret_priority) ? 0 : error_state_bad_reply(-EBADMSG);
}

int bits_job_set_priority(bits_job *job, bits_job_priority priority)
{
        const char *word = bits_job_priority_name(priority);

        if (!job)
                return error_state_null("job");
        if (!word)
                return error_state_set(-EINVAL, BITS_E_NOT_IMPLEMENTED, "unknown priority %d",
                                       (int)priority);
        return handle_set(job->handle, "Priority", "s", word);
}

static int get_number(bits_job *job, const char *property, uint32_t *ret_value)
{
        if (!job || !ret_value)
                return error_state_null("job and the place for the result");
        return handle_get_uint32(job->handle, property, ret_value);
}

static int set_number(bits_job *job, const char *property, uint32_t value)
{
        if (!job)
                return error_state_null("job");
        return handle_set(job->handle, property, "u", value);
}

static int get_text(bits_job *job, const char *property, char **ret_text)
{
        if (!job || !ret_text)
                return error_state_null("job and the place for the result");
        return handle_get_string(job->handle, property, ret_text);
}

static int set_text(bits_job *job, const char *property, const char *text)
{
        if (!job || !text)
                return error_state_null("job and text");
        return handle_set(job->handle, property, "s", text);
}

int bits_job_get_minimum_retry_delay(bits_job *job, uint32_t *ret_seconds)
{
        return get_number(job, "MinimumRetryDelay", ret_seconds);
}

int bits_job_set_minimum_retry_delay(bits_job *job, uint32_t seconds)
{
        return set_number(job, "MinimumRetryDelay", seconds);
}

int bits_job_get_no_progress_timeout(bits_job *job, uint32_t *ret_seconds)
{
        return get_number(job, "NoProgressTimeout", ret_seconds);
}

int bits_job_set_no_progress_timeout(bits_job *job, uint32_t seconds)
{
        return set_number(job, "NoProgressTimeout", seconds);
}

/* LIB-220 */
int bits_job_get_maximum_download_time(bits_job *job, uint32_t *ret_seconds)
{
        return get_number(job, "MaximumDownloadTime", ret_seconds);
}

int bits_job_set_maximum_download_time(bits_job *job, uint32_t seconds)
{
        return set_number(job, "MaximumDownloadTime", seconds);
}

int bits_job_get_next_attempt(bits_job *job, uint64_t *ret_usec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t usec;
        int r;

        if (!job || !ret_usec)
                return error_state_null("job and ret_usec");
        r = handle_get(job->handle, "NextAttempt", "t", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "t", &usec);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_usec = usec;
        return 0;
}

int bits_job_get_notify_flags(bits_job *job, uint32_t *ret_flags)
{
        return get_number(job, "NotifyFlags", ret_flags);
}

int bits_job_set_notify_flags(bits_job *job, uint32_t flags)
{
        return set_number(job, "NotifyFlags", flags);
}

int bits_job_get_file_acl_flags(bits_job *job, uint32_t *ret_flags)
{
        return get_number(job, "FileACLFlags", ret_flags);
}

int bits_job_set_file_acl_flags(bits_job *job, uint32_t flags)
{
        return set_number(job, "FileACLFlags", flags);
}

int bits_job_get_cost_flags(bits_job *job, uint32_t *ret_flags)
{
        return get_number(job, "CostFlags", ret_flags);
}

int bits_job_set_cost_flags(bits_job *job, uint32_t flags)
{
        return set_number(job, "CostFlags", flags);
}

int bits_job_get_error_count(bits_job *job, uint32_t *ret_count)
{
        return get_number(job, "ErrorCount", ret_count);
}

int bits_job_get_owner_uid(bits_job *job, uint32_t *ret_uid)
{
        return get_number(job, "OwnerUid", ret_uid);
}

int bits_job_get_owner_integrity_level(bits_job *job, uint32_t *ret_level)
{
        return get_number(job, "OwnerIntegrityLevel", ret_level);
}

int bits_job_get_owner_elevated(bits_job *job, int *ret_elevated)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int elevated, r;

        if (!job || !ret_elevated)
                return error_state_null("job and ret_elevated");
        r = handle_get(job->handle, "OwnerElevated", "b", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "b", &elevated);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_elevated = elevated;
        return 0;
}

int bits_job_get_owner(bits_job *job, char **ret_sid)
{
        return get_text(job, "Owner", ret_sid);
}

int bits_job_get_display_name(bits_job *job, char **ret_name)
{
        return get_text(job, "DisplayName", ret_name);
}

int bits_job_set_display_name(bits_job *job, const char *name)
{
        return set_text(job, "DisplayName", name);
}

int bits_job_get_description(bits_job *job, char **ret_text)
{
        return get_text(job, "Description", ret_text);
}

int bits_job_set_description(bits_job *job, const char *text)
{
        return set_text(job, "Description", text);
}

int bits_job_get_wait_reason(bits_job *job, char **ret_text)
{
        return get_text(job, "WaitReason", ret_text);
}

int bits_job_get_waiting_for(bits_job *job, char **ret_word)
{
        return get_text(job, "WaitingFor", ret_word);
}
