/*
 * The transfers that run on bits-net: each writes its own NET_START when a process is ready, and
 * again after a death. A client's news may end other clients, so lists are looked at anew each
 * time.
 */
#include "manager/worker-internal.h"

#include <search.h>

static int compare_clients(const void *a, const void *b)
{
        const NetClient *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id ? 1 : 0;
}

void worker_net_free(Worker *worker)
{
        while (worker->clients_by_id)
                (void)tdelete(*(NetClient **)worker->clients_by_id, &worker->clients_by_id,
                              compare_clients);
}

static void detach(NetClient *client)
{
        Worker *worker = client->worker;

        (void)tdelete(client, &worker->clients_by_id, compare_clients);
        TAILQ_REMOVE(&worker->clients, client, entries);
        client->worker = NULL;
        client->started = client->lost = false;
}

/* Clients that callbacks attach now are not touched: one from before is known by its number. */
void worker_net_fail(Worker *worker, WorkResult result)
{
        uint64_t last_id = worker->pool->last_client_id;
        NetClient *client;

        while ((client = TAILQ_FIRST(&worker->clients)) && client->id <= last_id) {
                detach(client);
                client->listener->on_failed(client->userdata, result);
        }
}

void worker_net_forget(Worker *worker)
{
        NetClient *client;

        TAILQ_FOREACH (client, &worker->clients, entries) {
                client->lost = client->started;
                client->started = false;
        }
}

static NetClient *first_lost(Worker *worker)
{
        NetClient *client;

        TAILQ_FOREACH (client, &worker->clients, entries)
                if (client->lost)
                        return client;
        return NULL;
}

/* One client's news may end others: the list is looked at anew each time. */
void worker_net_lose(Worker *worker)
{
        NetClient *client;

        while ((client = first_lost(worker))) {
                client->lost = false;
                client->listener->on_lost(client->userdata);
        }
}

/* 0, also when it has to wait for room; -EMSGSIZE when it can never be sent. */
static int start_client(Worker *worker, NetClient *client)
{
        Message *m = channel_draft(worker->channel);

        client->listener->write_start(client->userdata, m);
        if (m->bad)
                return -EMSGSIZE;
        client->started = worker_send_draft(worker);
        return 0;
}

static NetClient *first_not_started(Worker *worker)
{
        NetClient *client;

        TAILQ_FOREACH (client, &worker->clients, entries)
                if (!client->started)
                        return client;
        return NULL;
}

void worker_net_send(Worker *worker)
{
        NetClient *client;

        while ((client = first_not_started(worker))) {
                if (start_client(worker, client) < 0) {
                        detach(client);
                        client->listener->on_failed(client->userdata, WORK_ABORTED);
                } else if (!client->started)
                        return;
        }
}

static NetClient *find_client(Worker *worker, uint64_t id)
{
        NetClient key = { .id = id };
        NetClient **found = tfind(&key, &worker->clients_by_id, compare_clients);

        return found && (*found)->started ? *found : NULL;
}

static int on_net_done(Worker *worker, Message *m)
{
        NetDone done;
        NetClient *client;

        if (net_done_read(m, &done) < 0 || done.outcome >= NET_OUTCOME_MAX ||
            !(client = find_client(worker, done.transfer)))
                return -EBADMSG;
        detach(client);
        client->listener->on_done(client->userdata, &done);
        return 0;
}

int worker_net_message(Worker *worker, Message *m)
{
        NetStarted started;
        NetProgress progress;
        NetClient *client;

        switch (m->type) {
        case MESSAGE_NET_STARTED:
                if (net_started_read(m, &started) < 0 ||
                    !(client = find_client(worker, started.transfer)))
                        return -EBADMSG;
                client->listener->on_started(client->userdata, &started);
                return 0;
        case MESSAGE_NET_PROGRESS:
                if (net_progress_read(m, &progress) < 0 ||
                    !(client = find_client(worker, progress.transfer)))
                        return -EBADMSG;
                client->listener->on_progress(client->userdata, progress.written);
                return 0;
        case MESSAGE_NET_DONE:
                return on_net_done(worker, m);
        default:
                return -EBADMSG;
        }
}

int worker_net_attach(Worker *worker, NetClient *client)
{
        assert(!client->worker);
        client->id = ++worker->pool->last_client_id;
        client->worker = worker;
        client->started = client->lost = false;
        if (!tsearch(client, &worker->clients_by_id, compare_clients)) {
                client->worker = NULL;
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&worker->clients, client, entries);
        if (!worker->ready)
                worker_need_process(worker);
        else if (start_client(worker, client) < 0) {
                detach(client);
                return -EMSGSIZE;
        }
        return 0;
}

bool worker_net_stop(NetClient *client)
{
        if (!client->worker || !client->started)
                return false;
        net_stop_write(channel_draft(client->worker->channel), 0,
                       &(NetStop){ .transfer = client->id });
        (void)channel_send(client->worker->channel);
        return true;
}

void worker_net_detach(NetClient *client)
{
        if (client->worker)
                detach(client);
}
