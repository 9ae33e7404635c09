/*
 * The manager: builds the parts of the daemon in order, joins each one's news to the next, takes
 * them down again. Nothing below knows it.
 */
#pragma once

#include "basic/macros.h"
#include "manager/settings.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Manager Manager;

typedef struct ManagerOptions {
        bool user_mode;
        const char *state_directory;   /* exists, ours */
        const char *runtime_directory; /* the broker's sockets are there */
        Settings *settings;            /* borrowed */
        sd_bus *machine;               /* the bus of the machine's services, NULL: there is none */
} ManagerOptions;

/* Loads the jobs and starts to work; the bus name is asked for last. 0 or -errno. */
int manager_new(sd_event *event, sd_bus *bus, const ManagerOptions *options, Manager **ret);
/* Reads the configuration again; what is wrong with it is in the log, and nothing changes then. */
void manager_reload(Manager *manager);
void manager_free(Manager *manager);
DEFINE_CLEANUP(Manager, manager_free);
