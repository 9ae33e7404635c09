#include "broker/commands.h"

#include "basic/command-file.h"
#include "basic/fd.h"
#include "basic/secret.h"
#include "broker/ledger.h"
#include "login/login.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
        NAME_BYTES = 64,
};

struct Commands {
        int directory;
};

int commands_open(const char *state_directory, Commands **ret)
{
        _cleanup_(commands_freep) Commands *commands = malloc(sizeof(*commands));
        int r;

        if (!commands)
                return -ENOMEM;
        *commands = (Commands){ .directory = -EBADF };
        r = ledger_open(state_directory, "commands", &commands->directory);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(commands);
        return 0;
}

void commands_free(Commands *commands)
{
        if (!commands)
                return;
        fd_close(commands->directory);
        free(commands);
}

bool command_job_valid(const char *job)
{
        return strlen(job) == COMMAND_JOB_CHARACTERS &&
               strspn(job, "0123456789abcdef-") == COMMAND_JOB_CHARACTERS;
}

static void name_of(uid_t uid, const char *job, char ret[NAME_BYTES])
{
        snprintf(ret, NAME_BYTES, "%u.%s", (unsigned)uid, job);
}

typedef struct Count {
        char prefix[16];
        unsigned of_user, all;
} Count;

static int count_one(void *userdata, const char *name)
{
        Count *count = userdata;

        count->all++;
        count->of_user += strncmp(name, count->prefix, strlen(count->prefix)) == 0;
        return 0;
}

/* LIM-240 */
static int check_room(const Commands *commands, uid_t uid)
{
        Count count = { 0 };
        int r;

        snprintf(count.prefix, sizeof(count.prefix), "%u.", (unsigned)uid);
        r = ledger_read(commands->directory, count_one, &count);
        if (r < 0)
                return r;
        return count.of_user >= COMMANDS_PER_USER || count.all >= COMMANDS_MAX ? -EUSERS : 0;
}

/* NTF-243, SEC-240: whose it is says the kernel. */
int commands_keep(Commands *commands, const char *job, int fd, uid_t *ret_author)
{
        char name[NAME_BYTES];
        uint8_t *bytes;
        size_t size;
        uid_t author;
        int r;

        if (!command_file_is_sealed(fd, &author))
                return -EBADMSG;
        if (login_is_service(author) || author == (uid_t)-1)
                return -EPERM;
        name_of(author, job, name);
        r = faccessat(commands->directory, name, F_OK, 0) == 0 ? 0 : check_room(commands, author);
        if (r < 0)
                return r;
        r = secret_from_fd(fd, COMMAND_FILE_BYTES_MAX, &bytes, &size);
        if (r < 0)
                return r;
        r = ledger_write(commands->directory, name, bytes, size);
        free(bytes);
        if (r >= 0)
                *ret_author = author;
        return r;
}

void commands_drop(Commands *commands, uid_t uid, const char *job)
{
        char name[NAME_BYTES];

        name_of(uid, job, name);
        ledger_remove(commands->directory, name);
}

int commands_find(Commands *commands, uid_t uid, const char *job, int *ret_fd)
{
        char name[NAME_BYTES];
        int fd;

        name_of(uid, job, name);
        fd = openat(commands->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}
