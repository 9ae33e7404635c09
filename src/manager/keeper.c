/*
 * In the store lie the tokens, each once, under the name of its cookie, and one table that says
 * which job has which: a file in memory with fixed slots. Several jobs may share a token, and the
 * service manager takes a descriptor once only, so the table could not be made of names.
 *
 * The table lives exactly as long as the tokens do, which the job store on disk would not: after a
 * reboot the same cookie may be another token's. One write sets a slot, so whatever moment the
 * process is killed at, each slot is the old one or the new one.
 *
 * Order: a token goes into the store before a slot names it, and out of it after no slot does.
 */
#include "manager/keeper.h"

#include "basic/fd.h"
#include "basic/log.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define TABLE_NAME "jobs-of-tokens"
#define TOKEN_NAME "token-"

enum {
        NAME_BYTES = 32,
        SLOTS_MAX = 65536,
        NO_SLOT = -1,
};

typedef struct Slot {
        uint64_t cookie; /* 0: free */
        char job_id[JOB_ID_CHARACTERS + 1];
} Slot;

typedef struct Passed {
        uint64_t cookie;
        int fd;
} Passed;

struct Keeper {
        int table; /* -EBADF: nothing is kept */
        Slot *slots;
        size_t n_slots;
        Passed *passed; /* by the service manager, until keeper_recall() */
        size_t n_passed;
};

/* ---- the service manager ---- */

static void token_name(uint64_t cookie, char ret[NAME_BYTES])
{
        snprintf(ret, NAME_BYTES, TOKEN_NAME "%llu", (unsigned long long)cookie);
}

static void store_fd(const char *name, int fd)
{
        char text[64 + NAME_BYTES];
        int r;

        snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
        r = sd_pid_notify_with_fds(0, false, text, &fd, 1);
        if (r < 0)
                log_errno(LOG_DEBUG, r, "cannot keep %s over a restart", name);
}

static void remove_fd(const char *name)
{
        char text[64 + NAME_BYTES];

        snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        (void)sd_notify(0, text);
}

/* ---- the table ---- */

static void write_slot(Keeper *keeper, size_t i)
{
        if (keeper->table >= 0 &&
            pwrite(keeper->table, &keeper->slots[i], sizeof(Slot), (off_t)(i * sizeof(Slot))) < 0)
                log_errno(LOG_WARNING, -errno, "a helper token will not survive a restart");
}

static size_t count_users(const Keeper *keeper, uint64_t cookie)
{
        size_t n = 0;

        for (size_t i = 0; i < keeper->n_slots; i++)
                n += keeper->slots[i].cookie == cookie;
        return n;
}

static ssize_t find_slot(const Keeper *keeper, const char *job_id)
{
        for (size_t i = 0; i < keeper->n_slots; i++)
                if (keeper->slots[i].cookie != 0 && string_equal(keeper->slots[i].job_id, job_id))
                        return (ssize_t)i;
        return NO_SLOT;
}

static ssize_t free_slot(Keeper *keeper)
{
        Slot *slots;

        for (size_t i = 0; i < keeper->n_slots; i++)
                if (keeper->slots[i].cookie == 0)
                        return (ssize_t)i;
        if (keeper->n_slots >= SLOTS_MAX)
                return NO_SLOT;
        slots = reallocarray(keeper->slots, keeper->n_slots + 1, sizeof(Slot));
        if (!slots)
                return NO_SLOT;
        keeper->slots = slots;
        slots[keeper->n_slots] = (Slot){ 0 };
        return (ssize_t)keeper->n_slots++;
}

static void clear_slot(Keeper *keeper, size_t i)
{
        uint64_t cookie = keeper->slots[i].cookie;
        char name[NAME_BYTES];

        keeper->slots[i] = (Slot){ 0 };
        write_slot(keeper, i);
        if (count_users(keeper, cookie) > 0)
                return;
        token_name(cookie, name);
        remove_fd(name);
}

/* OPS-50 */
void keeper_set(Keeper *keeper, const char *job_id, const Token *token)
{
        ssize_t old = find_slot(keeper, job_id), i;
        char name[NAME_BYTES];

        if (token && old != NO_SLOT && keeper->slots[old].cookie == token->cookie)
                return;
        i = token ? free_slot(keeper) : NO_SLOT;
        if (i != NO_SLOT) {
                token_name(token->cookie, name);
                if (count_users(keeper, token->cookie) == 0)
                        store_fd(name, token->fd);
                keeper->slots[i].cookie = token->cookie;
                snprintf(keeper->slots[i].job_id, sizeof(keeper->slots[i].job_id), "%s", job_id);
        }
        /* The old one first: with two slots the next process would not know which one counts. */
        if (old != NO_SLOT)
                clear_slot(keeper, (size_t)old);
        if (i != NO_SLOT)
                write_slot(keeper, (size_t)i);
}

/* ---- what a former process left ---- */

static void take_table(Keeper *keeper, int fd)
{
        struct stat st;
        size_t n;

        if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size > SLOTS_MAX * sizeof(Slot))
                return;
        n = (size_t)st.st_size / sizeof(Slot);
        keeper->slots = calloc(n + 1, sizeof(Slot));
        if (!keeper->slots)
                return;
        if (pread(fd, keeper->slots, n * sizeof(Slot), 0) == (ssize_t)(n * sizeof(Slot)))
                keeper->n_slots = n;
        for (size_t i = 0; i < keeper->n_slots; i++)
                keeper->slots[i].job_id[JOB_ID_CHARACTERS] = 0;
}

static int take_token(Keeper *keeper, const char *name, int fd)
{
        Passed *passed = reallocarray(keeper->passed, keeper->n_passed + 1, sizeof(*passed));
        char expected[NAME_BYTES];
        uint64_t cookie;

        if (!passed)
                return -ENOMEM;
        keeper->passed = passed;
        if (fd_socket_cookie(fd, &cookie) < 0)
                return -EBADF;
        token_name(cookie, expected);
        if (!string_equal(name, expected))
                return -EBADF;
        passed[keeper->n_passed++] = (Passed){ cookie, fd };
        return 0;
}

static int take_passed(Keeper *keeper)
{
        char **names = NULL;
        int n = sd_listen_fds_with_names(1, &names);

        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (string_equal(names[i], TABLE_NAME) && keeper->table < 0) {
                        keeper->table = fd;
                        take_table(keeper, fd);
                } else if (take_token(keeper, names[i], fd) < 0) {
                        remove_fd(names[i]);
                        fd_close(fd);
                }
                free(names[i]);
        }
        free(names);
        return n < 0 ? n : 0;
}

int keeper_new(Keeper **ret)
{
        _cleanup_(keeper_freep) Keeper *keeper = calloc(1, sizeof(*keeper));
        int r;

        if (!keeper)
                return -ENOMEM;
        keeper->table = -EBADF;
        r = take_passed(keeper);
        if (r < 0)
                return r;
        if (keeper->table < 0) {
                keeper->table = memfd_create(TABLE_NAME, MFD_CLOEXEC);
                if (keeper->table < 0)
                        return -errno;
                store_fd(TABLE_NAME, keeper->table);
        }
        *ret = TAKE_PTR(keeper);
        return 0;
}

void keeper_free(Keeper *keeper)
{
        if (!keeper)
                return;
        for (size_t i = 0; i < keeper->n_passed; i++)
                fd_close(keeper->passed[i].fd);
        fd_close(keeper->table);
        free(keeper->passed);
        free(keeper->slots);
        free(keeper);
}

static int find_passed(const Keeper *keeper, uint64_t cookie)
{
        for (size_t i = 0; i < keeper->n_passed; i++)
                if (keeper->passed[i].cookie == cookie)
                        return keeper->passed[i].fd;
        return -EBADF;
}

/* Passed tokens that no job names any more: a process ended between the two. */
static void drop_unused(Keeper *keeper)
{
        for (size_t i = 0; i < keeper->n_passed; i++) {
                Passed *passed = &keeper->passed[i];
                char name[NAME_BYTES];

                if (count_users(keeper, passed->cookie) == 0) {
                        token_name(passed->cookie, name);
                        remove_fd(name);
                }
                fd_close(passed->fd);
        }
        keeper->n_passed = 0;
}

void keeper_recall(Keeper *keeper,
                   void (*on_token)(void *userdata, const char *job_id, int fd, uint64_t cookie),
                   void *userdata)
{
        for (size_t i = 0; i < keeper->n_slots; i++) {
                const Slot *slot = &keeper->slots[i];
                int fd = slot->cookie != 0 ? find_passed(keeper, slot->cookie) : -EBADF;

                if (fd >= 0)
                        on_token(userdata, slot->job_id, fd, slot->cookie);
                else if (slot->cookie != 0)
                        clear_slot(keeper, i);
        }
        drop_unused(keeper);
}
