/*
 * What a worker's process answers: matched with what was asked of it, and checked before anybody
 * hears of it. An answer to no question is a breach of the protocol.
 */
#include "workers/seat.h"

#include "basic/closer.h"
#include "basic/utf8.h"
#include "core/error.h"

#include <search.h>

enum {
        ERRNO_MAX = 4095, /* the kernel's highest */
};

/* SEC-371: a worker may have been taken over by what it reads. What it says is a number of the kind
   that it should be, or the end of its channel. */
static bool is_errno(uint32_t error)
{
        return error <= ERRNO_MAX;
}

static bool are_errnos(const U32List *errors)
{
        for (size_t i = 0; i < errors->count; i++)
                if (!is_errno(errors->items[i]))
                        return false;
        return true;
}

/* A failure has a place and a code. Who stops without being asked would be started again at once,
   for ever. */
static bool is_right(const NetDone *done, const NetClient *client)
{
        switch ((NetOutcome)done->outcome) {
        case NET_FAILED:
                return done->context > CONTEXT_NONE && done->context < CONTEXT_MAX &&
                       BITS_FAILED(done->code);
        case NET_STOPPED:
                return client->stopped > 0;
        case NET_COMPLETE:
                return client->worker->kind == WORKER_NET;
        case NET_VERSION_CHANGED:
                return true;
        case NET_OUTCOME_MAX:
        case NET_OUTCOME_INVALID:
                break;
        }
        return false;
}

/* It is to be shown, and the bus carries text only. The message's bytes are ours. */
static void make_text(const char *text)
{
        utf8_scrub((char *)text);
}

static FileRequest *find_request(Worker *worker, uint32_t serial)
{
        FileRequest *request;

        /* Answered in order: the first one, as a rule. */
        TAILQ_FOREACH (request, &worker->requests, entries)
                if (request->serial == serial)
                        return request->sent ? request : NULL;
        return NULL;
}

static uint16_t answer_type(uint16_t request_type)
{
        switch (request_type) {
        case MESSAGE_FILE_OPEN:
        case MESSAGE_FILE_READ:
                return MESSAGE_FILE_OPENED;
        case MESSAGE_FILE_SYNC:
                return MESSAGE_FILE_SYNCED;
        case MESSAGE_FILE_OPEN_SOURCE:
        case MESSAGE_FILE_READ_REPLY:
                return MESSAGE_FILE_SOURCE;
        default:
                return MESSAGE_FILE_RESULT;
        }
}

/* Takes the request off the list: only after the message was found right. */
static void finish_request(Worker *worker, FileRequest *request, FileAnswer *answer,
                           const U32List *errors)
{
        TAILQ_REMOVE(&worker->requests, request, entries);
        worker->deaths = 0;
        if (request->callback)
                request->callback(request->userdata, answer);
        else
                worker_synced(worker, request, answer, errors);
        free(request->bytes);
        free(request);
}

/* SEC-370: files of users, wherever they lie. */
static void let_go(FdList *fds)
{
        while (fds->count > 0) {
                fds->count--;
                (void)closer_close(fds->items[fds->count]);
        }
}

static int on_source(Worker *worker, FileRequest *request, FileAnswer *answer, Message *m)
{
        FdList *fds = &answer->source.file;
        bool right;

        if (file_source_read(m, &answer->source) < 0)
                return -EBADMSG;
        answer->error = (int)answer->source.error;
        right = !is_errno(answer->source.error)             ? false
                : answer->error != 0                        ? fds->count == 0
                : request->type == MESSAGE_FILE_OPEN_SOURCE ? fds->count == 1
                                                            : fds->count <= 1;
        if (right)
                finish_request(worker, request, answer, NULL);
        let_go(fds);
        return right ? 0 : -EBADMSG;
}

static int on_file_answer(Worker *worker, Message *m)
{
        FileRequest *request = find_request(worker, m->serial);
        FileAnswer answer = { .result = WORK_DONE };
        FileResult result;
        FileSynced synced;
        bool right;

        if (!request || answer_type(request->type) != m->type)
                return -EBADMSG;
        answer.doubtful = request->doubtful;
        switch (m->type) {
        case MESSAGE_FILE_OPENED:
                if (file_opened_read(m, &answer.opened) < 0)
                        return -EBADMSG;
                answer.error = (int)answer.opened.error;
                right = is_errno(answer.opened.error) &&
                        answer.opened.file.count == (answer.error == 0 ? 1u : 0u);
                if (right)
                        finish_request(worker, request, &answer, NULL);
                let_go(&answer.opened.file);
                return right ? 0 : -EBADMSG;
        case MESSAGE_FILE_SOURCE:
                return on_source(worker, request, &answer, m);
        case MESSAGE_FILE_SYNCED:
                if (file_synced_read(m, &synced) < 0 || synced.errors.count != request->fds.count ||
                    !are_errnos(&synced.errors))
                        return -EBADMSG;
                finish_request(worker, request, &answer, &synced.errors);
                return 0;
        default:
                if (file_result_read(m, &result) < 0 || !is_errno(result.error))
                        return -EBADMSG;
                answer.error = (int)result.error;
                finish_request(worker, request, &answer, NULL);
                return 0;
        }
}

static NetClient *find_client(Worker *worker, uint64_t id)
{
        NetClient key = { .id = id };
        NetClient **found = tfind(&key, &worker->clients_by_id, worker_compare_clients);

        return found && (*found)->started ? *found : NULL;
}

static int on_net_done(Worker *worker, Message *m)
{
        NetDone done;
        NetClient *client;

        if (net_done_read(m, &done) < 0 || !(client = find_client(worker, done.transfer)) ||
            !is_right(&done, client))
                return -EBADMSG;
        make_text(done.detail);
        make_text(done.remote_name);
        make_text(done.headers);
        worker_detach(client);
        client->listener->on_done(client->userdata, &done);
        return 0;
}

static int on_copy_done(Worker *worker, Message *m)
{
        CopyDone done;
        NetClient *client;

        if (copy_done_read(m, &done) < 0 || !(client = find_client(worker, done.transfer)))
                return -EBADMSG;
        worker_detach(client);
        client->listener->on_copied(client->userdata, &done);
        return 0;
}

static int on_copy_placed(Worker *worker, Message *m)
{
        CopyPlaced placed;
        NetClient *client;

        if (copy_placed_read(m, &placed) < 0 || !(client = find_client(worker, placed.transfer)) ||
            !client->listener->on_placed)
                return -EBADMSG;
        client->listener->on_placed(client->userdata, &placed);
        return 0;
}

static int on_net_message(Worker *worker, Message *m)
{
        NetStarted started;
        NetSession session;
        NetProgress progress;
        NetCertificate certificate;
        NetClient *client;

        switch (m->type) {
        case MESSAGE_NET_STARTED:
                if (net_started_read(m, &started) < 0 ||
                    !(client = find_client(worker, started.transfer)) ||
                    !client->listener->on_started)
                        return -EBADMSG;
                make_text(started.remote_name);
                make_text(started.headers);
                client->listener->on_started(client->userdata, &started);
                return 0;
        case MESSAGE_NET_SESSION:
                if (net_session_read(m, &session) < 0 ||
                    !(client = find_client(worker, session.transfer)) ||
                    !client->listener->on_session)
                        return -EBADMSG;
                make_text(session.session);
                make_text(session.host);
                make_text(session.reply_url);
                client->listener->on_session(client->userdata, &session);
                return 0;
        case MESSAGE_NET_PROGRESS:
                if (net_progress_read(m, &progress) < 0 ||
                    !(client = find_client(worker, progress.transfer)))
                        return -EBADMSG;
                client->listener->on_progress(client->userdata, progress.written);
                return 0;
        case MESSAGE_NET_CERTIFICATE:
                if (net_certificate_read(m, &certificate) < 0 ||
                    !(client = find_client(worker, certificate.transfer)))
                        return -EBADMSG;
                make_text(certificate.peer);
                make_text(certificate.fingerprint);
                make_text(certificate.chain);
                client->listener->on_certificate(client->userdata, &certificate);
                return 0;
        case MESSAGE_NET_DONE:
                return on_net_done(worker, m);
        default:
                return -EBADMSG;
        }
}

/* What a process of remote files says: about copies, or in answer to a question about a file. */
static int on_remote_message(Worker *worker, Message *m)
{
        switch (m->type) {
        case MESSAGE_COPY_DONE:
                return on_copy_done(worker, m);
        case MESSAGE_COPY_PLACED:
                return on_copy_placed(worker, m);
        case MESSAGE_FILE_RESULT:
                return on_file_answer(worker, m);
        default:
                return on_net_message(worker, m);
        }
}

int worker_on_answer(Worker *worker, Message *m)
{
        worker_heard(worker);
        if (worker->identity.remote)
                return on_remote_message(worker, m);
        return worker->kind == WORKER_FILE ? on_file_answer(worker, m) : on_net_message(worker, m);
}
