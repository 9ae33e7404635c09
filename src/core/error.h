/*
 * The codes of BITS: their numbers, names, bus names and texts in one table (reference 04), and the
 * rule which of them end a job (fatal) and which are tried again (transient).
 *
 * A Fault is a job's failure: stored with the job, shown to its owner. It is neither an errno nor a
 * bug. The environment's errors become faults in one place, code_from_errno().
 */
#pragma once

#include "basic/macros.h"

/* A text that the catalogues of po/ translate. */
#define N_(text) text

/* A BITS result: 0 or a success code (high bit clear), or an error code. */
typedef uint32_t BitsCode;

#define BITS_FAILED(code) (((code)&0x80000000u) != 0)

/* The codes that this service answers; error-table.c knows all that BITS has. doc/errors.md says
   where each arises, and why the others do not. JOB-402 */
enum {
        BG_S_PARTIAL_COMPLETE = 0x00200017u,
        BG_S_UNABLE_TO_DELETE_FILES = 0x0020001Au,
        BG_E_NOT_FOUND = 0x80200001u,
        BG_E_INVALID_STATE = 0x80200002u,
        BG_E_EMPTY = 0x80200003u,
        BG_E_PROTOCOL_NOT_AVAILABLE = 0x80200005u,
        BG_E_DESTINATION_LOCKED = 0x8020000Du,
        BG_E_VOLUME_CHANGED = 0x8020000Eu,
        BG_E_ERROR_INFORMATION_UNAVAILABLE = 0x8020000Fu,
        BG_E_NETWORK_DISCONNECTED = 0x80200010u,
        BG_E_INSUFFICIENT_RANGE_SUPPORT = 0x80200013u,
        BG_E_NEW_OWNER_NO_FILE_ACCESS = 0x80200016u,
        BG_E_PROXY_LIST_TOO_LARGE = 0x80200018u,
        BG_E_PROXY_BYPASS_LIST_TOO_LARGE = 0x80200019u,
        BG_E_INVALID_SERVER_RESPONSE = 0x8020001Bu,
        BG_E_TOO_MANY_FILES = 0x8020001Cu,
        BG_E_LOCAL_FILE_CHANGED = 0x8020001Du,
        BG_E_SESSION_NOT_FOUND = 0x8020001Fu,
        BG_E_TOO_LARGE = 0x80200020u,
        BG_E_STRING_TOO_LONG = 0x80200021u,
        BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH = 0x80200022u,
        BG_E_SERVER_EXECUTE_ENABLE = 0x80200023u,
        BG_E_USERNAME_TOO_LARGE = 0x80200025u,
        BG_E_PASSWORD_TOO_LARGE = 0x80200026u,
        BG_E_INVALID_AUTH_TARGET = 0x80200027u,
        BG_E_INVALID_AUTH_SCHEME = 0x80200028u,
        BG_E_INVALID_RANGE = 0x8020002Bu,
        BG_E_OVERLAPPING_RANGES = 0x8020002Cu,
        BG_E_BLOCKED_BY_POLICY = 0x8020003Eu,
        BG_E_INVALID_PROXY_INFO = 0x8020003Fu,
        BG_E_INVALID_CREDENTIALS = 0x80200040u,
        BG_E_TOO_MANY_JOBS_PER_USER = 0x80200049u,
        BG_E_TOO_MANY_JOBS_PER_MACHINE = 0x80200050u,
        BG_E_TOO_MANY_FILES_IN_JOB = 0x80200051u,
        BG_E_TOO_MANY_RANGES_IN_FILE = 0x80200052u,
        BG_E_VALIDATION_FAILED = 0x80200053u,
        BG_E_MAXDOWNLOAD_TIMEOUT = 0x80200054u,
        BG_E_TOKEN_REQUIRED = 0x80200056u,
        BG_E_UNKNOWN_PROPERTY_ID = 0x80200057u,
        BG_E_READ_ONLY_PROPERTY = 0x80200058u,
        BG_E_BLOCKED_BY_COST_TRANSFER_POLICY = 0x80200059u,
        BG_E_PROPERTY_SUPPORTED_FOR_DOWNLOAD_JOBS_ONLY = 0x80200060u,
        BG_E_READ_ONLY_PROPERTY_AFTER_ADDFILE = 0x80200061u,
        BG_E_READ_ONLY_PROPERTY_AFTER_RESUME = 0x80200062u,
        BG_E_MAX_DOWNLOAD_SIZE_INVALID_VALUE = 0x80200063u,
        BG_E_MAX_DOWNLOAD_SIZE_LIMIT_REACHED = 0x80200064u,
        BG_E_STANDBY_MODE = 0x80200065u,
        BG_E_BLOCKED_BY_BATTERY_POLICY = 0x80200067u,
        BG_E_BLOCKED_BY_BATTERY_SAVER = 0x80200068u,
        BG_E_DATABASE_CORRUPT = 0x8020006Cu,
        BG_E_RANDOM_ACCESS_NOT_SUPPORTED = 0x8020006Du,
        BG_E_BLOCKED_BY_SYSTEM_POLICY = 0x80200070u,
        BG_E_USE_STORED_CREDENTIALS_NOT_SUPPORTED = 0x80200066u,
        BG_E_NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD = 0x80200071u,
        BG_E_UNSUPPORTED_JOB_CONFIGURATION = 0x80200072u,
        BG_E_REMOTE_FILE_CHANGED = 0x80200073u,
        BG_E_SERVER_CERT_VALIDATION_INTERFACE_REQUIRED = 0x80200074u,
        BG_E_READ_ONLY_WHEN_JOB_ACTIVE = 0x80200075u,

        BITS_E_PENDING = 0x8000000Au,             /* E_PENDING */
        BITS_E_NOT_IMPLEMENTED = 0x80004001u,     /* E_NOTIMPL */
        BITS_E_NO_INTERFACE = 0x80004002u,        /* E_NOINTERFACE */
        BITS_E_UNEXPECTED = 0x8000FFFFu,          /* E_UNEXPECTED */
        BITS_E_FILE_NOT_FOUND = 0x80070002u,      /* ERROR_FILE_NOT_FOUND */
        BITS_E_PATH_NOT_FOUND = 0x80070003u,      /* ERROR_PATH_NOT_FOUND */
        BITS_E_TOO_MANY_OPEN_FILES = 0x80070004u, /* ERROR_TOO_MANY_OPEN_FILES */
        BITS_E_ACCESS_DENIED = 0x80070005u,       /* E_ACCESSDENIED */
        BITS_E_INVALID_HANDLE = 0x80070006u,      /* E_HANDLE */
        BITS_E_OUT_OF_MEMORY = 0x8007000Eu,       /* E_OUTOFMEMORY */
        BITS_E_WRITE_PROTECT = 0x80070013u,       /* ERROR_WRITE_PROTECT: read-only file system */
        BITS_E_WRITE_FAULT = 0x8007001Du,         /* ERROR_WRITE_FAULT: I/O error */
        BITS_E_READ_FAULT = 0x8007001Eu,          /* ERROR_READ_FAULT: of a remote file */
        BITS_E_INVALID_ARGUMENT = 0x80070057u,    /* E_INVALIDARG */
        BITS_E_BAD_STUB_DATA = 0x800706F7u,       /* RPC_X_BAD_STUB_DATA */
        BITS_E_DISK_FULL = 0x80070070u,           /* ERROR_DISK_FULL */
        BITS_E_ALREADY_EXISTS = 0x800700B7u,      /* ERROR_ALREADY_EXISTS */
        BITS_E_FILE_TOO_LARGE = 0x800700DFu,      /* ERROR_FILE_TOO_LARGE */
        BITS_E_PROCESS_ABORTED = 0x8007042Bu,     /* ERROR_PROCESS_ABORTED: a worker died */
        BITS_E_NOT_LOGGED_ON = 0x800704DDu,       /* ERROR_NOT_LOGGED_ON */
        BITS_E_QUOTA_EXCEEDED = 0x8007050Fu,      /* ERROR_DISK_QUOTA_EXCEEDED */
        BITS_E_LANGUAGE_NOT_FOUND = 0x80070717u,  /* ERROR_RESOURCE_LANG_NOT_FOUND (1815) */
        BITS_E_TIMEOUT = 0x80072EE2u,             /* ERROR_WINHTTP_TIMEOUT */
        BITS_E_NAME_NOT_RESOLVED = 0x80072EE7u,   /* ERROR_WINHTTP_NAME_NOT_RESOLVED */
        BITS_E_CANNOT_CONNECT = 0x80072EFDu,      /* ERROR_WINHTTP_CANNOT_CONNECT */
        BITS_E_CONNECTION_ERROR = 0x80072EFEu,    /* ERROR_WINHTTP_CONNECTION_ERROR */
        BITS_E_CLIENT_CERTIFICATE_NEEDED = 0x80072F0Cu, /* ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED */
        BITS_E_REVOCATION_FAILED = 0x80072F19u,         /* ERROR_WINHTTP_SECURE_CERT_REV_FAILED */
        BITS_E_REVOKED = 0x80072F8Au,                   /* ERROR_WINHTTP_SECURE_CERT_REVOKED */
        BITS_E_SECURE_FAILURE = 0x80072F8Fu,            /* ERROR_WINHTTP_SECURE_FAILURE */
        BITS_E_NO_PRIVATE_KEY = 0x80072F9Au, /* ERROR_WINHTTP_CLIENT_CERT_NO_ACCESS_PRIVATE_KEY */
        BITS_E_CERTIFICATE_NOT_FOUND = 0x80092004u, /* CRYPT_E_NOT_FOUND */
};

/* HTTP statuses: 0x80190000 + status. */
#define BITS_E_HTTP(status) (0x80190000u + (uint32_t)(status))

/* Where an error arose (BG_ERROR_CONTEXT). */
typedef enum ErrorContext {
        CONTEXT_NONE,
        CONTEXT_UNKNOWN,
        CONTEXT_GENERAL_QUEUE_MANAGER,
        CONTEXT_QUEUE_MANAGER_NOTIFICATION,
        CONTEXT_LOCAL_FILE,
        CONTEXT_REMOTE_FILE,
        CONTEXT_GENERAL_TRANSPORT,
        CONTEXT_REMOTE_APPLICATION,
        CONTEXT_SERVER_CERTIFICATE_CALLBACK,
        CONTEXT_MAX,
        CONTEXT_INVALID = -1,
} ErrorContext;

/* A job's failure. `detail` is an owned English sentence about this very case, or NULL. */
typedef struct Fault {
        ErrorContext context;
        BitsCode code;
        char *detail;
} Fault;

void fault_done(Fault *fault);

/* What a file operation's errno means to a job: code and CONTEXT_LOCAL_FILE. errno > 0. */
BitsCode code_from_errno(int error);
/* The same for the local file of an upload, which is read and not written. */
BitsCode code_from_source_errno(int error);
/* The same for a remote file that is a file of this machine or of a mounted share, and
   CONTEXT_REMOTE_FILE. ENOTDIR: a directory of the path is missing, ENOENT: the file. */
BitsCode code_from_remote_errno(int error);
/* Why nothing can be put there, for people: what is wrong, and what to do. */
const char *destination_text(int error);

/* Field's word for a context: "none", "local-file", "remote-file", "general-queue-manager", … */
const char *error_context_name(ErrorContext context);
/* One sentence for people: "The error occurred while …". NULL out of range. */
const char *error_context_text(ErrorContext context);

/* "BG_E_NOT_FOUND"; "BG_E_HTTP_ERROR_404" for the statuses of the reference; NULL if unknown. */
const char *error_name(BitsCode code);
/* One or two English sentences: what happened and, where it helps, what to do. NULL if unknown. */
const char *error_text(BitsCode code);
/* The same in the language of a locale's name, see translation.h. 0; -EINVAL: unknown code;
   -ENOENT: there are no texts in that language. */
int error_text_in(BitsCode code, const char *locale, const char **ret);
/* Of any text that is marked N_(). */
int error_translate(const char *text, const char *locale, const char **ret);
/* The last part of the bus error name: "TokenRequired", "AccessDenied", "InvalidArgument",
   "Http404", "NotFound" …; unknown codes give "Failed". Never NULL. `buffer` of 32 bytes may be
   used for the result. */
const char *error_bus_name(BitsCode code, char *buffer);
/* The reverse, for the client library: the code of "TokenRequired"; 0 if unknown. */
BitsCode error_from_bus_name(const char *name);

/* True when a job that met this error is tried again by itself (reference 04 section 4.1 and the
   K column; decisions for what is silent in doc/decisions.md). */
bool error_is_transient(BitsCode code);
