/*
 * The notifier sees every event of a job to its acknowledgement (reference 02 section 13). An event
 * is due from the moment when the job became TRANSFERRED or ERROR; it is stored, so that no restart
 * loses it. It is told to receivers, which are the holders that asked for it (Job.Subscribe), and
 * acknowledged by one of them; or the job's command line runs, as the user who set it, and ends
 * with status 0. It is over as well when the job leaves that state.
 *
 * A run is stored before the broker is asked for it: after a crash it counts as one that failed.
 */
#pragma once

#include "login/presence.h"
#include "manager/jobs.h"
#include "manager/news.h"
#include "manager/turn.h"
#include "store/store.h"
#include "workers/broker-link.h"

#include "core/config.h"

typedef struct Notifier Notifier;

/* All borrowed; they outlive the notifier. */
typedef struct NotifierParts {
        sd_event *event;
        Store *store;
        Turn *turn;
        BrokerLink *broker;
        JobTable *jobs;
        News *news;
        Handles *handles;
        const Presence *presence;
        const Config *config;
} NotifierParts;

int notifier_new(const NotifierParts *parts, Notifier **ret);
/* What runs goes on; nobody here is told its end. */
void notifier_free(Notifier *notifier);
DEFINE_CLEANUP(Notifier, notifier_free);

/* A job from the store. */
void notifier_adopt(Notifier *notifier, Job *job);
/* The job became TRANSFERRED or ERROR: NOTIFY_JOB_TRANSFERRED or NOTIFY_JOB_ERROR. `later`: the
   event is due, but its holders are told by notifier_tell(). */
void notifier_event(Notifier *notifier, Job *job, uint32_t event, bool later);
/* What they were not told yet, if it is still true. */
void notifier_tell(Notifier *notifier, Job *job);
/* Something of the job has changed: its state, its flags, its command line. */
void notifier_look(Notifier *notifier, Job *job);
/* The same for all jobs: who is signed on, or the configuration, has changed. */
void notifier_look_at_all(Notifier *notifier);
/* The job has left the queue. */
void notifier_forget(Notifier *notifier, Job *job);

/* The handle is a receiver from now on, and is told what is due; or is none any more. */
void notifier_subscribe(Notifier *notifier, Handle *handle, bool receives);
/* By a receiver: the job has no event that is due any more. */
void notifier_acknowledged(Notifier *notifier, Job *job);

/* The job has another command line, or none, and the store knows: whose the old one was, and
   whether the broker keeps it. */
void notifier_command_changed(Notifier *notifier, Job *job, uid_t old_author, bool old_kept);
/* Why it does not run, as a clause, whatever happens to the job; NULL when it may. */
const char *notifier_objection(const Notifier *notifier, uid_t owner, uid_t author);
