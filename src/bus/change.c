/*
 * What a job was before is all that the store keeps of it, in a second object: so no handler says
 * which members it changes, and a new property needs no line here. What the store does not keep
 * (the token) is the affair of the handler that changes it.
 */
#include "bus/change.h"

#include "basic/clock.h"
#include "manager/news.h"
#include "manager/notifier.h"
#include "store/service-clock.h"

#include <time.h>

int change_begin(Change *change, BusContext *context, Job *job)
{
        int r = store_remember_job(job, &change->before);

        if (r < 0)
                return r;
        change->context = context;
        change->job = job;
        change->n_files = job->n_files;
        return 0;
}

int change_file(Change *change, File *file)
{
        ChangedFile *changed;

        if (change->n_changed == change->room) {
                size_t room = MAX(change->room * 2, (size_t)4);

                changed = reallocarray(change->files, room, sizeof(*changed));
                if (!changed)
                        return -ENOMEM;
                change->files = changed;
                change->room = room;
        }
        changed = change->files + change->n_changed;
        if (store_remember_file(file, &changed->before) < 0)
                return -ENOMEM;
        changed->file = file;
        change->n_changed++;
        store_mark_file(change->context->store, file, STORE_PROMISED);
        return 0;
}

/* The marks stay: what the next commit writes is what is there. */
static void take_back(Change *change)
{
        Job *job = change->job;

        while (job->n_files > change->n_files) {
                File *file = job_take_last_file(job);

                store_forget_file(change->context->store, file);
                file_free(file);
        }
        for (size_t i = 0; i < change->n_changed; i++)
                store_recall_file(change->files[i].file, change->files[i].before);
        job_count_files(job);
        store_recall_job(job, change->before);
}

/* Which files they were, the handler may still ask. */
static void forget(Change *change)
{
        for (size_t i = 0; i < change->n_changed; i++)
                file_free(TAKE_PTR(change->files[i].before));
        job_free(TAKE_PTR(change->before));
}

/* DUR-390 */
static int settle(Change *change)
{
        BusContext *context = change->context;
        Job *job = change->job;
        int r;

        job->modified = clock_usec(CLOCK_REALTIME);
        timers_touch(job, service_clock_now(store_clock(context->store)));
        store_mark_job(context->store, job, STORE_PROMISED);
        r = turn_commit(context->turn);
        if (r < 0)
                take_back(change);
        else
                change->stored = true;
        forget(change);
        if (r >= 0 && change->follow)
                change->follow(context->engine, job);
        return r;
}

int change_commit(Change *change, sd_bus_error *error)
{
        int r = settle(change);

        return r < 0 ? turn_failure(r, error) : 0;
}

bool change_answer(Change *change, sd_bus_message *call)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = change_commit(change, &error);

        if (r >= 0)
                change->call = sd_bus_message_ref(call);
        else
                (void)sd_bus_reply_method_error(call, &error);
        sd_bus_error_free(&error);
        return r >= 0;
}

void change_follow(Change *change, const QueueMove *move)
{
        engine_follow(change->context->engine, change->job, move);
        change->stored = false;
}

void change_done(Change *change)
{
        BusContext *context = change->context;

        if (change->stored) {
                engine_touched(context->engine, change->job);
                news_modified(context->news, change->job);
                notifier_look(context->notifier, change->job);
        } else if (change->before)
                take_back(change);
        if (change->call)
                (void)sd_bus_reply_method_return(change->call, "");
        sd_bus_message_unref(change->call);
        forget(change);
        free(change->files);
}
