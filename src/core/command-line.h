/*
 * The notification command line of a job (reference 07 section 4): a program by its full path, and
 * parameters as one text that begins with argv[0]. No shell reads it, no variable is replaced in
 * it, no search path is used.
 *
 * Parameters are divided into words by spaces and tabs. 'single quotes' take everything as it
 * stands; "double quotes" keep spaces, and in them a backslash takes the next " or \ as it stands;
 * outside of quotes a backslash takes the next character as it stands. Quoted parts join what
 * they touch: a"b c"d is one word, and "" is an empty one.
 */
#pragma once

#include "core/error.h"

#include <sys/types.h>

enum {
        COMMAND_PROGRAM_BYTES_MAX = 4095, /* PATH_MAX without its NUL */
        COMMAND_PARAMETERS_CHARACTERS_MAX = 4000,
};

/* As SetNotifyCmdLine answers: 0, BITS_E_INVALID_ARGUMENT or BG_E_STRING_TOO_LONG, and then
   *ret_why (may be NULL) is a static English sentence. Both empty means none, which is fine. NULL
   counts as "". */
BitsCode command_line_check(const char *program, const char *parameters, const char **ret_why);

/* argv of a command line that passed the check, with a NULL at its end; the program alone when the
   parameters have no word. One block: free() releases all of it. NULL out of memory. */
char **command_line_split(const char *program, const char *parameters);

/* ---- how a run ended: one number, as it is stored ---- */

enum {
        COMMAND_STATUS = 0,            /* to 255: the exit status */
        COMMAND_SIGNAL = 0x100,        /* + number: ended by that signal */
        COMMAND_TIMED_OUT = 0x200,     /* ended by us: it ran too long */
        COMMAND_LOST = 0x201,          /* nobody could say how it ended */
        COMMAND_RUNNING = 0x202,       /* it was started, and has not ended yet */
        COMMAND_NOT_STARTED = 0x10000, /* + errno: could not be launched */
        COMMAND_NEVER = 0x7fffffff,    /* no run yet */
};

/* "exit status 3", "signal 9 (Killed)", "No such file or directory" …; `ret` has SIZE bytes. */
enum {
        COMMAND_RESULT_SIZE = 128,
};
void command_result_text(uint32_t result, char ret[COMMAND_RESULT_SIZE]);
