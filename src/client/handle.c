/*
 * Peer-to-peer sd-bus. Credentials mean nothing on such a socket (they would name its creator), so
 * the authentication is anonymous on both ends. Signals need no match rules here: all of them come.
 *
 * A synchronous call may read signals before its reply; sd-bus queues them, and handle_timeout()
 * then says "at once". News is told outside sd_bus_process(), so that its receiver may free the
 * handle.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/handle.h"

#include "basic/fd.h"
#include "client/error-state.h"
#include "client/manager.h"

#include <stdarg.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *ret_error _unused_)
{
        Handle *handle = userdata;

        if (!sd_bus_message_is_signal(message, JOB_INTERFACE, NULL) &&
            !sd_bus_message_is_signal(message, HTTP_INTERFACE, NULL))
                return 0;
        handle->signal = sd_bus_message_ref(message);
        return 1;
}

/* LIB-410: what a child frees stays in its parent's event loop. */
static void handle_unwatch(Handle *handle)
{
        if (handle->watched_fd >= 0 && handle->manager && handle->manager->pid == getpid())
                (void)epoll_ctl(handle->manager->epoll_fd, EPOLL_CTL_DEL, handle->watched_fd, NULL);
        handle->watched_fd = -EBADF;
}

/* The service closed its end: calls fail from now on, and the owner is told once. */
static void handle_close(Handle *handle)
{
        if (!handle->bus)
                return;
        handle_unwatch(handle);
        handle->bus = sd_bus_close_unref(handle->bus);
        handle->gone_pending = true;
}

static int handle_connect(Handle *handle, int fd)
{
        _cleanup_close_ int owned = fd;
        int r;

        r = sd_bus_new(&handle->bus);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(handle->bus, owned, owned);
        if (r < 0)
                return r;
        owned = -EBADF; /* closed by the connection */
        r = sd_bus_set_anonymous(handle->bus, true);
        if (r < 0)
                return r;
        r = sd_bus_set_method_call_timeout(handle->bus, CALL_TIMEOUT_USEC);
        if (r < 0)
                return r;
        r = sd_bus_add_filter(handle->bus, NULL, on_message, handle);
        if (r < 0)
                return r;
        return sd_bus_start(handle->bus);
}

/* LIB-05, LIB-14 */
int handle_new(struct bits_manager *manager, int fd, const char *path, handle_news on_news,
               void *userdata, Handle **ret_handle)
{
        _cleanup_(handle_freep) Handle *handle = NULL;
        int r;

        handle = calloc(1, sizeof(*handle));
        if (!handle) {
                fd_close(fd);
                return error_state_oom();
        }
        *handle = (Handle){
                .manager = manager,
                .watched_fd = -EBADF,
                .path = strdup(path),
                .on_news = on_news,
                .userdata = userdata,
        };
        LIST_INSERT_HEAD(&manager->handles, handle, handles);
        if (!handle->path) {
                fd_close(fd);
                return error_state_oom();
        }

        r = handle_connect(handle, fd);
        if (r < 0)
                return error_state_from_bus(r, NULL);

        handle_watch(handle);
        *ret_handle = TAKE_PTR(handle);
        return 0;
}

void handle_free(Handle *handle)
{
        if (!handle)
                return;
        handle_unwatch(handle);
        if (handle->manager)
                manager_forget(handle->manager, handle);
        sd_bus_message_unref(handle->signal);
        sd_bus_close_unref(handle->bus);
        free(handle->path);
        free(handle);
}

static int handle_require(Handle *handle)
{
        if (!handle->bus)
                return error_state_from_bus(-ENOTCONN, NULL);
        return 0;
}

int handle_message(Handle *handle, const char *interface, const char *method,
                   sd_bus_message **ret_message)
{
        return handle_message_to(handle, handle->path, interface, method, ret_message);
}

int handle_message_to(Handle *handle, const char *path, const char *interface, const char *method,
                      sd_bus_message **ret_message)
{
        int r;

        r = handle_require(handle);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(handle->bus, ret_message, NULL, path, interface, method);
        if (r < 0)
                return error_state_from_bus(r, NULL);
        return 0;
}

int handle_send(Handle *handle, sd_bus_message *message, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = handle_require(handle);
        if (r < 0)
                return r;

        r = sd_bus_call(handle->bus, message, 0, &error, ret_reply);
        if (r >= 0)
                return 0;

        r = error_state_from_bus(r, &error);
        if (error_is_disconnect(r))
                handle_close(handle);
        return r;
}

int handle_call(Handle *handle, sd_bus_message **ret_reply, const char *interface,
                const char *method, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list ap;
        int r;

        r = handle_message(handle, interface, method, &message);
        if (r < 0)
                return r;
        if (!string_empty(types)) {
                va_start(ap, types);
                r = sd_bus_message_appendv(message, types, ap);
                va_end(ap);
                /* Text that is not UTF-8 ends here. */
                if (r < 0)
                        return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                               "%s: an argument cannot be sent (%s); is all text "
                                               "UTF-8?",
                                               method, strerror(-r));
        }
        return handle_send(handle, message, ret_reply);
}

int handle_get(Handle *handle, const char *property, const char *type, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = handle_call(handle, &reply, PROPERTIES_INTERFACE, "Get", "ss", JOB_INTERFACE, property);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'v', type);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_reply = TAKE_PTR(reply);
        return 0;
}

int handle_get_uint32(Handle *handle, const char *property, uint32_t *ret_value)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t value;
        int r;

        r = handle_get(handle, property, "u", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 'u', &value);
        if (r <= 0)
                return error_state_bad_reply(r);
        *ret_value = value;
        return 0;
}

int handle_get_string(Handle *handle, const char *property, char **ret_value)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        char *copy;
        int r;

        r = handle_get(handle, property, "s", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(reply, 's', &text);
        if (r <= 0)
                return error_state_bad_reply(r);
        copy = strdup(text);
        if (!copy)
                return error_state_oom();
        *ret_value = copy;
        return 0;
}

int handle_set(Handle *handle, const char *property, const char *type, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list ap;
        int r;

        r = handle_message(handle, PROPERTIES_INTERFACE, "Set", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "ss", JOB_INTERFACE, property);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', type);
        if (r >= 0) {
                va_start(ap, type);
                r = sd_bus_message_appendv(message, type, ap);
                va_end(ap);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0)
                return error_state_set(r, BITS_E_INVALID_ARGUMENT,
                                       "%s: the value cannot be sent (%s); is all text UTF-8?",
                                       property, strerror(-r));
        return handle_send(handle, message, NULL);
}

/* Tells the owner. Nothing may touch the handle afterwards. */
static int handle_tell(Handle *handle, sd_bus_message *signal)
{
        handle->signal = NULL;
        if (!signal)
                handle->gone_pending = false;
        if (handle->on_news)
                handle->on_news(signal ? sd_bus_message_get_member(signal) : NULL, signal,
                                handle->userdata);
        sd_bus_message_unref(signal);
        return 1;
}

int handle_process(Handle *handle)
{
        int r;

        if (handle->bus) {
                r = sd_bus_process(handle->bus, NULL);
                if (r < 0 || sd_bus_is_open(handle->bus) <= 0)
                        handle_close(handle);
                if (handle->signal)
                        return handle_tell(handle, handle->signal);
                if (r > 0)
                        return 1;
        }
        if (handle->gone_pending)
                return handle_tell(handle, NULL);
        return 0;
}

void handle_watch(Handle *handle)
{
        struct epoll_event event = {};
        int fd, events;

        if (!handle->bus || !handle->manager)
                return;
        fd = sd_bus_get_fd(handle->bus);
        events = sd_bus_get_events(handle->bus);
        if (fd < 0 || events < 0)
                return;
        if (fd == handle->watched_fd && (uint32_t)events == handle->watched_events)
                return;

        /* poll and epoll use the same bits for reading and writing. */
        event.events = (uint32_t)events;
        event.data.ptr = handle;
        if (epoll_ctl(handle->manager->epoll_fd,
                      handle->watched_fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
                return;
        handle->watched_fd = fd;
        handle->watched_events = (uint32_t)events;
}

uint64_t handle_timeout(Handle *handle)
{
        uint64_t usec;

        if (handle->gone_pending)
                return 0;
        if (!handle->bus || sd_bus_get_timeout(handle->bus, &usec) < 0)
                return UINT64_MAX;
        return usec;
}
