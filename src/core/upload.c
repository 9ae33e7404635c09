#include "core/upload.h"

#include "core/job.h"

#include <limits.h>
#include <stdio.h>
#include <strings.h>

int upload_state_init(UploadState *upload)
{
        upload->session = strdup("");
        upload->host = strdup("");
        upload->host_fallback = UPLOAD_NO_FALLBACK;
        upload->reply_url = strdup("");
        upload->reply_name = strdup("");
        return upload->session && upload->host && upload->reply_url && upload->reply_name ? 0
                                                                                          : -ENOMEM;
}

void upload_state_done(UploadState *upload)
{
        free(upload->session);
        free(upload->host);
        free(upload->reply_url);
        free(upload->reply_name);
}

bool job_is_upload(const Job *job)
{
        return job->type != JOB_DOWNLOAD;
}

/* UPL-120 */
UploadStep upload_step(const Job *job)
{
        if (!job->files[0]->transferred)
                return UPLOAD_SEND;
        if (job->type == JOB_UPLOAD_REPLY && (!job->reply || !job->reply->transferred))
                return UPLOAD_FETCH_REPLY;
        return string_empty(job->upload.session) ? UPLOAD_OVER : UPLOAD_CLOSE;
}

int upload_set_session(Job *job, const char *session, const char *host, uint32_t host_fallback,
                       const char *reply_url, bool closing)
{
        UploadState *upload = &job->upload;
        int r = string_replace(&upload->session, session);

        if (r >= 0)
                r = string_replace(&upload->host, host);
        if (r >= 0)
                r = string_replace(&upload->reply_url, reply_url);
        upload->host_fallback = host_fallback;
        upload->closing = closing;
        return r;
}

/* UPL-134: back to the host of the remote name when the other one has failed for long enough. */
const char *upload_host(const Job *job, uint64_t now_realtime)
{
        const UploadState *upload = &job->upload;
        bool over =
                upload->host_failed_at > 0 && upload->host_fallback != UPLOAD_NO_FALLBACK &&
                now_realtime >= upload->host_failed_at + (uint64_t)upload->host_fallback * 1000000;

        return over ? "" : upload->host;
}

void upload_host_failed(Job *job, uint64_t now_realtime)
{
        if (!string_empty(job->upload.host) && job->upload.host_failed_at == 0)
                job->upload.host_failed_at = now_realtime;
}

void upload_host_served(Job *job)
{
        job->upload.host_failed_at = 0;
}

void upload_forget_session(Job *job)
{
        UploadState *upload = &job->upload;

        upload->session[0] = upload->host[0] = 0;
        upload->host_fallback = UPLOAD_NO_FALLBACK;
        upload->host_failed_at = 0;
        upload->closing = false;
}

/* ---- the source ---- */

/* FIL-121: here it is the file that is missing, not the directory of a file to be. */
BitsCode upload_source_code(int error)
{
        return error == ENOENT ? BITS_E_FILE_NOT_FOUND : code_from_source_errno(error);
}

const char *upload_source_text(int error)
{
        switch (error) {
        case ELOOP:
                return "it is a symbolic link; name the file that it leads to";
        case EINVAL:
                return "it is no regular file";
        }
        return strerror(error);
}

/* ---- the reply ---- */

const char *upload_content_name(const File *file)
{
        const char *slash = strrchr(file->local_name, '/');

        return slash ? slash + 1 : file->local_name;
}

/* "<name>.reply-<8 digits>", the name cut so that the whole is one legal component. */
static char *automatic_name(const File *file, const uint8_t random[NAME_RANDOM_BYTES])
{
        enum { SUFFIX = 7 + 8, TEMPORARY = 20 };
        const char *name = upload_content_name(file);
        size_t length = MIN(strlen(name), (size_t)NAME_MAX - SUFFIX - TEMPORARY);
        char *r;

        /* never cut inside a character */
        while (length > 0 && length < strlen(name) && ((unsigned char)name[length] & 0xc0) == 0x80)
                length--;
        if (asprintf(&r, "%.*s.reply-%02x%02x%02x%02x",
                     (int)(length + (size_t)(name - file->local_name)), file->local_name, random[0],
                     random[1], random[2], random[3]) < 0)
                return NULL;
        return r;
}

static bool reply_name_is_open(const Job *job)
{
        return !job->reply || (job->reply->inode == 0 && !job->reply->transfer);
}

/* The reply that waits for its turn follows the new name. */
static int rename_reply(Job *job, const uint8_t random[NAME_RANDOM_BYTES])
{
        File *reply = job->reply, *renamed;
        int r;

        if (!reply)
                return 0;
        r = file_new(reply->remote_name, job->upload.reply_name, random, &renamed);
        if (r < 0)
                return r;
        free(reply->local_name);
        free(reply->temporary_name);
        reply->local_name = TAKE_PTR(renamed->local_name);
        reply->temporary_name = TAKE_PTR(renamed->temporary_name);
        file_free(renamed);
        return 0;
}

/* UPL-121 */
BitsCode upload_set_reply_name(Job *job, const char *name, const uint8_t random[NAME_RANDOM_BYTES])
{
        bool automatic = string_empty(name);
        char *copy;

        if (!reply_name_is_open(job))
                return BG_E_INVALID_STATE;
        copy = !automatic          ? strdup(name)
               : job->n_files == 0 ? strdup("") /* until there is a file to be beside */
                                   : automatic_name(job->files[0], random);
        if (!copy)
                return BITS_E_OUT_OF_MEMORY;
        free(job->upload.reply_name);
        job->upload.reply_name = copy;
        job->upload.reply_name_automatic = automatic;
        return rename_reply(job, random) < 0 ? BITS_E_OUT_OF_MEMORY : 0;
}

int upload_make_reply(Job *job, const uint8_t random[NAME_RANDOM_BYTES])
{
        File *reply;
        int r;

        if (job->reply)
                return 0;
        r = file_new(job->upload.reply_url, job->upload.reply_name, random, &reply);
        if (r < 0)
                return r;
        return job_set_reply(job, reply);
}

/* Of a URL: its scheme, and its host with the port. The user is nobody's host. */
typedef struct Origin {
        const char *scheme, *host;
        size_t scheme_length, host_length;
} Origin;

static bool find_origin(const char *url, Origin *ret)
{
        const char *authority = strstr(url, "://"), *at;
        size_t length;

        if (!authority)
                return false;
        authority += strlen("://");
        length = strcspn(authority, "/?#");
        at = memrchr(authority, '@', length);
        ret->scheme = url;
        ret->scheme_length = (size_t)(authority - url);
        ret->host = at ? at + 1 : authority;
        ret->host_length = (size_t)(authority + length - ret->host);
        return true;
}

/* ":8080", or nothing. */
static const char *find_port(const Origin *origin, size_t *ret_length)
{
        const char *end = origin->host + origin->host_length;
        const char *bracket = memchr(origin->host, ']', origin->host_length);
        const char *from = bracket ? bracket : origin->host;
        const char *colon = memchr(from, ':', (size_t)(end - from));

        *ret_length = colon ? (size_t)(end - colon) : 0;
        return colon ? colon : end;
}

static bool same_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
        return a_length == b_length && strncasecmp(a, b, a_length) == 0;
}

/* SEC-120, NET-422: compared as text, so that whatever is not plainly the same is another host. */
bool upload_reply_is_trusted(const Job *job)
{
        _cleanup_free_ char *pinned = NULL;
        Origin remote, reply;
        size_t port_length;
        const char *port;

        if (!find_origin(job->files[0]->remote_name, &remote) ||
            !find_origin(job->upload.reply_url, &reply) ||
            !same_text(remote.scheme, remote.scheme_length, reply.scheme, reply.scheme_length))
                return false;
        if (same_text(remote.host, remote.host_length, reply.host, reply.host_length))
                return true;
        port = find_port(&remote, &port_length);
        if (string_empty(job->upload.host) ||
            asprintf(&pinned, "%s%.*s", job->upload.host, (int)port_length, port) < 0)
                return false;
        return same_text(pinned, strlen(pinned), reply.host, reply.host_length);
}
