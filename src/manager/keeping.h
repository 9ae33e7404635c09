/*
 * What arrived of a file is made safe: synced in passing and at the end, under the local identity.
 * `kept` of a file moves here and nowhere else, after the disk said so.
 *
 * A write error is told by the kernel once, maybe to a process that died with it. So a failure, or
 * the doubt whether there was one, is remembered for as long as the file stays open: nothing that
 * was written and not kept by then may be believed.
 */
#pragma once

#include "core/fill.h"
#include "manager/transfer-kind.h"

typedef struct Keeping {
        Transfer *transfer;
        void (*on_synced)(Transfer *t, WorkResult result);
        bool under_way; /* a sync is: the descriptor is in use */
        bool due;       /* another one was asked for meanwhile */
        int error;      /* errno of a sync */
        bool doubt;     /* a worker died with a sync: it may have been told of an error */
        FillMark mark;  /* what the sync under way makes safe */
        uint64_t last;  /* µs, monotonic */
} Keeping;

/* `on_synced` comes after each sync, when `kept` has moved. */
void keeping_init(Keeping *k, Transfer *transfer,
                  void (*on_synced)(Transfer *t, WorkResult result));
void keeping_done(Keeping *k);

/* Bytes are going to come. */
void keeping_begin(Keeping *k);
/* Now; `due` when one is under way. When it cannot be asked for, none is under way after it. */
void keeping_sync(Keeping *k);
/* Bytes have come: from time to time. */
void keeping_sync_in_passing(Keeping *k);

/* What was written and is not kept may be lost. */
static inline bool keeping_failed(const Keeping *k)
{
        return k->error != 0 || k->doubt;
}
