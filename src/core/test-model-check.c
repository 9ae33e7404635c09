/*
 * What must be true after each step of a life, of every job and of all together.
 */
#include "core/test-model-world.h"

static void check_sums(const Slot *slot)
{
        const Job *job = slot->job;
        uint64_t written = 0, total = 0;
        size_t unknown = 0, transferred = 0;

        for (size_t i = 0; i < job->n_files; i++) {
                const File *file = job->files[i];

                written += file->written;
                total += file->total == JOB_SIZE_UNKNOWN ? 0 : file->total;
                unknown += file->total == JOB_SIZE_UNKNOWN;
                transferred += file->transferred;
                CHECK(file->kept <= file->written, "file %zu", i);
                CHECK(file->kept >= slot->files[i].kept, "file %zu lost bytes", i);
                CHECK(file->transferred == slot->files[i].whole, "file %zu", i);
                CHECK(!file->transferred || file->kept == SIZE, "file %zu", i);
        }
        CHECK(written == job->bytes_written, "sum");
        CHECK(total == job->bytes_total && unknown == job->n_unknown, "sum");
        CHECK(transferred == job->n_transferred, "sum");
}

static bool is_busy(const Job *job)
{
        return job->state == STATE_CONNECTING || job->state == STATE_TRANSFERRING;
}

/* It is over, or it waits for somebody who can be named, or it moves. */
static void check_next_step(World *w, const Slot *slot)
{
        const Job *job = slot->job;
        WaitKind kind = queue_wait_kind(&w->q, job);

        report->states[job->state]++;
        report->kinds[kind]++;
        switch (job->state) {
        case STATE_QUEUED:
                CHECK(kind == WAIT_TURN || kind == WAIT_SIGN_ON, "%s", wait_kind_name(kind));
                CHECK(job->held || kind != WAIT_TURN || job->schedule.member, "nobody's turn");
                break;
        case STATE_CONNECTING:
        case STATE_TRANSFERRING:
                CHECK(job->held || job->schedule.running, "busy without a turn");
                CHECK(job->held || n_active(slot) > 0, "it stands still");
                CHECK(job->held || has_identities(job), "nobody works for it");
                break;
        case STATE_TRANSIENT_ERROR:
                CHECK(kind != WAIT_NOTHING && kind != WAIT_TURN, "%s", wait_kind_name(kind));
                CHECK(job->held || job->timers.retry_at != 0 || w->gate[job->priority] != 0,
                      "it waits for ever");
                CHECK(job->fault.code != 0, "no reason");
                break;
        case STATE_ERROR:
                CHECK(job->fault.code != 0 && slot->told_error, "a silent error");
                break;
        case STATE_TRANSFERRED:
                CHECK(slot->told_transferred, "a silent end");
                break;
        case STATE_SUSPENDED:
                CHECK(slot->may_be_suspended, "nobody did it");
                break;
        case STATE_ACKNOWLEDGED:
        case STATE_CANCELLED:
        case STATE_MAX:
        case STATE_INVALID:
                CHECK(false, "a job that is over is in the queue");
        }
}

static void check_timers(const World *w, const Job *job)
{
        const Timers *t = &job->timers;
        uint64_t next = timers_next(job, &w->q.limits);

        CHECK(is_busy(job) == (t->busy_since != 0), "busy");
        CHECK(t->retry_at == 0 || job->state == STATE_TRANSIENT_ERROR, "retry");
        CHECK(t->active_at != 0 && t->active_at <= w->clock, "active");
        CHECK(t->failures == 0 || t->failing_since != 0, "failures");
        CHECK(t->failing_since <= w->clock && t->busy_since <= w->clock, "future");
        CHECK(job->held || next == TIMERS_NEVER || (t->place != 0 && t->due <= next),
              "it is not woken");
}

static void check_schedule(const World *w)
{
        unsigned background = 0, waiting[PRIORITY_MAX] = { 0 }, running[PRIORITY_MAX] = { 0 };

        for (size_t i = 0; i < JOBS; i++) {
                const Job *job = w->slots[i].job;
                bool member = job_state_is_runnable(job->state) && !job->held &&
                              w->there[job->owner % USERS];

                CHECK(member == job->schedule.member, "in %s", job_state_name(job->state));
                CHECK(!job->schedule.running || is_busy(job), "in %s", job_state_name(job->state));
                CHECK(job->schedule.running == w->slots[i].running, "engine and queue differ");
                CHECK(!member || job->schedule.priority == job->priority, "priority");
                running[job->priority] += job->schedule.running;
                waiting[job->priority] += member && !job->schedule.running;
                background += job->schedule.running && job->priority != PRIORITY_FOREGROUND;
        }
        CHECK(background <= w->q.schedule.max_background, "%u", background);
        CHECK(waiting[PRIORITY_FOREGROUND] == 0, "foreground waits");
        for (int p = PRIORITY_HIGH; p < PRIORITY_MAX; p++)
                for (int lower = p; waiting[p] > 0 && lower < PRIORITY_MAX; lower++) {
                        CHECK(background == w->q.schedule.max_background, "an idle place");
                        CHECK(lower == p || running[lower] == 0, "before his betters");
                }
}

void world_check(World *w)
{
        for (size_t i = 0; i < JOBS; i++) {
                check_sums(&w->slots[i]);
                check_next_step(w, &w->slots[i]);
                check_timers(w, w->slots[i].job);
        }
        check_schedule(w);
        CHECK(queue_deadline(&w->q) > w->clock, "something is due and not done");
}
