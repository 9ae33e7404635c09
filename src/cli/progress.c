/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The width is asked for at each drawing, so a resized window needs no signal. While the job is
 * transferring, the bar is redrawn once a second even without news, from what is known: a rate that
 * does not fall while nothing comes would be a lie.
 */
#include "cli/progress.h"

#include "cli/format.h"
#include "cli/report.h"
#include "cli/terminal.h"
#include "cli/watch.h"

#include <stdio.h>

void progress_begin(Progress *progress, const char *name, bool silent)
{
        *progress = (Progress){
                .bar = !silent && terminal_is_live(),
                .silent = silent,
                .name = format_safe(name),
                .began = now_usec(),
                .bytes_total = BITS_SIZE_UNKNOWN,
        };
}

void progress_end(Progress *progress)
{
        progress_clear(progress);
        free(progress->name);
        free(progress->reason);
        *progress = (Progress){};
}

void progress_start(const Progress *progress, const char *short_id, const char *url,
                    const char *path, bool continued)
{
        _cleanup_free_ char *from = format_safe(url), *to = format_safe(path);

        if (progress->silent || (progress->bar && !continued))
                return;
        printf("%s job %s: %s -> %s\n", continued ? "continuing" : "start", short_id,
               from ? from : "", to ? to : "");
        fflush(stdout);
}

static void draw(Progress *progress)
{
        BarView view = {
                .name = progress->name ? progress->name : "",
                .state = progress->state == BITS_STATE_TRANSFERRING
                                 ? NULL
                                 : bits_job_state_name(progress->state),
                .bytes_transferred = progress->bytes_transferred,
                .bytes_total = progress->bytes_total,
                .rate = progress->rate.per_second,
        };
        /* One column stays free: some terminals wrap when the last one is written. */
        _cleanup_free_ char *line = bar_layout(&view, terminal_width() - 1);

        if (!line)
                return;
        printf("\r%s\033[K", line);
        fflush(stdout);
        progress->drawn = true;
}

void progress_clear(Progress *progress)
{
        if (!progress->drawn)
                return;
        printf("\r\033[K");
        fflush(stdout);
        progress->drawn = false;
}

/* What the job waits for, once for each reason. CLI-08 */
static void say_reason(Progress *progress, bits_job *job)
{
        _cleanup_free_ char *reason = NULL;
        bits_job_error error;

        if (bits_job_get_wait_reason(job, &reason) < 0)
                return;
        if (progress->state == BITS_STATE_TRANSIENT_ERROR) {
                /* The reason counts down; the error is what makes it a new case. */
                if (bits_job_get_error(job, &error) < 0)
                        return;
                if (!string_equal(progress->reason, error.text)) {
                        const char *name = bits_code_name(error.code);

                        progress_clear(progress);
                        report_note("%s (%s 0x%08X); %s", error.text, name ? name : "?", error.code,
                                    string_empty(reason) ? "the service will try again" : reason);
                }
                free(progress->reason);
                progress->reason = TAKE(error.text);
                bits_job_error_done(&error);
                return;
        }
        if (string_empty(reason) || string_equal(reason, progress->reason))
                return;
        progress_clear(progress);
        report_note("%s", reason);
        free(progress->reason);
        progress->reason = TAKE(reason);
}

/* CLI-03: no bar where nobody looks. */
void progress_update(Progress *progress, bits_job *job, bits_job_state state,
                     const bits_progress *now)
{
        uint64_t time = now_usec();

        progress->state = state;
        progress->bytes_transferred = now->bytes_transferred;
        progress->bytes_total = now->bytes_total;
        if (!progress->began_known || now->bytes_transferred < progress->began_bytes) {
                progress->began_known = true;
                progress->began_bytes = now->bytes_transferred;
        }
        rate_update(&progress->rate, now->bytes_transferred, time);
        if (state == BITS_STATE_QUEUED || state == BITS_STATE_TRANSIENT_ERROR)
                say_reason(progress, job);
        if (progress->bar)
                draw(progress);
}

/* CLI-493 */
void progress_redraw(Progress *progress)
{
        rate_update(&progress->rate, progress->bytes_transferred, now_usec());
        if (progress->bar)
                draw(progress);
}

void progress_done(const Progress *progress, const char *path)
{
        double seconds = (double)(now_usec() - progress->began) / 1e6;
        char size[FORMAT_SIZE], rate[FORMAT_SIZE], duration[FORMAT_SIZE];
        _cleanup_free_ char *safe = format_safe(path);

        if (progress->silent)
                return;
        printf("done: %s (%s in %s, %s)\n", safe ? safe : "",
               format_size(progress->bytes_transferred, size),
               format_duration((uint64_t)(seconds + 0.5), duration),
               format_rate((double)(progress->bytes_transferred - progress->began_bytes) /
                                   (seconds > 0.001 ? seconds : 0.001),
                           rate));
}

uint64_t progress_tick(const Progress *progress)
{
        return progress->bar && progress->state == BITS_STATE_TRANSFERRING ? now_usec() + 1000000
                                                                           : UINT64_MAX;
}
