/*
 * What is to be done about an event of a job (reference 02 section 13): the order of delivery, as a
 * decision. An event is due from the moment when the job became TRANSFERRED or ERROR until it was
 * acknowledged: by a receiver, or by a command line that ended with status 0. Receivers come
 * first; the command line runs when there is none, or when none has acknowledged in time. Whatever
 * failed is done again after the job's minimum retry delay.
 *
 * Pure: time is an argument, in µs of one clock.
 */
#pragma once

#include "basic/macros.h"

typedef enum NotificationStep {
        NOTIFICATION_NOTHING, /* until something changes */
        NOTIFICATION_WAIT,    /* until `when`, then ask again */
        NOTIFICATION_TELL,    /* the receivers, by signal */
        NOTIFICATION_RUN,     /* the command line */
        NOTIFICATION_STEP_MAX,
        NOTIFICATION_STEP_INVALID = -1,
} NotificationStep;

/* How things are with one job. */
typedef struct NotificationView {
        uint32_t event; /* NOTIFY_JOB_TRANSFERRED or NOTIFY_JOB_ERROR while it is due, else 0 */
        uint32_t flags; /* the job's */
        bool receivers; /* somebody has asked for the events of the job */
        bool command;   /* there is a command line that may run */
        bool running;   /* it does */
        bool told;      /* the receivers were, and none has acknowledged yet */
        uint64_t not_before; /* of the next attempt; 0: at once */
} NotificationView;

NotificationStep notification_next(const NotificationView *view, uint64_t now, uint64_t *ret_when);

/* True when the event is among what the flags ask for. */
bool notification_wanted(uint32_t flags, uint32_t event);
