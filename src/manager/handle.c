#include "manager/handle.h"

#include "basic/closer.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/tally.h"
#include "manager/bus-names.h"
#include "manager/intake.h"
#include "manager/turn.h"
#include "manager/validation.h"

#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <sys/socket.h>

enum {
        UNREAD_MAX = 256, /* messages that a holder has not read */
};

struct Handles {
        sd_event *event;
        JobTable *jobs;
        HandleServe serve;
        void *context;
        HandleReceiverLeft receiver_left;
        void *receiver_userdata;
        void *clients_by_name; /* tsearch */
        struct ClientList clients;
        Tally bus_handles, peers, calls; /* per user */
        Tally strays;                    /* per user: what was not let in, and is not closed yet */
        TAILQ_HEAD(, Handle) dying;      /* freed from the loop, never from their own callbacks */
        sd_event_source *bury;
};

static int compare_clients(const void *a, const void *b)
{
        return strcmp(((const Client *)a)->name, ((const Client *)b)->name);
}

void *handle_context(const Handle *handle)
{
        return handle->handles->context;
}

void handles_on_receiver_left(Handles *handles, HandleReceiverLeft callback, void *userdata)
{
        handles->receiver_left = callback;
        handles->receiver_userdata = userdata;
}

static void handle_free(Handle *handle)
{
        Handles *handles = handle->handles;
        Job *job = handle->job;
        bool receiver = handle->receiver;

        validation_handle_gone(handle);
        TAILQ_REMOVE(&job->handles, handle, entries);
        if (handle->client) {
                TAILQ_REMOVE(&handle->client->held, handle, client_entries);
                tally_down(&handles->bus_handles, handle->opener);
        } else {
                greeting_free(handle->greeting);
                intake_forget(handle->watched, handle);
                sd_bus_close_unref(handle->peer);
                closer_close_socket(handle->socket);
                tally_down(&handles->peers, handle->opener);
        }
        free(handle);
        if (receiver && handles->receiver_left)
                handles->receiver_left(handles->receiver_userdata, job);
        job_table_release(handles->jobs, job);
}

static int on_bury(sd_event_source *source, void *userdata)
{
        Handles *handles = userdata;
        Handle *handle;

        (void)source;
        while ((handle = TAILQ_FIRST(&handles->dying))) {
                TAILQ_REMOVE(&handles->dying, handle, client_entries);
                handle_free(handle);
        }
        return 0;
}

int handles_new(sd_event *event, JobTable *jobs, HandleServe serve, void *context, Handles **ret)
{
        _cleanup_(handles_freep) Handles *handles = calloc(1, sizeof(*handles));
        int r;

        if (!handles)
                return -ENOMEM;
        handles->event = event;
        handles->jobs = jobs;
        handles->serve = serve;
        handles->context = context;
        TAILQ_INIT(&handles->clients);
        TAILQ_INIT(&handles->dying);
        r = sd_event_add_defer(event, &handles->bury, on_bury, handles);
        if (r >= 0)
                r = sd_event_source_set_enabled(handles->bury, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(handles);
        return 0;
}

static void client_free(Client *client)
{
        Handles *handles = client->handles;
        Handle *handle;

        while ((handle = TAILQ_FIRST(&client->held)))
                handle_free(handle);
        (void)tdelete(client, &handles->clients_by_name, compare_clients);
        TAILQ_REMOVE(&handles->clients, client, entries);
        sd_bus_track_unref(client->track);
        free(client->name);
        free(client);
}

static void free_handles_of(const struct JobList *list)
{
        Job *job, *next;

        for (job = TAILQ_FIRST(list); job; job = next) {
                Handle *handle;

                next = TAILQ_NEXT(job, table_entries);
                while ((handle = TAILQ_FIRST(&job->handles))) {
                        if (handle->dying)
                                TAILQ_REMOVE(&handle->handles->dying, handle, client_entries);
                        handle_free(handle);
                }
        }
}

/* HND-12 */
void handles_free(Handles *handles)
{
        Client *client;

        if (!handles)
                return;
        while ((client = TAILQ_FIRST(&handles->clients)))
                client_free(client);
        (void)on_bury(NULL, handles);
        free_handles_of(job_table_list(handles->jobs));
        free_handles_of(job_table_retired(handles->jobs));
        sd_event_source_disable_unref(handles->bury);
        tally_done(&handles->bus_handles);
        tally_done(&handles->peers);
        tally_done(&handles->calls);
        tally_done(&handles->strays);
        free(handles);
}

/* ---- connections of the bus ---- */

/* The connection left the bus: what it held ends with it. BUS-13 */
static int on_left(sd_bus_track *track, void *userdata)
{
        (void)track;
        client_free(userdata);
        return 0;
}

static int query_uid(sd_bus_message *m, uid_t *ret)
{
        sd_bus_creds *creds = NULL;
        int r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);

        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, ret);
        sd_bus_creds_unref(creds);
        return r;
}

static int client_new(Handles *handles, sd_bus_message *m, const char *name, Client **ret)
{
        Client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        client->handles = handles;
        TAILQ_INIT(&client->held);
        client->name = strdup(name);
        r = client->name ? query_uid(m, &client->uid) : -ENOMEM;
        if (r >= 0)
                r = sd_bus_track_new(sd_bus_message_get_bus(m), &client->track, on_left, client);
        if (r >= 0)
                r = sd_bus_track_add_name(client->track, name);
        if (r >= 0 && !tsearch(client, &handles->clients_by_name, compare_clients))
                r = -ENOMEM;
        if (r < 0) {
                sd_bus_track_unref(client->track);
                free(client->name);
                free(client);
                return r;
        }
        TAILQ_INSERT_TAIL(&handles->clients, client, entries);
        *ret = client;
        return 0;
}

int handles_client(Handles *handles, sd_bus_message *m, Client **ret)
{
        const char *name = sd_bus_message_get_sender(m);
        Client key = { .name = (char *)name };
        Client **found;

        if (!name)
                return -EBADMSG;
        found = tfind(&key, &handles->clients_by_name, compare_clients);
        if (!found)
                return client_new(handles, m, name, ret);
        *ret = *found;
        return 0;
}

const struct ClientList *handles_clients(const Handles *handles)
{
        return &handles->clients;
}

/* ---- handles ---- */

HandleFacts handle_decide(uid_t caller, const Job *job, bool authorized)
{
        HandleFacts facts = { .rights = policy_rights(caller, job->owner),
                              .opener = caller,
                              .opener_owned = caller == job->owner,
                              .authorized = authorized };

        if (authorized)
                facts.rights |= policy_rights_authorized(job->owner_elevated);
        return facts;
}

HandleFacts handle_facts(const Handle *handle)
{
        return (HandleFacts){ handle->rights, handle->opener, handle->opener_owned,
                              handle->authorized };
}

static void set_facts(Handle *handle, const HandleFacts *facts)
{
        handle->rights = facts->rights;
        handle->opener = facts->opener;
        handle->opener_owned = facts->opener_owned;
        handle->authorized = facts->authorized;
}

static Handle *handle_new(Handles *handles, Job *job, const HandleFacts *facts, Tally *tally)
{
        Handle *handle = calloc(1, sizeof(*handle));

        if (!handle || tally_up(tally, facts->opener) < 0) {
                free(handle);
                return NULL;
        }
        handle->handles = handles;
        handle->job = job;
        handle->watched = handle->socket = -EBADF;
        set_facts(handle, facts);
        TAILQ_INSERT_TAIL(&job->handles, handle, entries);
        return handle;
}

static Handle *find_held(const Client *client, const Job *job)
{
        Handle *handle;

        TAILQ_FOREACH (handle, &job->handles, entries)
                if (handle->client == client)
                        return handle;
        return NULL;
}

static int hold(Client *client, Job *job, bool authorized, Handle **ret)
{
        Handles *handles = client->handles;
        HandleFacts facts = handle_decide(client->uid, job, authorized);
        Handle *handle;

        *ret = NULL;
        if (facts.rights == 0 || job_state_is_final(job->state))
                return 0;
        if (tally_get(&handles->bus_handles, client->uid) >=
            policy_limit(LIMIT_HANDLES_PER_USER, client->uid))
                return -EDQUOT;
        handle = handle_new(handles, job, &facts, &handles->bus_handles);
        if (!handle)
                return -ENOMEM;
        handle->client = client;
        TAILQ_INSERT_TAIL(&client->held, handle, client_entries);
        *ret = handle;
        return 0;
}

int handle_of_client(Client *client, Job *job, Handle **ret)
{
        *ret = find_held(client, job);
        return *ret ? 0 : hold(client, job, false, ret);
}

int handle_of_authorized_client(Client *client, Job *job, Handle **ret)
{
        Handle *handle = find_held(client, job);
        HandleFacts facts;

        if (!handle)
                return hold(client, job, true, ret);
        facts = handle_decide(client->uid, job, true);
        set_facts(handle, &facts);
        *ret = handle;
        return 0;
}

/* HND-35, HND-36, HND-37 */
void handles_owner_changed(Job *job)
{
        Handle *handle, *next;

        for (handle = TAILQ_FIRST(&job->handles); handle; handle = next) {
                next = TAILQ_NEXT(handle, entries);
                if (handle->client)
                        handle_free(handle);
                else
                        handle->rights =
                                policy_rights_kept(handle->rights, handle->opener, job->owner);
        }
}

static void die(Handle *handle)
{
        if (!handle->dying)
                TAILQ_INSERT_TAIL(&handle->handles->dying, handle, client_entries);
        handle->dying = true;
        (void)sd_event_source_set_enabled(handle->handles->bury, SD_EVENT_ONESHOT);
}

/* HND-09, HND-14, HND-32: the last copy is closed. HND-13: or somebody talked nonsense on it. */
static int on_peer_gone(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)m;
        (void)error;
        die(userdata);
        return 0;
}

/* LIM-480: who has left what cannot be closed. One count for all is enough to say that nothing is
   left of anybody. */
static bool has_too_many_strays(Handles *handles, uid_t uid)
{
        if (closer_waiting() == 0)
                tally_done(&handles->strays);
        return tally_get(&handles->strays, uid) >= policy_limit(LIMIT_STRAYS_PER_USER, uid);
}

static void on_strays(void *userdata, unsigned count)
{
        Handle *handle = userdata;
        Handles *handles = handle->handles;

        while (count-- > 0)
                (void)tally_up(&handles->strays, handle->opener);
        if (!has_too_many_strays(handles, handle->opener))
                return;
        log_notice("uid %u sends files whose file system does not answer: his handle is closed",
                   (unsigned)handle->opener);
        die(handle);
}

/* LIM-31: who does not read is not served for ever. */
static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        uint64_t unread = 0;

        (void)m;
        (void)error;
        if (sd_bus_get_n_queued_write(handle->peer, &unread) < 0 || unread <= UNREAD_MAX)
                return 0;
        log_notice("a handle of uid %u has %" PRIu64 " unread messages: closed",
                   (unsigned)handle->opener, unread);
        die(handle);
        return 1;
}

static int watch_peer(Handle *handle, int fd)
{
        intake_forget(handle->watched, handle);
        handle->watched = fd;
        return intake_watch(fd, on_strays, handle);
}

/* HND-04, HND-15 */
static void on_greeted(void *userdata, int error)
{
        Handle *handle = userdata;
        int r = error;

        greeting_free(TAKE_PTR(handle->greeting));
        if (r >= 0)
                r = watch_peer(handle, sd_bus_get_fd(handle->peer));
        if (r >= 0)
                r = sd_bus_attach_event(handle->peer, handle->handles->event, LOOP_BUS);
        if (r < 0)
                die(handle);
}

/* SEC-480, SEC-481. The second descriptor is for what nobody has read by the end. An urgent byte is
   one like the others: the kernel would throw it away in passing, and what was sent with it. */
static int guard_peer(Handle *handle, int fd)
{
        int r = watch_peer(handle, fd), yes = 1;

        if (r < 0)
                return r;
        handle->socket = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (handle->socket < 0 || setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes)) < 0)
                return -errno;
        return 0;
}

static int start_peer(Handle *handle, int fd)
{
        _cleanup_close_ int ours = fd;
        Handles *handles = handle->handles;
        char path[BUS_JOB_PATH_MAX];
        sd_id128_t id;
        int r = sd_bus_new(&handle->peer);

        if (r >= 0)
                r = guard_peer(handle, fd);
        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(handle->peer, true, id);
        if (r >= 0)
                r = sd_bus_set_anonymous(handle->peer, true);
        if (r >= 0)
                r = sd_bus_negotiate_fds(handle->peer, true);
        if (r >= 0)
                r = sd_bus_add_filter(handle->peer, NULL, on_call, handle);
        if (r >= 0)
                r = sd_bus_match_signal(handle->peer, NULL, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_peer_gone, handle);
        bus_job_path(handle->job, path);
        if (r >= 0)
                r = handles->serve(handle->peer, path, handle);
        return r < 0 ? r
                     : greeting_new(handles->event, handle->peer, TAKE_FD(ours), on_greeted, handle,
                                    &handle->greeting);
}

/* HND-08: it belongs to no connection of the bus. HND-10: it is charged to its opener. */
int handle_open(Handles *handles, Job *job, const HandleFacts *facts, int *ret_fd)
{
        _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
        uid_t opener = facts->opener;
        Handle *handle;
        int pair[2], r;

        if (tally_get(&handles->peers, opener) >=
                    policy_limit(LIMIT_CONNECTIONS_PER_USER, opener) ||
            has_too_many_strays(handles, opener))
                return -EDQUOT;
        r = fd_socketpair(SOCK_STREAM, true, pair);
        if (r < 0)
                return r;
        ours = pair[0];
        theirs = pair[1];
        handle = handle_new(handles, job, facts, &handles->peers);
        if (!handle)
                return -ENOMEM;
        r = start_peer(handle, TAKE_FD(ours));
        if (r < 0) {
                handle_free(handle);
                return r;
        }
        *ret_fd = TAKE_FD(theirs);
        return 0;
}

/* LIM-32 */
int handles_charge(Handles *handles, uid_t opener, sd_bus_error *error)
{
        if (tally_get(&handles->calls, opener) >= policy_limit(LIMIT_CALLS_PER_USER, opener))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many of your calls wait for an answer.");
        return tally_up(&handles->calls, opener);
}

int handle_charge(const Handle *handle, sd_bus_error *error)
{
        return handles_charge(handle->handles, handle->opener, error);
}

void handles_discharge(Handles *handles, uid_t opener)
{
        tally_down(&handles->calls, opener);
}

/* TOK-373: the token may be set long after the handle was made. */
bool handle_may_name_files(uid_t opener, const Job *job)
{
        const Token *token = job->token;

        return policy_name_files(opener, token != NULL, token ? token->uid : 0) == 0;
}

/* HND-06, HND-07, HND-30, HND-31: the handle is the right; who calls on it is never asked. */
int handle_require(const Handle *handle, unsigned right, sd_bus_error *error)
{
        if ((handle->rights & right) != right)
                return bus_fail(error, BITS_E_ACCESS_DENIED,
                                "this handle does not carry that right");
        if ((right & RIGHT_FILES) && !handle_may_name_files(handle->opener, handle->job))
                return bus_fail(error, BITS_E_ACCESS_DENIED,
                                "the job holds an administrator's helper token; only an "
                                "administrator says what it reads, writes and shows");
        return 0;
}

sd_bus *handle_bus(const Handle *handle, sd_bus *system_bus)
{
        return handle->peer ? handle->peer : system_bus;
}

const char *handle_destination(const Handle *handle)
{
        return handle->client ? handle->client->name : NULL;
}
