/*
 * The broker's two listening sockets: given by the service manager, or made in the run-time
 * directory.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

typedef struct Passed {
        char *name;
        int fd;
} Passed;

typedef struct Sockets {
        int lock; /* held while we live: one broker per directory */
        int token;
        int manager;
        Passed *passed; /* owned; what else the service manager passed, by name */
        size_t n_passed;
} Sockets;

/* What was not passed by name ("token", "manager") is made: the directory with mode 0755, the token
   socket open to all, the manager socket for `manager_uid` alone. 0 or -errno; -EBUSY when another
   broker serves the directory. */
int sockets_open(const char *runtime_directory, uid_t manager_uid, Sockets *ret);
void sockets_close(Sockets *sockets);
/* Closes what was passed and nobody took. */
void sockets_drop_passed(Sockets *sockets);
