/*
 * A job as the library holds it: its id, its handle, and who wants to hear its news.
 */
#pragma once

#include "client/handle.h"
#include "client/manager.h"

struct bits_job {
        Handle *handle;
        char *id;
        bits_job_callback on_event;
        void *userdata;
        unsigned news; /* counts what happened, for bits_job_wait() */
};
