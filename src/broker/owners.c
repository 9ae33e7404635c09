/*
 * An entry is a file named by the user's number that holds "<uid> <gid> <seconds since 1970>\n".
 * The directory is opened once, before the broker gives up its capabilities, and everything happens
 * relative to it. At the start the ledger is read into a tree; from then on the disk is written for
 * users that are new, and looked at for a user who is asked about: an administrator may remove
 * entries while the broker runs.
 *
 * The first entry stands. Its group matters only to users whom no account database knows: everybody
 * else's groups are looked up when a worker starts. A service that changed its effective user but
 * kept root's group would leave that group behind here, so group 0 is recorded for root alone.
 */
#include "broker/owners.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "broker/ledger.h"
#include "login/login.h"

#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
        ENTRY_BYTES = 64,
        NAME_BYTES = 16,
        GID_NOGROUP = 65534,
};

typedef struct Entry {
        uid_t uid; /* the key, first */
        gid_t gid;
} Entry;

struct Owners {
        int directory;
        void *entries;
        unsigned count;
};

static int compare_entries(const void *a, const void *b)
{
        uid_t x = *(const uid_t *)a, y = *(const uid_t *)b;

        return (x > y) - (x < y);
}

static int remember(Owners *owners, uid_t uid, gid_t gid)
{
        Entry *entry = malloc(sizeof(*entry));

        if (!entry)
                return -ENOMEM;
        *entry = (Entry){ uid, gid };
        if (!tsearch(entry, &owners->entries, compare_entries)) {
                free(entry);
                return -ENOMEM;
        }
        owners->count++;
        return 0;
}

/* One line, exactly as it is written: anything else is not ours. */
static bool parse_entry(const char *name, const char *text, Entry *ret)
{
        char again[ENTRY_BYTES], own_name[NAME_BYTES];
        unsigned uid, gid;
        long long when;

        if (sscanf(text, "%u %u %lld", &uid, &gid, &when) != 3)
                return false;
        snprintf(again, sizeof(again), "%u %u %lld\n", uid, gid, when);
        snprintf(own_name, sizeof(own_name), "%u", uid);
        if (!string_equal(again, text) || !string_equal(own_name, name))
                return false;
        if (uid == (uid_t)-1 || gid == (gid_t)-1)
                return false;
        *ret = (Entry){ uid, gid };
        return true;
}

static int read_entry(Owners *owners, const char *name)
{
        _cleanup_close_ int fd = -EBADF;
        char text[ENTRY_BYTES];
        Entry entry;
        ssize_t n;

        fd = openat(owners->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = 0;
        if (!parse_entry(name, text, &entry))
                return -EBADMSG;
        return remember(owners, entry.uid, entry.gid);
}

/* What nobody can read is skipped, not trusted. */
static int load_entry(void *userdata, const char *name)
{
        int r = read_entry(userdata, name);

        if (r < 0 && r != -ENOMEM) {
                log_errno(LOG_WARNING, r, "ledger entry %s is skipped", name);
                return 0;
        }
        return r;
}

int owners_open(const char *state_directory, Owners **ret)
{
        _cleanup_(owners_freep) Owners *owners = malloc(sizeof(*owners));
        int r;

        if (!owners)
                return -ENOMEM;
        *owners = (Owners){ .directory = -EBADF };
        r = ledger_open(state_directory, "owners", &owners->directory);
        if (r < 0)
                return r;
        r = ledger_read(owners->directory, load_entry, owners);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(owners);
        return 0;
}

void owners_free(Owners *owners)
{
        if (!owners)
                return;
        tdestroy(owners->entries, free);
        fd_close(owners->directory);
        free(owners);
}

static int record(Owners *owners, uid_t uid, gid_t gid)
{
        char name[NAME_BYTES], text[ENTRY_BYTES];

        snprintf(name, sizeof(name), "%u", (unsigned)uid);
        snprintf(text, sizeof(text), "%u %u %lld\n", (unsigned)uid, (unsigned)gid,
                 (long long)time(NULL));
        return ledger_write(owners->directory, name, text, strlen(text));
}

int owners_present(Owners *owners, uid_t uid, gid_t gid)
{
        int r;

        if (uid == (uid_t)-1 || gid == (gid_t)-1)
                return -EINVAL;
        if (owners_recorded(owners, uid, NULL))
                return 0;
        if (owners->count >= OWNERS_MAX)
                return -ENOSPC;
        if (gid == 0 && uid != 0) /* SEC-51 */
                gid = GID_NOGROUP;
        r = record(owners, uid, gid);
        if (r < 0)
                return r;
        r = remember(owners, uid, gid);
        return r < 0 ? r : 1;
}

/* SEC-95 */
static bool is_on_disk(const Owners *owners, uid_t uid)
{
        char name[NAME_BYTES];

        snprintf(name, sizeof(name), "%u", (unsigned)uid);
        return faccessat(owners->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
               errno != ENOENT;
}

static void forget(Owners *owners, Entry *entry)
{
        log_notice("uid %u was removed from the ledger", (unsigned)entry->uid);
        (void)tdelete(entry, &owners->entries, compare_entries);
        free(entry);
        owners->count--;
}

bool owners_recorded(Owners *owners, uid_t uid, gid_t *ret_gid)
{
        Entry **found = tfind(&uid, &owners->entries, compare_entries);

        if (!found)
                return false;
        if (!is_on_disk(owners, uid)) {
                forget(owners, *found);
                return false;
        }
        if (ret_gid)
                *ret_gid = (*found)->gid;
        return true;
}

/* ENG-68. NTF-244: no command line as root or as a service account, whoever asks. */
bool owner_may(uid_t uid, WorkerKind kind, bool recorded, bool login_manager, bool signed_on)
{
        if (uid == (uid_t)-1 || (kind == WORKER_COMMAND && login_is_service(uid)))
                return false;
        if (signed_on)
                return true;
        return recorded && (!login_manager || login_is_service(uid) || kind == WORKER_FILE);
}

bool owner_known(Owners *owners, uid_t uid, WorkerKind kind)
{
        bool login_manager = login_manager_present();

        return owner_may(uid, kind, owners_recorded(owners, uid, NULL), login_manager,
                         login_manager && uid != (uid_t)-1 && login_signed_on(uid));
}
