/*
 * What a job says about its files as a whole: names, and the properties of how they are fetched.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"
#include "client/job.h"

int bits_job_replace_remote_prefix(bits_job *job, const char *old_prefix, const char *new_prefix)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t code;
        int r;

        if (!job || !old_prefix || !new_prefix)
                return error_state_null("job, old_prefix and new_prefix");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "ReplaceRemotePrefix", "ss", old_prefix,
                        new_prefix);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'u', &code);
        return r <= 0 ? error_state_bad_reply(r) : code != 0;
}

static int get_basic(bits_job *job, const char *property, char type, void *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char signature[] = { type, 0 };
        int r;

        if (!job || !ret)
                return error_state_null("job and its result");
        r = handle_get(job->handle, property, signature, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, type, ret);
        return r <= 0 ? error_state_bad_reply(r) : 0;
}

static int set_switch(bits_job *job, const char *property, int on)
{
        return job ? handle_set(job->handle, property, "b", on != 0) : error_state_null("job");
}

int bits_job_get_dynamic_content(bits_job *job, int *ret_on)
{
        return get_basic(job, "DynamicContent", 'b', ret_on);
}

int bits_job_set_dynamic_content(bits_job *job, int on)
{
        return set_switch(job, "DynamicContent", on);
}

int bits_job_get_high_performance(bits_job *job, int *ret_on)
{
        return get_basic(job, "HighPerformance", 'b', ret_on);
}

int bits_job_set_high_performance(bits_job *job, int on)
{
        return set_switch(job, "HighPerformance", on);
}

int bits_job_get_on_demand_mode(bits_job *job, int *ret_on)
{
        return get_basic(job, "OnDemandMode", 'b', ret_on);
}

int bits_job_set_on_demand_mode(bits_job *job, int on)
{
        return set_switch(job, "OnDemandMode", on);
}

int bits_job_get_max_download_size(bits_job *job, uint64_t *ret_bytes)
{
        return get_basic(job, "MaxDownloadSize", 't', ret_bytes);
}

int bits_job_set_max_download_size(bits_job *job, uint64_t bytes)
{
        return job ? handle_set(job->handle, "MaxDownloadSize", "t", bytes)
                   : error_state_null("job");
}

int bits_job_get_peer_caching_flags(bits_job *job, uint32_t *ret_flags)
{
        return get_basic(job, "PeerCachingFlags", 'u', ret_flags);
}

int bits_job_set_peer_caching_flags(bits_job *job, uint32_t flags)
{
        return job ? handle_set(job->handle, "PeerCachingFlags", "u", flags)
                   : error_state_null("job");
}
