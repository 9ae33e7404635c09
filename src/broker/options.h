/*
 * The broker's command line, with the defaults of both modes filled in.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

typedef struct Options {
        bool user; /* --user: one identity, its own */
        bool verbose;
        char *runtime_directory, *state_directory, *libexec_directory; /* owned */
        uid_t manager_uid;
} Options;

/* 1: go on; 0: --help or --version was answered; -errno: said on standard error. */
int options_parse(int argc, char *argv[], Options *ret);
void options_done(Options *options);
