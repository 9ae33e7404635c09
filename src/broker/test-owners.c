/*
 * The ledger by itself: what it remembers over a restart, what it refuses to believe.
 */
#include "broker/owners.h"

#include "basic/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/openbits-test-owners-XXXXXX";

/* A ledger in a new directory each time: <folder>/<number>. */
static char *new_state(void **state)
{
        static unsigned number;
        char *path = NULL;

        assert_true(asprintf(&path, "%s/%u", folder, number++) > 0);
        *state = path;
        return path;
}

static int teardown(void **state)
{
        free(*state);
        return 0;
}

static void put(const char *state, const char *name, const char *text)
{
        char path[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/owners/%s", state, name);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static bool exists(const char *state, const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/owners/%s", state, name);
        return access(path, F_OK) == 0;
}

/* SEC-50 */
static void presentation_is_remembered(void **state)
{
        char *path = new_state(state);
        Owners *owners;
        gid_t gid = 0;

        assert_int_equal(owners_open(path, &owners), 0);
        assert_false(owners_recorded(owners, 70001, NULL));
        assert_int_equal(owners_present(owners, 70001, 70002), 1);
        assert_int_equal(owners_present(owners, 70001, 70003), 0);
        owners_free(owners);

        assert_int_equal(owners_open(path, &owners), 0);
        assert_true(owner_known(owners, 70001, WORKER_FILE));
        assert_true(owners_recorded(owners, 70001, &gid));
        assert_int_equal(gid, 70002);
        assert_false(owners_recorded(owners, 70002, NULL));
        owners_free(owners);
}

/* ENG-68 */
static void who_may_have_which_worker(void **state)
{
        enum { PERSON = 1000, SERVICE = 110, DYNAMIC = 61200 };

        (void)state;
        /* uid, kind, in the ledger, a login manager is there, signed on by its word */
        assert_true(owner_may(PERSON, WORKER_NET, false, true, true));
        assert_false(owner_may(PERSON, WORKER_NET, true, true, false));
        assert_true(owner_may(PERSON, WORKER_FILE, true, true, false));
        assert_false(owner_may(PERSON, WORKER_FILE, false, true, false));
        assert_true(owner_may(PERSON, WORKER_NET, true, false, false));
        assert_false(owner_may(PERSON, WORKER_NET, false, false, false));
        assert_true(owner_may(SERVICE, WORKER_NET, true, true, false));
        assert_true(owner_may(DYNAMIC, WORKER_NET, true, true, false));
        assert_true(owner_may(0, WORKER_NET, true, true, false));
        assert_false(owner_may(SERVICE, WORKER_NET, false, true, false));
        assert_false(owner_may(0, WORKER_FILE, false, true, false));
        assert_false(owner_may((uid_t)-1, WORKER_NET, true, false, true));
        /* NTF-244 */
        assert_true(owner_may(PERSON, WORKER_COMMAND, false, true, true));
        assert_false(owner_may(PERSON, WORKER_COMMAND, true, true, false));
        assert_true(owner_may(PERSON, WORKER_COMMAND, true, false, false));
        assert_false(owner_may(SERVICE, WORKER_COMMAND, true, true, true));
        assert_false(owner_may(DYNAMIC, WORKER_COMMAND, true, false, false));
        assert_false(owner_may(0, WORKER_COMMAND, true, true, true));
}

/* SEC-45 */
static void reserved_numbers_are_nobody(void **state)
{
        char *path = new_state(state);
        Owners *owners;

        assert_int_equal(owners_open(path, &owners), 0);
        assert_int_equal(owners_present(owners, (uid_t)-1, 5), -EINVAL);
        assert_int_equal(owners_present(owners, 5, (gid_t)-1), -EINVAL);
        assert_false(owner_known(owners, (uid_t)-1, WORKER_FILE));
        owners_free(owners);
}

/* SEC-51 */
static void group_of_root_is_for_root(void **state)
{
        char *path = new_state(state);
        Owners *owners;
        gid_t gid = 0;

        assert_int_equal(owners_open(path, &owners), 0);
        assert_int_equal(owners_present(owners, 70001, 0), 1);
        assert_int_equal(owners_present(owners, 0, 0), 1);
        assert_true(owners_recorded(owners, 70001, &gid));
        assert_int_not_equal(gid, 0);
        assert_true(owners_recorded(owners, 0, &gid));
        assert_int_equal(gid, 0);
        owners_free(owners);
}

/* SEC-50 */
static void damaged_entries_are_not_believed(void **state)
{
        static const struct {
                const char *name, *text;
        } damaged[] = {
                { "70001", "" },
                { "70002", "70002 5" },
                { "70003", "70004 5 1\n" },
                { "70005", "70005 5 1" },
                { "70006", "70006 5 1\nmore" },
                { "70007", "70007 4294967295 1\n" },
                { "070008", "70008 5 1\n" },
                { "70009", "70009 -5 1\n" },
                { "name", "70010 5 1\n" },
        };
        char *path = new_state(state);
        Owners *owners;

        assert_int_equal(owners_open(path, &owners), 0);
        owners_free(owners);
        for (size_t i = 0; i < ELEMENTS(damaged); i++)
                put(path, damaged[i].name, damaged[i].text);
        put(path, "70020", "70020 5 1\n");
        put(path, ".new-70021", "70021 5");

        assert_int_equal(owners_open(path, &owners), 0);
        for (uid_t uid = 70001; uid <= 70010; uid++)
                assert_false(owners_recorded(owners, uid, NULL));
        assert_true(owners_recorded(owners, 70020, NULL));
        assert_false(exists(path, ".new-70021"));
        owners_free(owners);
}

/* SEC-50 */
static void directory_becomes_private(void **state)
{
        char *path = new_state(state), sub[256];
        Owners *owners;
        struct stat st;

        snprintf(sub, sizeof(sub), "%s/owners", path);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(mkdir(sub, 0777), 0);
        assert_int_equal(owners_open(path, &owners), 0);
        assert_int_equal(stat(sub, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        owners_free(owners);
}

/* SEC-50: somebody else's directory, or a link to one, is no ledger. */
static void foreign_directory_is_refused(void **state)
{
        char *path = new_state(state), sub[256];
        Owners *owners = NULL;

        snprintf(sub, sizeof(sub), "%s/owners", path);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(symlink("/tmp", sub), 0);
        assert_true(owners_open(path, &owners) < 0);
        if (geteuid() != 0)
                return;
        assert_int_equal(unlink(sub), 0);
        assert_int_equal(mkdir(sub, 0700), 0);
        assert_int_equal(chown(sub, 70001, 70001), 0);
        assert_int_equal(owners_open(path, &owners), -EPERM);
}

/* A full disk: the user stays unknown, now and after a restart. */
static void unwritten_is_unknown(void **state)
{
        char *path = new_state(state), sub[256];
        Owners *owners;

        assert_int_equal(owners_open(path, &owners), 0);
        snprintf(sub, sizeof(sub), "%s/owners", path);
        assert_int_equal(rmdir(sub), 0);
        assert_true(owners_present(owners, 70001, 70001) < 0);
        assert_false(owners_recorded(owners, 70001, NULL));
        owners_free(owners);
}

/* SEC-95: an administrator removes a file; the next question sees it, and he may come again. */
static void removed_entry_is_forgotten(void **state)
{
        char *path = new_state(state), name[256];
        Owners *owners;
        gid_t gid = 4711;

        assert_int_equal(owners_open(path, &owners), 0);
        assert_int_equal(owners_present(owners, 70001, 70002), 1);
        assert_int_equal(owners_present(owners, 70003, 70003), 1);
        snprintf(name, sizeof(name), "%s/owners/70001", path);
        assert_int_equal(unlink(name), 0);
        assert_false(owners_recorded(owners, 70001, &gid));
        assert_int_equal(gid, 4711);
        assert_true(owners_recorded(owners, 70003, NULL));
        assert_int_equal(owners_present(owners, 70001, 70005), 1);
        assert_true(owners_recorded(owners, 70001, &gid));
        assert_int_equal(gid, 70005);
        owners_free(owners);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(presentation_is_remembered, teardown),
                cmocka_unit_test_teardown(reserved_numbers_are_nobody, teardown),
                cmocka_unit_test_teardown(who_may_have_which_worker, teardown),
                cmocka_unit_test_teardown(group_of_root_is_for_root, teardown),
                cmocka_unit_test_teardown(damaged_entries_are_not_believed, teardown),
                cmocka_unit_test_teardown(directory_becomes_private, teardown),
                cmocka_unit_test_teardown(foreign_directory_is_refused, teardown),
                cmocka_unit_test_teardown(unwritten_is_unknown, teardown),
                cmocka_unit_test_teardown(removed_entry_is_forgotten, teardown),
        };
        char command[128];
        int failed;

        log_open("test-owners", LOG_ERR);
        if (!mkdtemp(folder))
                return EXIT_FAILURE;
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        snprintf(command, sizeof(command), "rm -rf %s", folder);
        return system(command) == 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
