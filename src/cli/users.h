/*
 * Other identities: reading a USER argument, and being that user for a moment. The command runs one
 * thread, so the identity of the process is the thread's.
 */
#pragma once

#include "cli/base.h"

#include <sys/types.h>

typedef struct User {
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* owned */
        int n_groups;
} User;

void user_done(User *user);

/* A name, or a number. A number without an account is that uid, the gid of the same number and no
   other groups. 0, or an exit status after saying why not. */
int user_parse(const char *text, User *ret_user);

/* The calling user's own effective identity is always allowed and changes nothing. 0, or an exit
   status after saying why not. */
int user_become(const User *user, User *ret_saved);
/* Back. Ends the process if that fails: it must not go on as somebody else. */
void user_revert(User *saved);

/* Captures `user` (NULL: the caller himself) as the job's helper token. */
int user_set_helper_token(bits_token_options *options, const User *user);
