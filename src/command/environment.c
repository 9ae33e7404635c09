/*
 * The names are fixed and so are most values: a variable like LD_PRELOAD or BASH_FUNC_… cannot come
 * from anywhere. Only numbers come from the service.
 */
#include "command/environment.h"

#include "wire/protocol.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_OF_USERS "PATH=/usr/local/bin:/usr/bin:/bin"

static int add(Environment *e, const char *name, const char *value)
{
        assert(e->n + 1 < ENVIRONMENT_MAX);
        if (asprintf(&e->variables[e->n], "%s=%s", name, value) < 0) {
                e->variables[e->n] = NULL;
                return -ENOMEM;
        }
        e->n++;
        return 0;
}

static int add_account(Environment *e)
{
        const struct passwd *account = getpwuid(geteuid());
        const char *home = account && account->pw_dir[0] == '/' ? account->pw_dir : "/";
        const char *shell =
                account && !string_empty(account->pw_shell) ? account->pw_shell : "/bin/sh";
        int r;

        e->home = strdup(home);
        r = e->home ? add(e, "HOME", home) : -ENOMEM;
        if (r >= 0)
                r = add(e, "SHELL", shell);
        if (r >= 0 && account)
                r = add(e, "USER", account->pw_name);
        if (r >= 0 && account)
                r = add(e, "LOGNAME", account->pw_name);
        return r;
}

/* Where his session bus and service manager are, while he is signed on. */
static int add_runtime_directory(Environment *e)
{
        char path[64];
        struct stat st;

        snprintf(path, sizeof(path), "/run/user/%u", (unsigned)geteuid());
        if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
                return 0;
        return add(e, "XDG_RUNTIME_DIR", path);
}

/* NTF-246 */
static int fill(Environment *e, const char *job, const Order *order)
{
        const char *language = getenv("LANG");
        char code[16];
        int r;

        e->variables[0] = strdup(PATH_OF_USERS);
        if (!e->variables[0])
                return -ENOMEM;
        e->n = 1;
        r = add(e, "LANG", language ? language : "C.UTF-8");
        if (r >= 0)
                r = add_account(e);
        if (r >= 0)
                r = add_runtime_directory(e);
        if (r >= 0)
                r = add(e, "BITS_JOB_ID", job);
        if (r >= 0)
                r = add(e, "BITS_EVENT",
                        order->event == COMMAND_EVENT_ERROR ? "error" : "transferred");
        snprintf(code, sizeof(code), "0x%08x", order->code);
        if (r >= 0 && order->code != 0)
                r = add(e, "BITS_ERROR_CODE", code);
        return r;
}

int environment_make(const char *job, const Order *order, Environment *ret)
{
        Environment e = { 0 };
        int r = fill(&e, job, order);

        if (r < 0) {
                environment_done(&e);
                return r;
        }
        *ret = e;
        return 0;
}

void environment_done(Environment *e)
{
        for (unsigned i = 0; i < e->n; i++)
                free(e->variables[i]);
        free(e->home);
        *e = (Environment){ 0 };
}
