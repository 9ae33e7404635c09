/*
 * A command line in a sealed anonymous file: how a user says, by the kernel's word, "this is mine".
 * Nobody can change the file any more, and its owner is whoever made it: the effective user of the
 * thread at that moment. So a service that passes it on cannot alter it, and cannot invent one for
 * somebody else.
 *
 *      "openbits-command-1" NUL  job id NUL  program NUL  parameters NUL
 */
#pragma once

#include "basic/macros.h"

#include <sys/types.h>

enum {
        COMMAND_FILE_BYTES_MAX = 32768,
};

typedef struct CommandFile {
        char *bytes; /* owned; the texts lie in it */
        const char *job, *program, *parameters;
} CommandFile;

/* The descriptor is the caller's. -errno; -EMSGSIZE: too long. */
int command_file_write(const char *job, const char *program, const char *parameters, int *ret_fd);

/* True for an anonymous file that nobody can change any more, and not too long; *ret_author is
   whoever made it. The content is not looked at. */
bool command_file_is_sealed(int fd, uid_t *ret_author);

/* The texts of such a file, or of a copy of its bytes on disk. `fd` (borrowed) is read by
   position. 0 or -errno: -EBADMSG for anything else. */
int command_file_read(int fd, CommandFile *ret);
void command_file_done(CommandFile *file);
