/*
 * Events: who receives them, what comes with them, and the command line that runs when nobody does.
 *
 * A command line is sealed here, as whoever the calling thread is: the kernel notes its author, and
 * the service can pass it on but not change it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "basic/command-file.h"
#include "basic/fd.h"
#include "client/error-state.h"
#include "client/job.h"

/* ---- events ---- */

static const struct {
        const char *member;
        bits_event event;
} events[] = {
        { "JobTransferred", BITS_EVENT_TRANSFERRED },
        { "JobError", BITS_EVENT_ERROR },
        { "JobModification", BITS_EVENT_MODIFICATION },
        { "FileTransferred", BITS_EVENT_FILE_TRANSFERRED },
        { "FileRangesTransferred", BITS_EVENT_FILE_RANGES_TRANSFERRED },
        { "Changed", BITS_EVENT_CHANGED },
};

/* NULL: the end of the handle. False for a signal that this library does not know. */
static bool event_of(const char *member, bits_event *ret)
{
        if (!member) {
                *ret = BITS_EVENT_GONE;
                return true;
        }
        for (size_t i = 0; i < ELEMENTS(events); i++)
                if (string_equal(member, events[i].member)) {
                        *ret = events[i].event;
                        return true;
                }
        return false;
}

static void read_ranges(sd_bus_message *signal, bits_event_info *info, bits_range **ret)
{
        bits_range range, *more;

        if (sd_bus_message_read(signal, "u", &info->file_index) <= 0 ||
            sd_bus_message_enter_container(signal, 'a', "(tt)") <= 0)
                return;
        while (sd_bus_message_read(signal, "(tt)", &range.offset, &range.length) > 0) {
                more = reallocarray(*ret, info->n_ranges + 1, sizeof(range));
                if (!more)
                        break;
                more[info->n_ranges++] = range;
                *ret = more;
        }
        info->ranges = *ret;
}

static void read_info(bits_event event, sd_bus_message *signal, bits_event_info *info,
                      bits_range **ranges)
{
        if (event == BITS_EVENT_ERROR)
                (void)sd_bus_message_read(signal, "uu", &info->error_context, &info->error_code);
        else if (event == BITS_EVENT_FILE_TRANSFERRED)
                (void)sd_bus_message_read(signal, "u", &info->file_index);
        else if (event == BITS_EVENT_FILE_RANGES_TRANSFERRED)
                read_ranges(signal, info, ranges);
}

/* LIB-241, LIB-242: either callee may free the job, and may process further news. An event is
   acknowledged only by a receiver that says so. */
static void tell(bits_job *job, bits_event event, const bits_event_info *info)
{
        const bits_event_info *outer_info = job->info;
        bool *outer = job->freed, gone = false;
        int r = -1;

        job->info = info;
        job->freed = &gone;
        if (job->on_event)
                job->on_event(job, event, job->userdata);
        if (!gone && job->receiver &&
            (event == BITS_EVENT_TRANSFERRED || event == BITS_EVENT_ERROR))
                r = job->receiver(job, event, job->receiver_userdata);
        if (gone) {
                if (outer)
                        *outer = true;
                return;
        }
        job->freed = outer;
        job->info = outer_info;
        if (r == 0)
                (void)handle_call(job->handle, NULL, JOB_INTERFACE, "AcknowledgeEvent", "s",
                                  event == BITS_EVENT_ERROR ? "error" : "transferred");
}

void job_on_news(const char *member, sd_bus_message *signal, void *userdata)
{
        _cleanup_free_ bits_range *ranges = NULL;
        bits_event_info info = {};
        bits_job *job = userdata;
        bits_event event;

        if (!event_of(member, &event))
                return;
        job->news++;
        read_info(event, signal, &info, &ranges);
        tell(job, event, &info);
}

const bits_event_info *bits_job_event_info(const bits_job *job)
{
        return job ? job->info : NULL;
}

int bits_job_set_callback(bits_job *job, bits_job_callback on_event, void *userdata)
{
        if (!job)
                return error_state_null("job");
        job->on_event = on_event;
        job->userdata = userdata;
        return 0;
}

/* LIB-242: known here before the service sends what is due. */
int bits_job_set_receiver(bits_job *job, bits_job_receiver receiver, void *userdata)
{
        bits_job_receiver before;
        void *before_userdata;
        int r;

        if (!job)
                return error_state_null("job");
        before = job->receiver;
        before_userdata = job->receiver_userdata;
        job->receiver = receiver;
        job->receiver_userdata = userdata;
        r = handle_call(job->handle, NULL, JOB_INTERFACE, receiver ? "Subscribe" : "Unsubscribe",
                        "");
        if (r < 0) {
                job->receiver = before;
                job->receiver_userdata = before_userdata;
        }
        return r;
}

int bits_job_get_minimum_notification_interval(bits_job *job, uint32_t *ret_ms)
{
        if (!job || !ret_ms)
                return error_state_null("job and ret_ms");
        return handle_get_uint32(job->handle, "MinimumNotificationInterval", ret_ms);
}

int bits_job_set_minimum_notification_interval(bits_job *job, uint32_t ms)
{
        if (!job)
                return error_state_null("job");
        return handle_set(job->handle, "MinimumNotificationInterval", "u", ms);
}

/* ---- the command line ---- */

/* LIB-240 */
int bits_job_set_notify_cmd_line(bits_job *job, const char *program, const char *parameters)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!job)
                return error_state_null("job");
        if (string_empty(program))
                return handle_call(job->handle, NULL, JOB_INTERFACE, "SetNotifyCmdLine", "ss", "",
                                   parameters ? parameters : "");
        r = command_file_write(job->id, program, parameters ? parameters : "", &fd);
        if (r == -EMSGSIZE)
                return error_state_set(r, BG_E_STRING_TOO_LONG,
                                       "the command line is far too long: 4,095 bytes and 4,000 "
                                       "characters are allowed");
        if (r < 0)
                return error_state_set(r, BITS_E_TOO_MANY_OPEN_FILES,
                                       "the command line cannot be sealed: %s", strerror(-r));
        return handle_call(job->handle, NULL, JOB_INTERFACE, "SetSealedNotifyCmdLine", "h", fd);
}

static int copy_or_null(const char *text, char **ret)
{
        *ret = *text ? strdup(text) : NULL;
        return *text && !*ret ? error_state_oom() : 0;
}

int bits_job_get_notify_cmd_line(bits_job *job, char **ret_program, char **ret_parameters)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *own_program = NULL, *own_parameters = NULL;
        const char *program, *parameters;
        int r;

        if (!job || !ret_program || !ret_parameters)
                return error_state_null("job and the places for the result");
        r = handle_call(job->handle, &reply, JOB_INTERFACE, "GetNotifyCmdLine", "");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ss", &program, &parameters);
        if (r <= 0)
                return error_state_bad_reply(r);
        r = copy_or_null(program, &own_program);
        if (r >= 0)
                r = copy_or_null(parameters, &own_parameters);
        if (r < 0)
                return r;
        *ret_program = TAKE_PTR(own_program);
        *ret_parameters = TAKE_PTR(own_parameters);
        return 0;
}

int bits_job_get_notify_state(bits_job *job, bits_notify_state *ret_state)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *result, *objection;
        bits_notify_state state = {};
        int r;

        if (!job || !ret_state)
                return error_state_null("job and ret_state");
        r = handle_get(job->handle, "NotifyCmdLineState", "(utuss)", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "(utuss)", &state.author_uid, &state.started, &state.runs,
                                &result, &objection);
        if (r <= 0)
                return error_state_bad_reply(r);
        state.result = strdup(result);
        state.objection = strdup(objection);
        if (!state.result || !state.objection) {
                bits_notify_state_done(&state);
                return error_state_oom();
        }
        *ret_state = state;
        return state.author_uid == UINT32_MAX ? 0 : 1;
}

void bits_notify_state_done(bits_notify_state *state)
{
        if (!state)
                return;
        free(state->result);
        free(state->objection);
        *state = (bits_notify_state){};
}
