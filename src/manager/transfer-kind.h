/*
 * The inside of a Transfer, for its kinds: download.c fetches a file, upload.c sends one to a
 * server, deposit.c one to a place on this machine. Each kind's structure begins with a Transfer,
 * which has what all of them need: the two workers, the open file, how it ends.
 */
#pragma once

#include "manager/transfer.h"

enum {
        LOSSES_MAX = 10, /* workers that died on it in a row without progress */
};

typedef struct TransferKind {
        /* Once, with t->stopping set. */
        void (*stop)(Transfer *t);
        /* What the kind has besides the Transfer; NULL: nothing. */
        void (*done)(Transfer *t);
        void (*reconsider)(Transfer *t); /* NULL: there is nothing to choose */
        /* After transfer_open_source(): t->fd is open. NULL: the kind has no source. */
        void (*on_source)(Transfer *t);
        NetListener net; /* userdata: the Transfer */
} TransferKind;

struct Transfer {
        const TransferKind *kind;
        File *file;
        Worker *local, *net;
        Store *store;
        Turn *turn;
        const TransferListener *listener;
        void *userdata;

        NetClient client; /* of `net` */
        int fd;           /* the local file, while it is open */
        bool stopping;
        unsigned losses; /* see LOSSES_MAX */

        TransferReport report;
        char *detail; /* the report's */
};

/* The arguments of transfer_new(). */
typedef struct TransferParts {
        File *file;
        Worker *local, *net;
        Store *store;
        Turn *turn;
        const TransferListener *listener;
        void *userdata;
} TransferParts;

/* As transfer_new() promises it. */
int download_new(const TransferParts *parts, Transfer **ret);
int upload_new(const TransferParts *parts, Transfer **ret);
int deposit_new(const TransferParts *parts, Transfer **ret);

/* A zeroed structure of `size` bytes that begins with this Transfer, made from the parts. NULL when
   out of memory. */
Transfer *transfer_make(size_t size, const TransferKind *kind, const TransferParts *parts);

/* The file was changed. */
void transfer_mark(Transfer *t, StoreUrgency urgency);
/* The file and its job, whose upload it is. */
void transfer_mark_upload(Transfer *t, StoreUrgency urgency);

/* Ends with t->report: the last thing that a transfer does. */
void transfer_end(Transfer *t);
/* Sets t->report and ends; `detail` is copied. */
void transfer_end_stopped(Transfer *t);
void transfer_end_unserved(Transfer *t, WorkResult result, bool local);
void transfer_end_failed(Transfer *t, ErrorContext context, BitsCode code, const char *detail);
/* "WHAT LOCAL-NAME: WHY" */
void transfer_end_local(Transfer *t, BitsCode code, const char *what, const char *why);
/* Only sets t->report. */
void transfer_set_failure(Transfer *t, ErrorContext context, BitsCode code, const char *detail);

/* Opens what is sent, under the local identity, and sees that it is what it was when the upload
   began; kind->on_source follows, or the end. */
void transfer_open_source(Transfer *t);

/* A NetListener's on_certificate, for every kind. */
void transfer_on_certificate(void *userdata, const NetCertificate *question);
/* Its on_lost, and kind->stop, where nothing is left to be done before the end. */
void transfer_on_lost(void *userdata);
void transfer_stop_now(Transfer *t);

/* ATTRIBUTE_… that the job's FileACLFlags ask for. */
uint32_t transfer_attributes(const Job *job);

#define TRANSFER_SILENT_TEXT                                                   \
        "The file system of the remote file, or of another one that the same " \
        "identity works on, does not answer"
