/*
 * The ledger of command lines: whose they are, what is none, how many one user may have.
 */
#include "broker/commands.h"

#include "basic/command-file.h"
#include "basic/fd.h"
#include "basic/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define JOB "01234567-89ab-4def-8123-456789abcdef"

static char folder[] = "/tmp/openbits-test-commands-XXXXXX";

enum {
        PERSON = 70001, /* the author in every test: tests run as root, who authors nothing */
};

static uid_t author(void)
{
        return geteuid() == 0 ? PERSON : geteuid();
}

/* A sealed file made by a person. */
static int sealed(const char *job)
{
        int fd = -EBADF;
        bool root = geteuid() == 0;

        assert_true(!root || seteuid(PERSON) == 0);
        assert_int_equal(command_file_write(job, "/bin/true", "true", &fd), 0);
        assert_true(!root || seteuid(0) == 0);
        return fd;
}

static Commands *new_commands(void)
{
        static unsigned number;
        char path[100];
        Commands *commands = NULL;

        snprintf(path, sizeof(path), "%s/deep/%u", folder, number++);
        assert_int_equal(commands_open(path, &commands), 0);
        return commands;
}

/* NTF-243, SEC-240 */
static void author_is_who_made_the_file(void **state)
{
        _cleanup_(commands_freep) Commands *commands = new_commands();
        _cleanup_(command_file_done) CommandFile file = { 0 };
        _cleanup_close_ int fd = sealed(JOB), found = -EBADF;
        uid_t uid = (uid_t)-1;

        (void)state;
        assert_int_equal(commands_find(commands, author(), JOB, &found), -ENOENT);
        assert_int_equal(commands_keep(commands, JOB, fd, &uid), 0);
        assert_int_equal(uid, author());
        assert_int_equal(commands_find(commands, author() + 1, JOB, &found), -ENOENT);
        assert_int_equal(commands_find(commands, author(), JOB, &found), 0);
        assert_int_equal(command_file_read(found, &file), 0);
        assert_string_equal(file.program, "/bin/true");
        commands_drop(commands, author() + 1, JOB);
        commands_drop(commands, author(), JOB);
        commands_drop(commands, author(), JOB);
        fd_close(found);
        found = -EBADF;
        assert_int_equal(commands_find(commands, author(), JOB, &found), -ENOENT);
}

/* NTF-244 */
static void root_and_services_have_none(void **state)
{
        _cleanup_(commands_freep) Commands *commands = NULL;
        uid_t uid;
        int fd;

        (void)state;
        if (geteuid() != 0)
                skip(); /* jumps: nothing may be held by now */
        commands = new_commands();
        assert_int_equal(command_file_write(JOB, "/bin/true", "", &fd), 0);
        assert_int_equal(commands_keep(commands, JOB, fd, &uid), -EPERM);
        fd_close(fd);
        assert_int_equal(seteuid(110), 0);
        assert_int_equal(command_file_write(JOB, "/bin/true", "", &fd), 0);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(commands_keep(commands, JOB, fd, &uid), -EPERM);
        fd_close(fd);
}

/* SEC-240 */
static void what_can_still_change_is_none(void **state)
{
        _cleanup_(commands_freep) Commands *commands = new_commands();
        _cleanup_close_ int plain = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        _cleanup_close_ int disk = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        uid_t uid;

        (void)state;
        assert_int_equal(write(plain, "x", 1), 1);
        assert_int_equal(commands_keep(commands, JOB, plain, &uid), -EBADMSG);
        assert_int_equal(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
        assert_int_equal(commands_keep(commands, JOB, plain, &uid), -EBADMSG);
        assert_int_equal(commands_keep(commands, JOB, disk, &uid), -EBADMSG);
        assert_int_equal(commands_keep(commands, JOB, -EBADF, &uid), -EBADMSG);
}

/* LIM-240 */
static void a_user_has_so_many(void **state)
{
        _cleanup_(commands_freep) Commands *commands = new_commands();
        _cleanup_close_ int fd = sealed(JOB);
        char job[] = JOB;
        uid_t uid;

        (void)state;
        for (unsigned i = 0; i < COMMANDS_PER_USER; i++) {
                snprintf(job, sizeof(job), "%08x%s", i, JOB + 8);
                assert_int_equal(commands_keep(commands, job, fd, &uid), 0);
        }
        assert_int_equal(commands_keep(commands, JOB, fd, &uid), -EUSERS);
        assert_int_equal(commands_keep(commands, job, fd, &uid), 0); /* in place of the old one */
        commands_drop(commands, author(), job);
        assert_int_equal(commands_keep(commands, JOB, fd, &uid), 0);
}

static void ids_are_no_paths(void **state)
{
        (void)state;
        assert_true(command_job_valid(JOB));
        assert_false(command_job_valid(""));
        assert_false(command_job_valid("../../../../../../../../../../etc/pw"));
        assert_false(command_job_valid(JOB "0"));
        assert_false(command_job_valid("0123456789AB-CDEF-8123-456789abcdef0"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(author_is_who_made_the_file),
                cmocka_unit_test(root_and_services_have_none),
                cmocka_unit_test(what_can_still_change_is_none),
                cmocka_unit_test(a_user_has_so_many),
                cmocka_unit_test(ids_are_no_paths),
        };
        char remove[100];
        int r;

        log_open("test", LOG_CRIT);
        assert_non_null(mkdtemp(folder));
        r = cmocka_run_group_tests(tests, NULL, NULL);
        snprintf(remove, sizeof(remove), "rm -rf %s", folder);
        return system(remove) == 0 ? r : EXIT_FAILURE;
}
