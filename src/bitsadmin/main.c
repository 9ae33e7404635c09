/*
 * bitsadmin: the switches of the old command of that name, for scripts and habits that know it.
 * bits(1) is the command for everything new. This file knows the modifiers and the switches; what
 * they do stands in the files by kind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bitsadmin/call.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>

static const struct Switch {
        const char *name;
        const char *arguments;
        bool job;        /* the first argument names one */
        int least, most; /* arguments after that */
        int (*run)(Call *call);
} switches[] = {
        { "/list", "[/allusers] [/verbose]", false, 0, 2, run_list },
        { "/monitor", "[/allusers] [/refresh seconds]", false, 0, 3, run_monitor },
        { "/reset", "[/allusers]", false, 0, 1, run_reset },
        { "/transfer",
          "name [/download|/upload] [/priority p] [/aclflags letters] [/dynamic] remote local "
          "[remote local …]",
          false, 3, 10000, run_transfer },
        { "/create", "[/download|/upload|/upload-reply] name", false, 1, 2, run_create },
        { "/info", "job [/verbose]", true, 0, 1, run_info },
        { "/addfile", "job remote local", true, 2, 2, run_addfile },
        { "/addfileset", "job textfile", true, 1, 1, run_addfileset },
        { "/addfilewithranges", "job remote local offset:length[,offset:length…]", true, 3, 3,
          run_addfilewithranges },
        { "/listfiles", "job", true, 0, 0, run_listfiles },
        { "/suspend", "job", true, 0, 0, run_suspend },
        { "/resume", "job", true, 0, 0, run_resume },
        { "/cancel", "job", true, 0, 0, run_cancel },
        { "/complete", "job", true, 0, 0, run_complete },
        { "/takeownership", "job", true, 0, 0, run_takeownership },
};

/* What the original has and this machine has no use for. */
static const struct {
        const char *name, *why;
} foreign[] = {
        { "/cache", "OpenBITS has no peer cache." },
        { "/peers", "OpenBITS has no peer cache." },
        { "/peercaching", "OpenBITS has no peer cache." },
        { "/setclientcertificatebyid", "Certificates are files here: bits certificate set." },
        { "/setclientcertificatebyname", "Certificates are files here: bits certificate set." },
};

static void print_banner(void)
{
        printf("\nBITSADMIN version 3.0 (OpenBITS %s)\nBITS administration utility.\n\n",
               PROJECT_VERSION);
}

static int print_help(void)
{
        printf("bitsadmin [/rawreturn] [/wrap | /nowrap] /switch [arguments]\n\n");
        for (size_t i = 0; i < ELEMENTS(switches); i++)
                printf("  %s %s\n", switches[i].name, switches[i].arguments);
        help_get();
        help_set();
        printf("  /util /version\n\njob: a display name, or the GUID of a job. The command for "
               "new scripts is bits(1).\n");
        return EXIT_OK;
}

static int run_util(int argc, char **argv)
{
        if (argc >= 1 && word_is(argv[0], "/version")) {
                printf("%s\n", PROJECT_VERSION);
                return EXIT_OK;
        }
        if (argc >= 1 && word_is(argv[0], "/help"))
                return print_help();
        return fail_text("Invalid argument: of /util there is /version. Proxies of the machine are "
                         "set in the service's environment, the service is repaired by its "
                         "package.");
}

static int wrong_arguments(const struct Switch *s)
{
        return fail_text("Invalid argument: %s %s", s->name, s->arguments);
}

/* Opens the service, and the job if the switch names one. */
static int prepare(Call *call, bool job)
{
        if (bits_manager_open(&call->manager) < 0)
                return fail_action("connect to BITS");
        if (!job)
                return EXIT_OK;
        if (call->argc == 0)
                return fail_text("Invalid argument: which job?");
        call->argc--;
        return job_find(call->manager, *call->argv++, &call->job);
}

static int run_switch(Call *call, const struct Switch *s)
{
        int n = call->argc - s->job, r;

        if (n < s->least || n > s->most)
                return wrong_arguments(s);
        r = prepare(call, s->job);
        return r == EXIT_OK ? s->run(call) : r;
}

static int dispatch(Call *call, const char *name)
{
        int r;

        if (word_is(name, "/help") || word_is(name, "/?"))
                return print_help();
        if (word_is(name, "/util"))
                return run_util(call->argc, call->argv);
        for (size_t i = 0; i < ELEMENTS(switches); i++)
                if (word_is(name, switches[i].name))
                        return run_switch(call, &switches[i]);
        for (size_t i = 0; i < ELEMENTS(foreign); i++)
                if (word_is(name, foreign[i].name))
                        return fail_text("%s", foreign[i].why);
        if (!is_get(name) && !is_set(name))
                return fail_text("Invalid command: %s; /help lists the switches.", name);
        r = prepare(call, true);
        if (r != EXIT_OK)
                return r;
        return is_get(name) ? run_get(call, name) : run_set(call, name);
}

/* CLI-284 */
int main(int argc, char **argv)
{
        Call call = {};
        int i = 1, r;

        setlocale(LC_ALL, "");
        (void)signal(SIGPIPE, SIG_DFL);
        for (; i < argc; i++)
                if (word_is(argv[i], "/rawreturn"))
                        call.raw = true;
                else if (!word_is(argv[i], "/wrap") && !word_is(argv[i], "/nowrap"))
                        break;
        if (!call.raw)
                print_banner();
        if (i == argc)
                return print_help();
        call.argc = argc - i - 1;
        call.argv = argv + i + 1;
        r = dispatch(&call, argv[i]);
        bits_job_free(call.job);
        bits_manager_close(call.manager);
        if (fflush(stdout) != 0 && r == EXIT_OK)
                r = EXIT_FAILED;
        return r;
}
