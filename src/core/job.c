#include "core/job.h"

#include "core/command-line.h"

#include "core/policy.h"
#include "core/remote-name.h"
#include "core/wait.h"

#include "basic/fd.h"
#include "basic/secret.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>

void token_free(Token *token)
{
        if (!token)
                return;
        fd_close(token->fd);
        free(token->session);
        free(token);
}

static void format_id(const uint8_t b[JOB_ID_BYTES], char ret[JOB_ID_CHARACTERS + 1])
{
        snprintf(ret, JOB_ID_CHARACTERS + 1,
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                 b[15]);
}

bool job_id_parse(const char *text, char ret_id[JOB_ID_CHARACTERS + 1])
{
        uint8_t bytes[JOB_ID_BYTES] = { 0 };
        size_t n = 0, length = text ? strlen(text) : 0;

        if (length >= 2 && text[0] == '{' && text[length - 1] == '}') {
                text++;
                length -= 2;
        }
        if (length != JOB_ID_CHARACTERS && length != 2 * JOB_ID_BYTES)
                return false;
        for (size_t i = 0; i < length; i++) {
                bool hyphen =
                        length == JOB_ID_CHARACTERS && (i == 8 || i == 13 || i == 18 || i == 23);
                int c = tolower((unsigned char)text[i]);

                if (hyphen != (c == '-') || (!hyphen && !isxdigit(c)))
                        return false;
                if (hyphen)
                        continue;
                bytes[n / 2] = (uint8_t)(bytes[n / 2] << 4 | (c <= '9' ? c - '0' : c - 'a' + 10));
                n++;
        }
        format_id(bytes, ret_id);
        return true;
}

void job_id_compact(const char *id, char ret[2 * JOB_ID_BYTES + 1])
{
        size_t n = 0;

        for (; *id && n < 2 * JOB_ID_BYTES; id++)
                if (*id != '-')
                        ret[n++] = *id;
        ret[n] = 0;
}

/* HND-43 */
static void set_owner(Job *job, uid_t owner)
{
        job->owner = owner;
        job->owner_elevated = identity_is_administrator(owner);
        job->owner_integrity = policy_integrity(owner);
}

/* JOB-302: what is not set here is 0, which is the default. */
int job_new(const uint8_t random[JOB_ID_BYTES], uid_t owner, JobType type, const char *display_name,
            uint64_t now_realtime, Job **ret)
{
        _cleanup_(job_freep) Job *job = calloc(1, sizeof(*job));
        uint8_t bytes[JOB_ID_BYTES];

        if (!job)
                return -ENOMEM;
        TAILQ_INIT(&job->handles);
        memcpy(bytes, random, sizeof(bytes));
        bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
        bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
        format_id(bytes, job->id);
        set_owner(job, owner);
        job->last_helper = JOB_NO_HELPER;
        job->type = type;
        job->priority = PRIORITY_NORMAL;
        job->state = job->told_state = STATE_SUSPENDED;
        job->minimum_retry_delay = DEFAULT_MINIMUM_RETRY_DELAY;
        job->no_progress_timeout = DEFAULT_NO_PROGRESS_TIMEOUT;
        job->max_download_size = UINT64_MAX;
        job->created = job->modified = now_realtime;
        job->notify_flags = NOTIFY_FLAGS_DEFAULT;
        job->notify_interval = DEFAULT_NOTIFICATION_INTERVAL;
        job->command.result = COMMAND_NEVER;
        job->fault_file = NO_FILE;
        job->display_name = strdup(display_name);
        job->description = strdup("");
        job->proxy_list = strdup("");
        job->proxy_bypass = strdup("");
        job->credential_cache = strdup("");
        job->helper_credential_cache = strdup("");
        if (upload_state_init(&job->upload) < 0 || http_options_init(&job->http) < 0)
                return -ENOMEM;
        if (!job->display_name || !job->description || !job->proxy_list || !job->proxy_bypass ||
            !job->credential_cache || !job->helper_credential_cache)
                return -ENOMEM;
        *ret = TAKE_PTR(job);
        return 0;
}

/* TOK-82 */
int job_set_command(Job *job, const char *program, const char *parameters, uid_t author, bool kept)
{
        JobCommand command = { .result = COMMAND_NEVER };

        if (!string_empty(program)) {
                command.author = author;
                command.kept = kept;
                command.program = strdup(program);
                command.parameters = strdup(parameters);
                if (!command.program || !command.parameters) {
                        free(command.program);
                        free(command.parameters);
                        return -ENOMEM;
                }
        }
        free(job->command.program);
        free(job->command.parameters);
        job->command = command;
        return 0;
}

void job_take(Job *job, uid_t new_owner)
{
        set_owner(job, new_owner);
        token_free(job->token);
        job->token = NULL;
        job->token_flags = 0;
        job->last_helper = JOB_NO_HELPER;
        job_set_credentials(job, NULL, 0);
        (void)job_set_command(job, NULL, NULL, 0, false); /* NTF-252 */
        http_options_forget_secrets(&job->http);
        job->proxy_tickets = false;
        job->credential_cache[0] = job->helper_credential_cache[0] = 0;
}

/* SEC-80: encrypted, and overwritten all the same. */
void job_set_credentials(Job *job, uint8_t *box, size_t size)
{
        secret_free(job->credentials, job->credentials_size);
        job->credentials = box;
        job->credentials_size = size;
}

void job_forget_files(Job *job)
{
        for (size_t i = 0; job->files && i < job->n_files; i++)
                file_free(job->files[i]);
        free(job->files);
        job->files = NULL;
        file_free(job->reply);
        job->reply = NULL;
}

void job_free(Job *job)
{
        if (!job)
                return;
        job_forget_files(job);
        free(job->display_name);
        free(job->description);
        free(job->proxy_list);
        free(job->proxy_bypass);
        free(job->credential_cache);
        free(job->helper_credential_cache);
        upload_state_done(&job->upload);
        free(job->command.program);
        free(job->command.parameters);
        http_options_done(&job->http);
        job_set_credentials(job, NULL, 0);
        fault_done(&job->fault);
        token_free(job->token);
        free(job);
}

/* ".<name>.bits-<12 digits>", the name cut so that the whole is one legal component. JOB-21
   The digits keep two jobs with one destination apart. JOB-58 */
static char *make_temporary_name(const char *local_name, const uint8_t random[NAME_RANDOM_BYTES])
{
        enum { SUFFIX = 6 + 12, FRAME = 1 + SUFFIX };
        const char *name = strrchr(local_name, '/');
        size_t length;
        char *r;

        name = name ? name + 1 : local_name;
        length = MIN(strlen(name), (size_t)NAME_MAX - FRAME);
        /* never cut inside a character */
        while (length > 0 && length < strlen(name) && ((unsigned char)name[length] & 0xc0) == 0x80)
                length--;
        if (asprintf(&r, ".%.*s.bits-%02x%02x%02x%02x%02x%02x", (int)length, name, random[0],
                     random[1], random[2], random[3], random[4], random[5]) < 0)
                return NULL;
        return r;
}

int file_new_blank(File **ret)
{
        File *file = calloc(1, sizeof(*file));

        if (!file)
                return -ENOMEM;
        file->total = file->remote_size = JOB_SIZE_UNKNOWN;
        file->hint = JOB_NO_HINT;
        *ret = file;
        return 0;
}

int file_new(const char *remote_name, const char *local_name,
             const uint8_t random[NAME_RANDOM_BYTES], File **ret)
{
        _cleanup_(file_freep) File *file = NULL;
        int r = file_new_blank(&file);

        if (r < 0)
                return r;
        file->remote_name = strdup(remote_name);
        file->local_name = strdup(local_name);
        file->temporary_name = make_temporary_name(local_name, random);
        if (!file->remote_name || !file->local_name || !file->temporary_name)
                return -ENOMEM;
        *ret = TAKE_PTR(file);
        return 0;
}

void file_free(File *file)
{
        if (!file)
                return;
        free(file->remote_name);
        free(file->local_name);
        free(file->temporary_name);
        free(file->etag);
        free(file->last_modified);
        ranges_done(&file->wanted);
        ranges_done(&file->filled);
        ranges_done(&file->fresh);
        ranges_done(&file->requested);
        free(file->response_headers);
        free(file);
}

int job_reserve_files(Job *job, size_t more)
{
        size_t room = MAX(job->files_room * 2, (size_t)4);
        File **files;

        if (more <= job->files_room - job->n_files)
                return 0;
        room = MAX(room, job->n_files + more);
        files = reallocarray(job->files, room, sizeof(*files));
        if (!files)
                return -ENOMEM;
        job->files = files;
        job->files_room = room;
        return 0;
}

static void count_file(Job *job, const File *file)
{
        job->bytes_written += file->written;
        if (file->total == JOB_SIZE_UNKNOWN)
                job->n_unknown++;
        else
                job->bytes_total += file->total;
        if (file->transferred)
                job->n_transferred++;
}

int job_append_file(Job *job, File *file)
{
        /* UPL-122: in the store the reply is what comes after the one file. */
        if (job->type == JOB_UPLOAD_REPLY && job->n_files == 1)
                return job_set_reply(job, file);
        if (job_reserve_files(job, 1) < 0)
                return -ENOMEM;
        file->job = job;
        file->index = (uint32_t)job->n_files;
        job->files[job->n_files++] = file;
        count_file(job, file);
        return 0;
}

void job_count_files(Job *job)
{
        job->bytes_written = job->bytes_total = 0;
        job->n_transferred = job->n_unknown = 0;
        for (size_t i = 0; job->files && i < job->n_files; i++)
                count_file(job, job->files[i]);
}

File *job_take_last_file(Job *job)
{
        File *file = job->files[--job->n_files];

        file->job = NULL;
        return file;
}

/* JOB-63, JOB-222: a job that only waited has not failed, and patience that ends is not another
   failure. */
static bool is_counted(const Job *job, JobEvent event)
{
        bool waited = job->state == STATE_QUEUED && event == EVENT_BLOCKED;

        return wait_is_counted(job->fault.code) && event != EVENT_TIMED_OUT && !waited;
}

int job_set_reply(Job *job, File *reply)
{
        assert(!job->reply);
        reply->job = job;
        reply->index = (uint32_t)job->n_files;
        job->reply = reply;
        return 0;
}

File *job_file(const Job *job, size_t i)
{
        if (job->files && i < job->n_files)
                return job->files[i];
        return i == job->n_files ? job->reply : NULL;
}

bool file_is_fetched(const File *file)
{
        return !job_is_upload(file->job) || file == file->job->reply;
}

bool file_is_deposited(const File *file)
{
        return !file_is_fetched(file) && remote_name_is_file(file->remote_name);
}

bool job_is_transferred(const Job *job)
{
        if (job->n_transferred < job->n_files)
                return false;
        return !job_is_upload(job) || job->n_files == 0 || upload_step(job) == UPLOAD_OVER;
}

/* The job's numbers are those of its files. */
static Job *counted_in(const File *file)
{
        return file->job && file != file->job->reply ? file->job : NULL;
}

BitsCode job_transition(Job *job, JobEvent event, uint64_t now_realtime)
{
        JobState next = STATE_INVALID;
        BitsCode code = job_state_next(job->state, event, &next);

        if (code != 0)
                return code;
        if (next == job->state)
                return 0;
        if ((next == STATE_ERROR || next == STATE_TRANSIENT_ERROR) && is_counted(job, event))
                job->error_count++;
        job->state = next;
        job->modified = now_realtime;
        /* JOB-262 */
        job->failed = next == STATE_ERROR || next == STATE_TRANSIENT_ERROR ? now_realtime : 0;
        if (next == STATE_TRANSFERRED)
                job->transfer_completed = now_realtime;
        if (next == STATE_TRANSFERRING || next == STATE_TRANSFERRED) {
                fault_done(&job->fault);
                job->fault_file = NO_FILE;
        }
        return 0;
}

JobEvent job_resume_event(const Job *job)
{
        if (job->n_files == 0)
                return EVENT_RESUME_EMPTY;
        return job_is_transferred(job) ? EVENT_RESUME_TRANSFERRED : EVENT_RESUME;
}

void job_set_fault(Job *job, const File *file, ErrorContext context, BitsCode code,
                   const char *detail)
{
        fault_done(&job->fault);
        job->fault.context = context;
        job->fault.code = code;
        /* A sentence that cannot be kept is the smaller loss. */
        job->fault.detail = string_empty(detail) ? NULL : strdup(detail);
        /* JOB-403: what arises in the service itself concerns no file. */
        job->fault_file =
                file && context != CONTEXT_GENERAL_QUEUE_MANAGER ? (int64_t)file->index : NO_FILE;
}

void file_set_written(File *file, uint64_t written)
{
        Job *job = counted_in(file);

        if (job)
                job->bytes_written += written - file->written;
        file->written = written;
        if (file->kept > written)
                file->kept = written;
}

void file_set_kept(File *file, uint64_t kept)
{
        if (file->written < kept)
                file_set_written(file, kept);
        file->kept = kept;
}

void file_set_total(File *file, uint64_t total)
{
        Job *job = counted_in(file);

        if (job && file->total == JOB_SIZE_UNKNOWN)
                job->n_unknown--;
        else if (job)
                job->bytes_total -= file->total;
        file->total = total;
        if (job && total == JOB_SIZE_UNKNOWN)
                job->n_unknown++;
        else if (job)
                job->bytes_total += total;
}

void file_set_transferred(File *file, bool transferred)
{
        Job *job = counted_in(file);

        if (job && transferred && !file->transferred)
                job->n_transferred++;
        else if (job && !transferred && file->transferred)
                job->n_transferred--;
        file->transferred = transferred;
}

static int replace_text(char **text, const char *value)
{
        char *copy = NULL;

        if (string_equal(*text, value) || (!*text && string_empty(value)))
                return 0;
        if (!string_empty(value) && !(copy = strdup(value)))
                return -ENOMEM;
        free(*text);
        *text = copy;
        return 0;
}

int file_set_version(File *file, const char *etag, const char *last_modified, bool resumable)
{
        int r = replace_text(&file->etag, etag);

        if (r >= 0)
                r = replace_text(&file->last_modified, last_modified);
        file->resumable = r >= 0 && resumable;
        return r;
}

/* JOB_SIZE_UNKNOWN for the whole file, too. */
static uint64_t wanted_length(const File *file)
{
        return file->wanted.count > 0 ? range_list_length(&file->wanted, file->remote_size)
                                      : JOB_SIZE_UNKNOWN;
}

int file_set_wanted(File *file, const Ranges *wanted)
{
        int r = ranges_copy(wanted, &file->wanted);

        if (r < 0)
                return r;
        if (range_list_is_whole(&file->wanted))
                file->wanted.count = 0;
        file_set_total(file, wanted_length(file));
        return 0;
}

uint64_t file_remote_size(const File *file)
{
        return file->wanted.count > 0 ? file->remote_size : file->total;
}

void file_set_remote_size(File *file, uint64_t size)
{
        file->remote_size = size;
        file_set_total(file, file->wanted.count > 0 ? wanted_length(file) : size);
}

/* RNG-181 */
int file_set_remote_name(File *file, const char *remote_name)
{
        int r = string_replace(&file->remote_name, remote_name);

        if (r < 0 || file->transferred)
                return r;
        free(TAKE_PTR(file->etag));
        file->resumable = file->resumable && file->last_modified &&
                          file_remote_size(file) != JOB_SIZE_UNKNOWN;
        return 0;
}

char *file_temporary_path(const File *file)
{
        const char *slash = strrchr(file->local_name, '/');
        char *path;

        assert(slash);
        if (asprintf(&path, "%.*s/%s", (int)(slash - file->local_name), file->local_name,
                     file->temporary_name) < 0)
                return NULL;
        return path;
}

void file_reset(File *file)
{
        ranges_done(&file->filled);
        ranges_done(&file->fresh);
        file->scattered = file->validated = false;
        file->remote_size = JOB_SIZE_UNKNOWN;
        file_set_written(file, 0);
        file_set_total(file, wanted_length(file));
        file_set_transferred(file, false);
        (void)file_set_version(file, NULL, NULL, false);
        file->modification_time = 0;
}

bool file_can_resume(const File *file)
{
        return file->resumable && file->inode != 0;
}

uint64_t job_bytes_total(const Job *job)
{
        return job->n_unknown > 0 ? JOB_SIZE_UNKNOWN : job->bytes_total; /* JOB-36 */
}

Actor job_actor(const Job *job, Purpose purpose)
{
        return identity_for(job->token_flags, job->token != NULL, purpose);
}
