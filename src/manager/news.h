/*
 * News: signals to those who hold a handle, and to nobody else. They leave after the commit of what
 * they tell.
 *
 * The signals that BITS has go by the job's NotifyFlags (reference 02 section 13): JobTransferred
 * and JobError, FileTransferred before them, JobModification and FileRangesTransferred gathered
 * over the job's MinimumNotificationInterval. Changed is ours: the holders' sign to look again,
 * whatever the flags, as a change of properties is elsewhere on the bus; two a second at most.
 * Subscribers have the same of the queue: JobAdded, JobRemoved, and a Changed for all jobs that
 * they may see.
 */
#pragma once

#include "manager/handle.h"
#include "manager/turn.h"

typedef struct News News;

int news_new(sd_event *event, sd_bus *bus, Turn *turn, Handles *handles, News **ret);
void news_free(News *news);
DEFINE_CLEANUP(News, news_free);

/* State, a property, the files or the progress: Changed and JobModification. */
void news_modified(News *news, Job *job);
/* NOTIFY_JOB_TRANSFERRED or NOTIFY_JOB_ERROR: to all holders; again: to receivers who have not
   acknowledged it; or to one. */
void news_event(News *news, Job *job, uint32_t event);
void news_event_again(News *news, Job *job, uint32_t event);
void news_event_late(News *news, Handle *handle, uint32_t event);
void news_file_transferred(News *news, Job *job, const File *file);
/* Bytes of a file are there that its job asked for as a range. */
void news_file_range(News *news, Job *job, const File *file, uint64_t offset, uint64_t length);
/* To subscribers who may see the job; who could until now, by its owner. */
void news_added(News *news, Job *job);
void news_removed(News *news, Job *job, uid_t owner);
/* The job has left the queue: tells its holders at once, and forgets it. */
void news_ended(News *news, Job *job);
/* The job is being freed: drops what is kept for it. */
void news_forget(News *news, Job *job);
