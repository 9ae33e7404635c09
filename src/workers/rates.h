/*
 * The rates in force, divided among the network workers: each of them paces its own background
 * transfers and knows nothing of the others (src/net/pacer.h). A rate is shared in equal parts by
 * the workers that have a transfer of its class now; who comes and who goes changes the parts of
 * all.
 */
#pragma once

#include "core/bandwidth.h"
#include "wire/protocol.h"

#include <sys/queue.h>

typedef struct Worker Worker;

/* A worker's part in it, inside of the seat. */
typedef struct Share {
        LIST_ENTRY(Share) entries; /* of those with transfers that are paced */
        unsigned paced[NET_CLASS_MAX], all;
        bool limited;  /* its process has been told rates, */
        NetRates told; /* these */
} Share;

typedef struct Sharing {
        Rates rates;
        LIST_HEAD(ShareList, Share) members;
        unsigned workers[NET_CLASS_MAX], all; /* that have transfers of a class, of any */
} Sharing;

/* Nothing is limited. */
void sharing_init(Sharing *sharing);
/* What holds now; true: the parts are others, and the members have to be told. */
bool sharing_set(Sharing *sharing, const Rates *rates);

/* A transfer comes or goes; true as above. */
bool sharing_join(Sharing *sharing, Share *share, NetClass class);
bool sharing_leave(Sharing *sharing, Share *share, NetClass class);

/* What that member's process has to be told; false: nothing, it knows. */
bool share_news(const Sharing *sharing, const Share *share, NetRates *ret);
void share_told(Share *share, const NetRates *rates);
/* Its process has ended: the next one knows nothing. */
void share_forget(Share *share);
