/*
 * A proxy configuration script (PAC): what it says about one URL. The script is a stranger's; this
 * bounds its memory and its answer. Its time is bounded by whoever has started the process, since
 * the interpreter cannot be interrupted.
 *
 * Knows nothing of channels and processes: names are looked up by the caller.
 */
#pragma once

#include "basic/macros.h"

enum {
        SCRIPT_HEAP_BYTES = 32 * 1024 * 1024,
        SCRIPT_ANSWER_MAX = 4000, /* as a list that is set */
        SCRIPT_NAMES_MAX = 64,    /* that are looked up for one answer */
        SCRIPT_ADDRESSES_MAX = 2048,
};

typedef struct ScriptWorld {
        /* The addresses of a name, divided by blanks, "" if it has none. 0, or -errno: the script
           is broken off. */
        int (*resolve)(void *userdata, const char *host, char ret[SCRIPT_ADDRESSES_MAX]);
        void *userdata;
        const char *addresses; /* of this machine */
} ScriptWorld;

typedef struct ScriptAnswer {
        bool failed;
        char text[SCRIPT_ANSWER_MAX + 1]; /* printable ASCII: the answer, or why there is none */
} ScriptAnswer;

/* Asks the script about a URL and its host. Text that is no UTF-8 counts as Latin-1. */
void script_ask(const char *text, const ScriptWorld *world, const char *url, const char *host,
                ScriptAnswer *ret);
