/*
 * The client that judges servers too (reference 03 section 9): a handle of the job that asked for
 * it. After the system has accepted a server's certificate, and before anything is asked of that
 * server, the handle gets a signal and answers by a call. Whoever does not answer in time holds up
 * his own transfers only; nobody waits.
 *
 * Who judges is known as long as the handle lives. That somebody has to is a property of the job
 * and outlives the service: without a judge the job fails, it does not go on unjudged.
 */
#pragma once

#include "manager/handle.h"
#include "wire/protocol.h"

typedef struct Validations Validations;
typedef struct Validation Validation;

enum {
        VALIDATION_REALM_MAX = 64,
};

/* `bus` is borrowed. 0 or -errno. */
int validations_new(sd_event *event, sd_bus *bus, Validations **ret);
/* Every job must have been forgotten. NULL is fine. */
void validations_free(Validations *v);
DEFINE_CLEANUP(Validations, validations_free);

/* From now on this handle judges for its job, and what was accepted before is forgotten. 0 or
   -ENOMEM. */
int validation_set(Validations *v, Handle *handle);
/* Nobody does, and nobody has to. */
void validation_clear(Job *job);
/* The job is leaving; the handle is. */
void validation_forget(Job *job);
void validation_handle_gone(Handle *handle);

/* Asks for this file's transfer, whose client has that number; transfer_accept() follows, at once
   or later, unless it ends before. */
void validation_ask(File *file, uint64_t client, const NetCertificate *question);
/* The judge's word on a request: 0 accepts. 0, or the code of the refusal of this very call. */
BitsCode validation_answer(Handle *handle, uint64_t request, BitsCode code);

/* Whose answers a worker's connections depend on; "" when nobody has to judge. */
void validation_realm(const Job *job, char ret[VALIDATION_REALM_MAX]);
