/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/password.h"

#include "cli/report.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

/* The first line, without its end. The descriptor is read without a buffer of stdio's. `signals`:
   those that may end the waiting (-EINTR), NULL: as they come. */
static int read_line(int fd, const sigset_t *signals, char *text)
{
        size_t n = 0;

        while (n < PASSWORD_BYTES_MAX - 1) {
                struct pollfd ready = { .fd = fd, .events = POLLIN };
                ssize_t got;

                if (signals && ppoll(&ready, 1, NULL, signals) < 0)
                        return -errno;
                got = read(fd, text + n, 1);

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

/* What ends a command that waits for a person. */
static const int endings[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static volatile sig_atomic_t ended_by;

static void on_ending(int number)
{
        ended_by = number;
}

/* From here on they come in ppoll() only. */
static void hold_endings(sigset_t *ret_before)
{
        struct sigaction action = { .sa_handler = on_ending };
        sigset_t held;

        sigemptyset(&held);
        for (size_t i = 0; i < ELEMENTS(endings); i++) {
                sigaddset(&held, endings[i]);
                (void)sigaction(endings[i], &action, NULL);
        }
        (void)sigprocmask(SIG_BLOCK, &held, ret_before);
}

/* And the one that came does now what it does. */
static void release_endings(const sigset_t *before)
{
        struct sigaction action = { .sa_handler = SIG_DFL };

        for (size_t i = 0; i < ELEMENTS(endings); i++)
                (void)sigaction(endings[i], &action, NULL);
        (void)sigprocmask(SIG_SETMASK, before, NULL);
        if (ended_by != 0)
                (void)raise(ended_by);
}

/* Without echo; the terminal is as before afterwards, also after Ctrl-C. CLI-423 */
static int ask_terminal(const char *whose, char *text)
{
        struct termios before, silent;
        sigset_t signals;
        int r, fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                fd = STDIN_FILENO;
        if (tcgetattr(fd, &before) < 0) {
                r = -errno;
        } else {
                silent = before;
                silent.c_lflag &= ~(tcflag_t)ECHO;
                hold_endings(&signals);
                dprintf(fd, "Password of %s: ", whose);
                (void)tcsetattr(fd, TCSAFLUSH, &silent);
                r = read_line(fd, &signals, text);
                (void)tcsetattr(fd, TCSAFLUSH, &before);
                dprintf(fd, "\n");
                release_endings(&signals);
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
                r = fd < 0 ? -errno : read_line(fd, NULL, ret->text);
                if (fd > STDIN_FILENO)
                        close(fd);
        }
        return r < 0 ? report_error("cannot read the password%s%s: %s", file ? " from " : "",
                                    file ? file : "", strerror(-r))
                     : EXIT_OK;
}
