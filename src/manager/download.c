/*
 * A file comes in parts, one request after the other over one connection; which part is next,
 * core/fill.h says. A whole file is one part.
 *
 * What counts: `kept` moves only after a sync (keeping.h); a file begun anew although the store
 * still remembers kept bytes is not written to before the store has forgotten them (an inode number
 * may come back).
 */
#include "manager/keeping.h"
#include "manager/net-terms.h"
#include "manager/transfer-kind.h"
#include "manager/validation.h"

#include "basic/clock.h"
#include "basic/closer.h"
#include "core/fill.h"
#include "core/policy.h"
#include "core/remote-name.h"

enum {
        VERSIONS_MAX = 5, /* changes of version before it is called a failure */
};

typedef enum Phase {
        PHASE_OPENING,
        PHASE_FORGETTING, /* the store learns which file it is, and forgets bytes of another */
        PHASE_READING,    /* the client certificate */
        PHASE_FETCHING,
        PHASE_SYNCING,  /* for the last time; `report` says what follows */
        PHASE_DRESSING, /* the file gets what it has besides its content */
} Phase;

typedef struct Download {
        Transfer base;
        Phase phase;
        NetTerms terms;
        char *final_name;  /* where redirects led, or NULL */
        Part part;         /* that is fetched */
        uint64_t position; /* in the file: the part is there up to here */
        bool aside;        /* the part is left for another one */
        unsigned versions; /* see VERSIONS_MAX */
        Keeping keeping;
        FileAttributes attributes; /* of a file of this machine, when it is copied; acl: owned */
} Download;

static void open_temporary(Download *t);

static void mark(Download *t)
{
        transfer_mark(&t->base, STORE_LAZY);
}

/* Ends with the report; while a sync uses the descriptor, as soon as that is over. DUR-35 */
static void end_soon(Download *t)
{
        if (t->keeping.under_way)
                t->phase = PHASE_SYNCING;
        else
                transfer_end(&t->base);
}

static void fail_local(Download *t, int error, const char *what)
{
        transfer_end_local(&t->base, code_from_errno(error), what, destination_text(error));
}

/* ---- syncing ---- */

static void sync_last(Download *t);
static void dress(Download *t);
static void stop_fetching(Download *t);

static void on_synced(Transfer *base, WorkResult result)
{
        Download *t = (Download *)base;
        Keeping *keeping = &t->keeping;

        if (t->phase != PHASE_SYNCING) {
                if (keeping_failed(keeping))
                        stop_fetching(t);
                else if (keeping->due)
                        keeping_sync(keeping);
        } else if (result != WORK_DONE)
                transfer_end_unserved(base, result, true);
        else if (keeping->error != 0) {
                /* Bytes may be lost that seemed to be written: only the kept ones are sure. */
                fill_forget_unkept(base->file);
                fail_local(t, keeping->error, "cannot write");
        } else if (keeping->doubt) { /* DUR-50: fetched again from what is sure */
                fill_forget_unkept(base->file);
                transfer_end_stopped(base);
        } else if (base->file->kept < base->file->written)
                sync_last(t);
        else if (base->report.end == TRANSFER_DONE && t->attributes.flags != 0)
                dress(t);
        else
                transfer_end(base);
}

static void sync_last(Download *t)
{
        t->phase = PHASE_SYNCING;
        if (t->keeping.under_way)
                return; /* goes on in on_synced() */
        keeping_sync(&t->keeping);
        if (!t->keeping.under_way)
                transfer_end_unserved(&t->base, WORK_NOT_STARTED, true);
}

/* Ends with the report after what arrived is safe; at once when nothing new is there. JOB-26,
   DUR-10 */
static void end_synced(Download *t)
{
        const File *file = t->base.file;
        bool nothing = file->written == file->kept && t->base.report.end != TRANSFER_DONE &&
                       !keeping_failed(&t->keeping);

        if (t->base.fd < 0 || (nothing && !t->keeping.under_way))
                transfer_end(&t->base);
        else
                sync_last(t);
}

/* ---- what a file has besides its content ---- */

/* FIL-119: whoever may not give a file away today may be let tomorrow. */
static void on_dressed(void *userdata, FileAnswer *answer)
{
        Download *t = userdata;

        if (answer->result != WORK_DONE) {
                transfer_end_unserved(&t->base, answer->result, true);
                return;
        }
        if (answer->error != 0) {
                transfer_set_failure(
                        &t->base, CONTEXT_LOCAL_FILE, code_from_errno(answer->error),
                        "the file is there, but cannot get owner, group and rights of the "
                        "remote file as the job's FileACLFlags ask: the identity of the local "
                        "files may not give them");
                t->base.report.transient = true;
        }
        transfer_end(&t->base);
}

static void dress(Download *t)
{
        t->phase = PHASE_DRESSING;
        t->attributes.file = t->base.fd;
        if (worker_attributes(t->base.local, &t->attributes, on_dressed, t) < 0)
                transfer_end_unserved(&t->base, WORK_NOT_STARTED, true);
}

/* ---- fetching ---- */

/* JOB-32, DUR-12. JOB-33: this file alone. */
static void start_over(Download *t)
{
        file_reset(t->base.file);
        mark(t);
        t->base.fd = closer_close(t->base.fd);
        open_temporary(t);
}

/* SEC-120: a server says where its reply is; nobody else's is meant by the job's secrets. */
static bool may_show_secrets(const File *file)
{
        return !remote_name_is_file(file->remote_name) &&
               (file != file->job->reply || upload_reply_is_trusted(file->job));
}

/* What the job's limit leaves for this file, as a position in it. RNG-185 */
static uint64_t limit_of(const Download *t)
{
        const Job *job = t->base.file->job;
        uint64_t left = job->max_download_size - MIN(job->max_download_size, job->bytes_written);

        return left > JOB_SIZE_UNKNOWN - t->part.position ? JOB_SIZE_UNKNOWN
                                                          : t->part.position + left;
}

/* FIL-107: the network identity's bits-file opens the source, and writes where the local identity's
   lets it. */
static void write_copy_start(const Download *t, Message *m)
{
        char path[REMOTE_PATH_MAX];

        if (remote_name_path(t->base.file->remote_name, path))
                path[0] = 0; /* was none when it was added; then there is no such file */
        copy_start_write(m, 0,
                         &(CopyStart){ .transfer = t->base.client.id,
                                       .path = path,
                                       .offset = t->base.file->written,
                                       .limit = limit_of(t),
                                       .version = t->base.file->etag,
                                       .file = t->base.fd });
}

static uint32_t part_flags(const Part *part)
{
        return (part->partial ? NET_PART : 0) | (part->keep_tail ? NET_PART_KEEP_TAIL : 0);
}

/* SEC-81: they are opened for each start, and lie nowhere meanwhile. */
static void write_start(void *userdata, Message *m)
{
        Download *t = userdata;
        File *file = t->base.file;
        const Job *job = file->job;
        char realm[VALIDATION_REALM_MAX];
        FdList secrets;
        uint32_t which;

        if (remote_name_is_file(file->remote_name)) {
                write_copy_start(t, m);
                return;
        }
        which = net_terms_open(&t->terms, &secrets);
        /* What arrived of it before a worker died need not come again; DONE cannot be the answer,
           on_lost() asked. */
        (void)fill_next(file, &t->part);
        t->position = t->part.position;

        validation_realm(job, realm);
        net_start_write(
                m, 0,
                &(NetStart){ NET_TERMS(job, file->remote_name), .transfer = t->base.client.id,
                             .part = part_flags(&t->part), .offset = t->part.offset,
                             .end = t->part.end, .position = t->part.position, .limit = limit_of(t),
                             .total = file_remote_size(file), .etag = file->etag,
                             .last_modified = file->last_modified, .method = job->http.method,
                             .validation = realm, .secrets = which, .file = t->base.fd,
                             .secret_files = secrets });
}

static void keep_text(char **kept, const char *text)
{
        free(*kept);
        *kept = string_empty(text) ? NULL : strdup(text);
}

/* NET-155: what the server says is a URL like one of a client. */
static void rename_remote(Download *t, const char *url)
{
        if (policy_check_remote_name(url, NULL) == 0 && !remote_name_is_file(url) &&
            file_set_remote_name(t->base.file, url) >= 0)
                mark(t);
}

/* Leaves the part that is on its way when another one is more urgent; the answer is NET_STOPPED. */
static void look_aside(Download *t)
{
        if (t->phase != PHASE_FETCHING || t->base.stopping || t->aside || !t->base.client.worker ||
            !fill_turn_aside(t->base.file, &t->part, t->position))
                return;
        t->aside = worker_net_stop(&t->base.client);
}

static void on_started(void *userdata, const NetStarted *started)
{
        Download *t = userdata;
        File *file = t->base.file;

        keep_text(&t->final_name, started->remote_name);
        keep_text(&file->response_headers, started->headers);
        net_terms_sent(&t->terms); /* the worker has them */
        if (file_set_version(file, started->etag, started->last_modified,
                             started->resumable != 0 && !file->job->dynamic_content &&
                                     !http_has_custom_method(&file->job->http)) < 0)
                file->resumable = false;
        if (started->total != SIZE_UNKNOWN || !t->part.partial)
                fill_set_remote_size(file, started->total);
        mark(t);
        t->base.listener->on_connected(t->base.userdata, &t->base);
        look_aside(t);
}

/* JOB-23: never backwards. */
static bool note(Download *t, uint64_t written)
{
        t->position = MAX(t->position, written);
        return fill_note(t->base.file, &t->part, written);
}

static void on_progress(void *userdata, uint64_t written)
{
        Download *t = userdata;

        if (!note(t, written))
                return;
        /* What has to be begun again was no progress. */
        if (file_can_resume(t->base.file))
                t->base.losses = 0;
        mark(t);
        keeping_sync_in_passing(&t->keeping);
        t->base.listener->on_progress(t->base.userdata, &t->base);
        look_aside(t);
}

/* DUR-34 */
static void on_version_changed(Download *t)
{
        if (t->base.stopping) {
                t->base.report = (TransferReport){ .end = TRANSFER_STOPPED };
                end_synced(t);
        } else if (++t->versions > VERSIONS_MAX) {
                transfer_set_failure(&t->base, CONTEXT_REMOTE_FILE, BG_E_REMOTE_FILE_CHANGED,
                                     "the remote file changes faster than it can be fetched");
                end_soon(t);
        } else if (!t->keeping.under_way)
                start_over(t);
        else {
                /* The descriptor is in use: stop here, the next start finds the new version. */
                file_reset(t->base.file);
                t->base.report = (TransferReport){ .end = TRANSFER_STOPPED };
                end_soon(t);
        }
}

static void fetch(Download *t);

/* NET-155: when all is there, and not before: what the job shows is for the host that it names. */
static void report_redirect(Download *t)
{
        const HttpOptions *http = &t->base.file->job->http;

        if (t->final_name && (http->security_flags & HTTP_REDIRECT_MASK) == HTTP_REDIRECT_REPORT)
                rename_remote(t, t->final_name);
}

/* JOB-23, JOB-35, JOB-42: of a whole file the length is known now. RNG-170: of ranges, the next. */
static void on_part_complete(Download *t, const NetDone *done)
{
        File *file = t->base.file;

        file->modification_time = done->modification_time;
        if (!t->part.partial) {
                file_set_total(file, done->written);
                report_redirect(t);
                t->base.report = (TransferReport){ .end = TRANSFER_DONE };
                end_synced(t);
                return;
        }
        if (t->part.end == JOB_SIZE_UNKNOWN && file_remote_size(file) == JOB_SIZE_UNKNOWN)
                fill_set_remote_size(file, t->part.offset + (t->position - t->part.position));
        if (t->position > t->part.position) {
                if (file->scattered) /* RNG-194: somebody may wait for this very part */
                        keeping_sync(&t->keeping);
                fetch(t);
                return;
        }
        transfer_set_failure(&t->base, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                             "the server answers with no bytes at all");
        end_synced(t);
}

static void on_done(void *userdata, const NetDone *done)
{
        Download *t = userdata;
        bool aside = t->aside;

        t->aside = false;
        if (done->outcome == NET_VERSION_CHANGED) {
                on_version_changed(t);
                return;
        }
        (void)note(t, done->written);
        switch ((NetOutcome)done->outcome) {
        case NET_COMPLETE:
                on_part_complete(t, done);
                return;
        case NET_STOPPED:
                if (aside && !t->base.stopping && !keeping_failed(&t->keeping)) {
                        fetch(t);
                        return;
                }
                t->base.report = (TransferReport){ .end = TRANSFER_STOPPED };
                break;
        case NET_FAILED:
                transfer_set_failure(&t->base, (ErrorContext)done->context, done->code,
                                     done->detail);
                if (done->code == BG_E_INVALID_RANGE && t->base.file->scattered)
                        ranges_done(&t->base.file->requested); /* else no Resume could ever help */
                if (*done->headers)
                        keep_text(&t->base.file->response_headers, done->headers);
                if (*done->remote_name)
                        rename_remote(t, done->remote_name);
                break;
        case NET_VERSION_CHANGED:
        case NET_OUTCOME_MAX:
        case NET_OUTCOME_INVALID:
                break;
        }
        end_synced(t);
}

static void on_copied(void *userdata, const CopyDone *done)
{
        Download *t = userdata;
        uint32_t time = done->modification_time != 0 ? ATTRIBUTE_TIME : 0; /* FIL-115 */
        char *acl = strdup(done->acl);

        if (!acl) {
                transfer_set_failure(&t->base, CONTEXT_GENERAL_QUEUE_MANAGER, BITS_E_OUT_OF_MEMORY,
                                     NULL);
                end_synced(t);
                return;
        }
        free((char *)t->attributes.acl);
        t->attributes = (FileAttributes){ .flags = transfer_attributes(t->base.file->job) | time,
                                          .modification_time = done->modification_time,
                                          .modification_nsec = done->modification_nsec,
                                          .owner = done->owner,
                                          .group = done->group,
                                          .mode = done->mode,
                                          .acl = acl };
        file_set_written(t->base.file, MAX(t->base.file->written, done->written));
        file_set_total(t->base.file, done->written);
        t->base.report = (TransferReport){ .end = TRANSFER_DONE };
        end_synced(t);
}

/* ENG-38, ENG-39, ENG-40 */
static void on_lost(void *userdata)
{
        Download *t = userdata;
        Part next;

        if (t->base.stopping) {
                worker_net_detach(&t->base.client);
                t->base.report = (TransferReport){ .end = TRANSFER_STOPPED };
                end_synced(t);
        } else if (++t->base.losses >= LOSSES_MAX) {
                worker_net_detach(&t->base.client);
                t->base.report =
                        (TransferReport){ .end = TRANSFER_UNSERVED, .result = WORK_ABORTED };
                end_soon(t);
        } else if (t->base.file->written > 0 && !file_can_resume(t->base.file)) {
                worker_net_detach(&t->base.client);
                if (t->keeping.under_way)
                        on_version_changed(t);
                else
                        start_over(t);
        } else if (t->aside || fill_next(t->base.file, &next) != FILL_FETCH) {
                t->aside = false;
                worker_net_detach(&t->base.client);
                fetch(t);
        }
}

static void on_failed(void *userdata, WorkResult result)
{
        Download *t = userdata;

        t->base.report = (TransferReport){ .end = TRANSFER_UNSERVED, .result = result };
        if (result == WORK_SILENT)
                transfer_set_failure(&t->base, CONTEXT_REMOTE_FILE, BITS_E_TIMEOUT,
                                     TRANSFER_SILENT_TEXT);
        end_soon(t);
}

static void on_terms(void *userdata, const NetTermsAnswer *answer)
{
        Download *t = userdata;

        if (answer->result != WORK_DONE)
                transfer_end_unserved(&t->base, answer->result, true);
        else if (answer->code != 0) {
                transfer_end_failed(&t->base, CONTEXT_LOCAL_FILE, answer->code, answer->detail);
        } else
                fetch(t);
}

static void end_with(Download *t, TransferEnd how)
{
        t->base.report = (TransferReport){ .end = how };
        end_synced(t);
}

/* TOK-150 */
static void attach(Download *t, const Part *part)
{
        int r;

        t->part = *part;
        t->position = part->position;
        r = net_terms_read(&t->terms, t->base.local, on_terms, t);
        if (r == 0)
                t->phase = PHASE_READING;
        else if (r < 0)
                transfer_end_unserved(&t->base, r == -ENOKEY ? WORK_DEAD_TOKEN : WORK_NOT_STARTED,
                                      true);
        else if (worker_net_attach(t->base.net, &t->base.client) < 0)
                transfer_end_unserved(&t->base, WORK_NOT_STARTED, false);
}

static void fetch(Download *t)
{
        Part next;

        t->phase = PHASE_FETCHING;
        keeping_begin(&t->keeping);
        if (t->base.stopping || keeping_failed(&t->keeping)) {
                end_with(t, TRANSFER_STOPPED);
                return;
        }
        if (fill_begin(t->base.file) < 0) {
                transfer_end_unserved(&t->base, WORK_NOT_STARTED, true);
                return;
        }
        if (remote_name_is_file(t->base.file->remote_name)) { /* has more than its content */
                attach(t, &(Part){ .offset = t->base.file->written,
                                   .end = JOB_SIZE_UNKNOWN,
                                   .position = t->base.file->written });
                return;
        }
        switch (fill_next(t->base.file, &next)) {
        case FILL_FETCH:
                attach(t, &next);
                return;
        case FILL_DONE:
                report_redirect(t);
                end_with(t, TRANSFER_DONE);
                return;
        case FILL_IDLE:
                end_with(t, TRANSFER_IDLE);
                return;
        case FILL_NEXT_MAX:
        case FILL_NEXT_INVALID:
                break;
        }
        assert(!"out of range");
}

/* ---- the temporary file ---- */

static void on_forgotten(void *userdata, uint64_t id)
{
        (void)id;
        fetch(userdata);
}

/* FIL-40: a device may have another number since the last boot, which makes no other file; telling
   the store does no harm. */
static bool is_news(const File *file, const FileOpened *opened)
{
        return file->device != opened->device || file->inode != opened->inode ||
               file->birth != opened->birth;
}

/* JOB-78: a file that is not the recorded one begins at nothing, unless it is a copy of its kept
   bytes. Of both the store hears before a byte is written. DUR-32, DUR-33, DUR-54, DUR-55,
   ENG-42 */
static void on_opened(void *userdata, FileAnswer *answer)
{
        Download *t = userdata;
        File *file = t->base.file;
        bool news;

        if (answer->result != WORK_DONE) {
                transfer_end_unserved(&t->base, answer->result, true);
                return;
        }
        if (answer->error != 0) {
                fail_local(t, answer->error, "cannot open a temporary file for");
                return;
        }
        t->base.fd = TAKE_FD(answer->opened.file.items[0]);
        if (!answer->opened.fresh && answer->opened.size < fill_kept_end(file)) {
                start_over(t); /* somebody shortened it */
                return;
        }
        if (answer->opened.fresh && (file->inode != 0 || file->written > 0))
                file_reset(file);
        if (answer->opened.size < fill_written_end(file))
                fill_forget_unkept(file);
        news = is_news(file, &answer->opened);
        file->device = answer->opened.device;
        file->inode = answer->opened.inode;
        file->birth = answer->opened.birth;
        mark(t);
        if (file->stored_written > 0 && (news || file->written == 0)) {
                t->phase = PHASE_FORGETTING;
                store_mark_file(t->base.store, file, STORE_PROMISED);
                if (turn_after_commit(t->base.turn, on_forgotten, t, 0) < 0)
                        transfer_end_unserved(&t->base, WORK_NOT_STARTED, true);
        } else
                fetch(t);
}

static void open_temporary(Download *t)
{
        File *file = t->base.file;

        t->phase = PHASE_OPENING;
        /* JOB-34, RNG-184 */
        if (file->written > 0 && (!file_can_resume(file) || file->job->dynamic_content))
                file_reset(file);
        /* With nothing written it is a new one: that costs nothing and is surely empty. */
        if (worker_open(t->base.local,
                        &(FileOpen){ .local_name = file->local_name,
                                     .temporary_name = file->temporary_name,
                                     .device = file->device,
                                     .inode = file->inode,
                                     .birth = file->birth,
                                     .kept = fill_kept_end(file),
                                     .written = fill_written_end(file) },
                        on_opened, t) < 0)
                transfer_end_unserved(&t->base, WORK_NOT_STARTED, true);
}

/* ---- life ---- */

static void stop_fetching(Download *t)
{
        if (t->phase != PHASE_FETCHING || !t->base.client.worker ||
            worker_net_stop(&t->base.client))
                return; /* an answer is on its way */
        worker_net_detach(&t->base.client);
        t->base.report = (TransferReport){ .end = TRANSFER_STOPPED };
        end_synced(t);
}

static void download_stop(Transfer *t)
{
        stop_fetching((Download *)t);
}

static void download_reconsider(Transfer *t)
{
        look_aside((Download *)t);
}

static void download_done(Transfer *base)
{
        Download *t = (Download *)base;

        net_terms_done(&t->terms);
        free(t->final_name);
        free((char *)t->attributes.acl);
        keeping_done(&t->keeping);
}

int download_new(const TransferParts *parts, Transfer **ret)
{
        static const TransferKind kind = {
                .stop = download_stop,
                .done = download_done,
                .reconsider = download_reconsider,
                .net = { .write_start = write_start,
                         .on_started = on_started,
                         .on_certificate = transfer_on_certificate,
                         .on_progress = on_progress,
                         .on_done = on_done,
                         .on_copied = on_copied,
                         .on_lost = on_lost,
                         .on_failed = on_failed },
        };
        Download *t = (Download *)transfer_make(sizeof(*t), &kind, parts);

        if (!t)
                return -ENOMEM;
        keeping_init(&t->keeping, &t->base, on_synced);
        net_terms_init(&t->terms, parts->store, parts->file->job, may_show_secrets(parts->file));
        *ret = &t->base;
        open_temporary(t);
        return 0;
}
