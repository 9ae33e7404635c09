/*
 * The state machine of a transfer. Invariants:
 *
 *   - No byte is written before the answer was judged (http-header.h); a body that does not belong
 *     to the file (redirect, error page) is thrown away, and if it is long, so is the connection.
 *   - The bytes before `position` are those of the remote file, or of the parts of it that are
 *     wanted. What an earlier life left behind them is cut off before the first write, unless it
 *     was asked to stay.
 *   - Whoever ends a request from within a callback notes why first (`failure` or `verdict`):
 *     libcurl's own result is looked at only if nothing was noted.
 */
#include "net/transfer.h"

#include "basic/fd.h"
#include "net/redirect.h"
#include "net/request.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        KICK_BYTES = 8 * 1024 * 1024, /* written since the kernel was last asked to begin */
        DISCARD_BYTES = 16 * 1024,    /* of an unwanted body: a longer one costs the connection */
};

struct Transfer {
        Request request;
        const WorkListener *listener;
        void *userdata;

        char *etag, *last_modified;
        Wanted wanted;
        uint32_t flags, part; /* NET_FLAG_…, NET_PART… */
        int file;

        char *method;  /* "": GET */
        char *refused; /* where a redirect led that was not followed, or NULL */
        unsigned hops;
        Answer answer;
        Verdict verdict; /* VERDICT_INVALID before there is an answer */

        uint64_t place;         /* in the file, of what is asked for */
        uint64_t limit;         /* no byte at or behind it; SIZE_UNKNOWN: none */
        uint64_t position, end; /* of the body in the file; end may be SIZE_UNKNOWN */
        uint64_t kicked;        /* write-back was asked for up to here */
        bool cut;               /* the file has been cut to `position` */
        uint64_t discarded;
};

static void on_done(void *userdata, CURLcode result);

static void transfer_free(Transfer *t)
{
        if (!t)
                return;
        request_done(&t->request);
        fd_close(t->file);
        answer_done(&t->answer);
        free(t->method);
        free(t->refused);
        free(t->etag);
        free(t->last_modified);
        free(t);
}
DEFINE_CLEANUP(Transfer, transfer_free);

int transfer_new(Pool *pool, const RequestSettings *settings, const NetStart *start,
                 const WorkListener *listener, void *userdata, Transfer **ret)
{
        _cleanup_(transfer_freep) Transfer *t = calloc(1, sizeof(*t));
        RequestTerms terms = REQUEST_TERMS(start, listener, userdata);
        int r;

        if (!t) {
                fd_close(start->file);
                pool_release(pool);
                return -ENOMEM;
        }
        t->listener = listener;
        t->userdata = userdata;
        t->file = start->file;
        t->flags = start->flags;
        t->part = start->part;
        t->verdict = VERDICT_INVALID;
        t->position = t->place = start->position;
        t->limit = start->limit;
        r = request_init(&t->request, pool, settings, &terms, on_done, t);
        t->etag = strdup(start->etag);
        t->last_modified = strdup(start->last_modified);
        t->method = strdup(start->method);
        if (r < 0 || !t->etag || !t->last_modified || !t->method)
                return -ENOMEM;
        t->wanted = (Wanted){ .offset = start->offset,
                              .end = start->end,
                              .part = start->part & NET_PART,
                              .total = start->total,
                              .etag = t->etag,
                              .last_modified = t->last_modified };
        *ret = TAKE_PTR(t);
        return 0;
}

/* Seconds since 1970, 0 if that cannot be read. */
static uint64_t parse_time(const char *text)
{
        time_t time = *text ? curl_getdate(text, NULL) : -1;

        return time > 0 ? (uint64_t)time : 0;
}

/* A 206 need not repeat what a client that names a version knows already (RFC 9110 15.3.7). */
static const char *known_or(const char *answered, const char *known)
{
        return *answered ? answered : known;
}

static const char *last_modified(const Transfer *t)
{
        if (t->answer.status == 206)
                return known_or(t->answer.last_modified, t->last_modified);
        return t->answer.last_modified;
}

static const char *etag(const Transfer *t)
{
        return t->answer.status == 206 ? known_or(t->answer.etag, t->etag) : t->answer.etag;
}

static void end(Transfer *t, NetOutcome outcome)
{
        NetDone done = { .outcome = outcome, .written = t->position, .detail = "" };

        request_drop(&t->request);
        if (outcome == NET_FAILED) {
                done.remote_name = t->refused;
                done.headers = answer_text(&t->answer);
                done.context = t->request.failure.context;
                done.code = t->request.failure.code;
                done.detail = t->request.failure.detail;
        }
        if (outcome == NET_COMPLETE)
                done.modification_time = parse_time(last_modified(t));
        t->listener->on_ended(t->userdata, &done);
}

/* ---- the body ---- */

static bool write_all(int fd, const char *data, size_t size, uint64_t *position)
{
        while (size > 0) {
                ssize_t n = pwrite(fd, data, size, (off_t)*position);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        errno = n < 0 ? errno : EIO;
                        return false;
                }
                data += n;
                size -= (size_t)n;
                *position += (uint64_t)n;
        }
        return true;
}

/* Bytes behind the watermark are from a life that nobody remembers; a shorter file now would keep
   them as its tail. NET-06 */
static int cut_file(Transfer *t)
{
        struct stat st;

        if (t->cut || t->part & NET_PART_KEEP_TAIL)
                return 0;
        if (fstat(t->file, &st) < 0)
                return -errno;
        if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > t->position &&
            ftruncate(t->file, (off_t)t->position) < 0)
                return -errno;
        t->cut = true;
        return 0;
}

/* The kernel starts to write back early, so that the fdatasync that follows finds little to do. */
static void kick_write_back(Transfer *t)
{
        if (t->position - t->kicked < KICK_BYTES)
                return;
        (void)sync_file_range(t->file, (off_t)t->kicked, (off_t)(t->position - t->kicked),
                              SYNC_FILE_RANGE_WRITE);
        t->kicked = t->position;
}

/* RNG-185 */
static void too_large(Transfer *t)
{
        char shown[300];

        url_for_people(t->request.url, shown, sizeof(shown));
        net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE,
                        BG_E_MAX_DOWNLOAD_SIZE_LIMIT_REACHED,
                        "%s has more bytes than the job may download", shown);
}

static size_t take_body(Transfer *t, const char *data, size_t size)
{
        if (t->end != SIZE_UNKNOWN && size > t->end - t->position) {
                char host[256];

                url_host(t->request.url, host, sizeof(host));
                net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE, BITS_E_CONNECTION_ERROR,
                                "%s sent more than it had announced", host);
                return 0;
        }
        if (size > t->limit - t->position) {
                too_large(t);
                return 0;
        }
        if (!write_all(t->file, data, size, &t->position)) {
                net_failure_file(&t->request.failure, errno);
                return 0;
        }
        request_moved(&t->request, size);
        kick_write_back(t);
        t->listener->on_written(t->userdata);
        return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *userdata)
{
        Transfer *t = userdata;

        (void)one;
        if (t->verdict == VERDICT_TAKE)
                return request_may_move(&t->request) ? take_body(t, data, size)
                                                     : CURL_WRITEFUNC_PAUSE;
        t->discarded += size;
        return t->discarded <= DISCARD_BYTES ? size : 0;
}

/* ---- the header ---- */

/* Where in the file a position of the remote file lies. */
static uint64_t place_of(const Transfer *t, uint64_t remote)
{
        return remote == SIZE_UNKNOWN ? remote : t->place + (remote - t->wanted.offset);
}

static bool begin_body(Transfer *t)
{
        NetStarted started = {
                .status = t->answer.status,
                .offset = answer_offset(&t->answer),
                .total = answer_total(&t->answer),
                .etag = etag(t),
                .last_modified = last_modified(t),
                .resumable = answer_resumable(&t->answer),
                .remote_name = t->hops > 0 ? t->request.url : "",
                .headers = answer_text(&t->answer),
        };
        int r;

        t->position = t->kicked = place_of(t, started.offset);
        t->end = place_of(t, answer_end(&t->answer));
        if (t->end != SIZE_UNKNOWN && t->end > t->limit) {
                too_large(t);
                return false;
        }
        r = cut_file(t);
        if (r < 0) {
                net_failure_file(&t->request.failure, -r);
                return false;
        }
        t->listener->on_started(t->userdata, &started);
        return true;
}

/* NET-34, JOB-40 */
static bool invalid(Transfer *t, const char *why)
{
        char shown[300];

        url_for_people(t->request.url, shown, sizeof(shown));
        net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                        "The answer for %s makes no sense: %s", shown, why);
        return false;
}

static bool is_challenge(const Answer *answer)
{
        return answer->status == 401 || answer->status == 407;
}

/* NET-170 */
static bool whole_only(Transfer *t)
{
        char host[256];

        url_host(t->request.url, host, sizeof(host));
        net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE, BG_E_INSUFFICIENT_RANGE_SUPPORT,
                        "%s, or a proxy before it, does not serve parts of files: it answered with "
                        "the whole file",
                        host);
        return false;
}

/* NET-173 */
static bool beyond(Transfer *t)
{
        uint64_t whole = t->answer.status == 416 ? t->answer.whole : answer_total(&t->answer);
        char shown[300], bytes[48] = "";

        url_for_people(t->request.url, shown, sizeof(shown));
        if (whole != SIZE_UNKNOWN)
                snprintf(bytes, sizeof(bytes), ", which has %llu bytes", (unsigned long long)whole);
        net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE, BG_E_INVALID_RANGE,
                        "A range reaches beyond the end of %s%s", shown, bytes);
        return false;
}

/* Whether to go on with the request. */
static bool judge(Transfer *t)
{
        t->verdict = answer_judge(&t->answer, &t->wanted);
        switch (t->verdict) {
        case VERDICT_TAKE:
                return begin_body(t);
        case VERDICT_VERSION_CHANGED:
                return false;
        case VERDICT_NONSENSE:
                return invalid(t, "it is for another range than the one asked for");
        case VERDICT_WHOLE:
                return whole_only(t);
        case VERDICT_BEYOND:
                return beyond(t);
        case VERDICT_STATUS:
                if (is_challenge(&t->answer)) /* libcurl may be going to answer it */
                        return true;
                _fallthrough_;
        case VERDICT_REDIRECT:
                /* A short body is worth reading: the connection can be used again. */
                return answer_end(&t->answer) == SIZE_UNKNOWN ||
                       answer_end(&t->answer) <= DISCARD_BYTES;
        case VERDICT_MAX:
        case VERDICT_INVALID:
                break;
        }
        assert(!"verdict out of range");
        return false;
}

static size_t on_header(char *line, size_t one, size_t size, void *userdata)
{
        Transfer *t = userdata;

        (void)one;
        /* Schemes of several rounds: libcurl has asked again within the same request. */
        if (t->answer.complete && is_challenge(&t->answer) && size > 5 &&
            memcmp(line, "HTTP/", 5) == 0) {
                answer_reset(&t->answer);
                t->verdict = VERDICT_INVALID;
                t->discarded = 0;
        }
        switch (answer_line(&t->answer, line, size)) {
        case ANSWER_MORE:
                return size;
        case ANSWER_COMPLETE:
                return judge(t) ? size : 0;
        case ANSWER_MALFORMED:
                invalid(t, "its header cannot be read");
                return 0;
        case ANSWER_TOO_LARGE:
                invalid(t, "its header is too long");
                return 0;
        case ANSWER_STEP_MAX:
        case ANSWER_STEP_INVALID:
                break;
        }
        assert(!"step out of range");
        return 0;
}

/* ---- the request ---- */

/* NET-02: the part from `offset` on, and, where the server can compare it, of that version only. */
static int ask_for_range(Transfer *t)
{
        _cleanup_free_ char *line = NULL;
        char range[48];

        snprintf(range, sizeof(range), "%llu-", (unsigned long long)t->wanted.offset);
        if (t->wanted.part && t->wanted.end != SIZE_UNKNOWN)
                snprintf(range + strlen(range), sizeof(range) - strlen(range), "%llu",
                         (unsigned long long)t->wanted.end - 1);
        if (curl_easy_setopt(t->request.easy, CURLOPT_RANGE, range) != CURLE_OK)
                return -ENOMEM;
        /* To a part the whole file is no answer: the version shows in the header. */
        if (t->wanted.part || !etag_is_strong(t->etag))
                return 0;
        if (asprintf(&line, "If-Range: %s", t->etag) < 0)
                return -ENOMEM;
        return request_append_header(&t->request.headers, line);
}

/* NET-156: without a body, which some methods are expected to have. */
static int set_method(Transfer *t)
{
        static const char *const with_body[] = { "POST", "PUT", "PATCH" };

        if (!*t->method)
                return 0;
        if (curl_easy_setopt(t->request.easy, CURLOPT_CUSTOMREQUEST, t->method) != CURLE_OK)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTS(with_body); i++)
                if (string_equal(t->method, with_body[i]))
                        return request_append_header(&t->request.headers, "Content-Length: 0");
        return 0;
}

static int prepare(Transfer *t)
{
        int r = request_prepare(&t->request);

        if (r < 0)
                return r;
        answer_reset(&t->answer);
        t->verdict = VERDICT_INVALID;
        t->discarded = 0;
        curl_easy_setopt(t->request.easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(t->request.easy, CURLOPT_HEADERDATA, t);
        curl_easy_setopt(t->request.easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(t->request.easy, CURLOPT_WRITEDATA, t);
        if ((t->wanted.part || t->wanted.offset > 0) && ask_for_range(t) < 0)
                return -ENOMEM;
        return set_method(t);
}

static void request(Transfer *t)
{
        int r = prepare(t);

        if (r >= 0)
                r = request_run(&t->request);
        if (r < 0) {
                net_failure_memory(&t->request.failure);
                end(t, NET_FAILED);
        }
}

static void start_work(void *work)
{
        Transfer *t = work;

        if (url_is_acceptable(t->request.url)) {
                request(t);
                return;
        }
        net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE, BITS_E_INVALID_ARGUMENT,
                        "The remote name is not an http or https URL");
        end(t, NET_FAILED);
}

static void stop_work(void *work)
{
        end(work, NET_STOPPED);
}

/* ---- the end of a request ---- */

static void request_again(Transfer *t)
{
        request_drop(&t->request);
        request(t);
}

static void go_on(Transfer *t, RequestNext next)
{
        switch (next) {
        case REQUEST_AGAIN:
                request_again(t);
                return;
        case REQUEST_STALE:
                request_drop(&t->request);
                t->listener->on_stale(t->userdata);
                return;
        case REQUEST_FAILED:
        case REQUEST_NEXT_MAX:
        case REQUEST_NEXT_INVALID:
                break;
        }
        end(t, NET_FAILED);
}

static void follow_redirect(Transfer *t)
{
        unsigned status = t->answer.status;
        char *url = NULL, host[256];

        switch (redirect_decide(t->request.url, t->answer.location, t->flags, t->hops + 1, &url)) {
        case REDIRECT_FOLLOW:
                request_move(&t->request, url);
                t->hops++;
                request_again(t);
                return;
        case REDIRECT_DISALLOWED:
                t->refused = url;
                url_host(t->request.url, host, sizeof(host));
                net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE, BITS_E_HTTP(status),
                                "%s answered %u, a redirect%s that the job does not permit", host,
                                status,
                                t->flags & NET_FLAG_REDIRECT_DISALLOW ? "" : " from https to http");
                break;
        case REDIRECT_TOO_MANY:
                invalid(t, "it was redirected too often");
                break;
        case REDIRECT_NONSENSE:
                invalid(t, "it redirects to something that is neither http nor https");
                break;
        case REDIRECT_MAX:
        case REDIRECT_INVALID:
                break;
        }
        end(t, NET_FAILED);
}

/* The connection ended well; is the file whole? NET-33, JOB-37 */
static void end_of_body(Transfer *t)
{
        uint64_t total = answer_total(&t->answer);
        char host[256];

        url_host(t->request.url, host, sizeof(host));
        if ((t->end != SIZE_UNKNOWN && t->position != t->end) ||
            (!t->wanted.part && total != SIZE_UNKNOWN && t->position != total)) {
                net_failure_set(&t->request.failure, CONTEXT_REMOTE_FILE, BITS_E_CONNECTION_ERROR,
                                "%s sent %llu of %llu bytes", host, (unsigned long long)t->position,
                                (unsigned long long)(t->end != SIZE_UNKNOWN ? t->end : total));
                end(t, NET_FAILED);
                return;
        }
        end(t, NET_COMPLETE);
}

static void on_done(void *userdata, CURLcode result)
{
        Transfer *t = userdata;

        if (t->request.failure.code != 0) {
                end(t, NET_FAILED);
                return;
        }
        switch (t->verdict) {
        case VERDICT_REDIRECT:
                follow_redirect(t);
                return;
        case VERDICT_VERSION_CHANGED:
                end(t, NET_VERSION_CHANGED);
                return;
        case VERDICT_STATUS:
                if (is_challenge(&t->answer)) {
                        go_on(t, request_challenged(&t->request, t->answer.status));
                        return;
                }
                net_failure_status(&t->request.failure, t->answer.status, t->request.url);
                end(t, NET_FAILED);
                return;
        case VERDICT_TAKE:
                if (result == CURLE_OK) {
                        end_of_body(t);
                        return;
                }
                break;
        case VERDICT_NONSENSE:
        case VERDICT_WHOLE:
        case VERDICT_BEYOND:
        case VERDICT_MAX:
        case VERDICT_INVALID:
                break;
        }
        /* JOB-41: what arrived before is written and stays. */
        go_on(t, request_broken(&t->request, result == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : result,
                                t->answer.status != 0));
}

static uint64_t work_written(const void *work)
{
        const Transfer *t = work;

        return t->position;
}

static void free_work(void *work)
{
        transfer_free(work);
}

static void accept_work(void *work, uint32_t code, const char *detail)
{
        Transfer *t = work;

        request_accept(&t->request, code, detail);
}

const Protocol transfer_protocol = { .start = start_work,
                                     .stop = stop_work,
                                     .accept = accept_work,
                                     .written = work_written,
                                     .free = free_work };
