/*
 * A question is one certificate of one server; the transfers that wait for it are its askers. What
 * was accepted is remembered for the job, by server and certificate, so that a job of a thousand
 * files asks once.
 */
#include "manager/validation.h"

#include "basic/clock.h"
#include "manager/bus-names.h"
#include "manager/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
        ACCEPTED_MAX = 256, /* of one job */
        PATIENCE_SECONDS = 60,
};

typedef struct Asker {
        SLIST_ENTRY(Asker) entries;
        File *file;
        uint64_t client;
} Asker;

typedef struct Question {
        TAILQ_ENTRY(Question) entries;
        uint64_t number;
        char *peer, *fingerprint;
        SLIST_HEAD(, Asker) askers;
        sd_event_source *patience;
        Validation *validation;
} Question;

typedef struct Accepted {
        SLIST_ENTRY(Accepted) entries;
        char *text; /* peer and fingerprint */
} Accepted;

struct Validations {
        sd_event *event;
        sd_bus *bus;
        uint64_t last_number;
        uint64_t patience_usec;
};

/* Of one job. */
struct Validation {
        Validations *all;
        Job *job;
        Handle *handle; /* NULL: gone */
        uint64_t generation;
        SLIST_HEAD(, Accepted) accepted;
        unsigned n_accepted;
        TAILQ_HEAD(, Question) questions;
};

/* For tests only: OPENBITS_VALIDATION_SECONDS shortens the wait. */
static uint64_t patience(void)
{
        const char *text = getenv("OPENBITS_VALIDATION_SECONDS");
        unsigned long seconds = text ? strtoul(text, NULL, 10) : 0;

        return (seconds > 0 && seconds <= PATIENCE_SECONDS ? seconds : PATIENCE_SECONDS) *
               USEC_PER_SEC;
}

int validations_new(sd_event *event, sd_bus *bus, Validations **ret)
{
        Validations *v = calloc(1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        *v = (Validations){ .event = event, .bus = bus, .patience_usec = patience() };
        *ret = v;
        return 0;
}

void validations_free(Validations *v)
{
        free(v);
}

/* ---- questions ---- */

static void question_free(Question *q)
{
        Asker *asker;

        TAILQ_REMOVE(&q->validation->questions, q, entries);
        while ((asker = SLIST_FIRST(&q->askers))) {
                SLIST_REMOVE_HEAD(&q->askers, entries);
                free(asker);
        }
        sd_event_source_disable_unref(q->patience);
        free(q->peer);
        free(q->fingerprint);
        free(q);
}

/* Takes the question off the list first: an answer may end a transfer, and that the job's turn. */
static void answer(Question *q, BitsCode code, const char *detail)
{
        Asker *asker;

        while ((asker = SLIST_FIRST(&q->askers))) {
                SLIST_REMOVE_HEAD(&q->askers, entries);
                if (asker->file->transfer)
                        transfer_accept(asker->file->transfer, asker->client, code, detail);
                free(asker);
        }
        question_free(q);
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        Question *q = userdata;

        (void)source;
        (void)usec;
        answer(q, BITS_E_TIMEOUT,
               "the application did not say in time whether it accepts the "
               "server's certificate");
        return 0;
}

static Question *find_same(Validation *v, const NetCertificate *question)
{
        Question *q;

        TAILQ_FOREACH (q, &v->questions, entries)
                if (string_equal(q->peer, question->peer) &&
                    string_equal(q->fingerprint, question->fingerprint))
                        return q;
        return NULL;
}

static int send_question(const Validation *v, const Question *q, const File *file,
                         const char *chain)
{
        const char *destination = handle_destination(v->handle);
        char path[BUS_JOB_PATH_MAX];
        sd_bus_message *m = NULL;
        int r;

        bus_job_path(v->job, path);
        r = sd_bus_message_new_signal(handle_bus(v->handle, v->all->bus), &m, path,
                                      BUS_HTTP_OPTIONS, "ValidateServerCertificate");
        if (r >= 0 && destination)
                r = sd_bus_message_set_destination(m, destination);
        if (r >= 0)
                r = sd_bus_message_append(m, "tussss", q->number, file->index, file->remote_name,
                                          q->peer, q->fingerprint, chain);
        if (r >= 0)
                r = sd_bus_send(NULL, m, NULL);
        sd_bus_message_unref(m);
        return r;
}

static int question_new(Validation *v, const NetCertificate *certificate, const File *file,
                        Question **ret)
{
        Question *q = calloc(1, sizeof(*q));
        int r;

        if (!q)
                return -ENOMEM;
        SLIST_INIT(&q->askers);
        q->validation = v;
        q->number = ++v->all->last_number;
        q->peer = strdup(certificate->peer);
        q->fingerprint = strdup(certificate->fingerprint);
        TAILQ_INSERT_TAIL(&v->questions, q, entries);
        r = q->peer && q->fingerprint ? 0 : -ENOMEM;
        if (r >= 0)
                r = sd_event_add_time_relative(v->all->event, &q->patience, CLOCK_MONOTONIC,
                                               v->all->patience_usec, 0, on_patience, q);
        if (r >= 0)
                r = send_question(v, q, file, certificate->chain);
        if (r < 0) {
                question_free(q);
                return r;
        }
        *ret = q;
        return 0;
}

/* ---- what was accepted ---- */

static Accepted *find_accepted(const Validation *v, const char *text)
{
        Accepted *a;

        SLIST_FOREACH(a, &v->accepted, entries)
        if (string_equal(a->text, text))
                return a;
        return NULL;
}

static char *accepted_text(const char *peer, const char *fingerprint)
{
        char *text;

        return asprintf(&text, "%s %s", peer, fingerprint) < 0 ? NULL : text;
}

static bool is_accepted(const Validation *v, const NetCertificate *certificate)
{
        _cleanup_free_ char *text = accepted_text(certificate->peer, certificate->fingerprint);

        return text && find_accepted(v, text);
}

/* Without memory or room it is asked again. */
static void remember(Validation *v, const Question *q)
{
        Accepted *a = v->n_accepted < ACCEPTED_MAX ? calloc(1, sizeof(*a)) : NULL;

        if (!a)
                return;
        a->text = accepted_text(q->peer, q->fingerprint);
        if (!a->text) {
                free(a);
                return;
        }
        SLIST_INSERT_HEAD(&v->accepted, a, entries);
        v->n_accepted++;
}

static void forget_accepted(Validation *v)
{
        Accepted *a;

        while ((a = SLIST_FIRST(&v->accepted))) {
                SLIST_REMOVE_HEAD(&v->accepted, entries);
                free(a->text);
                free(a);
        }
        v->n_accepted = 0;
}

/* ---- who judges ---- */

static void drop_questions(Validation *v)
{
        while (!TAILQ_EMPTY(&v->questions))
                question_free(TAILQ_FIRST(&v->questions));
}

/* NET-162: the cache of what was accepted is emptied. */
int validation_set(Validations *all, Handle *handle)
{
        Job *job = handle->job;
        Validation *v = job->validation;

        if (!v) {
                v = calloc(1, sizeof(*v));
                if (!v)
                        return -ENOMEM;
                v->all = all;
                v->job = job;
                SLIST_INIT(&v->accepted);
                TAILQ_INIT(&v->questions);
                job->validation = v;
        }
        drop_questions(v);
        forget_accepted(v);
        v->handle = handle;
        v->generation = ++all->last_number;
        job->http.validated = true;
        return 0;
}

void validation_forget(Job *job)
{
        Validation *v = job->validation;

        if (!v)
                return;
        drop_questions(v);
        forget_accepted(v);
        free(v);
        job->validation = NULL;
}

void validation_clear(Job *job)
{
        validation_forget(job);
        job->http.validated = false;
}

#define GONE                                                                                  \
        "the application that was to judge the server's certificate is gone; let it ask for " \
        "that again and resume"

/* NET-161 */
void validation_handle_gone(Handle *handle)
{
        Validation *v = handle->job->validation;

        if (!v || v->handle != handle)
                return;
        v->handle = NULL;
        while (!TAILQ_EMPTY(&v->questions))
                answer(TAILQ_FIRST(&v->questions), BG_E_SERVER_CERT_VALIDATION_INTERFACE_REQUIRED,
                       GONE);
}

void validation_realm(const Job *job, char ret[VALIDATION_REALM_MAX])
{
        if (job->http.validated)
                snprintf(ret, VALIDATION_REALM_MAX, "%s %" PRIu64, job->id,
                         job->validation ? job->validation->generation : 0);
        else
                ret[0] = 0;
}

/* ---- asking and answering ---- */

/* NET-160 */
void validation_ask(File *file, uint64_t client, const NetCertificate *question)
{
        Validation *v = file->job->validation;
        Question *q = v ? find_same(v, question) : NULL;
        Asker *asker;

        if (!v || !v->handle) {
                transfer_accept(file->transfer, client,
                                BG_E_SERVER_CERT_VALIDATION_INTERFACE_REQUIRED, GONE);
                return;
        }
        if (is_accepted(v, question)) {
                transfer_accept(file->transfer, client, 0, "");
                return;
        }
        asker = calloc(1, sizeof(*asker));
        if (!asker || (!q && question_new(v, question, file, &q) < 0)) {
                free(asker);
                transfer_accept(file->transfer, client, BITS_E_OUT_OF_MEMORY, "out of memory");
                return;
        }
        asker->file = file;
        asker->client = client;
        SLIST_INSERT_HEAD(&q->askers, asker, entries);
}

static const char *refusal(BitsCode code, char *buffer, size_t size)
{
        snprintf(buffer, size, "the application does not accept the server's certificate (0x%08X)",
                 (unsigned)code);
        return buffer;
}

BitsCode validation_answer(Handle *handle, uint64_t request, BitsCode code)
{
        Validation *v = handle->job->validation;
        char sentence[160];
        Question *q;

        if (!v || v->handle != handle)
                return BITS_E_ACCESS_DENIED;
        if (code != 0 && !BITS_FAILED(code))
                return BITS_E_INVALID_ARGUMENT;
        TAILQ_FOREACH (q, &v->questions, entries)
                if (q->number == request)
                        break;
        if (!q)
                return BG_E_INVALID_STATE; /* too late, or never asked */
        if (code == 0)
                remember(v, q);
        answer(q, code, code == 0 ? "" : refusal(code, sentence, sizeof(sentence)));
        return 0;
}
