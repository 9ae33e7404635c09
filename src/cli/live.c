/*
 * bits watch: the list of jobs, kept up to date.
 *
 * The service tells when something changed, and only then it is asked for the list, twice a second
 * at most; while nothing moves, nothing is called. What needs no news of the service needs no call:
 * another size of the terminal, and that no bytes came for a while. A list that says what the last
 * one said is not shown again.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/bar.h"
#include "cli/format.h"
#include "cli/list.h"
#include "cli/report.h"
#include "cli/select.h"
#include "cli/verbs.h"
#include "cli/watch.h"

#include <search.h>
#include <stdio.h>
#include <time.h>

#define LOOK_USEC  500000ull   /* between two looks, at least */
#define STALE_USEC 3000000ull  /* without a byte there is no rate */
#define BACK_USEC  30000000ull /* for a service that went away */

/* ---- rates ---- */

typedef struct Sample {
        char *id;
        Rate rate;
        uint64_t moved; /* when it had other bytes than before */
} Sample;

/* A tree of samples by id. */
typedef struct Rates {
        void *samples;
} Rates;

static void sample_free(void *p)
{
        Sample *sample = p;

        free(sample->id);
        free(sample);
}

static void rates_done(Rates *rates)
{
        tdestroy(rates->samples, sample_free);
}

static int compare_samples(const void *a, const void *b)
{
        return strcmp(((const Sample *)a)->id, ((const Sample *)b)->id);
}

/* Without memory there is no rate. */
static Sample *rates_get(Rates *rates, const char *id)
{
        Sample key = { .id = (char *)id }, *sample, **found;

        found = tfind(&key, &rates->samples, compare_samples);
        if (found)
                return *found;
        sample = calloc(1, sizeof(*sample));
        if (!sample || !(sample->id = strdup(id)) ||
            !tsearch(sample, &rates->samples, compare_samples)) {
                if (sample)
                        sample_free(sample);
                return NULL;
        }
        return sample;
}

static void rates_note(Rates *rates, const bits_job_summary *job, uint64_t now)
{
        Sample *sample = rates_get(rates, job->id);

        if (!sample)
                return;
        if (sample->rate.started && sample->rate.bytes != job->bytes_transferred)
                sample->moved = now;
        rate_update(&sample->rate, job->bytes_transferred, now);
}

/* Bytes a second; 0: it does not move. */
static double rates_of(Rates *rates, const bits_job_summary *job, uint64_t now)
{
        const Sample *sample = rates_get(rates, job->id);

        if (!sample || job->state != BITS_STATE_TRANSFERRING || now >= sample->moved + STALE_USEC)
                return 0;
        return sample->rate.per_second;
}

/* ---- which jobs ---- */

typedef struct Live {
        bool all_users;
        uint64_t interval; /* µs between two looks */
        char **names;      /* of jobs; none: all */
        int n_names;
        bool screen; /* standard output is a terminal that can be rewritten */
        bool looked; /* once at least */
        bits_job_list *list;
        Rates rates;
        size_t shown;  /* jobs */
        bool moving;   /* a rate is shown */
        uint64_t seen; /* when the list was made, on the clock of waiting */
        time_t changed;
        char *text; /* as shown last */
} Live;

static void live_done(Live *live)
{
        bits_job_list_free(live->list);
        rates_done(&live->rates);
        free(live->text);
}

/* The jobs that were named, as indices of the list. CLI-422: a name that is none is told at the
   first look; later its job has left the queue. */
static int choose(Live *live, size_t *ret_indices, size_t *ret_n)
{
        size_t n = bits_job_list_count(live->list), found = 0;
        _cleanup_free_ SelectEntry *entries = calloc(n + 1, sizeof(*entries));
        _cleanup_free_ size_t *matches = calloc(n + 1, sizeof(*matches));
        _cleanup_free_ bool *chosen = calloc(n + 1, sizeof(*chosen));

        if (!entries || !matches || !chosen)
                return report_error("out of memory");
        for (size_t i = 0; i < n; i++)
                entries[i] =
                        (SelectEntry){ .id = bits_job_list_get(live->list, i)->id,
                                       .name = bits_job_list_get(live->list, i)->display_name };
        for (int k = 0; k < live->n_names; k++) {
                size_t m = select_match(entries, n, live->names[k], matches);

                for (size_t i = 0; i < m; i++)
                        chosen[matches[i]] = true;
                if (m == 0 && !live->looked)
                        return report_error("no job '%s': 'bits list' shows your jobs",
                                            live->names[k]);
        }
        for (size_t i = 0; i < n; i++)
                if (live->n_names == 0 || chosen[i])
                        ret_indices[found++] = i;
        *ret_n = found;
        return EXIT_OK;
}

/* How much of a screen a job is worth when not all have room: what moves, then what failed. */
static unsigned urgency(bits_job_state state)
{
        switch (state) {
        case BITS_STATE_TRANSFERRING:
                return 0;
        case BITS_STATE_CONNECTING:
                return 1;
        case BITS_STATE_ERROR:
        case BITS_STATE_TRANSIENT_ERROR:
                return 2;
        case BITS_STATE_QUEUED:
                return 3;
        case BITS_STATE_TRANSFERRED:
                return 4;
        case BITS_STATE_SUSPENDED:
        case BITS_STATE_ACKNOWLEDGED:
        case BITS_STATE_CANCELLED:
                return 5;
        }
        return 5;
}

/* The first `room` of them by urgency, each kind in the order of the list. */
static void choose_urgent(const bits_job_list *list, size_t *indices, size_t n, size_t room)
{
        _cleanup_free_ size_t *sorted = calloc(n, sizeof(*sorted));
        size_t found = 0;

        for (unsigned rank = 0; sorted && rank <= 5; rank++)
                for (size_t i = 0; i < n && found < room; i++)
                        if (urgency(bits_job_list_get(list, indices[i])->state) == rank)
                                sorted[found++] = indices[i];
        for (size_t i = 0; i < found; i++)
                indices[i] = sorted[i];
}

/* ---- drawing ---- */

enum {
        ROWS_BESIDES = 5, /* title, empty line, heads, how many more, and the cursor's */
};

/* Over what was there, so that nothing flickers; lines that are too long are cut by the terminal,
   not wrapped: the rows were counted. */
static void draw(const Live *live, const char *text, size_t left_out)
{
        char when[FORMAT_SIZE];

        printf("\033[?7l\033[H%s   Ctrl-C or q ends the watching\033[K\n\033[K\n",
               format_time((uint64_t)live->changed * 1000000, when));
        for (const char *end; (end = strchr(text, '\n')); text = end + 1)
                printf("%.*s\033[K\n", (int)(end - text), text);
        if (left_out > 0)
                printf("and %zu more\033[K\n", left_out);
        printf("\033[J\033[?7h");
}

/* What the list says now; nothing when that is what stands there, unless `anew`. */
static int show(Live *live, bool anew)
{
        size_t n = 0, total = bits_job_list_count(live->list), left_out = 0;
        _cleanup_free_ size_t *indices = calloc(total + 1, sizeof(*indices));
        _cleanup_free_ double *rates = calloc(total + 1, sizeof(*rates));
        _cleanup_free_ char *text = NULL;
        size_t height = terminal_height(), room = height > ROWS_BESIDES ? height - ROWS_BESIDES : 1;
        uint64_t now = now_usec();
        int r;

        if (!indices || !rates)
                return report_error("out of memory");
        r = choose(live, indices, &n);
        if (r != EXIT_OK)
                return r;
        live->looked = true;
        live->shown = n;
        live->moving = false;
        for (size_t i = 0; i < n; i++) {
                rates[indices[i]] =
                        rates_of(&live->rates, bits_job_list_get(live->list, indices[i]), now);
                if (rates[indices[i]] > 0)
                        live->moving = true;
        }
        if (live->screen && n > room) {
                choose_urgent(live->list, indices, n, room);
                left_out = n - room;
        }
        text = list_text(live->list, indices, n - left_out, rates, live->all_users);
        if (!text)
                return EXIT_FAILED;
        if (!string_equal(text, live->text))
                live->changed = time(NULL);
        else if (!anew)
                return EXIT_OK;
        if (live->screen)
                draw(live, text, left_out);
        else
                printf(arg_json ? "%s" : "%s\n", text);
        free(live->text);
        live->text = TAKE(text);
        return finish_output();
}

static int look(Live *live, bits_manager *manager)
{
        bits_job_list *list;
        int r = list_jobs(manager, live->all_users, &list);

        if (r != EXIT_OK)
                return r;
        bits_job_list_free(live->list);
        live->list = list;
        live->seen = now_usec();
        for (size_t i = 0; i < bits_job_list_count(list); i++)
                rates_note(&live->rates, bits_job_list_get(list, i), live->seen);
        return show(live, false);
}

/* ---- waiting ---- */

/* The bus says when the service is there again, and by then it tells news again. */
static int wait_for_service(Watch *watch)
{
        uint64_t until = now_usec() + BACK_USEC;

        report_note("the service went away; waiting for it to come back");
        for (;;) {
                watch->gone = false;
                switch (watch_wait(watch, until)) {
                case WATCH_NEWS:
                        return EXIT_OK;
                case WATCH_GONE:
                        if (!watch->lost)
                                break;
                        return report_error("the message bus is gone, too");
                case WATCH_TIME:
                        return report_error("the service did not come back; is it running? try: "
                                            "systemctl status bitsd");
                case WATCH_SIGNAL:
                case WATCH_QUIT:
                        return -1;
                case WATCH_REDRAW:
                        break;
                }
        }
}

/* Until there is something to look at, and may be looked. EXIT_OK; an exit status after saying why
   not; -1: it is over. */
static int wait_for_news(Live *live, Watch *watch)
{
        uint64_t next = live->seen + live->interval;
        bool news = false;
        int r = EXIT_OK;

        while (r == EXIT_OK) {
                uint64_t until = news ? next : live->moving ? now_usec() + STALE_USEC : UINT64_MAX;

                if (news && now_usec() >= next)
                        return EXIT_OK;
                switch (watch_wait(watch, until)) {
                case WATCH_NEWS:
                        news = true;
                        break;
                case WATCH_TIME:
                        if (!news)
                                r = show(live, false);
                        break;
                case WATCH_REDRAW:
                        r = show(live, true);
                        break;
                case WATCH_GONE:
                        /* Nobody can be asked; the next look says what is wrong with the bus. */
                        return watch->lost ? EXIT_OK : wait_for_service(watch);
                case WATCH_SIGNAL:
                case WATCH_QUIT:
                        return -1;
                }
        }
        return r;
}

/* Named jobs are watched until all of them have left the queue. CLI-280 */
static int watch_jobs(bits_manager *manager, Live *live)
{
        _cleanup_(watch_end) Watch watch = {};
        int r = watch_begin(&watch, manager);

        /* News first: what happens between it and the first look is told. */
        if (r == EXIT_OK)
                r = watch_queue(&watch);
        if (r == EXIT_OK)
                r = watch_screen(&watch, live->screen);
        if (r == EXIT_OK && live->screen)
                printf("\033[H\033[J");
        while (r == EXIT_OK) {
                r = look(live, manager);
                if (r != EXIT_OK || (live->shown == 0 && live->n_names > 0))
                        break;
                r = wait_for_news(live, &watch);
        }
        return r < 0 ? EXIT_OK : r;
}

/* CLI-280, CLI-492 */
int verb_watch(int argc, char **argv)
{
        enum { ALL_USERS = OPTION_OWN, INTERVAL };
        static const struct option options[] = {
                { "all-users", no_argument, NULL, ALL_USERS },
                { "interval", required_argument, NULL, INTERVAL },
                COMMON_OPTIONS,
        };
        _cleanup_(bits_manager_closep) bits_manager *manager = NULL;
        _cleanup_(live_done) Live live = { .interval = LOOK_USEC };
        uint32_t seconds;
        int c, r;

        while ((c = next_option(argc, argv, "h", options)) >= 0)
                switch (c) {
                case ALL_USERS:
                        live.all_users = true;
                        break;
                case INTERVAL:
                        if (!parse_uint32(optarg, &seconds) || seconds == 0 || seconds > 86400)
                                return usage_error("'%s' is no number of seconds from 1 to 86400",
                                                   optarg);
                        live.interval = seconds * (uint64_t)1000000;
                        break;
                default:
                        return usage_error(NULL);
                }
        live.names = argv + optind;
        live.n_names = argc - optind;
        live.screen = !arg_json && terminal_is_live();
        r = open_service(&manager);
        return r == EXIT_OK ? watch_jobs(manager, &live) : r;
}
