/*
 * Who is signed on, by what the login manager (systemd-logind or elogind) writes below
 * /run/systemd. The manager and the broker ask here, each for itself, so that they mean the same by
 * the word and neither has to believe the other.
 *
 * Signed on is who has a session, not a greeter's, that is not closing, or lingers (reference 01
 * section 8). A session counts as ended when its state becomes closing: a process that was left
 * behind keeps the session's file for as long as it lives.
 */
#pragma once

#include "basic/macros.h"
#include "core/identity.h"

#include <sys/types.h>

enum {
        LOGIN_DYNAMIC_FIRST = 61184, /* systemd's DynamicUser= range */
        LOGIN_DYNAMIC_LAST = 65519,
};

/* A service account: it never signs on, hence never off. */
static inline bool login_is_service(uid_t uid)
{
        return uid < IDENTITY_PEOPLE_FIRST ||
               (uid >= LOGIN_DYNAMIC_FIRST && uid <= LOGIN_DYNAMIC_LAST);
}

/* A session of that class and state makes its user signed on. NULL is fine: unknown. */
bool login_session_counts(const char *class, const char *state);
/* A session in that state lives: what was captured in it may be used. */
bool login_state_lives(const char *state);

/* False where there is no login manager: a container, a chroot. Nobody can be asked then. */
bool login_manager_present(void);

/* The login manager's word on a user; services are not treated otherwise here. */
bool login_signed_on(uid_t uid);
/* The user's name as the login manager has it; NULL when it does not know him. The caller frees. */
char *login_user_name(uid_t uid);

/* All that matters at one moment: sessions that live, users signed on. Both sorted. */
typedef struct LoginPicture {
        char **sessions; /* owned, as are the names */
        size_t n_sessions;
        struct LoginUser {
                uid_t uid;
                char *name; /* NULL unknown */
        } * users;
        size_t n_users;
} LoginPicture;

/* Looks. 0 or -errno; what vanishes while one looks is not there. */
int login_look(LoginPicture *ret);
void login_picture_done(LoginPicture *picture);

bool login_picture_has_session(const LoginPicture *picture, const char *session);
const struct LoginUser *login_picture_find_user(const LoginPicture *picture, uid_t uid);
