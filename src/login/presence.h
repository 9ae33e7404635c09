/*
 * Who is there: the questions that the manager's parts have about users and their sessions. Asked
 * through a table, so that a test can play the login manager.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

typedef struct Presence {
        /* Signed on, or somebody who never signs off. */
        bool (*signed_on)(void *userdata, uid_t uid);
        bool (*session_lives)(void *userdata, const char *session);
        /* "alice" or "uid 1000"; good until the next call. */
        const char *(*user_name)(void *userdata, uid_t uid);
        void *userdata;
} Presence;
