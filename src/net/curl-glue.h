/*
 * libcurl on sd-event: one multi handle, its sockets as event sources, its clock as one timer, and
 * a pool of easy handles. Knows nothing of files, answers or messages.
 *
 * A handle in the glue carries its user in CURLOPT_PRIVATE; when its transfer has ended it is taken
 * out and the user is told, from the event loop and never from within a call to the glue.
 */
#pragma once

#include "basic/macros.h"

#include <curl/curl.h>
#include <systemd/sd-event.h>

typedef struct CurlGlue CurlGlue;

typedef struct CurlGlueListener {
        /* The user may add, remove and return handles. */
        void (*on_done)(void *user, CURLcode result);
        /* From within libcurl: the handle waits for that socket from now on. May be NULL. */
        void (*on_watch)(void *user, CURL *easy, int fd);
} CurlGlueListener;

/* `priority` is that of all its event sources; `listener` is borrowed. 0 or -errno. The event loop
   ends with -EIO should libcurl itself fail. */
int curl_glue_new(sd_event *event, int64_t priority, const CurlGlueListener *listener,
                  CurlGlue **ret);
/* Called before each call into libcurl that may work on a transfer. */
void curl_glue_set_enter(CurlGlue *glue, void (*on_enter)(void *userdata), void *userdata);
/* Every handle must have been returned. NULL is fine. */
void curl_glue_free(CurlGlue *glue);
DEFINE_CLEANUP(CurlGlue, curl_glue_free);

/* A handle without options, new or used before; NULL without memory. Returning it (NULL is fine)
   takes it out of the glue if it is in there. Connections stay with the glue. */
CURL *curl_glue_borrow(CurlGlue *glue);
void curl_glue_return(CurlGlue *glue, CURL *easy);

/* Starts the handle's transfer. 0 or -errno. */
int curl_glue_add(CurlGlue *glue, CURL *easy);
