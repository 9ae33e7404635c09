/*
 * The state machine of an upload. Invariants:
 *
 *   - One request at a time; its answer, and not libcurl's result, decides what follows, if there
 *     was one: a server may answer and hang up while a fragment is still being sent.
 *   - `position` is the next offset that the server wants. It never passes what was sent.
 *   - Before each fragment, and before the session is closed, the source is still the file that it
 *     was. A server that has moved its copy by then has a mixture; nobody can help that.
 *   - Whoever learns something about the session tells it before the next request.
 */
#include "net/upload.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "net/ack.h"
#include "net/redirect.h"
#include "net/refusal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Reference 06 section 5. */
enum {
        FRAGMENT_LEAST = 5 * 1024,
        FRAGMENT_FIRST = 1024 * 1024,
        FRAGMENT_MOST = 13 * 1024 * 1024,
        SEND_SECONDS = 2 * 60,     /* without a byte; for the answer: RequestSettings */
        DISCARD_BYTES = 64 * 1024, /* of a body that nobody wants */
        STANDSTILLS_MAX = 5,       /* answers in a row that bring the upload no further */
        SESSIONS_MAX = 5,          /* lost in one go before it is called a failure */
};

#define QUICK_USEC (1 * USEC_PER_SEC)  /* a fragment may be longer */
#define SLOW_USEC  (10 * USEC_PER_SEC) /* it should be shorter */

typedef enum Packet {
        PACKET_CREATE,
        PACKET_PING,
        PACKET_FRAGMENT,
        PACKET_CLOSE,
        PACKET_CANCEL,
        PACKET_MAX,
        PACKET_INVALID = -1,
} Packet;

struct Upload {
        Request request;
        const WorkListener *listener;
        void *userdata;

        char *url; /* the remote name, whichever host is asked */
        int file;
        char content_name[264];
        uint64_t total, modification_time; /* ns */
        bool wants_reply;
        bool farewell;      /* nothing but the end of the session */
        Packet last_packet; /* that ends it */

        char session[ACK_SESSION_MAX + 1], host[ACK_HOST_MAX + 1];
        uint32_t host_fallback;
        char *reply_url;    /* absolute, NULL: none */
        bool closing;       /* Close-Session is, or was, on its way */
        bool waiting;       /* until that is stored */
        bool closed_before; /* and one of them went unanswered */
        unsigned tries;     /* of the packet under way since the last answer */

        Packet packet;
        bool pinged;       /* nothing speaks against a long body */
        bool acknowledged; /* the server said that it has the last byte */
        uint64_t position;
        uint64_t length, sent; /* of the fragment under way */
        uint64_t fragment, most;
        uint64_t began; /* the fragment, µs */
        unsigned standstills, sessions;

        Ack ack;
        uint64_t discarded;
};

/* What each packet is on the wire, and what its acknowledgement means. */
typedef struct PacketKind {
        const char *name;
        bool of_session;
        void (*on_ack)(Upload *u);
} PacketKind;

static const PacketKind packets[PACKET_MAX];

static void next(Upload *u);
static void on_done(void *userdata, CURLcode result);

static void end(Upload *u, NetOutcome outcome)
{
        NetDone done = { .outcome = outcome, .written = u->position, .detail = "" };

        request_drop(&u->request);
        if (outcome == NET_FAILED) {
                done.context = u->request.failure.context;
                done.code = u->request.failure.code;
                done.detail = u->request.failure.detail;
        }
        u->listener->on_ended(u->userdata, &done);
}

static void invalid(Upload *u, const char *why)
{
        char shown[300];

        url_for_people(u->request.url, shown, sizeof(shown));
        net_failure_set(&u->request.failure, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                        "The answer to %s for %s makes no sense: %s", packets[u->packet].name,
                        shown, why);
        end(u, NET_FAILED);
}

static void tell_session(Upload *u)
{
        NetSession session = {
                .session = u->session,
                .host = u->host,
                .host_fallback = u->host_fallback,
                .reply_url = u->reply_url ? u->reply_url : "",
                .closing = u->closing,
        };

        u->listener->on_session(u->userdata, &session);
}

/* ---- the source ---- */

/* NET-124 */
static bool source_is_unchanged(Upload *u)
{
        struct stat st;
        uint64_t time;

        if (fstat(u->file, &st) < 0) {
                net_failure_set(&u->request.failure, CONTEXT_LOCAL_FILE,
                                code_from_source_errno(errno), "Could not look at %s: %s",
                                u->content_name, strerror(errno));
                return false;
        }
        time = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
        if ((uint64_t)st.st_size == u->total && time == u->modification_time)
                return true;
        net_failure_set(&u->request.failure, CONTEXT_LOCAL_FILE, BG_E_LOCAL_FILE_CHANGED,
                        "%s was changed while it was being uploaded; make a new job",
                        u->content_name);
        return false;
}

static size_t on_read(char *data, size_t one, size_t size, void *userdata)
{
        Upload *u = userdata;
        uint64_t left = u->length - u->sent;
        ssize_t n;

        (void)one;
        if (left == 0)
                return 0;
        if (!request_may_move(&u->request))
                return CURL_READFUNC_PAUSE;
        size = MIN(size, request_piece(&u->request));
        do
                n = pread(u->file, data, (size_t)MIN((uint64_t)size, left),
                          (off_t)(u->position + u->sent));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                net_failure_set(&u->request.failure, CONTEXT_LOCAL_FILE,
                                code_from_source_errno(errno), "Could not read %s: %s",
                                u->content_name, strerror(errno));
        else if (n == 0)
                (void)source_is_unchanged(u);
        if (n <= 0)
                return CURL_READFUNC_ABORT;
        u->sent += (uint64_t)n;
        request_moved(&u->request, (size_t)n);
        if (u->sent == u->length) /* from now on it is the answer that is waited for. NET-125 */
                curl_easy_setopt(u->request.easy, CURLOPT_LOW_SPEED_TIME,
                                 u->request.settings->stall_seconds);
        return (size_t)n;
}

/* NET-126: a challenge, or a connection that has died, costs the body once more. */
static int on_seek(void *userdata, curl_off_t offset, int origin)
{
        Upload *u = userdata;

        if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > u->length)
                return CURL_SEEKFUNC_FAIL;
        u->sent = (uint64_t)offset;
        return CURL_SEEKFUNC_OK;
}

/* libcurl repeats a request by itself when a connection that it used before turns out dead. */
static int on_try(void *userdata, char *peer, char *local, int peer_port, int local_port)
{
        Upload *u = userdata;

        (void)peer, (void)local, (void)peer_port, (void)local_port;
        u->tries++;
        return CURL_PREREQFUNC_OK;
}

/* ---- answers ---- */

static size_t on_body(char *data, size_t one, size_t size, void *userdata)
{
        Upload *u = userdata;

        (void)data, (void)one;
        u->discarded += size;
        return u->discarded <= DISCARD_BYTES ? size : 0;
}

static size_t on_header(char *line, size_t one, size_t size, void *userdata)
{
        Upload *u = userdata;

        (void)one;
        /* Schemes of several rounds: libcurl has asked again within the same request. */
        if (u->ack.answer.complete && size > 5 && memcmp(line, "HTTP/", 5) == 0) {
                ack_reset(&u->ack);
                u->discarded = 0;
                u->tries = 1;
        }
        switch (ack_line(&u->ack, line, size)) {
        case ANSWER_MORE:
        case ANSWER_COMPLETE:
                return size;
        case ANSWER_MALFORMED:
        case ANSWER_TOO_LARGE:
        case ANSWER_STEP_MAX:
        case ANSWER_STEP_INVALID:
                break;
        }
        return 0;
}

/* ---- requests ---- */

static int add_header(Upload *u, const char *format, ...) _printf_(2, 3);

static int add_header(Upload *u, const char *format, ...)
{
        _cleanup_free_ char *line = NULL;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&line, format, args);
        va_end(args);
        return r < 0 ? -ENOMEM : request_append_header(&u->request.headers, line);
}

static int add_fragment_headers(Upload *u)
{
        int r = add_header(u, "Content-Name: %s", u->content_name);

        if (r < 0)
                return r;
        if (u->total == 0) /* NET-127 */
                return add_header(u, "Content-Range: bytes */0");
        return add_header(u, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, u->position,
                          u->position + u->length - 1, u->total);
}

static int make_headers(Upload *u)
{
        const PacketKind *kind = &packets[u->packet];
        /* Nothing is asked of the server before the body, and it has no type. */
        int r = request_append_header(&u->request.headers, "Expect:");

        if (r >= 0)
                r = request_append_header(&u->request.headers, "Content-Type:");
        if (r >= 0)
                r = add_header(u, "BITS-Packet-Type: %s", kind->name);
        if (r >= 0 && kind->of_session)
                r = add_header(u, "BITS-Session-Id: %s", u->session);
        if (r >= 0 && u->packet == PACKET_CREATE)
                r = add_header(u, "BITS-Supported-Protocols: " BITS_UPLOAD_PROTOCOL);
        if (r >= 0 && u->packet == PACKET_FRAGMENT)
                r = add_fragment_headers(u);
        return r;
}

/* NET-120: the handle is kept from packet to packet, and with it what a server's challenge left
   there. */
static int prepare(Upload *u)
{
        CURL *easy;
        int r = request_prepare(&u->request);

        if (r >= 0)
                r = make_headers(u);
        if (r < 0)
                return r;
        easy = u->request.easy;
        ack_reset(&u->ack);
        u->discarded = 0;
        u->sent = 0;
        u->tries = 0;
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_try);
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, u);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "BITS_POST");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)u->length);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 512 * 1024L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, u);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, u);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, u);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, u);
        if (u->length > 0)
                curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
                                 MIN((long)SEND_SECONDS, u->request.settings->stall_seconds));
        return 0;
}

static void send_packet(Upload *u, Packet packet)
{
        int r;

        u->packet = packet;
        if (packet != PACKET_FRAGMENT)
                u->length = 0;
        r = prepare(u);
        if (r >= 0)
                r = request_run(&u->request);
        if (r >= 0)
                return;
        net_failure_memory(&u->request.failure);
        end(u, NET_FAILED);
}

/* ---- which packet comes next ---- */

static void send_fragment(Upload *u)
{
        /* Of a file that the server has already, the end is sent again: it repeats its answer. */
        if (u->position == u->total && u->total > 0)
                u->position = u->total - 1;
        u->length = MIN(u->fragment, u->total - u->position);
        u->began = clock_usec(CLOCK_MONOTONIC);
        send_packet(u, PACKET_FRAGMENT);
}

static bool server_has_all(const Upload *u)
{
        if (u->position < u->total)
                return false;
        /* Without its word of this life: an empty file has to be sent, and a reply asked for. */
        return u->acknowledged || u->closing || (u->total > 0 && !u->wants_reply);
}

/* UPL-390: once the server has heard of it, it may know the session no more: so whoever asks it
   again has to know that it was asked. */
static void begin_close(Upload *u)
{
        u->closed_before = u->closing;
        u->closing = u->waiting = true;
        tell_session(u);
}

/* UPL-120 */
static void next(Upload *u)
{
        if (u->farewell)
                send_packet(u, u->last_packet);
        else if (!source_is_unchanged(u))
                end(u, NET_FAILED);
        else if (!u->session[0])
                send_packet(u, PACKET_CREATE);
        else if (!u->pinged)
                send_packet(u, PACKET_PING);
        else if (!server_has_all(u))
                send_fragment(u);
        else if (u->wants_reply)
                end(u, NET_COMPLETE);
        else
                begin_close(u);
}

/* ---- where to ---- */

/* NET-121: everything goes to the host that the server named. */
static char *url_at_host(const Upload *u)
{
        return u->host[0] ? url_with_host(u->url, u->host) : strdup(u->url);
}

static int go_to_host(Upload *u)
{
        char *url = url_at_host(u);

        return url ? request_pin(&u->request, url) : -EINVAL;
}

/* ---- acknowledgements ---- */

static void on_create_ack(Upload *u)
{
        if (!u->ack.speaks) {
                net_failure_set(&u->request.failure, CONTEXT_REMOTE_FILE,
                                BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH,
                                "The server chose no protocol for uploads that is known here");
                end(u, NET_FAILED);
                return;
        }
        if (!u->ack.session[0]) {
                invalid(u, "it names no session");
                return;
        }
        strcpy(u->session, u->ack.session);
        strcpy(u->host, u->ack.host);
        u->host_fallback = u->ack.host_fallback;
        u->pinged = !u->host[0];
        u->position = 0;
        u->acknowledged = u->closing = false;
        free(u->reply_url);
        u->reply_url = NULL;
        if (u->host[0] && go_to_host(u) < 0) {
                invalid(u, "it names a host that makes no URL");
                return;
        }
        tell_session(u);
        u->listener->on_written(u->userdata);
        next(u);
}

static void on_ping_ack(Upload *u)
{
        u->pinged = true;
        next(u);
}

/* NET-128: a fragment that took no time may be followed by a longer one. */
static void choose_length(Upload *u)
{
        uint64_t took = clock_usec(CLOCK_MONOTONIC) - u->began;

        if (took < QUICK_USEC && u->length == u->fragment)
                u->fragment = MIN(u->fragment * 2, u->most);
        else if (took > SLOW_USEC)
                u->fragment = MAX(u->fragment / 2, (uint64_t)FRAGMENT_LEAST);
}

/* Beside the remote name, and so with its user. */
static void note_reply(Upload *u)
{
        _cleanup_free_ char *base = url_at_host(u);

        free(u->reply_url);
        u->reply_url = base ? reply_url_resolve(base, u->ack.reply_url) : NULL;
        tell_session(u);
}

/* Also the meaning of a 416. NET-129 */
static void on_fragment_ack(Upload *u)
{
        uint64_t before = u->position, most = u->total;
        bool last = u->position + u->length == u->total;

        if (u->ack.answer.status != 416)
                most = u->position + u->length;
        if (!u->ack.has_next || u->ack.next > most) {
                invalid(u, "it says that the server has more than was sent, or not what it has");
                return;
        }
        choose_length(u);
        u->position = u->ack.next;
        u->standstills =
                u->position > before || (last && u->position == u->total) ? 0 : u->standstills + 1;
        if (u->standstills > STANDSTILLS_MAX) {
                invalid(u, "the server wants the same bytes again and again");
                return;
        }
        u->acknowledged = u->position == u->total;
        if (u->ack.reply_url[0] && u->acknowledged)
                note_reply(u);
        u->listener->on_written(u->userdata);
        next(u);
}

static void on_last_ack(Upload *u)
{
        end(u, NET_COMPLETE);
}

static const PacketKind packets[PACKET_MAX] = {
        [PACKET_CREATE] = { "Create-Session", false, on_create_ack },
        [PACKET_PING] = { "Ping", false, on_ping_ack },
        [PACKET_FRAGMENT] = { "Fragment", true, on_fragment_ack },
        [PACKET_CLOSE] = { "Close-Session", true, on_last_ack },
        [PACKET_CANCEL] = { "Cancel-Session", true, on_last_ack },
};

/* ---- refusals ---- */

static void fail_by_status(Upload *u)
{
        refusal_set(&u->request.failure, &u->ack, packets[u->packet].name,
                    u->packet == PACKET_CREATE, u->request.url);
        end(u, NET_FAILED);
}

/* UPL-132, UPL-420: the server knows the session no more. Was it asked to close it before, then it
   has; else all begins again. */
static void on_session_lost(Upload *u)
{
        if (u->farewell || (u->packet == PACKET_CLOSE && (u->closed_before || u->tries > 1))) {
                end(u, NET_COMPLETE);
                return;
        }
        u->session[0] = u->host[0] = 0;
        u->position = 0;
        u->acknowledged = u->closing = false;
        tell_session(u); /* also where this is the end: the next try begins anew */
        u->listener->on_written(u->userdata);
        if (++u->sessions > SESSIONS_MAX) {
                net_failure_set(&u->request.failure, CONTEXT_REMOTE_FILE, BG_E_SESSION_NOT_FOUND,
                                "The server forgets each session that it makes");
                end(u, NET_FAILED);
        } else if (go_to_host(u) < 0)
                invalid(u, "it leads nowhere");
        else
                next(u);
}

/* NET-132: halved down to 5 KB, and never again longer than what was refused. */
static void shrink(Upload *u)
{
        if (u->length <= FRAGMENT_LEAST) {
                fail_by_status(u);
                return;
        }
        u->fragment = u->most = MAX(u->length / 2, (uint64_t)FRAGMENT_LEAST);
        next(u);
}

static void go_on(Upload *u, RequestNext step)
{
        switch (step) {
        case REQUEST_AGAIN:
                if (u->packet == PACKET_FRAGMENT)
                        send_fragment(u);
                else
                        send_packet(u, u->packet);
                return;
        case REQUEST_STALE:
                request_drop(&u->request);
                u->listener->on_stale(u->userdata);
                return;
        case REQUEST_FAILED:
        case REQUEST_NEXT_MAX:
        case REQUEST_NEXT_INVALID:
                break;
        }
        end(u, NET_FAILED);
}

/* UPL-133: a session that is to end is asked for again only where that may help. */
static bool is_given_up(const Upload *u)
{
        unsigned status = u->ack.answer.status;

        return u->farewell && status < 500 && status != 200;
}

static void judge(Upload *u)
{
        unsigned status = u->ack.answer.status;

        if (u->ack.error == BG_E_SESSION_NOT_FOUND && status >= 500)
                on_session_lost(u);
        else if (status == 401 || status == 407) {
                RequestNext step = request_challenged(&u->request, status);

                if (step == REQUEST_FAILED && u->farewell)
                        end(u, NET_COMPLETE);
                else
                        go_on(u, step);
        } else if ((status == 200 || status == 201) && u->ack.is_ack)
                packets[u->packet].on_ack(u);
        else if (status == 416 && u->packet == PACKET_FRAGMENT && u->ack.is_ack)
                on_fragment_ack(u);
        else if (status == 413 && u->packet == PACKET_FRAGMENT)
                shrink(u);
        else if (is_given_up(u))
                end(u, NET_COMPLETE);
        else if (status == 200 || status == 201 || status == 416)
                invalid(u, "it is no acknowledgement of a BITS server");
        else
                fail_by_status(u);
}

static void on_done(void *userdata, CURLcode result)
{
        Upload *u = userdata;

        if (u->request.failure.code != 0)
                end(u, NET_FAILED);
        else if (u->ack.answer.complete)
                judge(u);
        else if (u->ack.answer.malformed || u->ack.answer.header_bytes > HEADER_BYTES_MAX)
                invalid(u, "its header cannot be read");
        else
                go_on(u, request_broken(&u->request,
                                        result == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : result,
                                        u->ack.answer.status != 0));
}

/* ---- life ---- */

static void upload_free(Upload *u)
{
        if (!u)
                return;
        request_done(&u->request);
        ack_done(&u->ack);
        fd_close(u->file);
        free(u->url);
        free(u->reply_url);
        free(u);
}
DEFINE_CLEANUP(Upload, upload_free);

/* What both kinds have. Takes `pool` in any case. */
static int make(Pool *pool, const RequestSettings *settings, const RequestTerms *terms,
                const char *session, const char *host, uint32_t host_fallback, Upload **ret)
{
        Upload *u = calloc(1, sizeof(*u));
        int r;

        if (!u) {
                pool_release(pool);
                return -ENOMEM;
        }
        u->listener = terms->listener;
        u->userdata = terms->userdata;
        u->file = -EBADF;
        *ret = u;
        r = request_init(&u->request, pool, settings, terms, on_done, u);
        u->url = strdup(terms->url);
        if (r < 0 || !u->url)
                return -ENOMEM;
        snprintf(u->session, sizeof(u->session), "%s", session);
        snprintf(u->host, sizeof(u->host), "%s", host);
        u->host_fallback = host_fallback;
        u->fragment = FRAGMENT_FIRST;
        u->most = FRAGMENT_MOST;
        return 0;
}

int upload_new(Pool *pool, const RequestSettings *settings, const NetUpload *start,
               const WorkListener *listener, void *userdata, Upload **ret)
{
        _cleanup_(upload_freep) Upload *u = NULL;
        RequestTerms terms = REQUEST_TERMS(start, listener, userdata);
        int r = make(pool, settings, &terms, start->session, start->host, start->host_fallback, &u);

        if (r < 0) {
                fd_close(start->file);
                return r;
        }
        u->file = start->file;
        u->total = start->total;
        u->modification_time = start->modification_time;
        u->position = MIN(start->offset, start->total);
        u->wants_reply = start->wants_reply != 0;
        u->closing = start->closing != 0;
        if (u->closing) /* the server had it all */
                u->position = u->total;
        content_name(start->content_name, u->content_name, sizeof(u->content_name));
        *ret = TAKE_PTR(u);
        return 0;
}

int upload_new_farewell(Pool *pool, const RequestSettings *settings, const NetFarewell *start,
                        const WorkListener *listener, void *userdata, Upload **ret)
{
        _cleanup_(upload_freep) Upload *u = NULL;
        RequestTerms terms = REQUEST_TERMS(start, listener, userdata);
        int r = make(pool, settings, &terms, start->session, start->host, start->host_fallback, &u);

        if (r < 0)
                return r;
        u->farewell = true;
        u->last_packet = start->cancel ? PACKET_CANCEL : PACKET_CLOSE;
        *ret = TAKE_PTR(u);
        return 0;
}

static void start_work(void *work)
{
        Upload *u = work;

        if (url_is_acceptable(u->url) && (!u->host[0] || go_to_host(u) >= 0)) {
                next(u);
                return;
        }
        net_failure_set(&u->request.failure, CONTEXT_REMOTE_FILE, BITS_E_INVALID_ARGUMENT,
                        "The remote name is not an http or https URL");
        end(u, NET_FAILED);
}

static void stop_work(void *work)
{
        end(work, NET_STOPPED);
}

static void accept_work(void *work, uint32_t code, const char *detail)
{
        request_accept(&((Upload *)work)->request, code, detail);
}

static void close_work(void *work)
{
        Upload *u = work;

        if (!u->waiting)
                return;
        u->waiting = false;
        send_packet(u, PACKET_CLOSE);
}

static uint64_t work_written(const void *work)
{
        return ((const Upload *)work)->position;
}

static void free_work(void *work)
{
        upload_free(work);
}

const Protocol upload_protocol = { .start = start_work,
                                   .stop = stop_work,
                                   .accept = accept_work,
                                   .close = close_work,
                                   .written = work_written,
                                   .free = free_work };
