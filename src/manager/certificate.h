/*
 * The files of a client certificate, read by the worker of the identity that is responsible for
 * them. bitsd passes the content on and does not look at it.
 */
#pragma once

#include "core/job.h"
#include "workers/worker.h"

typedef struct CertificateReading CertificateReading;

typedef struct CertificateAnswer {
        WorkResult result;
        int error;        /* errno, 0: both are there */
        const char *name; /* of the file that it is about */
        int certificate; /* sealed files (basic/secret.h), closed after the callback unless taken */
        int key;         /* negative: in the certificate's file */
} CertificateAnswer;

typedef void (*CertificateCallback)(void *userdata, CertificateAnswer *answer);

/* `key` is "" when it is in the same file. The callback runs exactly once, later, and frees the
   reading. 0 or -ENOMEM. */
int certificate_read(WorkerPool *pool, const WorkerIdentity *identity, const char *certificate,
                     const char *key, CertificateCallback callback, void *userdata,
                     CertificateReading **ret);
/* From the callback, or when the whole daemon ends. NULL is fine. */
void certificate_reading_free(CertificateReading *reading);
DEFINE_CLEANUP(CertificateReading, certificate_reading_free);

/* What an error means to a job, or to the call that sets the certificate. */
BitsCode certificate_code(int error, bool to_a_job);
