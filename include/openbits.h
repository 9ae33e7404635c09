/*
 * libopenbits: the client side of OpenBITS, the Background Intelligent Transfer Service for Linux.
 *
 * Objects are opaque; each has one owner, the caller, who frees it. Strings are UTF-8. A function
 * that can fail returns 0 or a positive success value, or a negative value; after a negative return
 * bits_error_code() gives the BITS number and bits_error_message() a sentence, both for the calling
 * thread. A manager and what comes from it belong to one thread at a time; several threads use one
 * manager each, and a process made by fork() opens its own. Numbers and rules:
 * org.openbits.BITS1(5).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef OPENBITS_H
#define OPENBITS_H

#include "openbits-codes.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* LIB-08: what is declared with it is exported, nothing else; LIB-412: and is used by a test. */
#define BITS_EXPORT __attribute__((visibility("default")))

typedef struct bits_manager bits_manager;
typedef struct bits_job bits_job;
typedef struct bits_file bits_file;
typedef struct bits_token_options bits_token_options;
typedef struct bits_http_options bits_http_options;
typedef struct bits_job_list bits_job_list;
typedef struct bits_file_list bits_file_list;

typedef enum bits_job_type {
        BITS_JOB_DOWNLOAD,
        BITS_JOB_UPLOAD,
        BITS_JOB_UPLOAD_REPLY
} bits_job_type;

typedef enum bits_job_state {
        BITS_STATE_QUEUED,
        BITS_STATE_CONNECTING,
        BITS_STATE_TRANSFERRING,
        BITS_STATE_SUSPENDED,
        BITS_STATE_ERROR,
        BITS_STATE_TRANSIENT_ERROR,
        BITS_STATE_TRANSFERRED,
        BITS_STATE_ACKNOWLEDGED,
        BITS_STATE_CANCELLED
} bits_job_state;

typedef enum bits_job_priority {
        BITS_PRIORITY_FOREGROUND,
        BITS_PRIORITY_HIGH,
        BITS_PRIORITY_NORMAL,
        BITS_PRIORITY_LOW
} bits_job_priority;

/* The field's lower-case words, as commands and JSON show them ("transient-error"); NULL for a
   number that is not in the enumeration. */
BITS_EXPORT const char *bits_job_type_name(bits_job_type type);
BITS_EXPORT const char *bits_job_state_name(bits_job_state state);
BITS_EXPORT const char *bits_job_priority_name(bits_job_priority priority);

/* Usage flags of the helper token (BG_TOKEN_…). */
enum {
        BITS_TOKEN_LOCAL_FILE = 0x1,
        BITS_TOKEN_NETWORK = 0x2,
        BITS_TOKEN_CLIENT_CERTIFICATE = 0x10000 /* not in BITS: read the client certificate */
};

/* BITS_COST_STATE_…: kinds of networks, and BITS_JOB_TRANSFER_POLICY_…: sets of them. */
#define BITS_COST_UNRESTRICTED             0x01u
#define BITS_COST_CAPPED_USAGE_UNKNOWN     0x02u
#define BITS_COST_BELOW_CAP                0x04u
#define BITS_COST_NEAR_CAP                 0x08u
#define BITS_COST_OVERCAP_CHARGED          0x10u
#define BITS_COST_OVERCAP_THROTTLED        0x20u
#define BITS_COST_USAGE_BASED              0x40u
#define BITS_COST_ROAMING                  0x80u
#define BITS_COST_OPTION_IGNORE_CONGESTION 0x80000000u
#define BITS_TRANSFER_POLICY_ALWAYS        0x800000FFu
#define BITS_TRANSFER_POLICY_NOT_ROAMING   0x8000007Fu
#define BITS_TRANSFER_POLICY_NO_SURCHARGE  0x8000006Fu
#define BITS_TRANSFER_POLICY_STANDARD      0x80000067u
#define BITS_TRANSFER_POLICY_UNRESTRICTED  0x80000021u

/* A size that is not known yet. */
#define BITS_SIZE_UNKNOWN                  UINT64_MAX

/* ---- errors, of the calling thread ---- */

/* The BITS number of the last failure, e.g. 0x80200056 (BG_E_TOKEN_REQUIRED); 0 if none. The names
   in this header are BITS's own; as constants: BITS_CODE_TOKEN_REQUIRED, in openbits-codes.h. */
BITS_EXPORT uint32_t bits_error_code(void);
/* What happened and what to do, in English; never NULL; valid until the thread's next call. */
BITS_EXPORT const char *bits_error_message(void);
/* The name of a number ("BG_E_TOKEN_REQUIRED"), or NULL. */
BITS_EXPORT const char *bits_code_name(uint32_t code);
/* The English text of a number, or NULL. */
BITS_EXPORT const char *bits_code_text(uint32_t code);
/* The text in another language. locale: a name like "de", "fr_CA.UTF-8", "it-CH"; NULL: what the
   environment says (LANGUAGE, LC_ALL, LC_MESSAGES, LANG), and English if it says nothing usable.
   NULL for an unknown number, or a locale without texts. Languages: English, German, French,
   Italian. (IBackgroundCopyManager::GetErrorDescription, IBackgroundCopyError) */
BITS_EXPORT const char *bits_code_text_localized(uint32_t code, const char *locale);
/* Where an error arose, as a sentence: "The error occurred while …". context: BG_ERROR_CONTEXT.
   (IBackgroundCopyError::GetErrorContextDescription) */
BITS_EXPORT const char *bits_context_text(uint32_t context, const char *locale);

/* ---- the service ---- */

/* Connects to the system's service, or to the user's own (`bitsd --user`). Negative when the bus
   or the service cannot be reached. */
BITS_EXPORT int bits_manager_open(bits_manager **ret_manager);
BITS_EXPORT int bits_manager_open_user(bits_manager **ret_manager);
BITS_EXPORT void bits_manager_close(bits_manager *manager);
/* Whether calls that need an administrator may wait for the user to authenticate. At first not. */
BITS_EXPORT int bits_manager_allow_interaction(bits_manager *manager, int allow);

/* A job store that could not be used (BG_E_DATABASE_CORRUPT) was kept at that path; its jobs are
   not in the queue. *ret_path: NULL without one; the caller frees it. 1 or 0. */
BITS_EXPORT int bits_manager_get_store_set_aside(bits_manager *manager, char **ret_path);

/* For event loops: poll the descriptor for bits_manager_events() until the timeout (µs on
   CLOCK_MONOTONIC, UINT64_MAX: none), then call bits_manager_process() until it returns 0. */
BITS_EXPORT int bits_manager_fd(bits_manager *manager);
BITS_EXPORT int bits_manager_events(bits_manager *manager);
BITS_EXPORT int bits_manager_timeout(bits_manager *manager, uint64_t *ret_usec);
BITS_EXPORT int bits_manager_process(bits_manager *manager);

/* A new, suspended job. display_name: at most 256 characters. BG_E_TOO_MANY_JOBS_PER_USER,
   BG_E_TOO_MANY_JOBS_PER_MACHINE, BG_E_STRING_TOO_LONG. (IBackgroundCopyManager::CreateJob) */
BITS_EXPORT int bits_manager_create_job(bits_manager *manager, const char *display_name,
                                        bits_job_type type, bits_job **ret_job);

typedef struct bits_file_pair {
        const char *remote_name;
        const char *local_name;
} bits_file_pair;

/* A job to be made with its files. priority: zero is FOREGROUND; BITS_PRIORITY_NORMAL is what
   bits_manager_create_job() gives. description may be NULL, files NULL with n_files 0. */
typedef struct bits_job_spec {
        const char *display_name;
        const char *description;
        bits_job_type type;
        bits_job_priority priority;
        const bits_file_pair *files;
        size_t n_files;
} bits_job_spec;

/* Room for an id and the NUL. */
#define BITS_JOB_ID_SIZE 37

/* Many suspended jobs in one call, 1 to 1,000: all are made or none, and the message of a failure
   says which one is meant. The quickest way to fill a queue: it waits for the disk once. ret_ids:
   room for `count` ids, or NULL. Errors of bits_manager_create_job() and bits_job_add_file(), but
   whether names mean the same to the service is not asked. */
BITS_EXPORT int bits_manager_create_jobs(bits_manager *manager, const bits_job_spec *specs,
                                         size_t count, char (*ret_ids)[BITS_JOB_ID_SIZE]);
/* The job with that id (GUID text). Access is decided here and stays with the object, whoever the
   calling thread is later. BG_E_NOT_FOUND also for jobs that the caller may not see;
   ERROR_TOO_MANY_OPEN_FILES when the user holds as many objects as one may, 256 for people.
   (IBackgroundCopyManager::GetJob) */
BITS_EXPORT int bits_manager_get_job(bits_manager *manager, const char *id, bits_job **ret_job);
/* A snapshot of the caller's jobs; with all_users of everybody's (administrators, else
   E_ACCESSDENIED). (IBackgroundCopyManager::EnumJobs) */
BITS_EXPORT int bits_manager_list_jobs(bits_manager *manager, int all_users,
                                       bits_job_list **ret_list);

typedef enum bits_queue_event {
        BITS_QUEUE_ADDED,
        BITS_QUEUE_REMOVED,
        BITS_QUEUE_CHANGED, /* state, property, files or progress of jobs; two a second at most */
        BITS_QUEUE_GONE,    /* the service left the bus */
        BITS_QUEUE_BACK     /* it is there again: list the jobs anew */
} bits_queue_event;
/* Not in BITS. job_id: of ADDED and REMOVED, else NULL. It may close the manager. */
typedef void (*bits_manager_callback)(bits_manager *manager, bits_queue_event event,
                                      const char *job_id, void *userdata);
/* Called from bits_manager_process() or bits_job_wait(), for the caller's jobs, for all jobs once
   bits_manager_list_jobs() has shown those. NULL ends it. 1: no service, BACK will be told. */
BITS_EXPORT int bits_manager_set_callback(bits_manager *manager, bits_manager_callback on_event,
                                          void *userdata);

/* ---- the settings of bitsd.conf(5) that are in force: a snapshot ---- */

typedef struct bits_policy bits_policy;

typedef struct bits_setting {
        const char *section;
        const char *name;
        const char *value; /* as a file would say it */
        const char *file;  /* that says so, "": a default */
        uint32_t line;     /* of it, 0: a default */
} bits_setting;

/* Negative when the service cannot be asked. The caller frees the snapshot. */
BITS_EXPORT int bits_manager_get_policy(bits_manager *manager, bits_policy **ret_policy);
BITS_EXPORT size_t bits_policy_count(const bits_policy *policy);
/* NULL past the end; lives as long as the snapshot. */
BITS_EXPORT const bits_setting *bits_policy_get(const bits_policy *policy, size_t index);
BITS_EXPORT void bits_policy_free(bits_policy *policy);

/* ---- lists: snapshots ---- */

typedef struct bits_job_summary {
        const char *id;
        const char *display_name;
        const char *owner_sid;
        uint32_t owner_uid;
        bits_job_type type;
        bits_job_state state;
        bits_job_priority priority;
        uint64_t bytes_total; /* BITS_SIZE_UNKNOWN when any file's size is unknown */
        uint64_t bytes_transferred;
        uint32_t files_total;
        uint32_t files_transferred;
        uint32_t error_code; /* 0 when the job is not in an error state */
} bits_job_summary;

BITS_EXPORT size_t bits_job_list_count(const bits_job_list *list);
/* NULL past the end; lives as long as the list. */
BITS_EXPORT const bits_job_summary *bits_job_list_get(const bits_job_list *list, size_t index);
BITS_EXPORT void bits_job_list_free(bits_job_list *list);

typedef struct bits_file_info {
        const char *remote_name;
        const char *local_name;
        const char *temporary_name; /* path while it exists, else "" */
        uint64_t bytes_total;
        uint64_t bytes_transferred;
        int completed; /* available under its local name */
} bits_file_info;

BITS_EXPORT size_t bits_file_list_count(const bits_file_list *list);
BITS_EXPORT const bits_file_info *bits_file_list_get(const bits_file_list *list, size_t index);
BITS_EXPORT void bits_file_list_free(bits_file_list *list);

/* ---- a job: what is over can be read, and all else is BG_E_INVALID_STATE then ---- */

/* The object keeps the rights it was made with; freeing it gives them up. */
BITS_EXPORT void bits_job_free(bits_job *job);
/* GUID text, lower case, without braces; lives as long as the object. */
BITS_EXPORT const char *bits_job_id(const bits_job *job);

/* remote_name: absolute http://, https:// or file:// URL, at most 2,200 characters, or the absolute
   path of a file of this machine, which the network identity reads. local_name: absolute path in an
   existing directory that the identity responsible for local files may write. Of a job of type
   BITS_JOB_UPLOAD the remote name is the place; BITS_JOB_UPLOAD_REPLY needs a server. E_INVALIDARG,
   E_ACCESSDENIED, BG_E_TOO_MANY_FILES_IN_JOB. E_INVALIDARG also when that directory is another
   one for this program than for the service, since it has mounts of its own.
   (IBackgroundCopyJob::AddFile) */
BITS_EXPORT int bits_job_add_file(bits_job *job, const char *remote_name, const char *local_name);

/* All or none, in one call. (IBackgroundCopyJob::AddFileSet) */
BITS_EXPORT int bits_job_add_files(bits_job *job, const bits_file_pair *files, size_t count);

/* Bytes of a remote file (BG_FILE_RANGE). */
typedef struct bits_range {
        uint64_t offset;
        uint64_t length; /* BITS_LENGTH_TO_EOF: to the end of the file */
} bits_range;

#define BITS_LENGTH_TO_EOF UINT64_MAX

/* Only these ranges, which the local file gets one behind the other in the order given.
   E_INVALIDARG (count 0), BG_E_INVALID_RANGE (empty, or where no file has bytes),
   BG_E_OVERLAPPING_RANGES, BG_E_TOO_MANY_RANGES_IN_FILE (500 for people),
   BG_E_UNSUPPORTED_JOB_CONFIGURATION with dynamic content or on-demand mode, E_NOTIMPL for
   uploads; and as bits_job_add_file(). (IBackgroundCopyJob3::AddFileWithRanges) */
BITS_EXPORT int bits_job_add_file_with_ranges(bits_job *job, const char *remote_name,
                                              const char *local_name, const bits_range *ranges,
                                              size_t count);
/* Replaces the beginning of every remote name that has it, minding case; all or none. 1 (S_FALSE)
   when no name has it. E_INVALIDARG when a name would not be valid; E_NOTIMPL for uploads.
   (IBackgroundCopyJob3::ReplaceRemotePrefix) */
BITS_EXPORT int bits_job_replace_remote_prefix(bits_job *job, const char *old_prefix,
                                               const char *new_prefix);
/* A snapshot, in the order in which files were added. (IBackgroundCopyJob::EnumFiles) */
BITS_EXPORT int bits_job_list_files(bits_job *job, bits_file_list **ret_list);

/* What is there is kept. (IBackgroundCopyJob::Suspend) */
BITS_EXPORT int bits_job_suspend(bits_job *job);
/* Queues the job; one that failed is tried at once. BG_E_EMPTY without files.
   (IBackgroundCopyJob::Resume) */
BITS_EXPORT int bits_job_resume(bits_job *job);
/* ret_code (may be NULL): 0 or BG_S_UNABLE_TO_DELETE_FILES. */
BITS_EXPORT int bits_job_cancel(bits_job *job, uint32_t *ret_code);
/* Gives finished files their names. ret_code (may be NULL): 0, BG_S_PARTIAL_COMPLETE or
   BG_S_UNABLE_TO_DELETE_FILES. */
BITS_EXPORT int bits_job_complete(bits_job *job, uint32_t *ret_code);

typedef struct bits_progress {
        uint64_t bytes_total; /* BITS_SIZE_UNKNOWN */
        uint64_t bytes_transferred;
        uint32_t files_total;
        uint32_t files_transferred;
} bits_progress;

/* Of an upload-reply job without the reply. (IBackgroundCopyJob::GetProgress) */
BITS_EXPORT int bits_job_get_progress(bits_job *job, bits_progress *ret_progress);

/* µs since 1970, 0: not yet. */
typedef struct bits_times {
        uint64_t creation;
        uint64_t modification;
        uint64_t transfer_completion;
} bits_times;

BITS_EXPORT int bits_job_get_times(bits_job *job, bits_times *ret_times);
BITS_EXPORT int bits_job_get_state(bits_job *job, bits_job_state *ret_state);
BITS_EXPORT int bits_job_get_type(bits_job *job, bits_job_type *ret_type);
/* NORMAL at first. E_NOTIMPL for numbers that are none,
   BG_E_NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD. (IBackgroundCopyJob::SetPriority) */
BITS_EXPORT int bits_job_get_priority(bits_job *job, bits_job_priority *ret_priority);
BITS_EXPORT int bits_job_set_priority(bits_job *job, bits_job_priority priority);
/* Between a transient error and the next attempt: 600 at first, less than 5 is raised to 5.
   (IBackgroundCopyJob::SetMinimumRetryDelay) */
BITS_EXPORT int bits_job_get_minimum_retry_delay(bits_job *job, uint32_t *ret_seconds);
BITS_EXPORT int bits_job_set_minimum_retry_delay(bits_job *job, uint32_t seconds);
/* How long it is tried again without a byte: 1,209,600 at first; 0: every error is fatal.
   (IBackgroundCopyJob::SetNoProgressTimeout) */
BITS_EXPORT int bits_job_get_no_progress_timeout(bits_job *job, uint32_t *ret_seconds);
BITS_EXPORT int bits_job_set_no_progress_timeout(bits_job *job, uint32_t seconds);
/* Seconds that the job may spend in connecting and transferring, sleep of the machine included;
   then it is an error, BG_E_MAXDOWNLOAD_TIMEOUT, and a Resume begins anew. 7,776,000 at first, or
   what the machine's policy says; setting 0 goes back to that.
   (IBackgroundCopyJob4::SetMaximumDownloadTime) */
BITS_EXPORT int bits_job_get_maximum_download_time(bits_job *job, uint32_t *ret_seconds);
BITS_EXPORT int bits_job_set_maximum_download_time(bits_job *job, uint32_t seconds);
/* When a transient error is tried again by time, µs since 1970; 0: not by time. */
BITS_EXPORT int bits_job_get_next_attempt(bits_job *job, uint64_t *ret_usec);
/* BG_NOTIFY_…: which events the holders of the job are told. */
enum {
        BITS_NOTIFY_JOB_TRANSFERRED = 0x1,
        BITS_NOTIFY_JOB_ERROR = 0x2,
        BITS_NOTIFY_DISABLE = 0x4, /* none of them, whatever else is set */
        BITS_NOTIFY_JOB_MODIFICATION = 0x8,
        BITS_NOTIFY_FILE_TRANSFERRED = 0x10,
        BITS_NOTIFY_FILE_RANGES_TRANSFERRED = 0x20
};

/* BITS_NOTIFY_…; E_NOTIMPL for unknown bits. Default 3. (IBackgroundCopyJob::SetNotifyFlags) */
BITS_EXPORT int bits_job_get_notify_flags(bits_job *job, uint32_t *ret_flags);
BITS_EXPORT int bits_job_set_notify_flags(bits_job *job, uint32_t flags);
/* ms between two events of modification, and of ranges; default 500.
   (BITS_JOB_PROPERTY_MINIMUM_NOTIFICATION_INTERVAL_MS) */
BITS_EXPORT int bits_job_get_minimum_notification_interval(bits_job *job, uint32_t *ret_ms);
BITS_EXPORT int bits_job_set_minimum_notification_interval(bits_job *job, uint32_t ms);
/* What a file of this machine (file:// or a path as remote name) gives to the local file when its
   transfer is complete: BITS_COPY_FILE_… or 0, the default. Set it before the job is resumed: files
   that are done are not treated. E_INVALIDARG for other bits, BG_E_INVALID_STATE once the job is
   transferred. Where the identity of the local files may not give them the job is in
   TRANSIENT_ERROR with E_ACCESSDENIED. (IBackgroundCopyJob3::SetFileACLFlags) */
enum {
        BITS_COPY_FILE_OWNER = 0x1,
        BITS_COPY_FILE_GROUP = 0x2,
        BITS_COPY_FILE_DACL = 0x4, /* permission bits and access list */
        BITS_COPY_FILE_SACL = 0x8, /* nothing: files here have no audit entries */
        BITS_COPY_FILE_ALL = 0xf
};

BITS_EXPORT int bits_job_get_file_acl_flags(bits_job *job, uint32_t *ret_flags);
BITS_EXPORT int bits_job_set_file_acl_flags(bits_job *job, uint32_t flags);
/* The content is made anew for each request: neither length nor ranges are expected, and an
   interruption begins anew. Default 0. BG_E_READ_ONLY_PROPERTY_AFTER_RESUME,
   BG_E_UNSUPPORTED_JOB_CONFIGURATION with ranges or on-demand mode.
   (BITS_JOB_PROPERTY_DYNAMIC_CONTENT) */
BITS_EXPORT int bits_job_get_dynamic_content(bits_job *job, int *ret_on);
BITS_EXPORT int bits_job_set_dynamic_content(bits_job *job, int on);
/* The content is synced once, when it is complete. Default 0.
   BG_E_READ_ONLY_PROPERTY_AFTER_ADDFILE. (BITS_JOB_PROPERTY_HIGH_PERFORMANCE) */
BITS_EXPORT int bits_job_get_high_performance(bits_job *job, int *ret_on);
BITS_EXPORT int bits_job_set_high_performance(bits_job *job, int on);
/* Nothing is fetched but what bits_file_request_ranges() asks for; then the job is transferred if
   its files are whole, else suspended. Default 0. BG_E_UNSUPPORTED_JOB_CONFIGURATION with ranges or
   dynamic content. (BITS_JOB_PROPERTY_ON_DEMAND_MODE) */
BITS_EXPORT int bits_job_get_on_demand_mode(bits_job *job, int *ret_on);
BITS_EXPORT int bits_job_set_on_demand_mode(bits_job *job, int on);
/* Bytes that the job may download, all files together; UINT64_MAX, the default: any number. More
   are the error BG_E_MAX_DOWNLOAD_SIZE_LIMIT_REACHED of the job.
   BG_E_MAX_DOWNLOAD_SIZE_INVALID_VALUE for 0, BG_E_READ_ONLY_PROPERTY_AFTER_RESUME.
   (BITS_JOB_PROPERTY_MAX_DOWNLOAD_SIZE) These four:
   BG_E_PROPERTY_SUPPORTED_FOR_DOWNLOAD_JOBS_ONLY. */
BITS_EXPORT int bits_job_get_max_download_size(bits_job *job, uint64_t *ret_bytes);
BITS_EXPORT int bits_job_set_max_download_size(bits_job *job, uint64_t bytes);
enum {
        BITS_PEER_CACHING_CLIENT = 0x1,
        BITS_PEER_CACHING_SERVER = 0x2,
        BITS_DISABLE_BRANCH_CACHE = 0x4
};

/* BITS_PEER_CACHING_…, BITS_DISABLE_BRANCH_CACHE: kept, without effect. E_INVALIDARG for others.
   (IBackgroundCopyJob4::SetPeerCachingFlags) */
BITS_EXPORT int bits_job_get_peer_caching_flags(bits_job *job, uint32_t *ret_flags);
BITS_EXPORT int bits_job_set_peer_caching_flags(bits_job *job, uint32_t flags);
/* On which networks the job may run: BITS_COST_… bits 0x1 to 0x80, at least one of them, with
   BITS_COST_OPTION_IGNORE_CONGESTION or without; 0: those that bitsd.conf has for the job's
   priority. Acts at once. What is read are the flags in force (0x800000ff, always, unless
   bitsd.conf says otherwise). E_INVALIDARG for anything else.
   (IBackgroundCopyJob5, BITS_JOB_PROPERTY_ID_COST_FLAGS) */
BITS_EXPORT int bits_job_get_cost_flags(bits_job *job, uint32_t *ret_flags);
BITS_EXPORT int bits_job_set_cost_flags(bits_job *job, uint32_t flags);

/* Properties by BITS's numbers, the same as by their functions. (IBackgroundCopyJob5) */
typedef enum bits_job_property_id {
        BITS_JOB_PROPERTY_COST_FLAGS = 1,             /* dword */
        BITS_JOB_PROPERTY_NOTIFICATION_CLSID,         /* clsid: only GUID_NULL, else E_NOTIMPL */
        BITS_JOB_PROPERTY_DYNAMIC_CONTENT,            /* enable */
        BITS_JOB_PROPERTY_HIGH_PERFORMANCE,           /* enable */
        BITS_JOB_PROPERTY_MAX_DOWNLOAD_SIZE,          /* uint64 */
        BITS_JOB_PROPERTY_USE_STORED_CREDENTIALS = 7, /* target: 0 or BITS_AUTH_PROXY */
        BITS_JOB_PROPERTY_MINIMUM_NOTIFICATION_INTERVAL_MS = 9, /* dword */
        BITS_JOB_PROPERTY_ON_DEMAND_MODE                        /* enable */
} bits_job_property_id;

typedef union bits_job_property_value {
        uint32_t dword;
        int enable;
        uint64_t uint64;
        uint32_t target;              /* bits_auth_target, or 0 */
        char clsid[BITS_JOB_ID_SIZE]; /* GUID text */
} bits_job_property_value;

/* BG_E_UNKNOWN_PROPERTY_ID. */
BITS_EXPORT int bits_job_get_property(bits_job *job, bits_job_property_id id,
                                      bits_job_property_value *ret_value);
/* As the functions of that property; BG_E_UNKNOWN_PROPERTY_ID. */
BITS_EXPORT int bits_job_set_property(bits_job *job, bits_job_property_id id,
                                      const bits_job_property_value *value);

/* Failures, also those that were overcome; never reset. (IBackgroundCopyJob::GetErrorCount) */
BITS_EXPORT int bits_job_get_error_count(bits_job *job, uint32_t *ret_count);
BITS_EXPORT int bits_job_get_owner_uid(bits_job *job, uint32_t *ret_uid);
/* Of the owner, when the job was made or taken over: whether he was root; 0x2000 people, 0x3000
   service accounts, 0x4000 root. (IBackgroundCopyJob4::GetOwnerElevationState,
   GetOwnerIntegrityLevel) */
BITS_EXPORT int bits_job_get_owner_elevated(bits_job *job, int *ret_elevated);
BITS_EXPORT int bits_job_get_owner_integrity_level(bits_job *job, uint32_t *ret_level);
/* The job belongs to the user who opened this object, without helper token, flags and secrets.
   E_ACCESSDENIED unless he is an administrator; BG_E_NEW_OWNER_NO_FILE_ACCESS when he could not go
   on with the files. (IBackgroundCopyJob::TakeOwnership) */
BITS_EXPORT int bits_job_take_ownership(bits_job *job);

/* Texts; the caller frees the result. display_name: at most 256 characters, description 1,024, else
   BG_E_STRING_TOO_LONG. */
BITS_EXPORT int bits_job_get_owner(bits_job *job, char **ret_sid);
BITS_EXPORT int bits_job_get_display_name(bits_job *job, char **ret_name);
BITS_EXPORT int bits_job_set_display_name(bits_job *job, const char *name);
BITS_EXPORT int bits_job_get_description(bits_job *job, char **ret_text);
BITS_EXPORT int bits_job_set_description(bits_job *job, const char *text);
/* One sentence: what the job waits for, or "" when it waits for nothing. */
BITS_EXPORT int bits_job_get_wait_reason(bits_job *job, char **ret_text);
/* The same as a word: "turn", "sign-on", "network", "policy", "cost", "power", "standby" (the
   machine sleeps), "volume", "retry", "token"; "" for nothing. There may be more one day. */
BITS_EXPORT int bits_job_get_waiting_for(bits_job *job, char **ret_word);

/* ---- a file ---- */

/* The file of that index, from 0, in the order in which files were added (bits_job_list_files()
   tells of all of them at once). It speaks through the job's object: free it first.
   BG_E_NOT_FOUND when the job has no such file. (IBackgroundCopyFile … IBackgroundCopyFile6) */
BITS_EXPORT int bits_job_get_file(bits_job *job, uint32_t index, bits_file **ret_file);
BITS_EXPORT void bits_file_free(bits_file *file);

/* The caller frees the names. */
BITS_EXPORT int bits_file_get_remote_name(bits_file *file, char **ret_name);
/* Another place to fetch it from, as bits_job_add_file() would take it. What is there already is
   used if length, date and ranges of the new place fit. E_INVALIDARG; E_NOTIMPL for uploads. */
BITS_EXPORT int bits_file_set_remote_name(bits_file *file, const char *remote_name);
BITS_EXPORT int bits_file_get_local_name(bits_file *file, char **ret_name);
/* A path, whether the temporary file was made already or not. */
BITS_EXPORT int bits_file_get_temporary_name(bits_file *file, char **ret_name);
/* Of the last answer: a status line and lines, each with CR and LF, at most 16 KiB; "" before there
   was one. (IBackgroundCopyFile5::GetProperty, HTTP_RESPONSE_HEADERS) */
BITS_EXPORT int bits_file_get_response_headers(bits_file *file, char **ret_headers);

typedef struct bits_file_progress {
        uint64_t bytes_total; /* BITS_SIZE_UNKNOWN; of ranges: what was asked for */
        uint64_t bytes_transferred;
        int completed; /* available under its local name */
} bits_file_progress;

BITS_EXPORT int bits_file_get_progress(bits_file *file, bits_file_progress *ret_progress);
/* As given to bits_job_add_file_with_ranges(); the caller frees them. 1 (S_FALSE), NULL and 0
   when the whole file is wanted. */
BITS_EXPORT int bits_file_get_ranges(bits_file *file, bits_range **ret_ranges, size_t *ret_count);
/* What is there and would survive a power cut: sorted, merged; the caller frees them.
   BG_E_RANDOM_ACCESS_NOT_SUPPORTED for files with ranges, dynamic content, files of the machine,
   and servers without ranges. */
BITS_EXPORT int bits_file_get_filled_ranges(bits_file *file, bits_range **ret_ranges,
                                            size_t *ret_count);
/* To be fetched before the rest of the file, in on-demand mode alone; adds to what was requested,
   may overlap. E_INVALIDARG (count 0), BG_E_INVALID_RANGE (empty, or beyond the end of the file),
   BG_E_TOO_MANY_RANGES_IN_FILE, BG_E_RANDOM_ACCESS_NOT_SUPPORTED. */
BITS_EXPORT int bits_file_request_ranges(bits_file *file, const bits_range *ranges, size_t count);
/* A hint: what is missing from here on is wanted first. BG_E_INVALID_RANGE,
   BG_E_RANDOM_ACCESS_NOT_SUPPORTED. */
BITS_EXPORT int bits_file_update_download_position(bits_file *file, uint64_t offset);
/* Whether the caller found the content good. E_PENDING before the file is transferred. 0: the job
   is in the error state with BG_E_VALIDATION_FAILED, and Resume fetches the file anew. */
BITS_EXPORT int bits_file_set_validation_state(bits_file *file, int valid);
BITS_EXPORT int bits_file_get_validation_state(bits_file *file, int *ret_valid);
/* Bytes from the server, and from peers: 0. */
BITS_EXPORT int bits_file_get_peer_download_stats(bits_file *file, uint64_t *ret_origin,
                                                  uint64_t *ret_peers);
BITS_EXPORT int bits_file_is_downloaded_from_peer(bits_file *file, int *ret_from_peer);

/* ---- replies ---- */

/* Of BITS_JOB_UPLOAD_REPLY jobs; E_NOTIMPL for any other type. (IBackgroundCopyJob2) */

/* The absolute path that the reply gets at Complete; NULL or "": the service makes one up, beside
   the file that is sent. BG_E_INVALID_STATE once the reply is being fetched; E_ACCESSDENIED,
   E_INVALIDARG, BG_E_TOKEN_REQUIRED. (IBackgroundCopyJob2::SetReplyFileName) */
BITS_EXPORT int bits_job_set_reply_file_name(bits_job *job, const char *name);
/* The caller frees it; NULL while there is neither a name nor a file. */
BITS_EXPORT int bits_job_get_reply_file_name(bits_job *job, char **ret);
/* Bytes. *ret_total is BITS_SIZE_UNKNOWN until the reply has begun: that tells which half of the
   job an error belongs to. (IBackgroundCopyJob2::GetReplyProgress) */
BITS_EXPORT int bits_job_get_reply_progress(bits_job *job, uint64_t *ret_total,
                                            uint64_t *ret_transferred);
/* A copy of the reply, which the caller frees; NULL for an empty one. BG_E_INVALID_STATE before the
   job is transferred; with more than 1 MiB BG_E_TOO_LARGE, and *ret_length is set all the same.
   (IBackgroundCopyJob2::GetReplyData) */
BITS_EXPORT int bits_job_get_reply_data(bits_job *job, void **ret_data, size_t *ret_length);

/* ---- proxies and credentials ---- */

typedef enum bits_proxy_usage {
        BITS_PROXY_PRECONFIG, /* the service's environment */
        BITS_PROXY_NO_PROXY,
        BITS_PROXY_OVERRIDE,
        BITS_PROXY_AUTODETECT /* the network says it (WPAD), for each file */
} bits_proxy_usage;

/* list and bypass: for OVERRIDE only, else NULL. List:
   [http=|https=][http://|https://|socks4://|socks5://]server[:port] or direct://, divided by
   spaces, tried in order. Bypass: hosts, "*" at the far left, "<local>". E_INVALIDARG,
   BG_E_PROXY_LIST_TOO_LARGE, BG_E_PROXY_BYPASS_LIST_TOO_LARGE; a list that is no list is the
   job's error. (IBackgroundCopyJob::SetProxySettings) */
BITS_EXPORT int bits_job_set_proxy_settings(bits_job *job, bits_proxy_usage usage, const char *list,
                                            const char *bypass);
/* The caller frees list and bypass; NULL unless OVERRIDE. */
BITS_EXPORT int bits_job_get_proxy_settings(bits_job *job, bits_proxy_usage *ret_usage,
                                            char **ret_list, char **ret_bypass);

typedef enum bits_auth_target { BITS_AUTH_SERVER = 1, BITS_AUTH_PROXY } bits_auth_target;

typedef enum bits_auth_scheme {
        BITS_AUTH_BASIC = 1,
        BITS_AUTH_DIGEST,
        BITS_AUTH_NTLM,
        BITS_AUTH_NEGOTIATE,
        BITS_AUTH_PASSPORT /* accepted, never usable */
} bits_auth_scheme;

/* One entry for each target and scheme. user and password NULL: the Kerberos tickets of whoever
   makes the connection, owner or helper; NEGOTIATE only. Nothing is ever shown without this call,
   and only to whoever asks. BG_E_INVALID_AUTH_TARGET, BG_E_INVALID_AUTH_SCHEME,
   BG_E_USERNAME_TOO_LARGE (more than 300 characters), BG_E_PASSWORD_TOO_LARGE (65,536),
   BG_E_INVALID_CREDENTIALS, E_INVALIDARG. (IBackgroundCopyJob2::SetCredentials) */
BITS_EXPORT int bits_job_set_credentials(bits_job *job, bits_auth_target target,
                                         bits_auth_scheme scheme, const char *user,
                                         const char *password);
/* 1 (S_FALSE) when there were none. */
BITS_EXPORT int bits_job_remove_credentials(bits_job *job, bits_auth_target target,
                                            bits_auth_scheme scheme);

/* Whether a proxy that asks for Negotiate, and for which the job has no such credentials, is shown
   the Kerberos tickets of whoever makes the connection, owner or helper. Default 0.
   (BITS_JOB_PROPERTY_USE_STORED_CREDENTIALS) */
BITS_EXPORT int bits_job_set_use_stored_credentials(bits_job *job, int for_proxies);
BITS_EXPORT int bits_job_get_use_stored_credentials(bits_job *job, int *ret_for_proxies);

/* Where the owner's Kerberos tickets are: FILE:/PATH, DIR:/PATH, KEYRING:…, KCM:…; NULL or "": the
   default for that user. The caller frees the result. */
BITS_EXPORT int bits_job_set_credential_cache(bits_job *job, const char *name);
BITS_EXPORT int bits_job_get_credential_cache(bits_job *job, char **ret_name);

/* Where an error arose (BG_ERROR_CONTEXT). */
typedef enum bits_error_context {
        BITS_CONTEXT_NONE,
        BITS_CONTEXT_UNKNOWN,
        BITS_CONTEXT_GENERAL_QUEUE_MANAGER,
        BITS_CONTEXT_QUEUE_MANAGER_NOTIFICATION,
        BITS_CONTEXT_LOCAL_FILE,
        BITS_CONTEXT_REMOTE_FILE,
        BITS_CONTEXT_GENERAL_TRANSPORT,
        BITS_CONTEXT_REMOTE_APPLICATION,
        BITS_CONTEXT_SERVER_CERTIFICATE_CALLBACK
} bits_error_context;

typedef struct bits_job_error {
        uint32_t context; /* BITS_CONTEXT_… */
        uint32_t code;
        char *text;        /* what happened, in English */
        char *remote_name; /* "" when no file is concerned */
        char *local_name;
} bits_job_error;

/* The error that the job is in, or the last one until it is transferring again: then
   bits_job_get_error_time() gives 0. BG_E_ERROR_INFORMATION_UNAVAILABLE without one. Release with
   bits_job_error_done(). (IBackgroundCopyJob::GetError) */
BITS_EXPORT int bits_job_get_error(bits_job *job, bits_job_error *ret_error);
/* Since when the job is in its state of error: µs since 1970, 0 when it is in none. */
BITS_EXPORT int bits_job_get_error_time(bits_job *job, uint64_t *ret_usec);
BITS_EXPORT void bits_job_error_done(bits_job_error *error);
/* The protocol that the error is tied to, "http" (https too) or "file"; the caller frees it.
   BG_E_PROTOCOL_NOT_AVAILABLE when it arose on this machine, BG_E_ERROR_INFORMATION_UNAVAILABLE
   without an error. (IBackgroundCopyError::GetProtocol) */
BITS_EXPORT int bits_job_get_error_protocol(bits_job *job, char **ret_protocol);

/* ---- news ---- */

typedef enum bits_event {
        BITS_EVENT_TRANSFERRED,
        BITS_EVENT_ERROR,
        BITS_EVENT_MODIFICATION,
        BITS_EVENT_GONE, /* the service closed the handle: it stopped, or forgot the ended job */
        BITS_EVENT_FILE_TRANSFERRED,
        BITS_EVENT_FILE_RANGES_TRANSFERRED,
        BITS_EVENT_CHANGED /* state, property, files or progress; whatever the flags; not in BITS */
} bits_event;

/* Called from bits_manager_process() or bits_job_wait(), for the events that the job's flags ask
   for, and CHANGED and GONE. NULL removes it. */
typedef void (*bits_job_callback)(bits_job *job, bits_event event, void *userdata);
BITS_EXPORT int bits_job_set_callback(bits_job *job, bits_job_callback on_event, void *userdata);

/* Receives TRANSFERRED and ERROR as BITS's callback does: what is due comes at once, is repeated
   after the minimum retry delay until it is acknowledged, and the command line runs only when it is
   not. It is acknowledged when the callback returns 0; for anything else it comes again. NULL ends
   it, and so does freeing the job. Other events go to bits_job_set_callback()'s.
   (IBackgroundCopyJob::SetNotifyInterface) */
typedef int (*bits_job_receiver)(bits_job *job, bits_event event, void *userdata);
BITS_EXPORT int bits_job_set_receiver(bits_job *job, bits_job_receiver receiver, void *userdata);

typedef struct bits_event_info {
        uint32_t file_index; /* FILE_TRANSFERRED, FILE_RANGES_TRANSFERRED: from 0 */
        const bits_range *ranges;
        size_t n_ranges;
        uint32_t error_context; /* ERROR */
        uint32_t error_code;
} bits_event_info;

/* What came with the event that a callback is told; NULL outside of one. Valid until it returns. */
BITS_EXPORT const bits_event_info *bits_job_event_info(const bits_job *job);

/* ---- the notification command line ---- */

/* program: a full path, at most 4,095 bytes; nothing is searched for. parameters: at most 4,000
   characters, argv[0] first; NULL: the program alone. Both NULL: none. It runs as the effective
   user of the calling thread, when the job is transferred or has failed and no receiver takes the
   event; never for root and service accounts. E_INVALIDARG, BG_E_STRING_TOO_LONG,
   BG_E_INVALID_STATE, E_ACCESSDENIED when the administrator forbids them.
   (IBackgroundCopyJob2::SetNotifyCmdLine) */
BITS_EXPORT int bits_job_set_notify_cmd_line(bits_job *job, const char *program,
                                             const char *parameters);
/* NULL and NULL when there is none; the caller frees both. */
BITS_EXPORT int bits_job_get_notify_cmd_line(bits_job *job, char **ret_program,
                                             char **ret_parameters);

typedef struct bits_notify_state {
        uint32_t author_uid; /* who set it */
        uint64_t started;    /* the last run, µs since 1970; 0: none */
        uint32_t runs;
        char *result;    /* of the last run: "exit status 0" */
        char *objection; /* why it does not run; "" when it may */
} bits_notify_state;

/* 1, or 0 when there is no command line. Release with bits_notify_state_done(). */
BITS_EXPORT int bits_job_get_notify_state(bits_job *job, bits_notify_state *ret_state);
BITS_EXPORT void bits_notify_state_done(bits_notify_state *state);

/* Blocks until the job leaves the states QUEUED, CONNECTING, TRANSFERRING and TRANSIENT_ERROR, or
   until timeout_usec (UINT64_MAX: never) have passed. Without polling. 1: *ret_state is the state
   reached (may be NULL); 0: the time is over. BG_E_INVALID_STATE when a callback freed the job,
   RPC_S_SERVER_UNAVAILABLE when it closed the manager, or the service closed the handle. */
BITS_EXPORT int bits_job_wait(bits_job *job, uint64_t timeout_usec, bits_job_state *ret_state);

/* ---- helper tokens (IBitsTokenOptions) ---- */

/* The rights are decided here, before the thread impersonates the helper. Freed by its own
   function; stays valid when the job object is freed. */
BITS_EXPORT int bits_job_query_token_options(bits_job *job, bits_token_options **ret_options);
BITS_EXPORT void bits_token_options_free(bits_token_options *options);
/* The identity of the calling thread at this moment (effective user, group, supplementary groups)
   becomes the job's helper token. E_ACCESSDENIED when it is an administrator's and the caller is
   none, or when the caller did not own the job. */
BITS_EXPORT int bits_token_options_set_helper_token(bits_token_options *options);
BITS_EXPORT int bits_token_options_clear_helper_token(bits_token_options *options);
/* BITS_TOKEN_… or 0; E_INVALIDARG for other bits. */
BITS_EXPORT int bits_token_options_set_helper_token_flags(bits_token_options *options,
                                                          uint32_t flags);
BITS_EXPORT int bits_token_options_get_helper_token_flags(bits_token_options *options,
                                                          uint32_t *ret_flags);
/* NULL without a token. The caller frees it. */
BITS_EXPORT int bits_token_options_get_helper_token_sid(bits_token_options *options,
                                                        char **ret_sid);

/* The helper's credential cache, as bits_job_set_credential_cache(). */
BITS_EXPORT int bits_token_options_set_helper_credential_cache(bits_token_options *options,
                                                               const char *name);
BITS_EXPORT int bits_token_options_get_helper_credential_cache(bits_token_options *options,
                                                               char **ret_name);

/* ---- HTTP (IBackgroundCopyJobHttpOptions) ---- */

/* Freed by its own function; stays valid when the job object is freed. */
BITS_EXPORT int bits_job_query_http_options(bits_job *job, bits_http_options **ret_options);
BITS_EXPORT void bits_http_options_free(bits_http_options *options);

/* certificate: absolute path of a PEM, DER or PKCS#12 file of at most 256 KiB; or "none": a server
   that asks for a certificate is told that there is none, instead of failing the job with
   ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED. key: the key's file, NULL when it is in the same.
   passphrase: of an encrypted key or PKCS#12 file, or NULL. The files are read now and for each
   transfer by the owner, or by the helper with BITS_TOKEN_CLIENT_CERTIFICATE; the names are stored,
   and the passphrase, encrypted. The owner alone, else E_ACCESSDENIED. ERROR_FILE_NOT_FOUND,
   E_ACCESSDENIED, E_INVALIDARG, BG_E_STRING_TOO_LONG, BG_E_TOKEN_REQUIRED; E_NOTIMPL for a pkcs11:
   URI. (SetClientCertificateByID, SetClientCertificateByName) */
BITS_EXPORT int bits_http_options_set_client_certificate(bits_http_options *options,
                                                         const char *certificate, const char *key,
                                                         const char *passphrase);
/* 1 (S_FALSE) when there was none. */
BITS_EXPORT int bits_http_options_remove_client_certificate(bits_http_options *options);
/* The caller frees both; key is NULL when it is in the same file. RPC_X_BAD_STUB_DATA: none. */
BITS_EXPORT int bits_http_options_get_client_certificate(bits_http_options *options,
                                                         char **ret_certificate, char **ret_key);

/* Lines "Name: value" divided by CR LF or LF, at most 16,383 characters; NULL or "" removes. Sent
   with every request to the site of the remote name, not to others where redirects lead. Kept
   encrypted. The owner alone, else E_ACCESSDENIED. BG_E_STRING_TOO_LONG; E_INVALIDARG for what is
   no header, Host, Range, lengths, encodings, connection, Proxy-…, BITS-…. (SetCustomHeaders) */
BITS_EXPORT int bits_http_options_set_custom_headers(bits_http_options *options,
                                                     const char *headers);
/* The caller frees them. 1 (S_FALSE), NULL: none; E_ACCESSDENIED: write-only, or not the owner. */
BITS_EXPORT int bits_http_options_get_custom_headers(bits_http_options *options,
                                                     char **ret_headers);
/* For good. */
BITS_EXPORT int bits_http_options_make_custom_headers_write_only(bits_http_options *options);

/* BG_SSL_…, BG_HTTP_REDIRECT_POLICY_…. */
enum {
        BITS_SSL_ENABLE_CRL_CHECK = 0x1,
        BITS_SSL_IGNORE_CERT_CN_INVALID = 0x2,
        BITS_SSL_IGNORE_CERT_DATE_INVALID = 0x4,
        BITS_SSL_IGNORE_UNKNOWN_CA = 0x8,
        BITS_SSL_IGNORE_CERT_WRONG_USAGE = 0x10,
        BITS_HTTP_REDIRECT_ALLOW_REPORT = 0x100, /* the file is called by its final URL */
        BITS_HTTP_REDIRECT_DISALLOW = 0x200,     /* an error; the file is called by the target */
        BITS_HTTP_REDIRECT_ALLOW_HTTPS_TO_HTTP = 0x800
};

/* E_NOTIMPL for other bits. */
BITS_EXPORT int bits_http_options_set_security_flags(bits_http_options *options, uint32_t flags);
BITS_EXPORT int bits_http_options_get_security_flags(bits_http_options *options,
                                                     uint32_t *ret_flags);

/* Of downloads; NULL, "" and "GET": the default. Any other makes the job a foreground job for good,
   its errors are never tried again by themselves, and its files begin anew after an interruption.
   At most 32 characters. BG_E_READ_ONLY_PROPERTY_AFTER_RESUME, BG_E_UNSUPPORTED_JOB_CONFIGURATION
   (with dynamic content or on-demand mode), BG_E_STRING_TOO_LONG; E_INVALIDARG for HEAD, CONNECT
   and what is no method; E_NOTIMPL for uploads. (SetHttpMethod) */
BITS_EXPORT int bits_http_options_set_http_method(bits_http_options *options, const char *method);
/* The caller frees it. */
BITS_EXPORT int bits_http_options_get_http_method(bits_http_options *options, char **ret_method);

typedef struct bits_server_certificate {
        uint32_t file_index; /* of the file that is fetched */
        const char *remote_name;
        const char *peer;        /* "host:port" */
        const char *fingerprint; /* SHA-256 of the certificate, 64 hexadecimal digits */
        const char *chain;       /* PEM, the server's own certificate first */
} bits_server_certificate;

/* 0 accepts the certificate, for this server and the whole job; an error number makes a transient
   error of it. Called from bits_manager_process() and bits_job_wait(), after the system has
   accepted it and before anything is asked of the server; it may free the object. */
typedef uint32_t (*bits_certificate_judge)(bits_http_options *options,
                                           const bits_server_certificate *certificate,
                                           void *userdata);
/* The judge counts as long as this object lives, the last one set for the job alone; it has a
   minute for each answer. When it is gone, the job fails with
   BG_E_SERVER_CERT_VALIDATION_INTERFACE_REQUIRED until one is set again. NULL: there need not be
   one. BG_E_READ_ONLY_WHEN_JOB_ACTIVE unless the job is suspended, in ERROR or TRANSFERRED.
   (SetServerCertificateValidationInterface) */
BITS_EXPORT int bits_http_options_set_server_certificate_validation(bits_http_options *options,
                                                                    bits_certificate_judge judge,
                                                                    void *userdata);

#ifdef __cplusplus
}
#endif

#endif
