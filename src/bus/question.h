/*
 * A call that waits for what a bits-file says: it is charged to who opened the handle, and the job
 * may be another one's, or gone, when the answer comes.
 */
#pragma once

#include "bus/bus.h"

typedef struct Question {
        BusContext *context;
        sd_bus_message *call;
        char job_id[JOB_ID_CHARACTERS + 1];
        uid_t owner, opener; /* at the call */
        Worker *worker;      /* of the identity that does this work of the job */
        char *name;          /* of a file that it is about, or NULL */
} Question;

/* `no_token` is said when the work is the helper's and there is no token. 0, or negative, maybe
   with the error set. */
int question_new(const Handle *handle, sd_bus_message *call, Purpose purpose, const char *name,
                 const char *no_token, Question **ret, sd_bus_error *error);
void question_free(Question *q);
DEFINE_CLEANUP(Question, question_free);
