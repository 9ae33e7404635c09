/*
 * Random lives of a machine: calls, events, failures, users, tokens, restarts and jumps of time, by
 * the million, driven through the queue and its parts (job, state, schedule, timers, helper).
 *
 * When a life fails, steps are left out of it as long as it still fails, and what is left is
 * printed: the seed, and the shortest way there.
 *
 *     test-model [SEED [STEPS]]
 */
#include "core/test-model-life.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS UINT64_C(2000000)

static bool survives(uint64_t first, uint64_t last, const bool *kept)
{
        pid_t pid;
        int status;

        fflush(stdout);
        pid = fork();
        if (pid < 0)
                abort();
        if (pid == 0) {
                strcpy(report->text, "a bug of the kind that ends the process");
                if (kept && !freopen("/dev/null", "w", stderr))
                        _exit(1);
                for (uint64_t seed = first; seed < last; seed++)
                        model_live(seed, kept);
                exit(0); /* with what a sanitizer does at the end */
        }
        return waitpid(pid, &status, 0) == pid && status == 0;
}

/* Leaves out as much as it can: halves first, single steps last. */
static void shorten(uint64_t seed)
{
        static bool kept[LIFE];
        uint32_t last = MIN(report->step, (uint32_t)LIFE - 1);
        bool at_the_end = report->step == LIFE;

        for (uint32_t i = 0; i < LIFE; i++)
                kept[i] = i <= last;
        for (uint32_t size = (last + 2) / 2; size > 0; size /= 2)
                for (uint32_t i = 0; i <= last; i += size) {
                        bool before[LIFE];

                        memcpy(before, kept, sizeof(kept));
                        for (uint32_t k = i; k < MIN(i + size, last + (at_the_end ? 1 : 0)); k++)
                                kept[k] = false;
                        if (memcmp(before, kept, sizeof(kept)) == 0)
                                continue;
                        if (survives(seed, seed + 1, kept))
                                memcpy(kept, before, sizeof(kept));
                }
        (void)survives(seed, seed + 1, kept);
        printf("test-model: the shortest way found (test-model %" PRIu64 " %d has the whole):\n",
               seed, LIFE);
        for (uint32_t n = 0; n < LIFE; n++) {
                uint64_t random = model_number(seed, n);

                if (kept[n])
                        printf("  %4u: %s, number %" PRIx64 "\n", n, model_step_name(random),
                               random);
        }
        printf("test-model: %s\n", report->text);
}

/* A million steps that never come somewhere would prove little. */
static bool was_everywhere(void)
{
        bool all = true;

        for (JobState s = 0; s < STATE_ACKNOWLEDGED; s++)
                all = all && report->states[s] > 0;
        for (WaitKind k = 0; k < WAIT_MAX; k++)
                all = all && (report->kinds[k] > 0 || k == WAIT_POWER);
        if (!all)
                printf("test-model: there is a state or a reason to wait that never occurred\n");
        return all;
}

/* ENG-225 */
int main(int argc, char *argv[])
{
        uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
        uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 0) : STEPS, lives = (n + LIFE - 1) / LIFE;

        report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (report == MAP_FAILED)
                return 1;
        printf("test-model: %" PRIu64 " lives of %d steps from seed %" PRIu64 "\n", lives, LIFE,
               seed);
        if (survives(seed, seed + lives, NULL))
                return n < STEPS || was_everywhere() ? 0 : 1;
        printf("test-model: seed %" PRIu64 ", step %u: %s\n", report->seed, report->step,
               report->text);
        shorten(report->seed);
        return 1;
}
