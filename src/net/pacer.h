/*
 * How fast the background transfers of this process are, all of them together and those of each
 * class (reference 05 section 8). bitsd names the rates; the foreground is never asked.
 *
 * A transfer asks before it takes what has arrived. If it may not, it tells libcurl to pause, and
 * waits in line here until the pacer lets it go on: one timer for all of them, in the order in
 * which they came, and none while nobody waits. What is paused is not read from its socket, so the
 * server is slowed down by TCP itself.
 */
#pragma once

#include "net/bucket.h"
#include "wire/protocol.h"

#include <curl/curl.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

typedef struct Pacer Pacer;

/* One request's place. Zeroed: it was never asked for. */
typedef struct Paced {
        NetClass class; /* FOREGROUND: never waits */
        CURL *easy;     /* that is paused */
        /* libcurl failed when it was to go on. */
        void (*on_failed)(void *userdata, CURLcode result);
        void *userdata;
        bool waiting;
        TAILQ_ENTRY(Paced) entries;
} Paced;

/* 0 or -errno. Without rates nothing is limited. */
int pacer_new(sd_event *event, int64_t priority, Pacer **ret);
/* Nobody may wait any more. NULL is fine. */
void pacer_free(Pacer *pacer);
DEFINE_CLEANUP(Pacer, pacer_free);

/* Bytes a second of each class and of all together, RATE_NONE for no limit, 0: all wait. */
void pacer_set_rates(Pacer *pacer, const uint64_t rates[NET_CLASS_MAX], uint64_t all);

/* False: the caller has to pause its request, and is let go on by itself. */
bool pacer_admit(Pacer *pacer, Paced *paced);
/* How many bytes to send at once, for who was let go on: what is given to libcurl is gone, and a
   large piece at a low rate would be paid for by minutes of silence. At least a packet's worth. */
size_t pacer_piece(Pacer *pacer, const Paced *paced);
/* Bytes a second that it may move, with all who share them; BUCKET_UNLIMITED: as many as it can. */
uint64_t pacer_rate(const Pacer *pacer, const Paced *paced);
/* So many bytes were moved. */
void pacer_spend(Pacer *pacer, const Paced *paced, size_t bytes);
/* The request ends. */
void pacer_leave(Pacer *pacer, Paced *paced);
