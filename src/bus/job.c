/*
 * org.openbits.BITS1.Job: one job (reference 03 section 4), the same on the message bus and on a
 * handle's socket.
 */
#include "bus/add-files.h"
#include "bus/bus.h"
#include "bus/change.h"
#include "bus/file.h"
#include "bus/network.h"
#include "bus/notify.h"
#include "bus/numbered.h"
#include "bus/place.h"
#include "bus/properties.h"
#include "bus/reply.h"
#include "bus/take-ownership.h"

#include "basic/fd.h"
#include "core/remote-name.h"

/* ---- files ---- */

static int on_add_file(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        _cleanup_(add_files_freep) AddFiles *add = NULL;
        const char *remote_name, *local_name;
        int r = sd_bus_message_read(m, "ss", &remote_name, &local_name);

        if (r >= 0)
                r = bus_require_call(handle, RIGHT_FILES, CALL_ADD_FILES, NULL, error);
        if (r >= 0)
                r = add_files_begin(handle, m, &add, error);
        if (r >= 0)
                r = add_files_add(add, remote_name, local_name, error);
        return r < 0 ? r : add_files_run(TAKE_PTR(add), error);
}

static int read_pairs(sd_bus_message *m, AddFiles *add, sd_bus_error *error)
{
        const char *remote_name, *local_name;
        bool any = false;
        int r = sd_bus_message_enter_container(m, 'a', "(ss)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", &remote_name, &local_name)) > 0) {
                any = true;
                r = add_files_add(add, remote_name, local_name, error);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0 && !any)
                r = bus_fail(error, BITS_E_INVALID_ARGUMENT, "the list of files is empty");
        return r;
}

static int on_add_files(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        _cleanup_(add_files_freep) AddFiles *add = NULL;
        int r = bus_require_call(handle, RIGHT_FILES, CALL_ADD_FILES, NULL, error);

        if (r >= 0)
                r = add_files_begin(handle, m, &add, error);
        if (r >= 0)
                r = read_pairs(m, add, error);
        return r < 0 ? r : add_files_run(TAKE_PTR(add), error);
}

static int append_file(sd_bus_message *reply, const File *file)
{
        _cleanup_free_ char *temporary = NULL;

        if (file->inode != 0 && !file->completed && !(temporary = file_temporary_path(file)))
                return -ENOMEM;
        return sd_bus_message_append(reply, "(sssttb)", file->remote_name, file->local_name,
                                     temporary ? temporary : "", file->total, file->written,
                                     (int)file->completed);
}

static int on_list_files(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const Job *job = handle->job;
        sd_bus_message *reply = NULL;
        int r = handle_require(handle, RIGHT_READ, error);

        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sssttb)");
        for (size_t i = 0; r >= 0 && job->files && i < job->n_files; i++)
                r = append_file(reply, job->files[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* ---- calls that change the state ---- */

/* JOB-406: which state is in the way. TOK-464 */
static int refuse(const Job *job, BitsCode code, sd_bus_error *error)
{
        bool early = job_is_upload(job) && !job_state_is_final(job->state) &&
                     job->pending == PENDING_NONE;

        if (code == BG_E_TOKEN_REQUIRED)
                return bus_fail(error, code, NO_TOKEN_FOR_LOCAL_FILES);
        if (code != BG_E_INVALID_STATE)
                return bus_fail_code(error, code);
        return bus_fail(error, code, "%s%s", job_state_clause(job),
                        early ? ", and an upload is completed when it is transferred; Cancel "
                                "ends it before"
                              : "");
}

static int change_state(sd_bus_message *m, Handle *handle, sd_bus_error *error,
                        BitsCode (*move)(Engine *, Job *, QueueMove *))
{
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { 0 };
        QueueMove step;
        BitsCode code;
        int r = bus_require(handle, RIGHT_MODIFY, error);

        if (r >= 0)
                r = change_begin(&change, context, handle->job);
        if (r < 0)
                return r;
        code = move(context->engine, handle->job, &step);
        if (code != 0)
                return refuse(handle->job, code, error);
        if (change_answer(&change, m))
                change_follow(&change, &step);
        return 1;
}

static int on_suspend(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return change_state(m, userdata, error, engine_suspend);
}

static int on_resume(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return change_state(m, userdata, error, engine_resume);
}

static void on_finished(void *userdata, BitsCode code, const char *detail)
{
        sd_bus_message *call = userdata;

        if (BITS_FAILED(code))
                bus_reply_failure(call, code, detail);
        else
                (void)sd_bus_reply_method_return(call, "u", code);
        sd_bus_message_unref(call);
}

static int finish(sd_bus_message *m, Handle *handle, sd_bus_error *error,
                  BitsCode (*begin)(Finisher *, Job *, FinishCallback, void *, int *))
{
        BusContext *context = handle_context(handle);
        BitsCode code;
        int failure, r = handle_require(handle, RIGHT_MODIFY, error);

        if (r < 0)
                return r;
        code = begin(context->finisher, handle->job, on_finished, sd_bus_message_ref(m), &failure);
        if (code == 0)
                return 1;
        sd_bus_message_unref(m);
        return failure < 0 ? turn_failure(failure, error) : refuse(handle->job, code, error);
}

static int on_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return finish(m, userdata, error, finisher_cancel);
}

static int on_complete(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return finish(m, userdata, error, finisher_complete);
}

/* ---- TakeOwnership ---- */

/* HND-42: the new owner is who opened the handle: on a socket nobody can be asked who he is. */
static int take(sd_bus_message *m, Handle *handle, sd_bus_error *error)
{
        int r = bus_require(handle, RIGHT_ADMINISTER, error);

        return r < 0 ? r
                     : take_ownership(handle_context(handle), handle->job, handle->opener, m,
                                      error);
}

/* An owner who is let manage all jobs, on the bus. His handle may have ended while polkit was
   asked. */
static int on_authorized_take(sd_bus_message *m, void *userdata, Verdict verdict,
                              sd_bus_error *error)
{
        BusContext *context = userdata;
        char id[JOB_ID_CHARACTERS + 1];
        Handle *handle = NULL;
        Client *client;
        Job *job;
        int r;

        if (verdict != VERDICT_ALLOWED)
                return bus_fail(
                        error, BITS_E_ACCESS_DENIED,
                        verdict == VERDICT_CHALLENGE
                                ? "only an administrator takes over jobs: authenticate as one"
                                : "only an administrator takes over jobs");
        if (!job_id_parse(sd_bus_message_get_path(m) + sizeof(BUS_JOB_PREFIX), id) ||
            !(job = job_table_find(context->jobs, id)))
                return bus_fail_code(error, BG_E_NOT_FOUND);
        r = handles_client(context->handles, m, &client);
        if (r >= 0)
                r = handle_of_authorized_client(client, job, &handle);
        if (r < 0)
                return r;
        return handle ? take(m, handle, error) : bus_fail_code(error, BG_E_NOT_FOUND);
}

static int on_take_ownership(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);

        if (!handle->client || handle->rights & RIGHT_ADMINISTER)
                return take(m, handle, error);
        return authorize(context->authorizer, m, handle->opener, on_authorized_take, context,
                         error);
}

/* ---- handles and errors ---- */

/* On a socket nobody can be asked who he is: the new handle has the rights of this one. On the bus
   the connection's handle was made from its own name, so that is the same. */
static int on_query_interface(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        HandleFacts facts = handle_facts(handle);
        _cleanup_close_ int fd = -EBADF;
        const char *interface;
        int r = sd_bus_message_read(m, "s", &interface);

        if (r < 0)
                return r;
        /* HND-03 */
        if (!string_equal(interface, BUS_JOB) && !string_equal(interface, BUS_FILE) &&
            !string_equal(interface, BUS_HTTP_OPTIONS) &&
            !string_equal(interface, BUS_TOKEN_OPTIONS))
                return bus_fail(error, BITS_E_NO_INTERFACE, "a job has no interface '%.100s'",
                                interface);
        r = handle_open(handle->handles, handle->job, &facts, &fd);
        if (r == -EDQUOT)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "You hold too many handles at the same time: close some.");
        return r < 0 ? r : sd_bus_reply_method_return(m, "h", fd);
}

/* JOB-68 */
static int require_error(const Handle *handle, sd_bus_error *error)
{
        const char *why;
        BitsCode code = job_call_check(handle->job, NULL, CALL_GET_ERROR, &why);
        int r = handle_require(handle, RIGHT_READ, error);

        return r < 0 || code == 0 ? r : bus_fail_code(error, code);
}

/* The file that the error is about, or NULL. */
static const File *file_of_fault(const Job *job)
{
        return job->fault_file >= 0 ? job_file(job, (size_t)job->fault_file) : NULL;
}

static int on_get_error(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const Job *job = handle->job;
        const File *file = file_of_fault(job);
        const char *text;
        int r = require_error(handle, error);

        if (r < 0)
                return r;
        text = job->fault.detail ? job->fault.detail : error_text_of(job->fault.code);
        return sd_bus_reply_method_return(m, "uusss", (uint32_t)job->fault.context, job->fault.code,
                                          text, file ? file->remote_name : "",
                                          file ? file->local_name : "");
}

/* JOB-411: https is http, as in BITS. What happened on this machine has no protocol. */
static int on_get_error_protocol(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        const Job *job = handle->job;
        const File *file = file_of_fault(job);
        int r = require_error(handle, error);

        if (r < 0)
                return r;
        if (!file || job->fault.context < CONTEXT_REMOTE_FILE)
                return bus_fail_code(error, BG_E_PROTOCOL_NOT_AVAILABLE);
        return sd_bus_reply_method_return(m, "s",
                                          remote_name_is_file(file->remote_name) ? "file" : "http");
}

#define WRITABLE SD_BUS_VTABLE_UNPRIVILEGED

/* BUS-09: sd-bus compares every call with these signatures before a handler sees it. */
static const sd_bus_vtable job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("AddFile", "ss", "", on_add_file, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("CheckDirectory", "stt", "", bus_check_directory, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AddFiles", "a(ss)", "", on_add_files, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AddFileWithRanges", "ssa(tt)", "", bus_add_file_with_ranges,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ReplaceRemotePrefix", "ss", "u", bus_replace_remote_prefix,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListFiles", "", "a(sssttb)", on_list_files, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Suspend", "", "", on_suspend, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Resume", "", "", on_resume, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Cancel", "", "u", on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Complete", "", "u", on_complete, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("TakeOwnership", "", "", on_take_ownership, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetCredentials", "ssbss", "", bus_set_credentials,
                      SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD("RemoveCredentials", "ss", "u", bus_remove_credentials,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetProxySettings", "sss", "", bus_set_proxy_settings,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetProxySettings", "", "sss", bus_get_proxy_settings,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetNotifyCmdLine", "ss", "", bus_set_notify_cmd_line,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetSealedNotifyCmdLine", "h", "", bus_set_sealed_notify_cmd_line,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetNotifyCmdLine", "", "ss", bus_get_notify_cmd_line,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", "", "", bus_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Unsubscribe", "", "", bus_unsubscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AcknowledgeEvent", "s", "", bus_acknowledge, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetReplyFileName", "s", "", bus_set_reply_file_name,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetReplyFileName", "", "s", bus_get_reply_file_name,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetReplyProgress", "", "tt", bus_get_reply_progress,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetReplyData", "", "ht", bus_get_reply_data, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("QueryInterface", "s", "h", on_query_interface, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetError", "", "uusss", on_get_error, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetErrorProtocol", "", "s", on_get_error_protocol,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetProperty", "u", "v", bus_get_property, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetProperty", "uv", "", bus_set_property, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "s", bus_get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Type", "s", bus_get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", bus_get_text, 0, 0),
        SD_BUS_PROPERTY("Owner", "s", bus_get_text, 0, 0),
        SD_BUS_PROPERTY("OwnerUid", "u", bus_get_number, 0, 0),
        SD_BUS_PROPERTY("OwnerElevated", "b", bus_get_number, 0, 0),
        SD_BUS_PROPERTY("OwnerIntegrityLevel", "u", bus_get_number, 0, 0),
        SD_BUS_PROPERTY("Progress", "(ttuu)", bus_get_progress, 0, 0),
        SD_BUS_PROPERTY("Times", "(ttt)", bus_get_times, 0, 0),
        SD_BUS_PROPERTY("ErrorCount", "u", bus_get_number, 0, 0),
        SD_BUS_PROPERTY("ErrorTime", "t", bus_get_number, 0, 0),
        SD_BUS_PROPERTY("WaitReason", "s", bus_get_text, 0, 0),
        SD_BUS_PROPERTY("WaitingFor", "s", bus_get_text, 0, 0),
        SD_BUS_PROPERTY("NextAttempt", "t", bus_get_timing, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("DisplayName", "s", bus_get_text, bus_set_text, 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("Description", "s", bus_get_text, bus_set_text, 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("Priority", "s", bus_get_text, bus_set_priority, 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("MinimumRetryDelay", "u", bus_get_number, bus_set_number, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("MaximumDownloadTime", "u", bus_get_timing, bus_set_number, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("NoProgressTimeout", "u", bus_get_number, bus_set_number, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("UseStoredCredentials", "s", bus_get_use_stored_credentials,
                                 bus_set_use_stored_credentials, 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("CredentialCache", "s", bus_get_credential_cache,
                                 bus_set_credential_cache, 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("CostFlags", "u", bus_get_cost_flags, bus_set_cost_flags, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("NotifyFlags", "u", bus_get_number, bus_set_number, 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("MinimumNotificationInterval", "u", bus_get_number, bus_set_number,
                                 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("NotificationClsid", "s", bus_get_notification_clsid,
                                 bus_set_notification_clsid, 0, WRITABLE),
        SD_BUS_PROPERTY("NotifyCmdLineState", "(utuss)", bus_get_notify_cmd_line_state, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("FileACLFlags", "u", bus_get_number, bus_set_number, 0, WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("DynamicContent", "b", bus_get_number, bus_set_number, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("HighPerformance", "b", bus_get_number, bus_set_number, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("OnDemandMode", "b", bus_get_number, bus_set_on_demand, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("MaxDownloadSize", "t", bus_get_number, bus_set_number, 0,
                                 WRITABLE),
        SD_BUS_WRITABLE_PROPERTY("PeerCachingFlags", "u", bus_get_number, bus_set_number, 0,
                                 WRITABLE),
        SD_BUS_SIGNAL("JobTransferred", "", 0),
        SD_BUS_SIGNAL("JobError", "uu", 0),
        SD_BUS_SIGNAL("JobModification", "", 0),
        SD_BUS_SIGNAL("FileTransferred", "u", 0),
        SD_BUS_SIGNAL("FileRangesTransferred", "ua(tt)", 0),
        SD_BUS_SIGNAL("Changed", "", 0),
        SD_BUS_VTABLE_END,
};

int bus_job_register(BusContext *context)
{
        /* SEC-64: no object manager and no enumerator: nobody lists what is below this path. */
        return sd_bus_add_fallback_vtable(context->bus, NULL, BUS_JOB_PREFIX, BUS_JOB, job_vtable,
                                          bus_find_handle, context);
}

/* HND-01, HND-05: the interfaces of this one job, and nothing else. */
int bus_job_serve(sd_bus *peer, const char *path, Handle *handle)
{
        return sd_bus_add_object_vtable(peer, NULL, path, BUS_JOB, job_vtable, handle);
}
