/*
 * Work for the end of an iteration of the loop: it lets everything else go first, so that one run
 * serves all of it. But not for ever: whoever keeps the loop busy must not keep others waiting, so
 * after a number of iterations it comes before everything.
 */
#pragma once

#include "basic/macros.h"

#include <systemd/sd-event.h>

typedef struct Late {
        sd_event_source *source;
        int64_t priority;
        unsigned rounds; /* waited, since it was wanted */
        void (*work)(void *userdata);
        void *userdata;
} Late;

/* `late` stays where it is and has to live until late_done(). Zeroed, late_done() is fine too. */
int late_init(Late *late, sd_event *event, int64_t priority, void (*work)(void *userdata),
              void *userdata);
void late_done(Late *late);
/* Once, soon; also from within `work`. */
void late_want(Late *late);
