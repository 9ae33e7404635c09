/*
 * bits admin: the verb, and bits admin owners: the broker's ledger of users who presented
 * themselves. For them it starts workers, also when they are not signed on.
 *
 * The ledger is a folder, "owners" in the broker's state directory: one file for each user, named
 * by his number, with one line "UID GID SECONDS", the seconds since 1970 at which he first came.
 * The folder is root's alone, so this verb is root's: it reads and removes files, and asks nobody.
 * The broker looks for a user's file at each start of a worker, so that a removal holds at once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/admin.h"

#include "cli/format.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/users.h"
#include "cli/verbs.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#define BROKER_STATE "/var/lib/openbits-broker"

typedef struct Entry {
        uint32_t uid;
        uint64_t since; /* s since 1970 */
} Entry;

typedef struct Ledger {
        Entry *entries;
        size_t n;
} Ledger;

static void ledger_done(Ledger *ledger)
{
        free(ledger->entries);
}

static int compare_entries(const void *a, const void *b)
{
        uint32_t x = ((const Entry *)a)->uid, y = ((const Entry *)b)->uid;

        return (x > y) - (x < y);
}

static int open_ledger(const char *state, const char *folder, const char *what, int *ret_directory)
{
        char path[4096];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", state, folder);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) {
                *ret_directory = fd;
                return EXIT_OK;
        }
        if (errno == EACCES || errno == EPERM)
                return report_error("only root sees the broker's %s: run this with sudo", what);
        return report_error("cannot read the broker's %s %s: %s", what, path, strerror(errno));
}

/* False for what is no entry. */
static bool read_entry(int directory, const char *name, Entry *ret)
{
        int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        unsigned long long since;
        char text[64];
        unsigned uid;
        ssize_t n;

        if (fd < 0)
                return false;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n <= 0)
                return false;
        text[n] = '\0';
        if (sscanf(text, "%u %*u %llu", &uid, &since) != 2 || strtoul(name, NULL, 10) != uid)
                return false;
        *ret = (Entry){ uid, since };
        return true;
}

static int read_ledger(int directory, Ledger *ret)
{
        DIR *stream = fdopendir(dup(directory));
        struct dirent *d;
        int r = EXIT_OK;

        if (!stream)
                return report_error("cannot read the broker's ledger: %s", strerror(errno));
        while (r == EXIT_OK && (d = readdir(stream))) {
                Entry entry, *larger;

                if (d->d_name[0] == '.' || !read_entry(directory, d->d_name, &entry))
                        continue;
                larger = reallocarray(ret->entries, ret->n + 1, sizeof(*larger));
                if (!larger) {
                        r = report_error("out of memory");
                        continue;
                }
                ret->entries = larger;
                larger[ret->n++] = entry;
        }
        closedir(stream);
        if (ret->n > 0)
                qsort(ret->entries, ret->n, sizeof(Entry), compare_entries);
        return r;
}

/* CLI-62 */
static int list_owners(int directory)
{
        static const Column columns[] = {
                { "uid", "UID", COLUMN_NUMBER, true },
                { "name", "NAME", COLUMN_TEXT, true },
                { "since", NULL, COLUMN_NUMBER, true }, /* µs since 1970, as all times in JSON */
                { NULL, "SINCE", COLUMN_TEXT, false },
        };
        _cleanup_(ledger_done) Ledger ledger = {};
        _cleanup_(table_freep) Table *table = NULL;
        char text[FORMAT_SIZE];
        int r = read_ledger(directory, &ledger);

        if (r != EXIT_OK)
                return r;
        if (ledger.n == 0) {
                printf(arg_json ? "{\"owners\": []}\n" : "no owners\n");
                return EXIT_OK;
        }
        table = table_new("owners", columns, ELEMENTS(columns), arg_json);
        if (!table)
                return EXIT_FAILED;
        for (size_t i = 0; i < ledger.n; i++) {
                const struct passwd *account = getpwuid(ledger.entries[i].uid);
                struct libscols_line *row = table_row(table);

                table_cell_uint64(table, row, 0, ledger.entries[i].uid);
                table_cell(table, row, 1, account ? account->pw_name : NULL);
                table_cell_uint64(table, row, 2, ledger.entries[i].since * 1000000);
                table_cell(table, row, 3, format_time(ledger.entries[i].since * 1000000, text));
        }
        return table_print(table);
}

/* CLI-63 */
static int remove_owner(int directory, const char *word)
{
        _cleanup_(user_done) User user = {};
        char name[16];
        int r = user_parse(word, &user);

        if (r != EXIT_OK)
                return r;
        snprintf(name, sizeof(name), "%u", (unsigned)user.uid);
        if (unlinkat(directory, name, 0) < 0)
                return errno == ENOENT ? report_error("'%s' is not in the ledger", word)
                                       : report_error("cannot remove '%s' from the ledger: %s",
                                                      word, strerror(errno));
        return EXIT_OK;
}

int admin_ledger(const char *state, const AdminLedger *ledger, int argc, char **argv)
{
        int directory, r, result = EXIT_OK;

        r = open_ledger(state, ledger->folder, ledger->what, &directory);
        if (r != EXIT_OK)
                return r;
        if (argc == 0)
                result = ledger->list(directory);
        for (int i = 1; i < argc; i++) {
                r = ledger->remove(directory, argv[i]);
                if (r != EXIT_OK)
                        result = r;
        }
        if (argc > 0 && fsync(directory) < 0)
                result = report_error("the removal may not outlast a power cut: %s",
                                      strerror(errno));
        close(directory);
        return result;
}

static int admin_owners(const char *state, int argc, char **argv)
{
        static const AdminLedger ledger = { "owners", "ledger", list_owners, remove_owner };

        return admin_ledger(state, &ledger, argc, argv);
}

int verb_admin(int argc, char **argv)
{
        enum { STATE_DIRECTORY = OPTION_OWN };
        static const struct option options[] = {
                { "state-directory", required_argument, NULL, STATE_DIRECTORY },
                COMMON_OPTIONS,
        };
        static const struct {
                const char *word;
                int (*run)(const char *state, int argc, char **argv);
                const char *remove_what;
        } ledgers[] = {
                { "owners", admin_owners, "remove whom?" },
                { "notify", admin_notify, "remove the command line of which job?" },
        };
        const char *state = BROKER_STATE;
        size_t i = 0;
        int c;

        while ((c = next_option(argc, argv, "h", options)) >= 0) {
                if (c != STATE_DIRECTORY)
                        return usage_error(NULL);
                state = optarg;
        }
        argc -= optind;
        argv += optind;
        if (argc == 1 && string_equal(argv[0], "policy"))
                return admin_policy();
        while (argc > 0 && i < ELEMENTS(ledgers) && !string_equal(argv[0], ledgers[i].word))
                i++;
        if (argc == 0 || i == ELEMENTS(ledgers))
                return usage_error(argc ? "'%s' is not owners, notify or policy"
                                        : "administer what? owners, notify or policy",
                                   argv[0]);
        if (argc > 1 && !string_equal(argv[1], "remove"))
                return usage_error("'%s' is not remove", argv[1]);
        if (argc == 2)
                return usage_error("%s", ledgers[i].remove_what);
        return ledgers[i].run(state, argc - 1, argv + 1);
}
