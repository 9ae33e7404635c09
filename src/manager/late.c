#include "manager/late.h"

enum {
        ROUNDS_MAX = 64,
        FIRST = SD_EVENT_PRIORITY_IMPORTANT - 1,
};

/* sd-event asks every enabled source before it looks which one is next. LIM-30 */
static int on_prepare(sd_event_source *source, void *userdata)
{
        Late *late = userdata;

        if (++late->rounds == ROUNDS_MAX)
                (void)sd_event_source_set_priority(source, FIRST);
        return 0;
}

static int on_turn(sd_event_source *source, void *userdata)
{
        Late *late = userdata;

        late->rounds = 0;
        (void)sd_event_source_set_priority(source, late->priority);
        late->work(late->userdata);
        return 0;
}

int late_init(Late *late, sd_event *event, int64_t priority, void (*work)(void *userdata),
              void *userdata)
{
        int r;

        *late = (Late){ .priority = priority, .work = work, .userdata = userdata };
        r = sd_event_add_defer(event, &late->source, on_turn, late);
        if (r >= 0)
                r = sd_event_source_set_enabled(late->source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_prepare(late->source, on_prepare);
        if (r >= 0)
                r = sd_event_source_set_priority(late->source, priority);
        return r < 0 ? r : 0;
}

void late_done(Late *late)
{
        late->source = sd_event_source_disable_unref(late->source);
}

void late_want(Late *late)
{
        (void)sd_event_source_set_enabled(late->source, SD_EVENT_ONESHOT);
}
