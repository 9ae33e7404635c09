/*
 * The inside of a Transfer, for its kinds: download.c fetches a file, upload.c sends one to a
 * server, deposit.c one to a place on this machine. Each kind's structure begins with a Transfer.
 */
#pragma once

#include "manager/transfer.h"

typedef struct TransferKind {
        void (*stop)(Transfer *transfer);
        void (*free)(Transfer *transfer);
        void (*reconsider)(Transfer *transfer); /* NULL: there is nothing to choose */
} TransferKind;

struct Transfer {
        const TransferKind *kind;
        File *file;
        NetClient *client; /* the kind's */
        const TransferListener *listener;
        void *userdata;
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

/* ATTRIBUTE_… that the job's FileACLFlags ask for. */
uint32_t transfer_attributes(const Job *job);

#define TRANSFER_SILENT_TEXT                                                   \
        "The file system of the remote file, or of another one that the same " \
        "identity works on, does not answer"

/* A NetListener's on_certificate, for every kind. */
void transfer_on_certificate(void *userdata, const NetCertificate *question);
