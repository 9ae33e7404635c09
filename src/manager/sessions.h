/*
 * Sign-on and sign-off, as they happen: watches the login manager's files through the loop and
 * tells its listener what has changed.
 *
 * Service accounts, root and users who linger never sign off. Where there is no login manager,
 * everybody counts as signed on and no session ever ends.
 */
#pragma once

#include "login/login.h"
#include "login/presence.h"

#include <systemd/sd-event.h>

typedef struct Sessions Sessions;

/* Told in this order: who left, which sessions ended, who came. */
typedef struct SessionsListener {
        void (*on_signed_off)(void *userdata, uid_t uid);
        void (*on_session_ended)(void *userdata, const char *session);
        void (*on_signed_on)(void *userdata, uid_t uid);
        /* A login manager is there now, and was not before: everything is to be asked anew. */
        void (*on_appeared)(void *userdata);
} SessionsListener;

/* Knows who is there when it returns; news come from the loop, later. `one_user`: the daemon of a
   user, which lives as long as he is signed on, so that nobody has to be asked. 0 or -errno. */
int sessions_new(sd_event *event, bool one_user, const SessionsListener *listener, void *userdata,
                 Sessions **ret);
void sessions_free(Sessions *sessions);
DEFINE_CLEANUP(Sessions, sessions_free);

/* The answers; lives as long as `sessions`. */
const Presence *sessions_presence(const Sessions *sessions);

/* Pure: what the listener is to be told when `after` has followed `before`. */
void sessions_compare(const LoginPicture *before, const LoginPicture *after,
                      const SessionsListener *listener, void *userdata);
