/*
 * The model of a job and its files: what is stored, what is shown, and the rules that keep the
 * numbers consistent. No I/O: the engine and the bus change a job through these functions only, and
 * mark it dirty for the store.
 *
 * Invariants: kept <= written for every file; a file that is `transferred` has every byte kept; the
 * counters of the job are the sums over its files; the state moves in job_transition() alone.
 */
#pragma once

#include "core/helper.h"
#include "core/http-options.h"
#include "core/identity.h"
#include "core/proxy.h"
#include "core/range.h"
#include "core/schedule.h"
#include "core/state.h"
#include "core/timers.h"
#include "core/upload.h"

#include <sys/queue.h>

enum {
        JOB_ID_CHARACTERS = 36, /* 8-4-4-4-12 hexadecimal digits */
        JOB_ID_BYTES = 16,
        DEFAULT_MINIMUM_RETRY_DELAY = 600, /* s */
        LEAST_MINIMUM_RETRY_DELAY = 5,
        DEFAULT_NO_PROGRESS_TIMEOUT = 1209600,
        DEFAULT_MAXIMUM_DOWNLOAD_TIME = 7776000,
        DEFAULT_NOTIFICATION_INTERVAL = 500, /* ms */
        NO_FILE = -1,
};

#define JOB_SIZE_UNKNOWN UINT64_MAX
#define JOB_NO_HELPER    ((uid_t)-1)
#define JOB_NO_HINT      UINT64_MAX

/* A helper token as bitsd holds it: the descriptor is the token, the rest is what the broker said
   about it. */
typedef struct Token {
        int fd; /* owned */
        uint64_t cookie;
        uid_t uid;
        gid_t gid;
        char *session;  /* owned, "" outside any */
        bool signed_on; /* its user was, at the capture */
} Token;

void token_free(Token *token);
DEFINE_CLEANUP(Token, token_free);

struct File {
        Job *job;
        uint32_t index; /* from 0, in the order added */
        uint64_t row;   /* in the store, 0: not there yet */

        char *remote_name;
        char *local_name;
        char *temporary_name; /* one component, beside the local name */

        uint64_t device, inode; /* of the temporary file, 0: none made yet */
        uint64_t birth;         /* of that inode, ns since 1970, 0: unknown */
        uint64_t kept;          /* first bytes that would survive a power cut */
        uint64_t written;       /* first bytes that are in the file */
        uint64_t total;         /* JOB_SIZE_UNKNOWN until the server said it */
        /* How it is filled: fill.h. */
        Ranges wanted;        /* a list: only these parts of the remote file; empty: all of it */
        uint64_t remote_size; /* with `wanted`: of the whole remote file, or unknown */
        bool scattered;       /* filled in no order: `kept` and `written` count bytes */
        Ranges filled, fresh; /* sets, if scattered: kept, and written since */
        Ranges requested;     /* a set: what is to come first, or alone */
        uint64_t hint;        /* where a reader is, JOB_NO_HINT: nowhere */
        bool idle;            /* nothing that is requested is missing */
        char *etag;           /* of the version these bytes are from; NULL unknown */
        char *last_modified;
        char *response_headers; /* of the last answer, as it came but for its bytes past ASCII */
        uint64_t modification_time; /* s since 1970, 0 unknown */
        bool resumable;
        bool transferred;
        bool completed; /* has its final name */
        bool validated; /* its owner found the content good */

        uint64_t stored_written; /* what the store would say after a crash now */
        bool dirty;
        TAILQ_ENTRY(File) dirty_entries;

        struct Transfer *transfer; /* the engine's, while it works on the file */
};

/* Which events a job's holders are told (BG_NOTIFY_…, reference 02 section 13). */
enum {
        NOTIFY_JOB_TRANSFERRED = 0x1,
        NOTIFY_JOB_ERROR = 0x2,
        NOTIFY_DISABLE = 0x4, /* nothing, whatever else is set */
        NOTIFY_JOB_MODIFICATION = 0x8,
        NOTIFY_FILE_TRANSFERRED = 0x10,
        NOTIFY_FILE_RANGES_TRANSFERRED = 0x20,
        NOTIFY_FLAGS_ALL = 0x3f,
        NOTIFY_FLAGS_DEFAULT = NOTIFY_JOB_TRANSFERRED | NOTIFY_JOB_ERROR,
};

/* The notification command line, and what is known of its runs. */
typedef struct JobCommand {
        char *program, *parameters; /* owned; NULL: there is none */
        uid_t author;               /* who set it */
        bool kept;                  /* by the broker: it can run */
        uint64_t started;           /* the last run, µs since 1970; 0: none */
        uint32_t runs;
        uint32_t result; /* of the last run, COMMAND_… of core/command-line.h */
} JobCommand;

/* What a remote file that is a file of this machine gives to the local one (BG_COPY_FILE_…). */
enum {
        COPY_FILE_OWNER = 0x1,
        COPY_FILE_GROUP = 0x2,
        COPY_FILE_DACL = 0x4, /* permission bits and access list */
        COPY_FILE_SACL = 0x8, /* nothing: files here have no list of what is audited */
        COPY_FILE_ALL = 0xf,
};

/* Kept for who sets them; there are no peers. */
enum {
        PEER_CACHING_CLIENT = 0x1,
        PEER_CACHING_SERVER = 0x2,
        PEER_CACHING_NO_BRANCH_CACHE = 0x4,
        PEER_CACHING_ALL = 0x7,
};

/* A call that takes more than one step and is finished after a crash. */
typedef enum PendingCall {
        PENDING_NONE,
        PENDING_COMPLETE,
        PENDING_CANCEL,
        PENDING_MAX,
        PENDING_INVALID = -1,
} PendingCall;

struct Job {
        TAILQ_ENTRY(Job) table_entries; /* of the table of all jobs */
        uint64_t row;
        char id[JOB_ID_CHARACTERS + 1];
        uid_t owner;
        bool owner_elevated; /* when the job was made or taken over */
        uint32_t owner_integrity;

        JobType type;
        JobPriority priority;
        JobState state;
        PendingCall pending;
        char *display_name;
        char *description;
        uint32_t minimum_retry_delay;   /* s */
        uint32_t no_progress_timeout;   /* s */
        uint32_t maximum_download_time; /* s, 0: the machine's */
        uint32_t notify_flags;          /* NOTIFY_… */
        uint32_t notify_event;          /* that is due, of two of these; 0: none, or acknowledged */
        uint32_t notify_interval;       /* ms */
        JobCommand command;
        uint32_t file_acl_flags; /* COPY_FILE_… */
        bool resumed;            /* once at least */
        bool dynamic_content, high_performance, on_demand;
        uint64_t max_download_size; /* bytes; UINT64_MAX: no limit */
        uint32_t peer_caching_flags;
        uint32_t cost_flags; /* networks that it may run on; 0: bitsd.conf's */
        uint32_t token_flags;
        Token *token;
        unsigned helper_cleared; /* how often: a SetHelperToken from before is void */
        uid_t last_helper;       /* whom the token names, or the last one named; JOB_NO_HELPER */

        ProxyUsage proxy_usage;
        char *proxy_list, *proxy_bypass;                  /* "" unless PROXY_OVERRIDE */
        char *credential_cache, *helper_credential_cache; /* KRB5CCNAME; "": the default */
        uint8_t *credentials; /* sealed by the manager's vault; NULL: none */
        size_t credentials_size;
        HttpOptions http;
        bool proxy_tickets; /* USE_STORED_CREDENTIALS: the identity's own, for proxies that ask */

        uint64_t created, modified, transfer_completed; /* µs since 1970 */
        uint64_t failed; /* in that state of error since then; 0: in none */
        uint32_t error_count;
        Fault fault; /* code 0: none */
        int64_t fault_file;

        File **files;
        size_t n_files, files_room;
        size_t n_transferred;   /* files */
        size_t n_unknown;       /* files of unknown size */
        uint64_t bytes_written; /* sum over the files */
        uint64_t bytes_total;   /* sum over the files of known size */

        UploadState upload;
        File *reply; /* of an upload-reply, once the server has named it: not one of the files */

        bool dirty;
        TAILQ_ENTRY(Job) dirty_entries;

        ScheduleEntry schedule;
        Timers timers;
        bool held;                 /* kept out of its turn, while it is completed or cancelled */
        struct EngineJob *engine;  /* the engine's */
        struct Finish *finish;     /* Complete or Cancel under way */
        struct Farewell *farewell; /* its server is to forget a session */
        struct TokenWatch *watch;  /* its helper token's */
        LIST_ENTRY(Job) watch_entries;
        TAILQ_HEAD(JobHandles, Handle) handles; /* those who are told the news */
        struct JobNews *news;
        JobState told_state;           /* the news': the last one that was told */
        struct Notice *notice;         /* the notifier's */
        struct Validation *validation; /* who judges servers, too */
        bool counted_finished;         /* by the table, once it is over */
};

/* A new suspended job with BITS's defaults. `random` gives its id (version 4). 0 or -ENOMEM. */
int job_new(const uint8_t random[JOB_ID_BYTES], uid_t owner, JobType type, const char *display_name,
            uint64_t now_realtime, Job **ret);
void job_free(Job *job);
DEFINE_CLEANUP(Job, job_free);

/* TakeOwnership: the job is that user's now. Helper token and flags go, as all secrets do. Who
   counts jobs by owner has to count anew: job_table_reserve(). */
void job_take(Job *job, uid_t new_owner);

/* Replaces the command line and forgets its runs; `program` NULL or "": none. 0 or -ENOMEM. */
int job_set_command(Job *job, const char *program, const char *parameters, uid_t author, bool kept);

/* Replaces the sealed credentials; takes `box` (NULL: none). */
void job_set_credentials(Job *job, uint8_t *box, size_t size);

/* Reads "8-4-4-4-12" or 32 digits, with or without braces, any case, into lower-case id text. */
bool job_id_parse(const char *text, char ret_id[JOB_ID_CHARACTERS + 1]);
/* The id without hyphens, as in object paths. */
void job_id_compact(const char *id, char ret[2 * JOB_ID_BYTES + 1]);

/* Makes a file; the names must have passed policy_check_…. `random` goes into the temporary name.
   Not yet part of a job. */
int file_new(const char *remote_name, const char *local_name,
             const uint8_t random[NAME_RANDOM_BYTES], File **ret);
/* One without names, for whoever reads them from the store. */
int file_new_blank(File **ret);
void file_free(File *file);
DEFINE_CLEANUP(File, file_free);
/* Makes room, so that as many appends cannot fail. 0 or -ENOMEM. */
int job_reserve_files(Job *job, size_t more);
/* The job owns it from now on; its counters follow. 0 or -ENOMEM. */
int job_append_file(Job *job, File *file);

/* The last one leaves the job again; the caller owns it, and has the job count its files then. */
File *job_take_last_file(Job *job);
/* Sets the job's numbers by its files, after these have changed in another way than below. */
void job_count_files(Job *job);

/* The reply of an upload-reply becomes the job's; it counts for nothing. 0. */
int job_set_reply(Job *job, File *reply);
/* The files, and after them the reply; NULL at the end. */
File *job_file(const Job *job, size_t i);
/* The file is fetched into a temporary file and gets its name with Complete: a download's, or a
   reply. The other ones are read. */
bool file_is_fetched(const File *file);
/* An upload's file, to a place on this machine. */
bool file_is_deposited(const File *file);
/* Nothing is left to be done for any file, a reply and a session included. */
bool job_is_transferred(const Job *job);

/* Drops the files of a job that is over: `files` is NULL from now on, the counters stay. */
void job_forget_files(Job *job);

/* The only place where a state changes. 0, or the code that the call answers with. Clears the fault
   when bytes come again. */
BitsCode job_transition(Job *job, JobEvent event, uint64_t now_realtime);
/* The event that Resume is for this job now. */
JobEvent job_resume_event(const Job *job);

/* Sets the fault that EVENT_FAILED_… then makes visible. `file` may be NULL; `detail` is copied. */
void job_set_fault(Job *job, const File *file, ErrorContext context, BitsCode code,
                   const char *detail);

/* Progress of one file, with the job's counters. written >= kept. */
void file_set_written(File *file, uint64_t written);
void file_set_kept(File *file, uint64_t kept); /* written follows if it was behind */
void file_set_total(File *file, uint64_t total);
/* Only these ranges of the remote file. Before the first byte. 0 or -ENOMEM. */
int file_set_wanted(File *file, const Ranges *wanted);
/* Of the remote file, whatever is wanted of it; JOB_SIZE_UNKNOWN. `total` follows. */
uint64_t file_remote_size(const File *file);
void file_set_remote_size(File *file, uint64_t size);
void file_set_transferred(File *file, bool transferred);
/* Another place to fetch it from: what is there fits if date, length and ranges do, the ETag of
   another server says nothing. 0 or -ENOMEM. */
int file_set_remote_name(File *file, const char *remote_name);
/* The path of its temporary file, made or not. The caller frees it; NULL out of memory. */
char *file_temporary_path(const File *file);
/* What the server said about the version; NULL or "" for unknown. 0 or -ENOMEM. */
int file_set_version(File *file, const char *etag, const char *last_modified, bool resumable);
/* From zero, with a new temporary file: another version, or the old file is gone. What is known of
   the old one stays, so that the new one can take its place, whosever it is. */
void file_reset(File *file);
/* True when the bytes kept can be continued. */
bool file_can_resume(const File *file);

/* JOB_SIZE_UNKNOWN as soon as any file's size is unknown. */
uint64_t job_bytes_total(const Job *job);

/* Who acts: fills in the uid; ACTOR_MISSING when a token is needed and not there. */
Actor job_actor(const Job *job, Purpose purpose);
/* The flags give work to a helper, and there is none. */
static inline bool job_lacks_helper(const Job *job)
{
        return job->token_flags != 0 && !job->token;
}
