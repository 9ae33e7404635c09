/*
 * Opening the service, finding and making jobs, and the event loop's view of it all.
 *
 * A new manager reads one property at once: that proves that the service is there (and lets the bus
 * start it), and afterwards the path of the token socket is known, so that capturing an identity
 * makes no bus call under it. Before its first job a manager shows its caller to the broker once:
 * so the broker has seen the account and may start workers for it later, when the caller is gone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/manager.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "client/error-state.h"
#include "client/list.h"
#include "client/token-socket.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* The answer to an account's first showing is immediate or worthless. */
#define PRESENT_TIMEOUT_MS 2000

static int manager_connect(bits_manager *manager, bool user)
{
        int r;

        r = user ? sd_bus_open_user_with_description(&manager->bus, "libopenbits")
                 : sd_bus_open_system_with_description(&manager->bus, "libopenbits");
        if (r < 0)
                return error_state_set(r, CLIENT_E_UNREACHABLE,
                                       "cannot reach the OpenBITS service (bitsd): the %s bus "
                                       "cannot be reached: %s; "
                                       "is it running? try: systemctl %sstart dbus bitsd",
                                       user ? "user's session" : "system", strerror(-r),
                                       user ? "--user " : "");
        (void)sd_bus_set_method_call_timeout(manager->bus, CALL_TIMEOUT_USEC);

        manager->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (manager->epoll_fd < 0)
                return error_state_set(-errno, BITS_E_TOO_MANY_OPEN_FILES,
                                       "no descriptor for the event loop: %s", strerror(errno));
        return 0;
}

/* Nobody but the bus itself can have closed a connection that is new. LIB-330 */
static int opening_failed(int error, const sd_bus_error *bus_error)
{
        if (!error_is_disconnect(error))
                return error_state_from_bus(error, bus_error);
        return error_state_set(error, CLIENT_E_UNREACHABLE,
                               "the message bus refused the connection of user %u: it takes users "
                               "who have an account only",
                               geteuid());
}

static int manager_open(bool user, bits_manager **ret_manager)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        bits_manager *manager;
        int r;

        if (!ret_manager)
                return error_state_null("ret_manager");

        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return error_state_oom();
        manager->pid = getpid();
        manager->epoll_fd = manager->watched_fd = -EBADF;
        LIST_INIT(&manager->handles);

        r = manager_connect(manager, user);
        if (r >= 0) {
                r = sd_bus_get_property_string(manager->bus, SERVICE_NAME, SERVICE_PATH,
                                               MANAGER_INTERFACE, "TokenSocket", &error,
                                               &manager->token_socket);
                if (r < 0)
                        r = opening_failed(r, &error);
        }
        if (r < 0) {
                bits_manager_close(manager);
                return r;
        }
        *ret_manager = manager;
        return 0;
}

int bits_manager_open(bits_manager **ret_manager)
{
        return manager_open(false, ret_manager);
}

int bits_manager_open_user(bits_manager **ret_manager)
{
        return manager_open(true, ret_manager);
}

/* CLI-64 */
int bits_manager_allow_interaction(bits_manager *manager, int allow)
{
        int r;

        if (!manager)
                return error_state_null("manager");
        r = sd_bus_set_allow_interactive_authorization(manager->bus, allow != 0);
        if (r >= 0) /* a person has to find the password */
                r = sd_bus_set_method_call_timeout(manager->bus,
                                                   allow ? UINT64_MAX : CALL_TIMEOUT_USEC);
        return r < 0 ? error_state_from_bus(r, NULL) : 0;
}

/* LIB-07 */
void bits_manager_close(bits_manager *manager)
{
        Handle *handle;

        if (!manager)
                return;
        /* Jobs may outlive their manager: they can still be called, but nobody processes their
           news. */
        LIST_FOREACH (handle, &manager->handles, handles) {
                handle->manager = NULL;
                handle->watched_fd = -EBADF;
        }
        subscription_free(manager->subscription);
        sd_bus_flush_close_unref(manager->bus);
        fd_close(manager->epoll_fd);
        free(manager->token_socket);
        free(manager);
}

void manager_forget(bits_manager *manager _unused_, Handle *handle)
{
        LIST_REMOVE(handle, handles);
}

int manager_message(bits_manager *manager, const char *method, sd_bus_message **ret_message)
{
        int r;

        r = sd_bus_message_new_method_call(manager->bus, ret_message, SERVICE_NAME, SERVICE_PATH,
                                           MANAGER_INTERFACE, method);
        return r < 0 ? error_state_from_bus(r, NULL) : 0;
}

int manager_send(bits_manager *manager, sd_bus_message *message, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(manager->bus, message, 0, &error, ret_reply);
        return r < 0 ? error_state_from_bus(r, &error) : 0;
}

int manager_call(bits_manager *manager, sd_bus_message **ret_reply, const char *method,
                 const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list ap;
        int r;

        r = manager_message(manager, method, &message);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(message, types, ap);
        va_end(ap);
        if (r < 0)
                return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                       "%s: an argument cannot be sent (%s); is all text UTF-8?",
                                       method, strerror(-r));
        return manager_send(manager, message, ret_reply);
}

/* LIB-09 */
void manager_present(bits_manager *manager)
{
        int token;

        if (manager->presented)
                return;
        manager->presented = true;
        /* An account that the broker knows already needs no showing, and a failure will be seen,
           with a better sentence, when the job needs a worker. */
        if (token_socket_capture(manager->token_socket, PRESENT_TIMEOUT_MS, &token) >= 0)
                fd_close(token);
}

static int manager_open_job(bits_manager *manager, const char *id, bits_job **ret_job)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r;

        r = manager_call(manager, &reply, "OpenJob", "s", id);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'h', &fd);
        if (r <= 0)
                return error_state_bad_reply(r);
        /* The message closes its own copy. */
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return error_state_set(-errno, BITS_E_TOO_MANY_OPEN_FILES,
                                       "no descriptor for another job: %s; free some jobs first",
                                       strerror(errno));
        return job_new(manager, id, fd, ret_job);
}

/* LIB-01 */
int bits_manager_create_job(bits_manager *manager, const char *display_name, bits_job_type type,
                            bits_job **ret_job)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *id, *word = bits_job_type_name(type);
        int r;

        if (!manager || !display_name || !ret_job)
                return error_state_null("manager, display_name and ret_job");
        if (!word)
                return error_state_set(-EINVAL, BITS_E_NOT_IMPLEMENTED, "unknown job type %d",
                                       (int)type);

        manager_present(manager);
        r = manager_call(manager, &reply, "CreateJob", "ssa{sv}", display_name, word, 0);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "so", &id, NULL);
        if (r <= 0)
                return error_state_bad_reply(r);
        return manager_open_job(manager, id, ret_job);
}

int bits_manager_get_job(bits_manager *manager, const char *id, bits_job **ret_job)
{
        if (!manager || !id || !ret_job)
                return error_state_null("manager, id and ret_job");
        return manager_open_job(manager, id, ret_job);
}

int bits_manager_list_jobs(bits_manager *manager, int all_users, bits_job_list **ret_list)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (!manager || !ret_list)
                return error_state_null("manager and ret_list");
        /* Without AllUsers the key is left out: naming it may itself need a right. */
        r = all_users ? manager_call(manager, &reply, "ListJobs", "a{sv}", 1, "AllUsers", "b", 1)
                      : manager_call(manager, &reply, "ListJobs", "a{sv}", 0);
        if (r < 0)
                return r;
        return job_list_new(reply, ret_list);
}

/* OPS-260 */
int bits_manager_get_store_set_aside(bits_manager *manager, char **ret_path)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char *path;
        int r;

        if (!manager || !ret_path)
                return error_state_null("manager and ret_path");
        r = sd_bus_get_property_string(manager->bus, SERVICE_NAME, SERVICE_PATH, MANAGER_INTERFACE,
                                       "StoreSetAside", &error, &path);
        if (r < 0)
                return error_state_from_bus(r, &error);
        if (string_empty(path)) {
                free(path);
                path = NULL;
        }
        *ret_path = path;
        return path ? 1 : 0;
}

/* ---- event loop ---- */

static void manager_watch(bits_manager *manager)
{
        struct epoll_event event = {};
        Handle *handle;
        int fd, events;

        fd = sd_bus_get_fd(manager->bus);
        events = sd_bus_get_events(manager->bus);
        if (fd >= 0 && events >= 0 &&
            (fd != manager->watched_fd || (uint32_t)events != manager->watched_events)) {
                event.events = (uint32_t)events;
                if (epoll_ctl(manager->epoll_fd,
                              fd == manager->watched_fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
                              &event) >= 0) {
                        manager->watched_fd = fd;
                        manager->watched_events = (uint32_t)events;
                }
        }
        LIST_FOREACH (handle, &manager->handles, handles)
                handle_watch(handle);
}

/* LIB-13 */
int bits_manager_fd(bits_manager *manager)
{
        if (!manager)
                return error_state_null("manager");
        manager_watch(manager);
        return manager->epoll_fd;
}

int bits_manager_events(bits_manager *manager)
{
        if (!manager)
                return error_state_null("manager");
        manager_watch(manager);
        return POLLIN;
}

int bits_manager_timeout(bits_manager *manager, uint64_t *ret_usec)
{
        uint64_t usec = UINT64_MAX;
        Handle *handle;

        if (!manager || !ret_usec)
                return error_state_null("manager and ret_usec");
        if (sd_bus_get_timeout(manager->bus, &usec) < 0)
                usec = UINT64_MAX;
        LIST_FOREACH (handle, &manager->handles, handles)
                usec = MIN(usec, handle_timeout(handle));
        *ret_usec = usec;
        return 0;
}

int bits_manager_process(bits_manager *manager)
{
        Handle *handle;
        int r;

        if (!manager)
                return error_state_null("manager");

        r = sd_bus_process(manager->bus, NULL);
        if (r < 0)
                return error_state_from_bus(r, NULL);
        if (subscription_tell(manager->subscription) > 0 || r > 0)
                return 1;

        /* Ends after the first piece of work: its receiver may have freed any of the handles. */
        LIST_FOREACH (handle, &manager->handles, handles)
                if (handle_process(handle) > 0)
                        return 1;
        return 0;
}

int manager_poll(bits_manager *manager, uint64_t deadline)
{
        struct pollfd pollfd = { .fd = manager->epoll_fd, .events = POLLIN };
        uint64_t until, now = clock_usec(CLOCK_MONOTONIC);
        struct timespec ts;
        int r;

        manager_watch(manager);
        (void)bits_manager_timeout(manager, &until);
        if (now >= deadline)
                return 0;
        until = MIN(until, deadline);
        until = until > now ? until - now : 0;
        ts = (struct timespec){
                .tv_sec = (time_t)(until / 1000000),
                .tv_nsec = (long)(until % 1000000) * 1000,
        };

        r = ppoll(&pollfd, 1, until > INT64_MAX / 2 ? NULL : &ts, NULL);
        if (r < 0 && errno != EINTR)
                return error_state_from_bus(-errno, NULL);
        return 1;
}
