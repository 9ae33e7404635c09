/*
 * What an upload is besides a job with a file: its session with the server, and the reply of an
 * upload-reply job. Pure.
 *
 * The one File of such a job is read, not written: `written` are the bytes that the server has
 * acknowledged, `kept` follows it, `transferred` says that the server has them all. The reply is a
 * second File, which is downloaded like any other; it is not among the job's files.
 */
#pragma once

#include "core/error.h"

typedef struct Job Job;
typedef struct File File;

/* Never from BITS-Host-Id back to the host of the remote name. */
#define UPLOAD_NO_FALLBACK UINT32_MAX

enum {
        UPLOAD_CANCEL_SECONDS = 24 * 60 * 60, /* how long a server is asked to forget a session */
        REPLY_DATA_MAX = 1024 * 1024,         /* bytes of a reply that are given by value */
        NAME_RANDOM_BYTES = 6, /* in the name of a temporary file, and of a reply without one */
};

typedef struct UploadState {
        char *session;             /* BITS-Session-Id; "": none */
        char *host;                /* BITS-Host-Id; "": none */
        uint32_t host_fallback;    /* s */
        uint64_t host_failed_at;   /* the first of its failures in a row, µs since 1970; 0: none */
        char *reply_url;           /* absolute; "": not known */
        bool closing;              /* Close-Session may have reached the server */
        uint64_t source_time;      /* of the source when the upload began, ns since 1970 */
        bool source_known;         /* that, and the file's total, are what it is compared with */
        char *reply_name;          /* local name of the reply; "": none yet */
        bool reply_name_automatic; /* nobody asked for it */
        uint64_t cancel_until;     /* µs since 1970, once cancelled; 0: not cancelled */
} UploadState;

/* What is to be done next. */
typedef enum UploadStep {
        UPLOAD_SEND,        /* the file, and for an upload the session is closed */
        UPLOAD_FETCH_REPLY, /* with the session open, for it holds the reply */
        UPLOAD_CLOSE,
        UPLOAD_OVER,
        UPLOAD_STEP_MAX,
        UPLOAD_STEP_INVALID = -1,
} UploadStep;

/* 0 or -ENOMEM. */
int upload_state_init(UploadState *upload);
void upload_state_done(UploadState *upload);

bool job_is_upload(const Job *job);
/* Only for an upload with its file. */
UploadStep upload_step(const Job *job);

/* The server said which session it is, or more about it. 0 or -ENOMEM. */
int upload_set_session(Job *job, const char *session, const char *host, uint32_t host_fallback,
                       const char *reply_url, bool closing);
/* Where to go now: the host that the server named, or "" for that of the remote name. */
const char *upload_host(const Job *job, uint64_t now_realtime);
/* A request to it failed; or the upload came further. */
void upload_host_failed(Job *job, uint64_t now_realtime);
void upload_host_served(Job *job);
/* The session is over, or the server knows it no more. */
void upload_forget_session(Job *job);

/* The name that the reply will get: absolute; NULL or "" for an automatic one, beside the file's.
   0, BG_E_INVALID_STATE once the reply has been begun, or BITS_E_OUT_OF_MEMORY. */
BitsCode upload_set_reply_name(Job *job, const char *name, const uint8_t random[NAME_RANDOM_BYTES]);
/* The reply becomes a file of the job. 0 or -ENOMEM. */
int upload_make_reply(Job *job, const uint8_t random[NAME_RANDOM_BYTES]);
/* Whether the reply comes from where the job's credentials are for: the host of the remote name, or
   the one that the server named instead. */
bool upload_reply_is_trusted(const Job *job);

/* What it means that a source cannot be opened (errno > 0): the code, and a clause for people. */
BitsCode upload_source_code(int error);
const char *upload_source_text(int error);

/* The last component of the local name. */
const char *upload_content_name(const File *file);
