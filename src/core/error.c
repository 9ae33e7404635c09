/*
 * Looking codes up, and the two rules that are no table: what an errno means to a job, and which
 * HTTP statuses are worth another try. A job that meets a code nobody knows ends, so that a person
 * sees it instead of a retry without end.
 */
#include "core/error-table.h"
#include "core/translation.h"

#include <stdio.h>

enum {
        BUS_NAME_BYTES = 32,
        STATUS_MIN = 100,
        STATUS_MAX = 599,
};

void fault_done(Fault *fault)
{
        free(fault->detail);
        *fault = (Fault){ 0 };
}

static int compare_code(const void *key, const void *entry)
{
        BitsCode a = *(const BitsCode *)key, b = ((const ErrorEntry *)entry)->code;

        return a < b ? -1 : a > b;
}

static const ErrorEntry *find(BitsCode code)
{
        return bsearch(&code, error_table, error_table_length, sizeof(error_table[0]),
                       compare_code);
}

/* The status inside an HTTP code, 0 for any other code. */
static unsigned http_status(BitsCode code)
{
        return code >= BITS_E_HTTP(STATUS_MIN) && code <= BITS_E_HTTP(STATUS_MAX)
                       ? code - BITS_E_HTTP(0)
                       : 0;
}

/* JOB-08 */
const char *error_name(BitsCode code)
{
        const ErrorEntry *entry = find(code);

        return entry ? entry->name : NULL;
}

static const char *status_text(unsigned status)
{
        static const char *const classes[] = {
                N_("The server sent an interim answer where a file was expected."),
                N_("The server's answer does not fit the request."),
                N_("The server refers to another place."),
                N_("The server refused the request."),
                N_("The server failed."),
        };

        return status ? classes[status / 100 - 1] : NULL;
}

const char *error_text(BitsCode code)
{
        const ErrorEntry *entry = find(code);

        return entry ? entry->text : status_text(http_status(code));
}

int error_translate(const char *text, const char *locale, const char **ret)
{
        return translate(text, locale, ret);
}

/* JOB-261 */
int error_text_in(BitsCode code, const char *locale, const char **ret)
{
        const char *text = error_text(code), *translated;
        int r = translate(text ? text : "", locale, &translated);

        if (r < 0)
                return r;
        if (!text)
                return -EINVAL;
        *ret = translated;
        return 0;
}

/* JOB-11 */
const char *error_bus_name(BitsCode code, char *buffer)
{
        const ErrorEntry *entry = find(code);
        unsigned status = http_status(code);

        if (entry)
                return entry->bus_name;
        if (!status)
                return "Failed";
        snprintf(buffer, BUS_NAME_BYTES, "Http%u", status);
        return buffer;
}

static BitsCode code_from_http_name(const char *name)
{
        unsigned status;
        char rest;

        if (strlen(name) != strlen("Http404") || sscanf(name, "Http%3u%c", &status, &rest) != 1)
                return 0;
        return status >= STATUS_MIN && status <= STATUS_MAX ? BITS_E_HTTP(status) : 0;
}

BitsCode error_from_bus_name(const char *name)
{
        if (!name)
                return 0;
        for (size_t i = 0; i < error_table_length; i++)
                if (strcmp(error_table[i].bus_name, name) == 0)
                        return error_table[i].code;
        return code_from_http_name(name);
}

/* Reference 04 section 4.1, for downloads too; 429 asks for a later try by its very meaning. */
static bool status_is_transient(unsigned status)
{
        switch (status) {
        case 408:
        case 409:
        case 429:
                return true;
        case 200:
        case 300 ... 305:
        case 307:
        case 308:
        case 501:
        case 505:
                return false;
        }
        return status < 400 || status >= 500;
}

/* JOB-06, JOB-60, JOB-61 */
bool error_is_transient(BitsCode code)
{
        const ErrorEntry *entry = find(code);
        unsigned status = http_status(code);

        if (status)
                return status_is_transient(status);
        return entry && entry->kind == ERROR_TRANSIENT;
}

/* JOB-07, JOB-71, JOB-74 */
BitsCode code_from_errno(int error)
{
        assert(error > 0);
        switch (error) {
        case ENOSPC:
                return BITS_E_DISK_FULL;
        case EDQUOT:
                return BITS_E_QUOTA_EXCEEDED;
        case EACCES:
        case EPERM:
                return BITS_E_ACCESS_DENIED;
        case ENOENT:
        case ENOTDIR:
                return BITS_E_PATH_NOT_FOUND;
        case ESTALE: /* the temporary file was replaced or removed */
                return BITS_E_FILE_NOT_FOUND;
        case EROFS:
                return BITS_E_WRITE_PROTECT;
        case EIO:
                return BITS_E_WRITE_FAULT;
        case EFBIG:
                return BITS_E_FILE_TOO_LARGE;
        case EMFILE:
        case ENFILE:
                return BITS_E_TOO_MANY_OPEN_FILES;
        case ENOMEM:
                return BITS_E_OUT_OF_MEMORY;
        case EXDEV: /* FIL-220: another volume than the temporary file was on */
                return BG_E_VOLUME_CHANGED;
        case EEXIST:
                return BITS_E_ALREADY_EXISTS;
        case EISDIR:
        case EINVAL:
        case ELOOP:
        case ENAMETOOLONG:
                return BITS_E_INVALID_ARGUMENT;
        }
        return BITS_E_UNEXPECTED;
}

/* JOB-406 */
const char *destination_text(int error)
{
        switch (error) {
        case ENOENT:
                return "the directory does not exist; create it first";
        case ENOTDIR:
                return "a part of its path is no directory";
        case EACCES:
        case EPERM:
                return "Permission denied; the identity that writes the job's local files needs "
                       "the right to write to the directory";
        case EEXIST:
                return "a file of somebody else has the name of the job's temporary file; remove "
                       "it";
        case EISDIR:
                return "it is a directory; name a file in it";
        case ELOOP:
                return "its path leads through too many symbolic links";
        case EROFS:
                return "the file system is read-only";
        }
        return strerror(error);
}

/* UPL-400 */
BitsCode code_from_source_errno(int error)
{
        return error == EIO ? BITS_E_READ_FAULT : code_from_errno(error);
}

/* FIL-104: what cannot be otherwise by itself ends the job; a share that is away may come back. */
BitsCode code_from_remote_errno(int error)
{
        switch (error) {
        case ENOENT:
                return BITS_E_FILE_NOT_FOUND;
        case ENOTDIR:
        case EACCES:
        case EPERM:
        case EISDIR:
        case EINVAL:
        case ELOOP:
        case ENAMETOOLONG:
        case EMFILE:
        case ENFILE:
        case ENOMEM:
                return code_from_errno(error);
        }
        return BITS_E_READ_FAULT;
}

/* JOB-09 */
const char *error_context_name(ErrorContext context)
{
        static const char *const names[] = {
                [CONTEXT_NONE] = "none",
                [CONTEXT_UNKNOWN] = "unknown",
                [CONTEXT_GENERAL_QUEUE_MANAGER] = "general-queue-manager",
                [CONTEXT_QUEUE_MANAGER_NOTIFICATION] = "queue-manager-notification",
                [CONTEXT_LOCAL_FILE] = "local-file",
                [CONTEXT_REMOTE_FILE] = "remote-file",
                [CONTEXT_GENERAL_TRANSPORT] = "general-transport",
                [CONTEXT_REMOTE_APPLICATION] = "remote-application",
                [CONTEXT_SERVER_CERTIFICATE_CALLBACK] = "server-certificate-callback",
        };
        static_assert_table(names, CONTEXT_MAX);

        return context >= 0 && context < CONTEXT_MAX ? names[context] : NULL;
}

const char *error_context_text(ErrorContext context)
{
        static const BitsCode codes[] = {
                [CONTEXT_NONE] = 0x00200006u,
                [CONTEXT_UNKNOWN] = 0x80200007u,
                [CONTEXT_GENERAL_QUEUE_MANAGER] = 0x80200008u,
                [CONTEXT_QUEUE_MANAGER_NOTIFICATION] = 0x8020000Cu,
                [CONTEXT_LOCAL_FILE] = 0x80200009u,
                [CONTEXT_REMOTE_FILE] = 0x8020000Au,
                [CONTEXT_GENERAL_TRANSPORT] = 0x8020000Bu,
                [CONTEXT_REMOTE_APPLICATION] = 0x8020001Eu,
                [CONTEXT_SERVER_CERTIFICATE_CALLBACK] = 0x80200076u,
        };
        static_assert_table(codes, CONTEXT_MAX);

        return context >= 0 && context < CONTEXT_MAX ? error_text(codes[context]) : NULL;
}
