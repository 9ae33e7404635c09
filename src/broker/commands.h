/*
 * The command lines that users gave to their jobs, as they sealed them: a ledger with one file for
 * each user and job, named UID.JOB, that holds the sealed file's bytes. The broker reads none of
 * them; it knows by the kernel's word who made each, and starts it for him and for nobody else.
 *
 * So the manager cannot have a command line run that its user never set. It can have one run that
 * he did set, at a moment of its choosing.
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

enum {
        COMMANDS_MAX = 16384,
        COMMANDS_PER_USER = 256,
        COMMAND_JOB_CHARACTERS = 36,
};

typedef struct Commands Commands;

/* Opens, or makes, the ledger in `state_directory`. 0 or -errno. */
int commands_open(const char *state_directory, Commands **ret);
void commands_free(Commands *commands);
DEFINE_CLEANUP(Commands, commands_free);

/* True for the text of a job's id, which becomes a part of a file's name. */
bool command_job_valid(const char *job);

/* Keeps the sealed file `fd` (borrowed) for its author, in place of what he gave to that job
   before; on disk before the return. 0, or -errno: -EBADMSG when it is no sealed file, -EPERM when
   its author is root or a service account, -EUSERS when he has too many. */
int commands_keep(Commands *commands, const char *job, int fd, uid_t *ret_author);
/* Forgets it, if it is there. */
void commands_drop(Commands *commands, uid_t uid, const char *job);
/* A descriptor for reading what that user gave to that job. 0, or -errno: -ENOENT when nothing. */
int commands_find(Commands *commands, uid_t uid, const char *job, int *ret_fd);
