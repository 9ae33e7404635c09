/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The size is asked for at each drawing. Ctrl-C, Ctrl-Z and the like stay what they are: they come
 * as signals. A shell puts its own settings back when the command is stopped, so they are made
 * anew, from what was saved at first, when it goes on.
 */
#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_is_live(void)
{
        return isatty(STDOUT_FILENO) && !string_equal(getenv("TERM"), "dumb");
}

static struct winsize size_or(unsigned short columns, unsigned short rows)
{
        struct winsize size = {};

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                size.ws_col = columns;
        if (size.ws_row == 0)
                size.ws_row = rows;
        return size;
}

size_t terminal_width(void)
{
        return size_or(80, 24).ws_col;
}

size_t terminal_height(void)
{
        return size_or(80, 24).ws_row;
}

/* A terminal that controls nobody has no background. */
static bool is_ours(void)
{
        pid_t foreground = tcgetpgrp(STDIN_FILENO);

        return foreground < 0 || foreground == getpgrp();
}

void keys_begin(Keys *keys)
{
        bool again = keys->fd >= 0;
        struct termios wanted;

        keys->fd = -1;
        if (!is_ours() || (!again && tcgetattr(STDIN_FILENO, &keys->saved) < 0))
                return;
        wanted = keys->saved;
        wanted.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        wanted.c_cc[VMIN] = 0;
        wanted.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSADRAIN, &wanted) >= 0)
                keys->fd = STDIN_FILENO;
}

void keys_end(Keys *keys)
{
        if (keys->fd >= 0 && is_ours())
                (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &keys->saved);
        keys->fd = -1;
}

char keys_read(Keys *keys)
{
        char key = 0;

        if (keys->fd < 0 || read(keys->fd, &key, 1) == 1)
                return key;
        /* Readable and nothing there: its other end is gone. */
        keys->fd = -1;
        return 0;
}
