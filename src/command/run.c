/*
 * no_new_privs was set by the broker and cannot be taken back: a program with the set-user-id bit
 * (sudo, say) runs as its caller. The sandboxes of the other workers are not inherited, because
 * this process has never entered one.
 */
#include "command/run.h"

#include "basic/fd.h"
#include "basic/signals.h"
#include "command/environment.h"
#include "core/command-line.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child only. Standard input is /dev/null already. NTF-245, NTF-247 */
static int become_command(const char *program, char **argv, const Environment *environment,
                          int output, pid_t runner)
{
        if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return -errno;
        if (getppid() != runner) /* it died before that signal was asked for */
                return -ESRCH;
        if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
                return -errno;
        if (chdir(environment->home) < 0 && chdir("/") < 0)
                return -errno;
        signals_reset();
        if (close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
                return -errno;
        execve(program, argv, (char **)environment->variables);
        return -errno;
}

static _noreturn_ void child(const char *program, char **argv, const Environment *environment,
                             int output, int status, pid_t runner)
{
        int r = become_command(program, argv, environment, output, runner);

        if (write(status, &r, sizeof(r)) < 0)
                _exit(126);
        _exit(127);
}

/* The pipe says an errno, or, by closing at execve(), that the program runs. */
static int wait_for_exec(int status, pid_t pid)
{
        int error = 0;
        ssize_t n;

        do
                n = read(status, &error, sizeof(error));
        while (n < 0 && errno == EINTR);
        if (n == 0)
                return 0;
        (void)waitpid(pid, NULL, 0);
        return n < 0 || error >= 0 ? -EIO : error;
}

static int start(const char *program, char **argv, const Environment *environment, pid_t *ret_pid,
                 int *ret_output)
{
        _cleanup_close_ int output = -EBADF, write_output = -EBADF;
        _cleanup_close_ int status = -EBADF, write_status = -EBADF;
        int pair[2], r;
        pid_t pid, self = getpid();

        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        output = pair[0];
        write_output = pair[1];
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        status = pair[0];
        write_status = pair[1];
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child(program, argv, environment, write_output, write_status, self);
        write_status = fd_close(write_status);
        r = wait_for_exec(status, pid);
        if (r < 0)
                return r;
        *ret_pid = pid;
        *ret_output = TAKE_FD(output);
        return 0;
}

int run_command(const CommandFile *file, const Order *order, pid_t *ret_pid, int *ret_output)
{
        _cleanup_(environment_done) Environment environment = { 0 };
        _cleanup_free_ char **argv = NULL;
        int r;

        /* Its author may have sealed anything. */
        if (command_line_check(file->program, file->parameters, NULL) != 0 ||
            string_empty(file->program))
                return -EINVAL;
        argv = command_line_split(file->program, file->parameters);
        if (!argv)
                return -ENOMEM;
        r = environment_make(file->job, order, &environment);
        return r < 0 ? r : start(file->program, argv, &environment, ret_pid, ret_output);
}
