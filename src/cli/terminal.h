/*
 * The terminal that the command stands on: whether something can be drawn on it again and again,
 * how large it is, and single keys.
 */
#pragma once

#include "cli/base.h"

#include <termios.h>

/* Standard output is a terminal on which something can be drawn again and again. */
bool terminal_is_live(void);

/* Columns and rows of standard output at this moment; 80 and 24 when nobody knows. */
size_t terminal_width(void);
size_t terminal_height(void);

/* Keys, one by one and without echo. */
typedef struct Keys {
        int fd; /* standard input, or -1: no keys */
        struct termios saved;
} Keys;

/* Only where standard input is a terminal that is ours at this moment: from the background it is
   left alone. May be called again, after a pause. */
void keys_begin(Keys *keys);
void keys_end(Keys *keys);
/* The next key, 0 when there is none. */
char keys_read(Keys *keys);
