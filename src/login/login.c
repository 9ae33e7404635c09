/*
 * sd-login reads small files that the login manager replaces by rename, so each answer is whole,
 * but two answers may be of two moments. Nothing is concluded from a pair: a session without a file
 * is ended, a user without one is signed off, and the next event brings another look.
 *
 * Lingering is asked of two places. The user's state says "lingering" only while he has no session
 * and his service manager runs; the mark that `loginctl enable-linger` sets is the truth, but it
 * bears a name. That name stands in the user's run-time file, which spares the account database,
 * whose modules may block on a server.
 */
#include "login/login.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#define USERS_DIRECTORY  "/run/systemd/users"
#define SEATS_DIRECTORY  "/run/systemd/seats"
#define LINGER_DIRECTORY "/var/lib/systemd/linger"

enum {
        NAME_BYTES = 256,
};

bool login_state_lives(const char *state)
{
        return !string_empty(state) && !string_equal(state, "closing");
}

/* What a person is in: also one that cron, at or a unit with PAMName= opened for him. Not the
   screen before which nobody stands yet, and not the user's service manager, which outlives its
   sessions. TOK-66 */
bool login_session_counts(const char *class, const char *state)
{
        static const char *const others[] = { "greeter", "lock-screen", "manager", "manager-early",
                                              "none" };

        for (size_t i = 0; i < ELEMENTS(others); i++)
                if (string_equal(class, others[i]))
                        return false;
        return !string_empty(class) && login_state_lives(state);
}

bool login_manager_present(void)
{
        return sd_booted() > 0 && access(SEATS_DIRECTORY, F_OK) == 0;
}

/* ---- one user ---- */

char *login_user_name(uid_t uid)
{
        char path[sizeof(USERS_DIRECTORY) + 16], line[NAME_BYTES];
        char *name = NULL;
        FILE *file;

        snprintf(path, sizeof(path), USERS_DIRECTORY "/%u", (unsigned)uid);
        file = fopen(path, "re");
        if (!file)
                return NULL;
        while (!name && fgets(line, sizeof(line), file)) {
                line[strcspn(line, "\n")] = 0;
                if (strncmp(line, "NAME=", 5) == 0 && line[5] != 0)
                        name = strdup(line + 5);
        }
        fclose(file);
        return name;
}

static bool lingers(uid_t uid, const char *name)
{
        _cleanup_free_ char *state = NULL, *path = NULL;

        if (sd_uid_get_state(uid, &state) >= 0 && string_equal(state, "lingering"))
                return true;
        if (!name || strchr(name, '/') || asprintf(&path, LINGER_DIRECTORY "/%s", name) < 0)
                return false;
        return access(path, F_OK) == 0;
}

static void free_strings(char **strings)
{
        for (char **s = strings; s && *s; s++)
                free(*s);
        free(strings);
}

static bool session_counts(const char *session)
{
        _cleanup_free_ char *class = NULL, *state = NULL;

        return sd_session_get_class(session, &class) >= 0 &&
               sd_session_get_state(session, &state) >= 0 && login_session_counts(class, state);
}

static bool has_session(uid_t uid)
{
        char **sessions = NULL;
        bool found = false;

        if (sd_uid_get_sessions(uid, 0, &sessions) > 0)
                for (char **s = sessions; *s && !found; s++)
                        found = session_counts(*s);
        free_strings(sessions);
        return found;
}

static bool signed_on(uid_t uid, const char *name)
{
        return has_session(uid) || lingers(uid, name);
}

bool login_signed_on(uid_t uid)
{
        _cleanup_free_ char *name = login_user_name(uid);

        return signed_on(uid, name);
}

/* ---- everybody ---- */

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_users(const void *a, const void *b)
{
        uid_t x = ((const struct LoginUser *)a)->uid, y = ((const struct LoginUser *)b)->uid;

        return (x > y) - (x < y);
}

static int look_at_sessions(LoginPicture *picture)
{
        int n = sd_get_sessions(&picture->sessions);

        if (n == -ENOENT)
                return 0;
        if (n < 0)
                return n;
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *state = NULL;

                if (sd_session_get_state(picture->sessions[i], &state) >= 0 &&
                    login_state_lives(state))
                        picture->sessions[picture->n_sessions++] = picture->sessions[i];
                else
                        free(picture->sessions[i]);
        }
        if (picture->n_sessions > 0)
                qsort(picture->sessions, picture->n_sessions, sizeof(char *), compare_names);
        return 0;
}

static int look_at_users(LoginPicture *picture)
{
        _cleanup_free_ uid_t *uids = NULL;
        int n = sd_get_uids(&uids);

        if (n == -ENOENT || n == 0)
                return 0;
        if (n < 0)
                return n;
        picture->users = calloc((size_t)n, sizeof(*picture->users));
        if (!picture->users)
                return -ENOMEM;
        for (int i = 0; i < n; i++) {
                char *name = login_user_name(uids[i]);

                if (signed_on(uids[i], name))
                        picture->users[picture->n_users++] = (struct LoginUser){ uids[i], name };
                else
                        free(name);
        }
        if (picture->n_users > 0)
                qsort(picture->users, picture->n_users, sizeof(*picture->users), compare_users);
        return 0;
}

int login_look(LoginPicture *ret)
{
        LoginPicture picture = { 0 };
        int r = look_at_sessions(&picture);

        if (r >= 0)
                r = look_at_users(&picture);
        if (r < 0) {
                login_picture_done(&picture);
                return r;
        }
        *ret = picture;
        return 0;
}

void login_picture_done(LoginPicture *picture)
{
        for (size_t i = 0; i < picture->n_sessions; i++)
                free(picture->sessions[i]);
        for (size_t i = 0; i < picture->n_users; i++)
                free(picture->users[i].name);
        free(picture->sessions);
        free(picture->users);
        *picture = (LoginPicture){ 0 };
}

bool login_picture_has_session(const LoginPicture *picture, const char *session)
{
        return picture->n_sessions > 0 && bsearch(&session, picture->sessions, picture->n_sessions,
                                                  sizeof(char *), compare_names);
}

const struct LoginUser *login_picture_find_user(const LoginPicture *picture, uid_t uid)
{
        struct LoginUser key = { .uid = uid };

        return picture->n_users == 0 ? NULL
                                     : bsearch(&key, picture->users, picture->n_users, sizeof(key),
                                               compare_users);
}
