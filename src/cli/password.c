/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/password.h"

#include "cli/report.h"

#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum {
        PASSWORD_BYTES_MAX = 65536 * 4 + 2, /* characters of four bytes, line end */
};

void password_done(Password *password)
{
        if (password->text)
                explicit_bzero(password->text, PASSWORD_BYTES_MAX);
        free(password->text);
}

/* The first line, without its end. The descriptor is read without a buffer of stdio's. */
static int read_line(int fd, char *text)
{
        size_t n = 0;

        while (n < PASSWORD_BYTES_MAX - 1) {
                ssize_t got = read(fd, text + n, 1);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0 || text[n] == '\n')
                        break;
                n++;
        }
        if (n > 0 && text[n - 1] == '\r')
                n--;
        text[n] = 0;
        return 0;
}

/* Without echo; the terminal is as before afterwards, also after Ctrl-C (the signal is the shell's
   to repair then: it resets a terminal that a program left behind). */
static int ask_terminal(const char *whose, char *text)
{
        struct termios before, silent;
        int r, fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                fd = STDIN_FILENO;
        if (tcgetattr(fd, &before) < 0) {
                r = -errno;
        } else {
                silent = before;
                silent.c_lflag &= ~(tcflag_t)ECHO;
                dprintf(fd, "Password of %s: ", whose);
                (void)tcsetattr(fd, TCSAFLUSH, &silent);
                r = read_line(fd, text);
                (void)tcsetattr(fd, TCSAFLUSH, &before);
                dprintf(fd, "\n");
        }
        if (fd != STDIN_FILENO)
                close(fd);
        return r;
}

/* CLI-51 */
int password_read(const char *whose, const char *file, Password *ret)
{
        int r, fd = STDIN_FILENO;

        ret->text = calloc(1, PASSWORD_BYTES_MAX);
        if (!ret->text)
                return report_error("out of memory");
        if (!file && isatty(STDIN_FILENO)) {
                r = ask_terminal(whose, ret->text);
        } else {
                if (file && !string_equal(file, "-"))
                        fd = open(file, O_RDONLY | O_CLOEXEC);
                r = fd < 0 ? -errno : read_line(fd, ret->text);
                if (fd > STDIN_FILENO)
                        close(fd);
        }
        return r < 0 ? report_error("cannot read the password%s%s: %s", file ? " from " : "",
                                    file ? file : "", strerror(-r))
                     : EXIT_OK;
}
