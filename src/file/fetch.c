/*
 * The bytes [0, position) of the target are those of the origin. Whether it is still the version
 * that was opened is asked after every slice: what came of another one is never told as written.
 *
 * copy_file_range() shares blocks where the file system can, so nothing more is needed for that.
 * Between file systems of different kinds it does not work at all, and when it fails it does not
 * say which of the two files is to blame: then the slice is repeated by hand, and so are those that
 * follow. Holes stay holes.
 */
#include "file/fetch.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "core/error.h"
#include "file/attributes.h"
#include "file/origin.h"
#include "file/put.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
        BUFFER = 256 * 1024,
        LEAST_SLICE = 64 * 1024, /* a slow share gives this much before a stop is missed */
        MOST_SLICE = 64 * 1024 * 1024,
        SHORT_USEC = 10 * 1000, /* a slice that took less is doubled the next time */
        LONG_USEC = 40 * 1000,  /* … more: halved */
        PROGRESS_USEC = 200 * 1000,
        KICK_BYTES = 8 * 1024 * 1024, /* written since the kernel was last asked to begin */
        DETAIL_MAX = 256,
};

struct Fetch {
        TAILQ_ENTRY(Fetch) entries;
        uint64_t id;
        uint32_t serial;
        Origin origin;
        int target;
        uint64_t position;
        uint64_t kicked;
        uint64_t told; /* µs, monotonic */
        uint64_t slice;
        bool by_hand;
        bool putting; /* an upload: origin is the local file, target lies beside the remote name */
        Put put;
};

/* Why a slice went wrong. */
typedef struct Trouble {
        ErrorContext context; /* CONTEXT_NONE: the origin is another version by now */
        int error;
} Trouble;

static void fetch_free(Fetch *fetch)
{
        origin_done(&fetch->origin);
        put_done(&fetch->put);
        fd_close(fetch->target);
        free(fetch);
}

void fetches_init(Fetches *fetches, Talk *talk, Changed *changed)
{
        fetches->changed = changed;
        fetches->talk = talk;
        TAILQ_INIT(&fetches->queue);
}

static void drop(Fetches *fetches, Fetch *fetch)
{
        TAILQ_REMOVE(&fetches->queue, fetch, entries);
        fetch_free(fetch);
}

void fetches_done(Fetches *fetches)
{
        Fetch *fetch;

        while ((fetch = TAILQ_FIRST(&fetches->queue)))
                drop(fetches, fetch);
}

bool fetches_busy(const Fetches *fetches)
{
        return !TAILQ_EMPTY(&fetches->queue);
}

bool fetches_brief(const Fetches *fetches)
{
        const Fetch *fetch = TAILQ_FIRST(&fetches->queue);

        return !fetch->putting &&
               (uint64_t)fetch->origin.st.st_size - fetch->position <= LEAST_SLICE;
}

/* ---- what is told ---- */

static int tell_end(Fetches *fetches, const Fetch *fetch, NetOutcome outcome)
{
        net_done_write(&fetches->talk->out, fetch->serial,
                       &(NetDone){ .transfer = fetch->id,
                                   .outcome = outcome,
                                   .written = fetch->position });
        return talk_send_soon(fetches->talk);
}

static int tell_failure(Fetches *fetches, const Fetch *fetch, ErrorContext context, BitsCode code,
                        const char *what, const char *why)
{
        char detail[DETAIL_MAX];

        snprintf(detail, sizeof(detail), "%s: %s", what, why);
        net_done_write(&fetches->talk->out, fetch->serial,
                       &(NetDone){ .transfer = fetch->id,
                                   .outcome = NET_FAILED,
                                   .context = context,
                                   .code = code,
                                   .written = fetch->position,
                                   .detail = detail });
        return talk_send_soon(fetches->talk);
}

/* FIL-114: the two files have changed places. */
static int tell_put_trouble(Fetches *fetches, const Fetch *fetch, const Trouble *trouble)
{
        if (trouble->context == CONTEXT_NONE)
                return tell_failure(fetches, fetch, CONTEXT_LOCAL_FILE, BG_E_LOCAL_FILE_CHANGED,
                                    "The local file",
                                    "it was changed since its upload began; make "
                                    "a new job");
        if (trouble->context == CONTEXT_REMOTE_FILE)
                return tell_failure(fetches, fetch, CONTEXT_LOCAL_FILE,
                                    code_from_source_errno(trouble->error),
                                    "The local file could not be read", strerror(trouble->error));
        return tell_failure(fetches, fetch, CONTEXT_REMOTE_FILE, code_from_errno(trouble->error),
                            "Could not write to the remote place", strerror(trouble->error));
}

static int tell_trouble(Fetches *fetches, const Fetch *fetch, const Trouble *trouble)
{
        if (fetch->putting)
                return tell_put_trouble(fetches, fetch, trouble);
        if (trouble->context == CONTEXT_NONE)
                return tell_end(fetches, fetch, NET_VERSION_CHANGED);
        if (trouble->context == CONTEXT_REMOTE_FILE)
                return tell_failure(fetches, fetch, CONTEXT_REMOTE_FILE,
                                    code_from_remote_errno(trouble->error),
                                    "The remote file could not be read", strerror(trouble->error));
        return tell_failure(fetches, fetch, CONTEXT_LOCAL_FILE, code_from_errno(trouble->error),
                            "Could not write to the temporary file", strerror(trouble->error));
}

static int tell_started(Fetches *fetches, const Fetch *fetch)
{
        net_started_write(&fetches->talk->out, fetch->serial,
                          &(NetStarted){ .transfer = fetch->id,
                                         .offset = fetch->position,
                                         .total = (uint64_t)fetch->origin.st.st_size,
                                         .etag = fetch->origin.version,
                                         .resumable = 1 });
        return talk_send_soon(fetches->talk);
}

static int tell_placed(Fetches *fetches, const Fetch *fetch)
{
        copy_placed_write(&fetches->talk->out, fetch->serial,
                          &(CopyPlaced){ .transfer = fetch->id,
                                         .device = fetch->put.mark.device,
                                         .inode = fetch->put.mark.inode,
                                         .birth = fetch->put.mark.birth,
                                         .offset = fetch->position });
        return talk_send_soon(fetches->talk);
}

static int tell_progress(Fetches *fetches, Fetch *fetch)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        if (now - fetch->told < PROGRESS_USEC)
                return 0;
        fetch->told = now;
        net_progress_write(&fetches->talk->out, fetch->serial,
                           &(NetProgress){ .transfer = fetch->id, .written = fetch->position });
        return talk_send_soon(fetches->talk);
}

/* FIL-109: of the descriptor that was read, not of what has the name by now. */
static int tell_complete(Fetches *fetches, const Fetch *fetch)
{
        const struct stat *st = &fetch->origin.st;
        _cleanup_free_ char *acl = attributes_acl(fetch->origin.fd);

        copy_done_write(&fetches->talk->out, fetch->serial,
                        &(CopyDone){
                                .transfer = fetch->id,
                                .written = fetch->position,
                                .modification_time =
                                        st->st_mtim.tv_sec > 0 ? (uint64_t)st->st_mtim.tv_sec : 0,
                                .modification_nsec = (uint32_t)st->st_mtim.tv_nsec,
                                .owner = st->st_uid,
                                .group = st->st_gid,
                                .mode = st->st_mode & ATTRIBUTES_MODE,
                                .acl = acl,
                        });
        return talk_send_soon(fetches->talk);
}

/* ---- copying ---- */

/* False with errno. */
static bool write_all(Fetch *fetch, const char *bytes, size_t n)
{
        while (n > 0) {
                ssize_t k = pwrite(fetch->target, bytes, n, (off_t)fetch->position);

                if (k < 0)
                        return false;
                bytes += k;
                n -= (size_t)k;
                fetch->position += (uint64_t)k;
        }
        return true;
}

/* Up to `end`. False with the trouble. */
static bool copy_by_hand(Fetch *fetch, uint64_t end, Trouble *ret)
{
        static char buffer[BUFFER];

        while (fetch->position < end) {
                ssize_t k =
                        pread(fetch->origin.fd, buffer, MIN(end - fetch->position, sizeof(buffer)),
                              (off_t)fetch->position);

                if (k < 0)
                        *ret = (Trouble){ CONTEXT_REMOTE_FILE, errno };
                else if (k == 0) /* shorter than it was */
                        *ret = (Trouble){ CONTEXT_NONE, 0 };
                else if (!write_all(fetch, buffer, (size_t)k))
                        *ret = (Trouble){ CONTEXT_LOCAL_FILE, errno };
                else
                        continue;
                return false;
        }
        return true;
}

static void copy_in_kernel(Fetch *fetch, uint64_t end)
{
        while (fetch->position < end) {
                off_t from = (off_t)fetch->position, to = from;
                ssize_t k = copy_file_range(fetch->origin.fd, &from, fetch->target, &to,
                                            end - fetch->position, 0);

                if (k <= 0) {
                        fetch->by_hand = true;
                        return;
                }
                fetch->position += (uint64_t)k;
        }
}

/* FIL-108: where the next data begins; what lies before is made a hole of the target. File systems
   that know no holes say that all is data. */
static bool skip_hole(Fetch *fetch, Trouble *ret)
{
        uint64_t size = (uint64_t)fetch->origin.st.st_size, data;
        off_t found = lseek(fetch->origin.fd, (off_t)fetch->position, SEEK_DATA);

        if (found < 0 && errno != ENXIO) /* ENXIO: nothing but a hole follows */
                return true;
        data = found < 0 ? size : MIN((uint64_t)found, size);
        if (data == fetch->position)
                return true;
        if (ftruncate(fetch->target, (off_t)data) < 0) {
                *ret = (Trouble){ CONTEXT_LOCAL_FILE, errno };
                return false;
        }
        fetch->position = data;
        return true;
}

/* The kernel starts to write back early, so that the fdatasync that follows finds little to do. */
static void kick_write_back(Fetch *fetch)
{
        if (fetch->position - fetch->kicked < KICK_BYTES)
                return;
        (void)sync_file_range(fetch->target, (off_t)fetch->kicked,
                              (off_t)(fetch->position - fetch->kicked), SYNC_FILE_RANGE_WRITE);
        fetch->kicked = fetch->position;
}

/* FIL-110: long enough to be quick, short enough to listen in between, however fast the files. */
static void adapt_slice(Fetch *fetch, uint64_t usec)
{
        if (usec < SHORT_USEC)
                fetch->slice = MIN(fetch->slice * 2, (uint64_t)MOST_SLICE);
        else if (usec > LONG_USEC)
                fetch->slice = MAX(fetch->slice / 2, (uint64_t)LEAST_SLICE);
}

/* FIL-107 */
static bool copy_slice(Fetch *fetch, Trouble *ret)
{
        uint64_t size = (uint64_t)fetch->origin.st.st_size, end, before;
        int r;

        before = clock_usec(CLOCK_MONOTONIC);
        if (!skip_hole(fetch, ret))
                return false;
        end = MIN(size, fetch->position + fetch->slice);
        if (!fetch->by_hand)
                copy_in_kernel(fetch, end);
        if (!copy_by_hand(fetch, end, ret))
                return false;
        r = origin_unchanged(&fetch->origin);
        if (r <= 0) {
                *ret = (Trouble){ r < 0 ? CONTEXT_REMOTE_FILE : CONTEXT_NONE, -r };
                return false;
        }
        adapt_slice(fetch, clock_usec(CLOCK_MONOTONIC) - before);
        kick_write_back(fetch);
        return true;
}

static int finish(Fetches *fetches, Fetch *fetch)
{
        int r = 0;

        if (fetch->putting)
                r = put_finish(fetches->changed, &fetch->put, fetch->target, fetch->origin.fd,
                               &fetch->origin.st);
        return r < 0 ? tell_trouble(fetches, fetch, &(Trouble){ CONTEXT_LOCAL_FILE, -r })
                     : tell_complete(fetches, fetch);
}

int fetches_run(Fetches *fetches)
{
        Fetch *fetch = TAILQ_FIRST(&fetches->queue);
        uint64_t before = fetch->position;
        Trouble trouble;
        int r;

        if (!copy_slice(fetch, &trouble)) {
                fetch->position = MIN(fetch->position, before);
                r = tell_trouble(fetches, fetch, &trouble);
        } else if (fetch->position == (uint64_t)fetch->origin.st.st_size)
                r = finish(fetches, fetch);
        else {
                TAILQ_REMOVE(&fetches->queue, fetch, entries);
                TAILQ_INSERT_TAIL(&fetches->queue, fetch, entries);
                return tell_progress(fetches, fetch);
        }
        drop(fetches, fetch);
        return r;
}

/* ---- requests ---- */

static Fetch *find(Fetches *fetches, uint64_t id)
{
        Fetch *fetch;

        TAILQ_FOREACH (fetch, &fetches->queue, entries)
                if (fetch->id == id)
                        return fetch;
        return NULL;
}

/* Bytes behind the watermark are from a life that nobody remembers. */
static int cut(const Fetch *fetch)
{
        struct stat st;

        if (fstat(fetch->target, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((uint64_t)st.st_size > fetch->position &&
            ftruncate(fetch->target, (off_t)fetch->position) < 0)
                return -errno;
        return 0;
}

/* 1: it runs, 0: it has ended, and bitsd knows; or -errno. */
static int begin(Fetches *fetches, Fetch *fetch, const CopyStart *start)
{
        const char *why = NULL;
        int r;

        r = origin_open(start->path, &fetch->origin, &why);
        if (r < 0)
                return tell_failure(fetches, fetch, CONTEXT_REMOTE_FILE, code_from_remote_errno(-r),
                                    "The remote file could not be opened", why);
        /* Decided before a byte is written. RNG-185 */
        if ((uint64_t)fetch->origin.st.st_size > start->limit)
                return tell_failure(fetches, fetch, CONTEXT_REMOTE_FILE,
                                    BG_E_MAX_DOWNLOAD_SIZE_LIMIT_REACHED,
                                    "The remote file has more bytes than the job may download",
                                    "raise the limit, or leave the file out");
        if (fetch->position > 0 && !string_equal(start->version, fetch->origin.version))
                return tell_end(fetches, fetch, NET_VERSION_CHANGED);
        r = cut(fetch);
        if (r < 0)
                return tell_trouble(fetches, fetch, &(Trouble){ CONTEXT_LOCAL_FILE, -r });
        r = tell_started(fetches, fetch);
        return r < 0 ? r : 1;
}

/* -EBADMSG: that number is taken. */
static int new_fetch(Fetches *fetches, uint64_t id, uint64_t offset, uint32_t serial, Fetch **ret)
{
        Fetch *fetch;

        if (find(fetches, id) || offset > INT64_MAX)
                return -EBADMSG;
        fetch = malloc(sizeof(*fetch));
        if (!fetch)
                return -ENOMEM;
        *fetch = (Fetch){ .id = id,
                          .serial = serial,
                          .origin = { .fd = -EBADF },
                          .target = -EBADF,
                          .position = offset,
                          .kicked = offset,
                          .told = clock_usec(CLOCK_MONOTONIC),
                          .slice = LEAST_SLICE };
        *ret = fetch;
        return 0;
}

/* `begun`: 1 it runs, 0 or -errno it does not. */
static int enqueue(Fetches *fetches, Fetch *fetch, int begun)
{
        if (begun > 0)
                TAILQ_INSERT_TAIL(&fetches->queue, fetch, entries);
        else
                fetch_free(fetch);
        return MIN(begun, 0);
}

int fetches_start(Fetches *fetches, const CopyStart *start, uint32_t serial)
{
        Fetch *fetch = NULL;
        int r = new_fetch(fetches, start->transfer, start->offset, serial, &fetch);

        if (r < 0) {
                fd_close(start->file);
                return r;
        }
        fetch->target = start->file;
        return enqueue(fetches, fetch, begin(fetches, fetch, start));
}

/* What the upload began with; the time in ns tells as much as the size and more. */
static bool is_the_one(const Origin *origin, const CopyPut *q)
{
        const struct timespec *t = &origin->st.st_mtim;

        return (uint64_t)origin->st.st_size == q->total &&
               (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec == q->modification_time;
}

/* As begin(). */
static int begin_put(Fetches *fetches, Fetch *fetch, const CopyPut *q)
{
        int r = origin_of(q->file, &fetch->origin);

        if (r < 0)
                return tell_trouble(fetches, fetch, &(Trouble){ CONTEXT_REMOTE_FILE, -r });
        if (!is_the_one(&fetch->origin, q))
                return tell_trouble(fetches, fetch, &(Trouble){ CONTEXT_NONE, 0 });
        r = put_open(fetches->changed, q, &fetch->put, &fetch->target, &fetch->position);
        if (r >= 0)
                r = cut(fetch);
        if (r < 0)
                return tell_trouble(fetches, fetch, &(Trouble){ CONTEXT_LOCAL_FILE, -r });
        fetch->kicked = fetch->position;
        r = tell_placed(fetches, fetch);
        return r < 0 ? r : 1;
}

int fetches_put(Fetches *fetches, const CopyPut *put, uint32_t serial)
{
        Fetch *fetch = NULL;
        int r = new_fetch(fetches, put->transfer, put->offset, serial, &fetch);

        if (r < 0) {
                fd_close(put->file);
                return r;
        }
        fetch->putting = true;
        return enqueue(fetches, fetch, begin_put(fetches, fetch, put));
}

/* A stop may cross the end of its copy: an unknown number is no breach. */
int fetches_stop(Fetches *fetches, uint64_t transfer)
{
        Fetch *fetch = find(fetches, transfer);
        int r;

        if (!fetch)
                return 0;
        r = tell_end(fetches, fetch, NET_STOPPED);
        drop(fetches, fetch);
        return r;
}
