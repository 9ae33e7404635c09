/*
 * org.openbits.BITS1.TokenOptions: the second identity of a job (reference 01 section 2). Who the
 * token names, only the broker can say; who may set it, core/policy.c says.
 */
#include "bus/bus.h"
#include "bus/network.h"

#include "basic/fd.h"
#include "bus/change.h"
#include "manager/recall.h"

#include <fcntl.h>

/* A SetHelperToken that waits for the broker. The handle may be gone by then: its facts are here.
   */
typedef struct SetToken {
        BusContext *context;
        sd_bus_message *call;
        char job_id[JOB_ID_CHARACTERS + 1];
        uid_t opener;
        bool entitled;
        uid_t owner; /* at the call: a token for him is no token for his successor */
        unsigned cleared;
        bool charged;
        int fd;
} SetToken;

static void set_token_free(SetToken *set)
{
        sd_bus_message_unref(set->call);
        if (set->charged)
                handles_discharge(set->context->handles, set->opener);
        fd_close(set->fd);
        free(set);
}
DEFINE_CLEANUP(SetToken, set_token_free);

/* TOK-47: at once, also for what is on its way. Takes the token; the old one, which the store does
   not know, goes when the new one's name is stored. OPS-50: the answer promises that the token is
   kept, too, so it comes last. */
static int replace_token(BusContext *context, Job *job, Token *token, sd_bus_message *call)
{
        _cleanup_(change_done) Change change = { 0 };
        Token *old = job->token;

        if (change_begin(&change, context, job) < 0) {
                token_free(token);
                return -ENOMEM;
        }
        job->token = token;
        if (token)
                job->last_helper = token->uid;
        if (!change_answer(&change, call)) {
                job->token = old;
                token_free(token);
                return 1;
        }
        token_free(old);
        engine_identity_changed(context->engine, job);
        return 1;
}

static void on_described(void *userdata, BrokerAnswer *answer)
{
        _cleanup_(set_token_freep) SetToken *set = userdata;
        Job *job = job_table_find(set->context->jobs, set->job_id);
        _cleanup_free_ char *why = NULL;
        BitsCode code;
        Token *token;

        /* TOK-52, TOK-84, TOK-301 */
        if (answer->refused) {
                bus_reply_failure(set->call, BITS_E_INVALID_HANDLE,
                                  "the descriptor is no live token of the broker; connect to the "
                                  "token socket and pass what it hands out");
                return;
        }
        if (!job || job->pending != PENDING_NONE || job->owner != set->owner) {
                bus_reply_failure(set->call, BG_E_INVALID_STATE, NULL);
                return;
        }
        /* TOK-465: who withdrew the helper has been told that there is none. */
        if (job->helper_cleared != set->cleared) {
                bus_reply_failure(set->call, BG_E_INVALID_STATE,
                                  "the helper token was cleared after this call; set it again if "
                                  "the job shall have it");
                return;
        }
        /* TOK-50: whoever calls now, the handle says who opened it. */
        code = policy_set_helper_token(set->opener, set->entitled, (uid_t)answer->token.uid);
        if (code != 0) {
                bus_reply_failure(set->call, code,
                                  "a caller without administrator rights may set a helper token "
                                  "only on a job of his own, and not an administrator's");
                return;
        }
        token = token_from_description(&answer->token, &set->fd);
        if (!token) {
                bus_reply_failure(set->call, BITS_E_OUT_OF_MEMORY, NULL);
                return;
        }
        /* TOK-64: between its capture and now. */
        why = life_ended(set->context->life, token);
        if (why) {
                token_free(token);
                bus_reply_failure(set->call, BITS_E_INVALID_HANDLE, why);
                return;
        }
        if (replace_token(set->context, job, token, set->call) < 0)
                bus_reply_failure(set->call, BITS_E_OUT_OF_MEMORY, NULL);
}

static int on_set_helper_token(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        _cleanup_(set_token_freep) SetToken *set = NULL;
        uint64_t cookie;
        int fd, r = sd_bus_message_read(m, "h", &fd);

        if (r >= 0)
                r = bus_require(handle, RIGHT_HELPER, error);
        if (r < 0)
                return r;
        if (fd_socket_cookie(fd, &cookie) < 0)
                return bus_fail(error, BITS_E_INVALID_HANDLE, "the descriptor is no token");
        set = calloc(1, sizeof(*set));
        if (!set)
                return -ENOMEM;
        set->context = context;
        set->call = sd_bus_message_ref(m);
        set->opener = handle->opener;
        set->entitled = handle_entitled(handle);
        set->owner = handle->job->owner;
        set->cleared = handle->job->helper_cleared;
        memcpy(set->job_id, handle->job->id, sizeof(set->job_id));
        set->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (set->fd < 0)
                return -errno;
        r = handle_charge(handle, error);
        if (r < 0)
                return r;
        set->charged = true;
        if (broker_describe_token(context->broker, set->fd, on_described, set) == 0)
                return -ENOMEM;
        TAKE_PTR(set);
        return 1;
}

static int require_helper(const Handle *handle, sd_bus_error *error)
{
        int r = handle_require(handle, RIGHT_HELPER, error);

        if (r >= 0 && policy_use_helper(handle->opener, handle_entitled(handle)) != 0)
                return bus_fail_code(error, BITS_E_ACCESS_DENIED);
        return r;
}

/* TOK-44: the flags stay. TOK-59: without flags nothing is missing then. */
static int on_clear_helper_token(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        int r = require_helper(handle, error);

        if (r >= 0) /* TOK-56 */
                r = bus_require(handle, RIGHT_HELPER, error);
        if (r < 0)
                return r;
        handle->job->helper_cleared++;
        return handle->job->token ? replace_token(context, handle->job, NULL, m)
                                  : sd_bus_reply_method_return(m, "");
}

static int on_set_helper_token_flags(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        BusContext *context = handle_context(handle);
        Job *job = handle->job;
        _cleanup_(change_done) Change change = { 0 };
        uint32_t flags, before = job->token_flags;
        BitsCode code;
        int r = sd_bus_message_read(m, "u", &flags);

        if (r >= 0)
                r = bus_require(handle, RIGHT_HELPER, error);
        if (r < 0)
                return r;
        /* TOK-51 */
        if ((flags & ~(uint32_t)TOKEN_FLAGS_ALL) != 0)
                return bus_fail(
                        error, BITS_E_INVALID_ARGUMENT,
                        "0x%x has unknown bits: 0x1 is local files, 0x2 network, 0x10000 the "
                        "client certificate",
                        flags);
        code = policy_set_helper_flags(handle->opener, handle_entitled(handle), job->token != NULL,
                                       job->token ? job->token->uid : 0);
        if (code != 0) /* TOK-464 */
                return bus_fail(error, code,
                                "the job holds an administrator's helper token; only an "
                                "administrator says what it does, but you may clear it");
        r = change_begin(&change, context, job);
        if (r < 0)
                return r;
        job->token_flags = flags;
        if (flags != before)
                change.follow = engine_identity_changed;
        (void)change_answer(&change, m);
        return 1;
}

static int on_get_helper_token_flags(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        int r = require_helper(handle, error);

        return r < 0 ? r : sd_bus_reply_method_return(m, "u", handle->job->token_flags);
}

/* TOK-43 */
static int on_get_helper_token_sid(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Handle *handle = userdata;
        char sid[IDENTITY_SID_MAX] = "";
        int r = require_helper(handle, error);

        if (r < 0)
                return r;
        if (handle->job->token)
                identity_sid(handle->job->token->uid, sid);
        return sd_bus_reply_method_return(m, "s", sid);
}

static const sd_bus_vtable token_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("SetHelperToken", "h", "", on_set_helper_token, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ClearHelperToken", "", "", on_clear_helper_token,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetHelperTokenFlags", "u", "", on_set_helper_token_flags,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetHelperTokenFlags", "", "u", on_get_helper_token_flags,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetHelperTokenSid", "", "s", on_get_helper_token_sid,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("HelperCredentialCache", "s", bus_get_credential_cache,
                                 bus_set_credential_cache, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int bus_token_register(BusContext *context)
{
        return sd_bus_add_fallback_vtable(context->bus, NULL, BUS_JOB_PREFIX, BUS_TOKEN_OPTIONS,
                                          token_vtable, bus_find_handle, context);
}

int bus_token_serve(sd_bus *peer, const char *path, Handle *handle)
{
        return sd_bus_add_object_vtable(peer, NULL, path, BUS_TOKEN_OPTIONS, token_vtable, handle);
}
