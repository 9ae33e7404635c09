/*
 * Turns. Each priority has a queue of waiting members and a queue of running ones, both oldest
 * first, so every question is answered by looking at the ends of at most eight queues.
 *
 * Invariants: a member is in exactly one queue of its own priority; n_running_background is the
 * length of the running queues other than foreground; the running queues are sorted by slice_began.
 *
 * Nobody is stopped while there is still room: a turn ends early or on time only when another
 * member gets the place.
 */
#include "core/schedule.h"

#define BACKGROUND_FIRST PRIORITY_HIGH

void schedule_init(Schedule *s, unsigned max_background, uint64_t slice_usec)
{
        *s = (Schedule){ .max_background = MAX(max_background, 1u), .slice = slice_usec };
        for (int p = 0; p < PRIORITY_MAX; p++) {
                TAILQ_INIT(&s->waiting[p]);
                TAILQ_INIT(&s->running[p]);
        }
}

static bool is_background(const ScheduleEntry *e)
{
        return e->priority != PRIORITY_FOREGROUND;
}

void schedule_insert(Schedule *s, ScheduleEntry *e, JobPriority priority)
{
        assert(!e->member);
        assert(priority >= 0 && priority < PRIORITY_MAX);
        *e = (ScheduleEntry){ .priority = priority, .member = true };
        TAILQ_INSERT_TAIL(&s->waiting[priority], e, entries);
}

/* Out of the queue it is in. ENG-07: the place is free at once. */
static void unlink_entry(Schedule *s, ScheduleEntry *e)
{
        struct ScheduleQueue *queue = e->running ? s->running : s->waiting;

        TAILQ_REMOVE(&queue[e->priority], e, entries);
        if (e->running && is_background(e)) {
                assert(s->n_running_background > 0);
                s->n_running_background--;
        }
        e->running = false;
}

void schedule_remove(Schedule *s, ScheduleEntry *e)
{
        if (!e->member)
                return;
        unlink_entry(s, e);
        e->member = false;
}

/* Those that began later are few: as many as there are places. */
static void insert_running(Schedule *s, ScheduleEntry *e)
{
        ScheduleEntry *before = TAILQ_LAST(&s->running[e->priority], ScheduleQueue);

        if (!is_background(e)) { /* no turns, no order */
                TAILQ_INSERT_TAIL(&s->running[e->priority], e, entries);
                return;
        }
        while (before && before->slice_began > e->slice_began)
                before = TAILQ_PREV(before, ScheduleQueue, entries);
        if (before)
                TAILQ_INSERT_AFTER(&s->running[e->priority], before, e, entries);
        else
                TAILQ_INSERT_HEAD(&s->running[e->priority], e, entries);
}

void schedule_started(Schedule *s, ScheduleEntry *e, uint64_t now_usec)
{
        assert(e->member && !e->running);
        unlink_entry(s, e);
        e->running = true;
        e->slice_began = now_usec - MIN(now_usec, e->used);
        insert_running(s, e);
        s->n_running_background += is_background(e);
}

/* ENG-226 */
void schedule_stopped(Schedule *s, ScheduleEntry *e, uint64_t now_usec)
{
        uint64_t used = now_usec - MIN(now_usec, e->slice_began);
        bool over = used >= s->slice;

        assert(e->member && e->running);
        unlink_entry(s, e);
        e->used = over ? 0 : used;
        if (over)
                TAILQ_INSERT_TAIL(&s->waiting[e->priority], e, entries);
        else
                TAILQ_INSERT_HEAD(&s->waiting[e->priority], e, entries);
}

/* The best background member that waits, NULL if none does. */
static ScheduleEntry *best_waiting(const Schedule *s)
{
        for (int p = BACKGROUND_FIRST; p < PRIORITY_MAX; p++)
                if (!TAILQ_EMPTY(&s->waiting[p]))
                        return TAILQ_FIRST(&s->waiting[p]);
        return NULL;
}

/* The background member that has the least claim to its place: lowest priority, newest turn. */
static ScheduleEntry *worst_running(const Schedule *s)
{
        for (int p = PRIORITY_MAX - 1; p >= BACKGROUND_FIRST; p--)
                if (!TAILQ_EMPTY(&s->running[p]))
                        return TAILQ_LAST(&s->running[p], ScheduleQueue);
        return NULL;
}

/* ENG-01, ENG-02, ENG-227 */
ScheduleEntry *schedule_next_to_start(const Schedule *s)
{
        if (!TAILQ_EMPTY(&s->waiting[PRIORITY_FOREGROUND]))
                return TAILQ_FIRST(&s->waiting[PRIORITY_FOREGROUND]);
        return s->n_running_background < s->max_background ? best_waiting(s) : NULL;
}

/* When the turn of a priority's oldest running member ends; never if nobody waits behind it. */
static uint64_t turn_end(const Schedule *s, int priority)
{
        const ScheduleEntry *e = TAILQ_FIRST(&s->running[priority]);

        if (!e || TAILQ_EMPTY(&s->waiting[priority]))
                return SCHEDULE_NEVER;
        return e->slice_began > SCHEDULE_NEVER - s->slice ? SCHEDULE_NEVER
                                                          : e->slice_began + s->slice;
}

/* ENG-03: pre-emption. ENG-04, ENG-05: turns. ENG-06: the configured number. */
ScheduleEntry *schedule_next_to_stop(const Schedule *s, uint64_t now_usec)
{
        ScheduleEntry *best = best_waiting(s), *worst = worst_running(s);

        if (s->n_running_background > s->max_background)
                return worst; /* the configuration allows fewer now */
        if (!best || s->n_running_background < s->max_background)
                return NULL;
        if (best->priority < worst->priority)
                return worst;
        for (int p = BACKGROUND_FIRST; p < PRIORITY_MAX; p++) {
                uint64_t end = turn_end(s, p);

                if (end != SCHEDULE_NEVER && now_usec >= end)
                        return TAILQ_FIRST(&s->running[p]);
        }
        return NULL;
}

uint64_t schedule_deadline(const Schedule *s)
{
        uint64_t deadline = SCHEDULE_NEVER;

        if (s->n_running_background < s->max_background)
                return SCHEDULE_NEVER;
        for (int p = BACKGROUND_FIRST; p < PRIORITY_MAX; p++)
                deadline = MIN(deadline, turn_end(s, p));
        return deadline;
}
