/*
 * News of the queue, for whoever asked with bits_manager_set_callback().
 */
#pragma once

#include "basic/macros.h"

typedef struct Subscription Subscription;

void subscription_free(Subscription *subscription);
DEFINE_CLEANUP(Subscription, subscription_free);

/* Tells what sd_bus_process() has brought; NULL: nothing. 1: something was told, and the manager
   may be closed; 0: there was nothing. */
int subscription_tell(Subscription *subscription);
