/*
 * One file's way between the server and the disk, whichever way it goes: a download opens the
 * temporary file under the local identity, fetches under the network identity, syncs. The two
 * workers never meet; the descriptor goes from one to the other through here, and no byte of
 * content does.
 */
#pragma once

#include "manager/turn.h"
#include "store/store.h"
#include "workers/worker.h"

typedef struct Transfer Transfer;

typedef enum TransferEnd {
        TRANSFER_DONE,     /* every byte is kept */
        TRANSFER_IDLE,     /* what was asked for is kept, the rest was not */
        TRANSFER_STOPPED,  /* on transfer_stop(); what arrived is kept */
        TRANSFER_FAILED,   /* a fault of file, network or server */
        TRANSFER_UNSERVED, /* a worker could not do its part: see the result */
        TRANSFER_END_MAX,
        TRANSFER_END_INVALID = -1,
} TransferEnd;

typedef struct TransferReport {
        TransferEnd end;
        ErrorContext context; /* TRANSFER_FAILED */
        BitsCode code;
        bool transient; /* tried again, whatever the code is otherwise */
        const char *detail;
        WorkResult result; /* TRANSFER_UNSERVED */
        bool local;        /* the local worker it was, else the network's */
} TransferReport;

typedef struct TransferListener {
        void (*on_connected)(void *userdata, Transfer *transfer);
        void (*on_progress)(void *userdata, Transfer *transfer);
        /* The last news. The listener frees the transfer. */
        void (*on_end)(void *userdata, Transfer *transfer, const TransferReport *report);
        /* These bytes of the remote file are safe now; not told of ranges. May be NULL. */
        void (*on_kept)(void *userdata, Transfer *transfer, const Ranges *news);
        /* A server's certificate is to be judged; transfer_accept() is due, with that number. */
        void (*on_certificate)(void *userdata, Transfer *transfer, uint64_t client,
                               const NetCertificate *question);
} TransferListener;

/* Starts on a file that is not transferred and has no transfer yet. The workers are acquired for
   as long as the transfer lives. News come later, from the loop. 0 or -errno. */
int transfer_new(File *file, Worker *local, Worker *net, Store *store, Turn *turn,
                 const TransferListener *listener, void *userdata, Transfer **ret);
/* Only from on_end, or when the whole daemon ends. */
void transfer_free(Transfer *transfer);

/* Winds down and keeps what arrived; on_end follows, later. Again is fine. */
void transfer_stop(Transfer *transfer);
bool transfer_is_stopping(const Transfer *transfer);

/* What is to come first was changed (core/fill.h). */
void transfer_reconsider(Transfer *transfer);
/* The answer to on_certificate: code 0, or why not. One that nobody waits for is passed over. */
void transfer_accept(Transfer *transfer, uint64_t client, BitsCode code, const char *detail);

File *transfer_file(const Transfer *transfer);
