/*
 * Remote files on their way into descriptors that another identity opened, and from such
 * descriptors to remote places: this process, which is the network identity, opens the one, bitsd
 * hands it the other. Content goes from file to file, in the kernel where it can.
 *
 * All copies share the process: each gets a short slice in turn, and between two slices bitsd is
 * listened to.
 */
#pragma once

#include "file/changed.h"
#include "file/talk.h"
#include "wire/protocol.h"

#include <sys/queue.h>

typedef struct Fetch Fetch;

typedef struct Fetches {
        Talk *talk;
        Changed *changed;
        TAILQ_HEAD(, Fetch) queue;
} Fetches;

void fetches_init(Fetches *fetches, Talk *talk, Changed *changed);
void fetches_done(Fetches *fetches);

/* Takes start->file. News go out on the talk under this serial: NET_STARTED, NET_PROGRESS now and
   then, one of NET_DONE and COPY_DONE. 0 or -errno: the talk is over, or bitsd broke the protocol.
 */
int fetches_start(Fetches *fetches, const CopyStart *start, uint32_t serial);
/* The same for an upload, with COPY_PLACED instead of NET_STARTED. */
int fetches_put(Fetches *fetches, const CopyPut *put, uint32_t serial);
/* NET_DONE follows, unless that copy is not known any more. */
int fetches_stop(Fetches *fetches, uint64_t transfer);

bool fetches_busy(const Fetches *fetches);
/* The next slice, of which there is one, takes no time that anybody would notice. */
bool fetches_brief(const Fetches *fetches);
/* A slice of the next one. 0 or -errno as above. */
int fetches_run(Fetches *fetches);
