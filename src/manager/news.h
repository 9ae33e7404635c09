/*
 * News: signals to those who hold a handle, and to nobody else. They leave after the commit of what
 * they tell. JobModification is coalesced to two a second for each job.
 */
#pragma once

#include "manager/handle.h"
#include "manager/turn.h"

typedef struct News News;

int news_new(sd_event *event, sd_bus *bus, Turn *turn, Handles *handles, News **ret);
void news_free(News *news);
DEFINE_CLEANUP(News, news_free);

void news_modified(News *news, Job *job);
void news_transferred(News *news, Job *job);
void news_error(News *news, Job *job);
void news_file_transferred(News *news, Job *job, const File *file);
/* To subscribers who may see the job. */
void news_added(News *news, Job *job);
void news_removed(News *news, Job *job);
/* The job is being freed or has left the queue: drops what is kept for it. */
void news_forget(News *news, Job *job);
