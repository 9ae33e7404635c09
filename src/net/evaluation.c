/*
 * Whoever is at the other end runs a stranger's code: it is told nothing that the script need not
 * know, and what it says is a text, and a name now and then. Anything else is the end of it.
 */
#include "net/evaluation.h"

#include "basic/host-name.h"
#include "net/keeper.h"
#include "wire/channel.h"
#include "wire/protocol.h"

enum {
        PIECE_BYTES = 32 * 1024,
        NAMES_MAX = 64,
};

struct Evaluation {
        Resolver *resolver;
        OnEvaluated on_evaluated;
        void *userdata;
        Channel *channel;
        Lookup *lookup;
        unsigned names;
};

static void on_addresses(void *userdata, const char *addresses)
{
        Evaluation *e = userdata;

        e->lookup = NULL;
        pac_addresses_write(channel_draft(e->channel), 0, &(PacAddresses){ addresses });
        (void)channel_send(e->channel); /* on_end() hears of it */
}

/* NET-446: one name at a time, and not all names of the world. */
static int on_resolve(Evaluation *e, Message *m)
{
        PacResolve resolve;
        int r = pac_resolve_read(m, &resolve);

        if (r < 0)
                return r;
        if (e->lookup || ++e->names > NAMES_MAX ||
            !host_name_is_plain(resolve.host, strlen(resolve.host)))
                return -EBADMSG;
        if (resolver_ask(e->resolver, resolve.host, on_addresses, e, &e->lookup) < 0)
                on_addresses(e, "");
        return 0;
}

static int on_found(Evaluation *e, Message *m)
{
        PacFound found;
        int r = pac_found_read(m, &found);

        if (r >= 0)
                e->on_evaluated(e->userdata, found.failed ? EVALUATION_FAILED : EVALUATION_ANSWERED,
                                found.text);
        return r;
}

static int on_message(void *userdata, Message *m)
{
        switch (m->type) {
        case MESSAGE_PAC_RESOLVE:
                return on_resolve(userdata, m);
        case MESSAGE_PAC_FOUND:
                return on_found(userdata, m);
        }
        return -EBADMSG;
}

static void on_end(void *userdata, int reason)
{
        Evaluation *e = userdata;

        (void)reason;
        e->on_evaluated(e->userdata, EVALUATION_BROKEN, "");
}

static const ChannelListener channel_listener = { on_message, on_end };

static int send_script(Channel *channel, const char *script)
{
        char piece[PIECE_BYTES + 1];
        int r = 0;

        while (r >= 0 && *script) {
                size_t length = strnlen(script, PIECE_BYTES);

                memcpy(piece, script, length);
                piece[length] = 0;
                pac_script_write(channel_draft(channel), 0, &(PacScript){ piece });
                r = channel_send(channel);
                script += length;
        }
        return r;
}

int evaluation_new(const EvaluationTerms *terms, OnEvaluated on_evaluated, void *userdata,
                   Evaluation **ret)
{
        _cleanup_(evaluation_freep) Evaluation *e = malloc(sizeof(*e));
        char addresses[RESOLVER_ADDRESSES_MAX];
        int r;

        if (!e)
                return -ENOMEM;
        *e = (Evaluation){ .resolver = terms->resolver,
                           .on_evaluated = on_evaluated,
                           .userdata = userdata };
        r = keeper_ask(terms->keeper);
        if (r >= 0)
                r = channel_new(terms->event, r, terms->priority, &channel_listener, e,
                                &e->channel);
        if (r >= 0)
                r = send_script(e->channel, terms->script);
        if (r < 0)
                return r;
        resolver_own_addresses(addresses);
        pac_find_write(channel_draft(e->channel), 0,
                       &(PacFind){ terms->url, terms->host, addresses });
        r = channel_send(e->channel);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(e);
        return 0;
}

void evaluation_free(Evaluation *e)
{
        if (!e)
                return;
        resolver_drop(e->lookup);
        channel_free(e->channel);
        free(e);
}
