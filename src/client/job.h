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
        bits_job_receiver receiver;
        void *receiver_userdata;
        const bits_event_info *info; /* of the event that is being told */
        bool *freed;                 /* set when the job is freed while it is told */
        char *checked;               /* the directory that was found to be the service's, too */
};

/* Whether the directory of that name is the same for this program and for who will work there: 0,
   or negative with the thread's error set. */
int job_check_place(bits_job *job, const char *local_name);
/* A handle_news: tells whoever asked. */
void job_on_news(const char *member, sd_bus_message *signal, void *userdata);
/* A handle of its own on another interface of the job, with the rights of the job's. 0 or negative
   with the thread's error set. */
int job_query_interface(bits_job *job, const char *interface, handle_news on_news, void *userdata,
                        Handle **ret_handle);
