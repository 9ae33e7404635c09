#include "bus/file.h"

#include "bus/add-files.h"
#include "bus/change.h"
#include "core/fill.h"
#include "core/remote-name.h"

#include <stdio.h>

enum {
        FILE_NUMBER_DIGITS = 10,
};

#define FILE_PART "/file/"

/* ---- ranges ---- */

/* Reads and writes a(tt). 0 or -errno. */
static int read_ranges(sd_bus_message *m, Ranges *ret)
{
        Range range;
        int r = sd_bus_message_enter_container(m, 'a', "(tt)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(tt)", &range.offset, &range.length)) > 0)
                r = range_list_append(ret, range);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int append_ranges(sd_bus_message *m, const Ranges *ranges)
{
        int r = sd_bus_message_open_container(m, 'a', "(tt)");

        for (size_t i = 0; r >= 0 && i < ranges->count; i++)
                r = sd_bus_message_append(m, "(tt)", ranges->items[i].offset,
                                          ranges->items[i].length);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int reply_ranges(sd_bus_message *call, const Ranges *ranges)
{
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = append_ranges(reply, ranges);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int require_few(const Job *job, const Ranges *ranges, sd_bus_error *error)
{
        uint32_t limit = policy_limit(LIMIT_RANGES_PER_FILE, job->owner);

        if (ranges->count <= limit)
                return 0;
        return bus_fail(error, policy_limit_code(LIMIT_RANGES_PER_FILE),
                        "%zu ranges: a file may have %u", ranges->count, limit);
}

/* RNG-176 */
static int require_wanted(const Job *job, const Ranges *ranges, sd_bus_error *error)
{
        const char *why = NULL;
        BitsCode code;
        int r;

        if (job->type != JOB_DOWNLOAD)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED, "only downloads have ranges");
        if (job->dynamic_content || job->on_demand)
                return bus_fail(error, BG_E_UNSUPPORTED_JOB_CONFIGURATION,
                                "a job with %s has no files with ranges",
                                job->dynamic_content ? "DynamicContent" : "OnDemandMode");
        r = require_few(job, ranges, error);
        if (r < 0)
                return r;
        code = range_list_check(ranges->items, ranges->count, &why);
        return code != 0 ? bus_fail(error, code, "%s", why) : 0;
}

static int require_http(const char *url, sd_bus_error *error)
{
        if (!remote_name_is_file(url))
                return 0;
        return bus_fail(error, BITS_E_INVALID_ARGUMENT,
                        "remote name '%.200s': ranges come from http and https only", url);
}

int bus_add_file_with_ranges(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        _cleanup_(add_files_freep) AddFiles *add = NULL;
        _cleanup_(ranges_done) Ranges ranges = { 0 };
        const char *remote_name, *local_name;
        int r = bus_require(handle, RIGHT_FILES, error);

        if (r >= 0)
                r = sd_bus_message_read(m, "ss", &remote_name, &local_name);
        if (r >= 0)
                r = read_ranges(m, &ranges);
        if (r >= 0)
                r = require_wanted(handle->job, &ranges, error);
        if (r >= 0)
                r = require_http(remote_name, error);
        if (r >= 0)
                r = add_files_begin(handle, m, &add, error);
        if (r >= 0)
                r = add_files_add(add, remote_name, local_name, error);
        if (r >= 0)
                r = add_files_set_ranges(add, &ranges);
        return r < 0 ? r : add_files_run(TAKE_PTR(add), error);
}

/* ---- names ---- */

static int check_name(const char *name, sd_bus_error *error)
{
        const char *why = NULL;
        BitsCode code = policy_check_remote_name(name, &why);

        return code != 0 ? bus_fail(error, code, "remote name '%.200s': %s", name, why) : 0;
}

/* A file keeps what it was begun with: ranges and single bytes are HTTP's. */
static int check_name_of(const File *file, const char *name, sd_bus_error *error)
{
        int r = check_name(name, error);

        if (r >= 0 && (file->wanted.count > 0 || file->scattered || file->job->on_demand))
                r = require_http(name, error);
        return r;
}

/* Until it is stored a transfer goes on with the old name. */
static int rename_file(Change *change, File *file, const char *name)
{
        int r;

        if (string_equal(file->remote_name, name))
                return 0;
        r = change_file(change, file);
        return r < 0 ? r : file_set_remote_name(file, name);
}

static void follow_names(const Change *change)
{
        for (size_t i = 0; i < change->n_changed; i++)
                engine_remote_name_changed(change->context->engine, change->job,
                                           change->files[i].file);
}

static char *with_prefix(const File *file, const char *old, const char *new)
{
        char *name;

        if (strncmp(file->remote_name, old, strlen(old)) != 0)
                return NULL;
        if (asprintf(&name, "%s%s", new, file->remote_name + strlen(old)) < 0)
                return NULL;
        return name;
}

static int check_prefix(const Job *job, const char *old, const char *new, sd_bus_error *error)
{
        int r = 0;

        if (job->type != JOB_DOWNLOAD)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "only downloads have remote names that change");
        if (string_empty(old))
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "the old prefix is empty");
        for (size_t i = 0; r >= 0 && i < job->n_files; i++) {
                _cleanup_free_ char *name = with_prefix(job->files[i], old, new);

                if (name)
                        r = check_name_of(job->files[i], name, error);
        }
        return r;
}

/* RNG-182: all names that would result are judged before the first one changes. */
int bus_replace_remote_prefix(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        Job *job = handle->job;
        _cleanup_(change_done) Change change = { 0 };
        const char *old, *new;
        uint32_t code = S_FALSE;
        int r = sd_bus_message_read(m, "ss", &old, &new);

        if (r >= 0)
                r = bus_require(handle, RIGHT_FILES, error);
        if (r >= 0)
                r = check_prefix(job, old, new, error);
        if (r >= 0)
                r = change_begin(&change, context, job);
        for (size_t i = 0; r >= 0 && i < job->n_files; i++) {
                _cleanup_free_ char *name = with_prefix(job->files[i], old, new);

                if (!name)
                        continue;
                code = 0;
                r = rename_file(&change, job->files[i], name);
        }
        if (r >= 0 && code == 0) {
                r = change_commit(&change, error);
                if (r >= 0)
                        follow_names(&change);
        }
        return r < 0 ? r : sd_bus_reply_method_return(m, "u", code);
}

/* ---- which file ---- */

static bool read_index(const char *text, size_t *ret)
{
        size_t index = 0, n = strlen(text);

        if (n == 0 || n > FILE_NUMBER_DIGITS || (n > 1 && text[0] == '0'))
                return false;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return false;
                index = index * 10 + (size_t)(*text - '0');
        }
        *ret = index;
        return true;
}

/* "/org/openbits/BITS1/job/ID/file/INDEX": the file, NULL if the job has none of that number. */
static File *file_of(const Handle *handle, const char *path)
{
        const Job *job = handle->job;
        const char *part = strstr(path, FILE_PART);
        size_t index;

        if (!part || !job->files || !read_index(part + strlen(FILE_PART), &index) ||
            index >= job->n_files)
                return NULL;
        return job->files[index];
}

static int find_file(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error)
{
        const char *part = strstr(path, FILE_PART);
        char job_path[BUS_JOB_PATH_MAX];
        int r;

        if (!part || (size_t)(part - path) >= sizeof(job_path))
                return 0;
        snprintf(job_path, sizeof(job_path), "%.*s", (int)(part - path), path);
        r = bus_find_handle(bus, job_path, interface, userdata, ret_found, error);
        return r > 0 && !file_of(*ret_found, path) ? 0 : r;
}

static int find_file_of_peer(sd_bus *bus, const char *path, const char *interface, void *userdata,
                             void **ret_found, sd_bus_error *error)
{
        (void)bus, (void)interface, (void)error;
        *ret_found = userdata;
        return file_of(userdata, path) ? 1 : 0;
}

/* The file of a call; the handle's job may have lost its files since find_file(). */
static int called(sd_bus_message *m, const Handle *handle, unsigned right, File **ret,
                  sd_bus_error *error)
{
        int r = right == RIGHT_READ ? handle_require(handle, right, error)
                                    : bus_require(handle, right, error);

        if (r < 0)
                return r;
        *ret = file_of(handle, sd_bus_message_get_path(m));
        return *ret ? 0 : bus_fail_code(error, BG_E_NOT_FOUND);
}

/* ---- methods ---- */

/* RNG-181 */
static int on_set_remote_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { 0 };
        const char *name;
        File *file;
        int r = sd_bus_message_read(m, "s", &name);

        if (r >= 0)
                r = called(m, handle, RIGHT_FILES, &file, error);
        if (r < 0)
                return r;
        if (handle->job->type != JOB_DOWNLOAD)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED,
                                "only downloads have remote names that change");
        r = check_name_of(file, name, error);
        if (r >= 0)
                r = change_begin(&change, context, handle->job);
        if (r >= 0)
                r = rename_file(&change, file, name);
        if (r < 0)
                return r;
        if (change_answer(&change, m))
                follow_names(&change);
        return 1;
}

/* RNG-177 */
static int on_get_file_ranges(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        File *file;
        int r = called(m, userdata, RIGHT_READ, &file, error);

        return r < 0 ? r : reply_ranges(m, &file->wanted);
}

static int require_random_access(const File *file, sd_bus_error *error)
{
        if (fill_can_scatter(file) && !remote_name_is_file(file->remote_name))
                return 0;
        return bus_fail(error, BG_E_RANDOM_ACCESS_NOT_SUPPORTED,
                        "random access needs a download over http or https from a server with "
                        "ranges, of a whole file, without DynamicContent");
}

/* RNG-195 */
static int on_get_filled_file_ranges(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(ranges_done) Ranges filled = { 0 };
        File *file;
        int r = called(m, userdata, RIGHT_READ, &file, error);

        if (r >= 0)
                r = require_random_access(file, error);
        if (r >= 0)
                r = file->scattered ? ranges_copy(&file->filled, &filled)
                                    : range_set_add(&filled, (Range){ 0, file->kept });
        return r < 0 ? r : reply_ranges(m, &filled);
}

/* Of what is requested: no range is empty, none begins behind the end. RNG-196 */
static int check_requested(const File *file, const Ranges *ranges, sd_bus_error *error)
{
        if (ranges->count == 0)
                return bus_fail(error, BITS_E_INVALID_ARGUMENT, "there is no range");
        for (size_t i = 0; i < ranges->count; i++) {
                Range range = ranges->items[i];
                const char *why = NULL;
                BitsCode code = range_list_check(&range, 1, &why);

                if (code == 0 && file->total != JOB_SIZE_UNKNOWN &&
                    (range.offset >= file->total ||
                     (range.length != RANGE_TO_END && range_end(range) > file->total))) {
                        code = BG_E_INVALID_RANGE;
                        why = "a range reaches beyond the end of the remote file";
                }
                if (code != 0)
                        return bus_fail(error, code, "%s", why);
        }
        return 0;
}

static int on_request_file_ranges(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(ranges_done) Ranges ranges = { 0 }, requested = { 0 };
        _cleanup_(change_done) Change change = { 0 };
        File *file;
        int r = called(m, handle, RIGHT_MODIFY, &file, error);

        if (r >= 0)
                r = require_random_access(file, error);
        if (r >= 0)
                r = read_ranges(m, &ranges);
        if (r >= 0)
                r = check_requested(file, &ranges, error);
        if (r >= 0)
                r = ranges_copy(&file->requested, &requested);
        if (r >= 0)
                r = range_set_add_all(&requested, &ranges);
        if (r >= 0)
                r = require_few(handle->job, &requested, error);
        if (r >= 0)
                r = change_begin(&change, context, handle->job);
        if (r >= 0)
                r = change_file(&change, file);
        if (r < 0)
                return r;
        ranges_done(&file->requested);
        file->requested = requested;
        requested = (Ranges){ 0 };
        if (change_answer(&change, m))
                engine_ranges_requested(context->engine, handle->job, file);
        return 1;
}

/* RNG-190: a hint is for whoever reads now; a restart forgets it. */
static int on_update_download_position(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        uint64_t offset;
        File *file;
        int r = sd_bus_message_read(m, "t", &offset);

        if (r >= 0)
                r = called(m, handle, RIGHT_MODIFY, &file, error);
        if (r >= 0)
                r = require_random_access(file, error);
        if (r < 0)
                return r;
        if (offset > RANGE_POSITION_MAX ||
            (file->total != JOB_SIZE_UNKNOWN && offset >= file->total))
                return bus_fail(error, BG_E_INVALID_RANGE,
                                "the position lies behind the end of the remote file");
        file->hint = offset;
        engine_ranges_requested(context->engine, handle->job, file);
        return sd_bus_reply_method_return(m, "");
}

/* RNG-197 */
static int on_set_validation_state(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(change_done) Change change = { 0 };
        BitsCode code = 0;
        QueueMove move;
        File *file;
        int valid, r = sd_bus_message_read(m, "b", &valid);

        if (r >= 0)
                r = called(m, handle, RIGHT_MODIFY, &file, error);
        if (r < 0)
                return r;
        if (handle->job->type != JOB_DOWNLOAD)
                return bus_fail(error, BITS_E_NOT_IMPLEMENTED, "only downloads are validated");
        r = bus_require_call(handle, RIGHT_MODIFY, CALL_SET_VALIDATION_STATE, file, error);
        if (r >= 0)
                r = change_begin(&change, context, handle->job);
        if (r >= 0)
                r = change_file(&change, file);
        if (r < 0)
                return r;
        if (!valid)
                code = engine_invalidate(context->engine, handle->job, file, &move);
        if (code != 0)
                return bus_fail_code(error, code);
        file->validated = valid;
        if (change_answer(&change, m) && !valid)
                change_follow(&change, &move);
        return 1;
}

/* RNG-178: there are no peers here. */
static int on_get_peer_download_stats(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        File *file;
        int r = called(m, userdata, RIGHT_READ, &file, error);

        return r < 0 ? r : sd_bus_reply_method_return(m, "tt", file->written, UINT64_C(0));
}

/* ---- properties ---- */

static BUS_GETTER(get_name)
{
        const File *file = file_of(userdata, path);
        _cleanup_free_ char *temporary = NULL;
        const char *value;

        (void)bus, (void)interface;
        if (!file)
                return bus_fail_code(error, BG_E_NOT_FOUND);
        if (string_equal(property, "RemoteName"))
                value = file->remote_name;
        else if (string_equal(property, "LocalName"))
                value = file->local_name;
        else if (string_equal(property, "ResponseHeaders")) /* NET-158 */
                value = file->response_headers ? file->response_headers : "";
        else
                value = temporary = file_temporary_path(file);
        return value ? sd_bus_message_append(reply, "s", value) : -ENOMEM;
}

static BUS_GETTER(get_progress)
{
        const File *file = file_of(userdata, path);

        (void)bus, (void)interface, (void)property;
        if (!file)
                return bus_fail_code(error, BG_E_NOT_FOUND);
        return sd_bus_message_append(reply, "(ttb)", file->total, file->written,
                                     (int)file->completed);
}

static BUS_GETTER(get_flag)
{
        const File *file = file_of(userdata, path);

        (void)bus, (void)interface;
        if (!file)
                return bus_fail_code(error, BG_E_NOT_FOUND);
        return sd_bus_message_append(
                reply, "b", (int)(string_equal(property, "ValidationState") && file->validated));
}

/* RNG-191 */
BUS_SETTER(bus_set_on_demand)
{
        Handle *handle = userdata;
        const BusContext *context = handle_context(handle);
        Job *job = handle->job;
        bool before = job->on_demand;
        int r = bus_set_number(bus, path, interface, property, value, userdata, error);

        if (r >= 0 && job->on_demand != before)
                engine_mode_changed(context->engine, job);
        return r;
}

static const sd_bus_vtable file_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("SetRemoteName", "s", "", on_set_remote_name, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetFileRanges", "", "a(tt)", on_get_file_ranges, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetFilledFileRanges", "", "a(tt)", on_get_filled_file_ranges,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestFileRanges", "a(tt)", "", on_request_file_ranges,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("UpdateDownloadPosition", "t", "", on_update_download_position,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetValidationState", "b", "", on_set_validation_state,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetPeerDownloadStats", "", "tt", on_get_peer_download_stats,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("RemoteName", "s", get_name, 0, 0),
        SD_BUS_PROPERTY("LocalName", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("TemporaryName", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ResponseHeaders", "s", get_name, 0, 0),
        SD_BUS_PROPERTY("Progress", "(ttb)", get_progress, 0, 0),
        SD_BUS_PROPERTY("ValidationState", "b", get_flag, 0, 0),
        SD_BUS_PROPERTY("DownloadedFromPeer", "b", get_flag, 0, 0),
        SD_BUS_VTABLE_END,
};

int bus_file_register(BusContext *context)
{
        return sd_bus_add_fallback_vtable(context->bus, NULL, BUS_JOB_PREFIX, BUS_FILE, file_vtable,
                                          find_file, context);
}

int bus_file_serve(sd_bus *peer, const char *path, Handle *handle)
{
        char files[BUS_JOB_PATH_MAX + sizeof(FILE_PART)];

        snprintf(files, sizeof(files), "%s/file", path);
        return sd_bus_add_fallback_vtable(peer, NULL, files, BUS_FILE, file_vtable,
                                          find_file_of_peer, handle);
}
