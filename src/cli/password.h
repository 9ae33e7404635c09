/*
 * Passwords come from the terminal, from standard input or from a file, never from the command
 * line, where every process could read them.
 */
#pragma once

#include "cli/base.h"

typedef struct Password {
        char *text; /* owned, wiped */
} Password;

void password_done(Password *password);

/* The first line of `file` ("-": standard input); without a file, of the terminal, where it is
   asked for without echo as the password of `whose`, or of standard input. 0, or an exit status
   after saying why not. */
int password_read(const char *whose, const char *file, Password *ret);
