/*
 * Every event leads to a whole new look, and the news are what differs from the last one. So
 * nothing depends on which event it was, whether one was lost, on the order of the login manager's
 * writes, or on any clock; and while the login manager restarts its files stay, hence so does
 * everybody.
 *
 * The picture is replaced before the listener hears of it: whoever asks back sees the new one.
 */
#include "manager/sessions.h"

#include "basic/log.h"
#include "manager/turn.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>

#define RUN_DIRECTORY "/run/systemd"

enum {
        NAME_MAX_BYTES = 128,
};

struct Sessions {
        sd_event *event;
        const SessionsListener *listener;
        void *userdata;
        Presence presence;

        bool present; /* there is a login manager */
        LoginPicture picture;
        sd_login_monitor *monitor;
        sd_event_source *source;   /* the monitor's */
        sd_event_source *awaiting; /* while it is not there yet */
        char name[NAME_MAX_BYTES]; /* the last answer of user_name() */
};

/* ---- the news ---- */

static void tell_users(const LoginPicture *from, const LoginPicture *to,
                       void (*tell)(void *userdata, uid_t uid), void *userdata)
{
        for (size_t i = 0; i < from->n_users; i++)
                if (!login_is_service(from->users[i].uid) &&
                    !login_picture_find_user(to, from->users[i].uid))
                        tell(userdata, from->users[i].uid);
}

void sessions_compare(const LoginPicture *before, const LoginPicture *after,
                      const SessionsListener *listener, void *userdata)
{
        tell_users(before, after, listener->on_signed_off, userdata);
        for (size_t i = 0; i < before->n_sessions; i++)
                if (!login_picture_has_session(after, before->sessions[i]))
                        listener->on_session_ended(userdata, before->sessions[i]);
        tell_users(after, before, listener->on_signed_on, userdata);
}

/* TOK-62, TOK-63, ENG-61 */
static int look(Sessions *sessions)
{
        LoginPicture before = sessions->picture, after;
        int r = login_look(&after);

        if (r < 0)
                return log_errno(LOG_WARNING, r,
                                 "cannot see who is signed on; the last picture "
                                 "stays until the next change");
        sessions->picture = after;
        sessions_compare(&before, &after, sessions->listener, sessions->userdata);
        login_picture_done(&before);
        return 0;
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Sessions *sessions = userdata;

        (void)source;
        (void)fd;
        (void)revents;
        (void)sd_login_monitor_flush(sessions->monitor);
        (void)look(sessions);
        return 0;
}

/* ---- the watch ---- */

static int watch(Sessions *sessions)
{
        int r = sd_login_monitor_new(NULL, &sessions->monitor);

        if (r >= 0)
                r = sd_event_add_io(sessions->event, &sessions->source,
                                    sd_login_monitor_get_fd(sessions->monitor),
                                    (uint32_t)sd_login_monitor_get_events(sessions->monitor),
                                    on_event, sessions);
        if (r >= 0)
                r = sd_event_source_set_priority(sessions->source, LOOP_WORKERS);
        if (r < 0)
                return log_errno(LOG_ERR, r, "cannot watch who signs on and off");
        sessions->present = true;
        return 0;
}

/* Who was taken for signed on because nobody could be asked may be away. */
static int on_appeared(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Sessions *sessions = userdata;

        (void)source;
        (void)event;
        if (sessions->present || !login_manager_present() || watch(sessions) < 0)
                return 0;
        log_info("the login manager is there now");
        (void)sd_event_source_set_enabled(sessions->awaiting, SD_EVENT_OFF);
        (void)look(sessions);
        sessions->listener->on_appeared(sessions->userdata);
        return 0;
}

/* ENG-62: told once. */
static int await(Sessions *sessions)
{
        log_notice("no login manager: everybody counts as signed on");
        if (sd_booted() <= 0)
                return 0;
        return sd_event_add_inotify(sessions->event, &sessions->awaiting, RUN_DIRECTORY,
                                    IN_CREATE | IN_MOVED_TO, on_appeared, sessions);
}

/* ---- the answers ---- */

/* ENG-60, ENG-62 */
static bool is_signed_on(void *userdata, uid_t uid)
{
        const Sessions *sessions = userdata;

        return !sessions->present || login_is_service(uid) ||
               login_picture_find_user(&sessions->picture, uid);
}

static bool session_lives(void *userdata, const char *session)
{
        const Sessions *sessions = userdata;

        return !sessions->present || login_picture_has_session(&sessions->picture, session);
}

static const char *user_name(void *userdata, uid_t uid)
{
        Sessions *sessions = userdata;
        const struct LoginUser *user = login_picture_find_user(&sessions->picture, uid);
        _cleanup_free_ char *name = user ? NULL : login_user_name(uid);
        const char *known = user ? user->name : name;

        if (known)
                snprintf(sessions->name, sizeof(sessions->name), "%s", known);
        else
                snprintf(sessions->name, sizeof(sessions->name), "uid %u", (unsigned)uid);
        return sessions->name;
}

const Presence *sessions_presence(const Sessions *sessions)
{
        return &sessions->presence;
}

int sessions_new(sd_event *event, bool one_user, const SessionsListener *listener, void *userdata,
                 Sessions **ret)
{
        _cleanup_(sessions_freep) Sessions *sessions = calloc(1, sizeof(*sessions));
        int r = 0;

        if (!sessions)
                return -ENOMEM;
        sessions->event = event;
        sessions->listener = listener;
        sessions->userdata = userdata;
        sessions->presence = (Presence){ .signed_on = is_signed_on,
                                         .session_lives = session_lives,
                                         .user_name = user_name,
                                         .userdata = sessions };
        /* The watch before the look: no change falls in between. */
        if (!one_user)
                r = login_manager_present() ? watch(sessions) : await(sessions);
        if (r >= 0 && sessions->present)
                r = login_look(&sessions->picture);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(sessions);
        return 0;
}

void sessions_free(Sessions *sessions)
{
        if (!sessions)
                return;
        sd_event_source_disable_unref(sessions->source);
        sd_event_source_disable_unref(sessions->awaiting);
        sd_login_monitor_unref(sessions->monitor);
        login_picture_done(&sessions->picture);
        free(sessions);
}
