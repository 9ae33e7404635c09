/*
 * Who set a command line decides as whom it runs, and on a handle nobody can be asked who he is. So
 * its author says it himself: he seals it in an anonymous file, whose owner the kernel names
 * (basic/command-file.h), and the broker keeps it. What comes as plain text has no such author; it
 * is taken where nothing will run, and by the daemon of one user, who is the author of all.
 */
#include "bus/notify.h"

#include "basic/command-file.h"
#include "basic/fd.h"
#include "bus/change.h"
#include "core/command-line.h"
#include "login/login.h"
#include "manager/notifier.h"

#include <fcntl.h>
#include <unistd.h>

#define GUID_NULL "00000000-0000-0000-0000-000000000000"

/* A command line that waits for the broker to keep it. The handle may be gone by then. */
typedef struct SetCommand {
        BusContext *context;
        sd_bus_message *call;
        char job_id[JOB_ID_CHARACTERS + 1];
        uid_t opener;
        uid_t owner; /* at the call */
        bool charged;
        int fd;
        uid_t author;
        CommandFile file;
} SetCommand;

static void set_command_free(SetCommand *set)
{
        sd_bus_message_unref(set->call);
        if (set->charged)
                handles_discharge(set->context->handles, set->opener);
        fd_close(set->fd);
        command_file_done(&set->file);
        free(set);
}
DEFINE_CLEANUP(SetCommand, set_command_free);

/* 0: the call has its answer. NTF-252: the broker lets go of the old one when the store has the
   new one. If the store refuses it, the broker, which was asked first, has one that is the job's no
   more; and what the same author had given it before is gone. */
static BitsCode set_now(BusContext *context, sd_bus_message *call, Job *job, const char *program,
                        const char *parameters, uid_t author, bool kept)
{
        _cleanup_(change_done) Change change = { 0 };
        uid_t old_author = job->command.author;
        bool old_kept = job->command.kept;

        if (change_begin(&change, context, job) < 0 ||
            job_set_command(job, program, parameters, author, kept) < 0)
                return BITS_E_OUT_OF_MEMORY;
        if (change_answer(&change, call))
                notifier_command_changed(context->notifier, job, old_author, old_kept);
        else if (kept) {
                broker_drop_command(context->broker, author, job->id);
                job->command.kept = old_kept && old_author != author;
        }
        return 0;
}

static void reply_refused(const SetCommand *set, const BrokerAnswer *answer)
{
        if (answer->reason == REFUSED_TOO_MANY)
                bus_reply_failure(set->call, BITS_E_QUOTA_EXCEEDED,
                                  "you have as many command lines as one user may have; complete "
                                  "or cancel jobs that have one");
        else if (answer->reason == REFUSED_START_FAILED && answer->error == ENOSPC)
                bus_reply_failure(set->call, BITS_E_DISK_FULL,
                                  "there is no space to keep the command line: free some");
        else
                bus_reply_failure(set->call, BITS_E_ACCESS_DENIED, refusal_text(answer->reason));
}

static void on_kept(void *userdata, BrokerAnswer *answer)
{
        _cleanup_(set_command_freep) SetCommand *set = userdata;
        BusContext *context = set->context;
        Job *job = job_table_find(context->jobs, set->job_id);
        BitsCode code;

        if (answer->refused) {
                reply_refused(set, answer);
                return;
        }
        if (!job || job_state_is_final(job->state) || job->pending != PENDING_NONE ||
            job->owner != set->owner || answer->command.uid != set->author) {
                broker_drop_command(context->broker, answer->command.uid, set->job_id);
                bus_reply_failure(set->call, BG_E_INVALID_STATE,
                                  "the job was completed, cancelled or taken over meanwhile");
                return;
        }
        code = set_now(context, set->call, job, set->file.program, set->file.parameters,
                       set->author, true);
        if (code != 0)
                bus_reply_failure(set->call, code, NULL);
}

static int check(const Handle *handle, const char *program, const char *parameters,
                 sd_bus_error *error)
{
        const char *why;
        BitsCode code;
        int r = bus_require(handle, RIGHT_FILES, error);

        if (r < 0)
                return r;
        code = command_line_check(program, parameters, &why);
        return code != 0 ? bus_fail(error, code, "%s", why) : 0;
}

/* NTF-253: what is forbidden is not set. Of root and services it is, as in BITS, and never runs. */
static int check_policy(const Handle *handle, uid_t author, sd_bus_error *error)
{
        const BusContext *context = handle_context(handle);

        if (login_is_service(author) || login_is_service(handle->job->owner) ||
            config_allows_command(settings_config(context->settings), author))
                return 0;
        return bus_fail(error, BITS_E_ACCESS_DENIED,
                        "the administrator of this machine forbids notification command lines "
                        "(AllowCommandLines in bitsd.conf)");
}

static bool runs_nothing(const Handle *handle, uid_t author)
{
        return login_is_service(author) || login_is_service(handle->job->owner);
}

/* The broker is asked to keep the file; the reply follows its answer. Takes what `set` holds.
   DUR-391: it is asked when the store has just shown that it takes something. */
static int keep(const Handle *handle, sd_bus_message *m, SetCommand set, sd_bus_error *error)
{
        _cleanup_(set_command_freep) SetCommand *own = malloc(sizeof(*own));
        int r;

        if (!own) {
                fd_close(set.fd);
                command_file_done(&set.file);
                return -ENOMEM;
        }
        *own = set;
        own->context = handle_context(handle);
        own->opener = handle->opener;
        own->owner = handle->job->owner;
        memcpy(own->job_id, handle->job->id, sizeof(own->job_id));
        store_mark_job(own->context->store, handle->job, STORE_PROMISED);
        r = turn_commit(own->context->turn);
        if (r < 0)
                return turn_failure(r, error);
        r = handle_charge(handle, error);
        if (r < 0)
                return r;
        own->charged = true;
        own->call = sd_bus_message_ref(m);
        if (broker_keep_command(own->context->broker, own->job_id, own->fd, on_kept, own) == 0)
                return -ENOMEM;
        TAKE_PTR(own);
        return 1;
}

static int reply_set(const Handle *handle, sd_bus_message *m, const char *program,
                     const char *parameters, uid_t author, sd_bus_error *error)
{
        BusContext *context = handle_context(handle);
        BitsCode code = set_now(context, m, handle->job, program, parameters, author, false);

        return code != 0 ? bus_fail_code(error, code) : 1;
}

/* NTF-240, NTF-243 */
int bus_set_notify_cmd_line(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Handle *handle = userdata;
        const BusContext *context = handle_context(handle);
        SetCommand set = { .fd = -EBADF, .author = handle->opener };
        const char *program, *parameters;
        int r = sd_bus_message_read(m, "ss", &program, &parameters);

        if (r >= 0)
                r = check(handle, program, parameters, error);
        if (r >= 0 && *program)
                r = check_policy(handle, set.author, error);
        if (r < 0)
                return r;
        if (string_empty(program) || runs_nothing(handle, set.author))
                return reply_set(handle, m, program, parameters, set.author, error);
        if (!context->user_mode)
                return bus_fail(error, BITS_E_ACCESS_DENIED,
                                "a command line that is to run needs its author's seal: call "
                                "SetSealedNotifyCmdLine, as bits and libopenbits do");
        set.author = geteuid();
        r = command_file_write(handle->job->id, program, parameters, &set.fd);
        if (r >= 0)
                r = command_file_read(set.fd, &set.file);
        return r < 0 ? r : keep(handle, m, set, error);
}

static int read_sealed(sd_bus_message *m, const Handle *handle, SetCommand *set,
                       sd_bus_error *error)
{
        int fd, r = sd_bus_message_read(m, "h", &fd);

        if (r < 0)
                return r;
        if (!command_file_is_sealed(fd, &set->author) || command_file_read(fd, &set->file) < 0)
                return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                                "the descriptor is no sealed command line; see "
                                "org.openbits.BITS1(5)");
        if (!string_equal(set->file.job, handle->job->id))
                return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                                "the command line was sealed for another job");
        r = check(handle, set->file.program, set->file.parameters, error);
        if (r >= 0 && *set->file.program)
                r = check_policy(handle, set->author, error);
        if (r < 0)
                return r;
        set->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return set->fd < 0 ? -errno : 0;
}

/* NTF-240, NTF-243 */
int bus_set_sealed_notify_cmd_line(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Handle *handle = userdata;
        SetCommand set = { .fd = -EBADF };
        int r = bus_require(handle, RIGHT_FILES, error);

        if (r >= 0)
                r = read_sealed(m, handle, &set, error);
        if (r >= 0 && !string_empty(set.file.program) && !runs_nothing(handle, set.author))
                return keep(handle, m, set, error);
        if (r >= 0)
                r = reply_set(handle, m, set.file.program, set.file.parameters, set.author, error);
        fd_close(set.fd);
        command_file_done(&set.file);
        return r;
}

int bus_get_notify_cmd_line(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Handle *handle = userdata;
        const JobCommand *command = &handle->job->command;
        int r = handle_require(handle, RIGHT_READ, error);

        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "ss", command->program ? command->program : "",
                                          command->parameters ? command->parameters : "");
}

/* Why it does not run beats how it ended last. */
BUS_GETTER(bus_get_notify_cmd_line_state)
{
        const Handle *handle = userdata;
        const BusContext *context = handle_context(handle);
        const Job *job = handle->job;
        const JobCommand *c = &job->command;
        char result[COMMAND_RESULT_SIZE] = "";
        const char *objection = NULL;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        if (c->program) {
                command_result_text(c->result, result);
                objection = notifier_objection(context->notifier, job->owner, c->author);
        }
        return sd_bus_message_append(reply, "(utuss)",
                                     c->program ? (uint32_t)c->author : UINT32_MAX, c->started,
                                     c->runs, result, objection ? objection : "");
}

/* ---- receivers ---- */

static int subscribe(sd_bus_message *m, Handle *handle, bool receives, sd_bus_error *error)
{
        const BusContext *context = handle_context(handle);
        /* Whoever receives an event keeps it from others: to read a job is not enough. */
        int r = bus_require(handle, RIGHT_MODIFY, error);

        if (r >= 0)
                r = sd_bus_reply_method_return(m, "");
        if (r >= 0)
                notifier_subscribe(context->notifier, handle, receives);
        return r < 0 ? r : 1;
}

/* NTF-251, JOB-410 */
int bus_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return subscribe(m, userdata, true, error);
}

int bus_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return subscribe(m, userdata, false, error);
}

/* NTF-251 */
int bus_acknowledge(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { 0 };
        const char *name;
        uint32_t event;
        bool due;
        int r = sd_bus_message_read(m, "s", &name);

        if (r >= 0)
                r = bus_require(handle, RIGHT_MODIFY, error);
        if (r < 0)
                return r;
        event = string_equal(name, "transferred") ? NOTIFY_JOB_TRANSFERRED
                : string_equal(name, "error")     ? NOTIFY_JOB_ERROR
                                                  : 0;
        if (event == 0)
                return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                                "the event '%.100s' is not acknowledged: \"transferred\" and "
                                "\"error\" are",
                                name);
        r = change_begin(&change, context, handle->job);
        if (r < 0)
                return r;
        due = handle->job->notify_event == event;
        if (due)
                handle->job->notify_event = 0;
        if (change_answer(&change, m) && due)
                notifier_acknowledged(context->notifier, handle->job);
        return 1;
}

/* ---- NOTIFICATION_CLSID ---- */

BUS_GETTER(bus_get_notification_clsid)
{
        (void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
        return sd_bus_message_append(reply, "s", GUID_NULL);
}

/* NTF-255 */
BUS_SETTER(bus_set_notification_clsid)
{
        const char *text;
        int r = sd_bus_message_read(value, "s", &text);

        (void)bus, (void)path, (void)interface, (void)property;
        if (r >= 0)
                r = bus_require(userdata, RIGHT_MODIFY, error);
        if (r < 0)
                return r;
        if (*text && !string_equal(text, GUID_NULL) && !string_equal(text, "{" GUID_NULL "}"))
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "there are no classes to activate here, and the service reaches "
                                "no user's session bus: set a command line, which can");
        return 0;
}
