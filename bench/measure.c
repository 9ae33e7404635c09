/*
 * Runs a command and says what it took, its reaped children included:
 *
 *     measure FILE COMMAND…   writes "wall user system peak status" (seconds, seconds, seconds,
 * KiB,
 *                             status as of wait()) into FILE
 *
 * A program of its own because a child's peak begins with the memory of the process that forked it:
 * here that is one page or two, not an interpreter.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
        return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
        struct timespec begin, end;
        struct rusage used;
        int status;
        FILE *out;
        pid_t pid;

        if (argc < 3)
                errx(2, "usage: measure FILE COMMAND...");
        out = fopen(argv[1], "we");
        if (!out)
                err(1, "%s", argv[1]);
        clock_gettime(CLOCK_MONOTONIC, &begin);
        pid = fork();
        if (pid == 0) {
                execvp(argv[2], argv + 2);
                err(127, "%s", argv[2]);
        }
        if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
                err(1, "%s", argv[2]);
        clock_gettime(CLOCK_MONOTONIC, &end);
        fprintf(out, "%.6f %.6f %.6f %ld %d\n",
                (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9,
                seconds(used.ru_utime), seconds(used.ru_stime), used.ru_maxrss, status);
        return fclose(out) == 0 ? 0 : 1;
}
