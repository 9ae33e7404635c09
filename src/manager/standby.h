/*
 * Sleep waits a moment for us (reference 02 section 14): until the transfers have come to rest,
 * what they received is on the disk, and the store knows it. The login manager lets us hold a lock
 * for that, and bounds the time; without one the machine sleeps when it likes, and transfers go on
 * from what was kept as after a power cut.
 */
#pragma once

#include "manager/engine.h"
#include "manager/turn.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Standby Standby;

/* `bus`: where the login manager is, NULL: nowhere. Takes the lock if it can. 0 or -errno. */
int standby_new(sd_event *event, sd_bus *bus, Engine *engine, Turn *turn, Standby **ret);
/* NULL is fine, also below. */
void standby_free(Standby *standby);
DEFINE_CLEANUP(Standby, standby_free);

/* There is a login manager now. */
void standby_appeared(Standby *standby);
/* The machine goes to sleep, and the jobs know it; or it is awake again. */
void standby_set(Standby *standby, bool asleep);
/* No transfer is on its way any more. */
void standby_at_rest(Standby *standby);
