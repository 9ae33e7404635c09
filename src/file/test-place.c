/*
 * The rules for local files, each on a directory of its own.
 */
#include "file/sync.h"
#include "file/test-fixture.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* FIL-01 */
static void test_names(void **state)
{
        Fixture *f = *state;
        char name[NAME_MAX + 2], path[PATH_MAX + 2];

        assert_int_equal(place_check(""), -EINVAL);
        assert_int_equal(place_check("relative"), -EINVAL);
        assert_int_equal(place_check("/"), -EISDIR);
        assert_int_equal(place_check(inside(f, "")), -EISDIR);
        assert_int_equal(place_check(inside(f, ".")), -EISDIR);
        assert_int_equal(place_check(inside(f, "..")), -EISDIR);
        memset(name, 'n', sizeof(name));
        name[NAME_MAX + 1] = 0;
        assert_int_equal(place_check(inside(f, name)), -ENAMETOOLONG);
        name[NAME_MAX] = 0;
        assert_int_equal(place_check(inside(f, name)), 0);
        memset(path, '/', sizeof(path));
        path[PATH_MAX] = 0;
        assert_int_equal(place_check(path), -ENAMETOOLONG);
}

/* FIL-05, FIL-07, FIL-08 */
static void test_check_kinds(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int fd = -EBADF;

        assert_int_equal(place_check(f->final), 0);
        assert_false(exists(f->final));
        assert_int_equal(place_check(inside(f, "absent/final")), -ENOENT);
        put(f->final, "old");
        assert_int_equal(place_check(f->final), 0);
        assert_int_equal(place_check(inside(f, "final/below")), -ENOTDIR);
        assert_return_code(symlink("nowhere", inside(f, "link")), errno);
        assert_int_equal(place_check(inside(f, "link")), 0);
        assert_return_code(symlink(".", inside(f, "link to directory")), errno);
        assert_int_equal(place_check(inside(f, "link to directory")), 0);
        assert_return_code(mkdir(inside(f, "directory"), 0755), errno);
        assert_int_equal(place_check(inside(f, "directory")), -EISDIR);
        assert_return_code(mkfifo(inside(f, "fifo"), 0644), errno);
        assert_int_equal(place_check(inside(f, "fifo")), -EINVAL);
}

/* FIL-06 */
static void test_check_permissions(void **state)
{
        Fixture *f = *state;

        assert_return_code(chmod(f->root, 0555), errno);
        assert_int_equal(place_check(f->final), -EACCES);
        assert_return_code(chmod(f->root, 0666), errno);
        assert_int_equal(place_check(f->final), -EACCES);
        assert_return_code(chmod(f->root, 0700), errno);
        assert_int_equal(place_check(f->final), 0);
        if (started_as_root) {
                become(STRANGER);
                assert_int_equal(place_check(f->final), -EACCES);
                become(USER);
        }
}

/* FIL-09 */
static void test_check_sticky(void **state)
{
        Fixture *f = *state;
        const char *shared = inside(f, "shared"), *theirs = inside(f, "shared/theirs");

        if (!started_as_root)
                skip();
        assert_return_code(chmod(f->root, 0755), errno);
        become(0);
        assert_return_code(mkdir(shared, 0), errno);
        assert_return_code(chmod(shared, 01777), errno);
        become(STRANGER);
        put(theirs, "theirs");
        assert_int_equal(place_check(theirs), 0);
        become(USER);
        assert_int_equal(place_check(theirs), -EACCES);
        assert_int_equal(place_check(inside(f, "shared/mine")), 0);
        /* The kernel agrees. */
        put(inside(f, "shared/mine"), "mine");
        assert_int_equal(rename(inside(f, "shared/mine"), theirs), -1);
        become(0);
        assert_return_code(chmod(shared, 0777), errno);
        become(USER);
        assert_int_equal(place_check(theirs), 0);
}

/* FIL-02, FIL-03 */
static void test_links_in_the_path(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int fd = open(f->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char magic[64];

        assert_return_code(symlink(".", inside(f, "here")), errno);
        assert_int_equal(place_check(inside(f, "here/final")), 0);
        assert_return_code(symlink("loop", inside(f, "loop")), errno);
        assert_int_equal(place_check(inside(f, "loop/final")), -ELOOP);
        snprintf(magic, sizeof(magic), "/proc/self/fd/%d/final", fd);
        assert_int_equal(place_check(magic), -ELOOP);
        snprintf(magic, sizeof(magic), "/proc/self/cwd/final");
        assert_int_equal(place_check(magic), -ELOOP);
}

/* FIL-220: another number alone makes no other volume if the recorded file is there; without it, it
   does, and nothing is left. */
static void test_number_of_the_device(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = request(f);
        PlaceOpened o;

        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        if (o.mark.birth == 0)
                skip(); /* this file system knows none */
        q.recorded = o.mark;
        q.recorded.device++;
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_true(o.fresh);
        assert_return_code(unlink(inside(f, q.temporary_name)), errno);
        assert_int_equal(place_open(&f->changed, &q, &o), -EXDEV);
        assert_int_equal(access(inside(f, q.temporary_name), F_OK), -1);
}

/* FIL-04 */
static void test_temporary_names(void **state)
{
        Fixture *f = *state;
        char name[NAME_MAX + 2];
        const char *const bad[] = { "", "plain", ".", "..", "./x", "../x", ".a/b" };
        PlaceRequest q = request(f);
        PlaceOpened o;

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                q.temporary_name = bad[i];
                assert_int_equal(place_open(&f->changed, &q, &o), -EINVAL);
                assert_int_equal(place_discard(&f->changed, &q, false), -EINVAL);
        }
        q = (PlaceRequest){ .local_name = inside(f, ".same"),
                            .temporary_name = ".same",
                            .recorded = { 1, 1, 1 } };
        assert_int_equal(place_commit(&f->changed, &q, 0), -EINVAL);
        memset(name, '.', sizeof(name));
        name[NAME_MAX + 1] = 0;
        q = (PlaceRequest){ .local_name = f->final, .temporary_name = name };
        assert_int_equal(place_open(&f->changed, &q, &o), -ENAMETOOLONG);
}

/* FIL-11 */
static void test_open_new_and_again(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "12345");
        PlaceOpened o;

        assert_false(exists(f->final));
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_false(o.fresh);
        assert_int_equal(o.size, 5);
        assert_true(mark_equal(&o.mark, &q.recorded));
        assert_int_equal(fcntl(o.fd, F_GETFL) & O_ACCMODE, O_WRONLY);
        close(o.fd);
}

/* FIL-11: the recorded file is gone, or another one took its name. */
static void test_open_lost(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "12345");
        PlaceOpened o;

        assert_return_code(unlink(f->temporary), errno);
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_true(o.fresh);
        assert_int_equal(o.size, 0);
        close(o.fd);

        q.recorded = o.mark;
        put(inside(f, "other"), "other");
        assert_return_code(rename(inside(f, "other"), f->temporary), errno);
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_true(o.fresh);
        assert_content(f->temporary, "");
        close(o.fd);
}

/* FIL-13: a writer of an earlier life does not reach into the new file. */
static void test_open_orphan_gets_new_inode(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int stale = -EBADF;
        PlaceRequest q = request(f);
        PlaceOpened o;

        put(f->temporary, "orphan");
        stale = open(f->temporary, O_WRONLY | O_CLOEXEC);
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_true(o.fresh);
        close(o.fd);
        assert_int_equal(write(stale, "STALE", 5), 5);
        assert_content(f->temporary, "");
}

static void assert_open_refused(Fixture *f, PlaceRequest q)
{
        PlaceOpened o;

        assert_int_equal(place_open(&f->changed, &q, &o), -EEXIST);
        assert_true(exists(f->temporary));
}

/* FIL-12, FIL-14 */
static void test_open_refuses_what_is_not_ours(void **state)
{
        Fixture *f = *state;
        PlaceRequest q;

        put(inside(f, "victim"), "victim");
        assert_return_code(symlink("victim", f->temporary), errno);
        assert_open_refused(f, request(f));
        assert_content(inside(f, "victim"), "victim");
        assert_return_code(unlink(f->temporary), errno);

        assert_return_code(mkfifo(f->temporary, 0644), errno);
        assert_open_refused(f, request(f));
        assert_return_code(unlink(f->temporary), errno);

        assert_return_code(mkdir(f->temporary, 0755), errno);
        assert_open_refused(f, request(f));
        assert_return_code(rmdir(f->temporary), errno);

        assert_return_code(link(inside(f, "victim"), f->temporary), errno);
        assert_open_refused(f, request(f));
        assert_return_code(unlink(f->temporary), errno);

        q = transferred(f, "content");
        assert_return_code(link(f->temporary, inside(f, "second name")), errno);
        assert_open_refused(f, q);
}

static void test_open_refuses_strangers_file(void **state)
{
        Fixture *f = *state;

        if (!started_as_root)
                skip();
        assert_return_code(chmod(f->root, 0777), errno);
        become(STRANGER);
        put(f->temporary, "theirs");
        become(USER);
        assert_open_refused(f, request(f));
}

/* FIL-15: the file's permissions are those of any file that its user makes. */
static void test_open_mode(void **state)
{
        Fixture *f = *state;
        struct stat st;
        mode_t old = umask(027);

        transferred(f, "x");
        umask(old);
        assert_return_code(stat(f->temporary, &st), errno);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(st.st_uid, geteuid());
}

/* FIL-16, FIL-18, FIL-20 */
static void test_commit(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "new");
        struct stat st;

        put(f->final, "old");
        assert_int_equal(place_commit(&f->changed, &q, 1000000000), 0);
        assert_content(f->final, "new");
        assert_false(exists(f->temporary));
        assert_return_code(stat(f->final, &st), errno);
        assert_int_equal(st.st_mtime, 1000000000);
        assert_int_equal(place_commit(&f->changed, &q, 1000000000), 0); /* DUR-05 */
        assert_content(f->final, "new");
}

/* FIL-20: no date, or one that no clock shows */
static void test_commit_without_date(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "new");
        struct stat st;

        assert_int_equal(place_commit(&f->changed, &q, UINT64_MAX), 0);
        assert_return_code(stat(f->final, &st), errno);
        assert_true(st.st_mtime > 1000000000);
}

/* FIL-18: the link itself is replaced, not what it points to. */
static void test_commit_over_link(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "new");

        put(inside(f, "victim"), "victim");
        assert_return_code(symlink("victim", f->final), errno);
        assert_int_equal(place_commit(&f->changed, &q, 1), 0);
        assert_content(inside(f, "victim"), "victim");
        assert_content(f->final, "new");
}

/* FIL-17 */
static void test_commit_stale(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "new"), none = request(f);

        assert_int_equal(place_commit(&f->changed, &none, 0), -EINVAL);
        q.recorded.birth++; /* inode numbers repeat, on other file systems and in time */
        assert_int_equal(place_commit(&f->changed, &q, 0), -ESTALE);
        q.recorded.birth--;
        assert_return_code(rename(f->temporary, inside(f, "elsewhere")), errno);
        assert_int_equal(place_commit(&f->changed, &q, 0), -ESTALE);
        put(f->temporary, "swapped");
        assert_int_equal(place_commit(&f->changed, &q, 0), -ESTALE);
        assert_false(exists(f->final));
        assert_return_code(unlink(f->temporary), errno);
        assert_return_code(symlink("elsewhere", f->temporary), errno);
        assert_int_equal(place_commit(&f->changed, &q, 0), -ESTALE);
        assert_false(exists(f->final));
}

static void test_commit_onto_directory(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "new");

        assert_return_code(mkdir(f->final, 0755), errno);
        assert_int_equal(place_commit(&f->changed, &q, 0), -EISDIR);
        assert_content(f->temporary, "new");
        assert_return_code(rmdir(f->final), errno);
        assert_int_equal(place_commit(&f->changed, &q, 0), 0);
}

/* Somebody linked the final name to the temporary file: one name is to remain. */
static void test_commit_two_names(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "new");

        assert_return_code(link(f->temporary, f->final), errno);
        assert_int_equal(place_commit(&f->changed, &q, 0), 0);
        assert_content(f->final, "new");
        assert_false(exists(f->temporary));
}

/* FIL-19: another process keeps swapping the temporary name while commits go on. Whatever wins, a
   success means that the final name holds the recorded file. */
static void test_commit_race(void **state)
{
        Fixture *f = *state;
        const char *planted = inside(f, "planted");
        unsigned ok = 0, stale = 0;
        pid_t child;
        int status;

        child = fork();
        assert_return_code(child, errno);
        if (child == 0)
                for (unsigned n = 0;; n++) {
                        int fd = open(planted, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

                        close(fd);
                        if (n % 4 == 0)
                                rename(planted, f->temporary);
                        if (getppid() == 1)
                                _exit(0);
                }
        for (unsigned i = 0; i < 2000; i++) {
                PlaceRequest q = request(f);
                PlaceOpened o;
                struct stat st;
                int r = place_open(&f->changed, &q, &o);

                if (r < 0)
                        continue;
                q.recorded = o.mark;
                close(o.fd);
                r = place_commit(&f->changed, &q, 0);
                assert_true(r == 0 || r == -ESTALE);
                if (r == 0) {
                        ok++;
                        assert_return_code(lstat(f->final, &st), errno);
                        assert_int_equal(st.st_ino, q.recorded.inode);
                } else
                        stale++;
        }
        assert_return_code(kill(child, SIGKILL), errno);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(ok + stale > 0);
}

/* FIL-21, FIL-22 */
static void test_discard(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "x");

        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        assert_false(exists(f->temporary));
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        put(f->temporary, "another");
        put(inside(f, "keep the inode busy"), "");
        q.recorded.inode++; /* the number may have been used again */
        assert_int_equal(place_discard(&f->changed, &q, false), -ESTALE);
        assert_content(f->temporary, "another");
        q.local_name = inside(f, "gone/final");
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        q.local_name = inside(f, ".temporary/final");
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
}

/* FIL-22: of an orphan no inode is known. */
static void test_discard_orphan(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = request(f);

        put(f->temporary, "orphan");
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        assert_false(exists(f->temporary));
        put(inside(f, "victim"), "victim");
        assert_return_code(link(inside(f, "victim"), f->temporary), errno);
        assert_int_equal(place_discard(&f->changed, &q, false), -ESTALE);
        assert_true(exists(f->temporary));
        assert_return_code(unlink(f->temporary), errno);
        assert_return_code(symlink("victim", f->temporary), errno);
        assert_int_equal(place_discard(&f->changed, &q, false), -ESTALE);
        assert_true(exists(f->temporary));
}

/* FIL-40: the file system is the same although its device got another number, which the test cannot
   bring about; so the record gets one. FIL-41: without a time of birth the device counts. */
static void test_marks(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "12345");
        const Mark a = { 1, 2, 0 }, b = { 3, 2, 0 }, c = { 1, 2, 4 };
        PlaceOpened o;

        assert_true(mark_equal(&a, &a));
        assert_false(mark_equal(&a, &b));
        assert_false(mark_equal(&a, &c));
        assert_false(mark_equal(&c, &a));
        if (q.recorded.birth == 0)
                skip();
        q.recorded.device++;
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_false(o.fresh);
        assert_int_equal(o.size, 5);
        assert_int_equal(o.mark.device, q.recorded.device - 1);
        close(o.fd);
        assert_int_equal(place_commit(&f->changed, &q, 0), 0);
        assert_content(f->final, "12345");
}

/* FIL-48: what nobody wants any more makes room, with a new inode. */
static void test_open_renews(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "12345");
        _cleanup_close_ int stale = open(f->temporary, O_WRONLY | O_CLOEXEC);
        PlaceOpened o;

        q.kept = q.written = 0;
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_true(o.fresh);
        assert_int_equal(write(stale, "STALE", 5), 5);
        assert_content(f->temporary, "");
        close(o.fd);
}

/* DUR-03, DUR-04 */
static void test_changed_directories(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "x");

        assert_int_equal(f->changed.count, 1);
        assert_int_equal(place_commit(&f->changed, &q, 0), 0);
        assert_int_equal(f->changed.count, 1);
        assert_int_equal(changed_sync(&f->changed), 0);
        assert_int_equal(f->changed.count, 0);
        /* Done before a crash, but was the directory synced? */
        assert_int_equal(place_commit(&f->changed, &q, 0), 0);
        assert_int_equal(f->changed.count, 1);
}

/* DUR-06 */
static void test_more_directories_than_room(void **state)
{
        Fixture *f = *state;
        char name[64];
        PlaceOpened o;

        for (unsigned i = 0; i < CHANGED_MAX + 10; i++) {
                PlaceRequest q = { .temporary_name = ".temporary" };

                if (i == CHANGED_MAX) { /* this one makes the first leave, which fails */
                        close(f->changed.items[0].fd);
                        f->changed.items[0].fd = -EBADF;
                }
                snprintf(name, sizeof(name), "d%u", i);
                assert_return_code(mkdir(inside(f, name), 0755), errno);
                snprintf(name, sizeof(name), "d%u/final", i);
                q.local_name = inside(f, name);
                assert_int_equal(place_open(&f->changed, &q, &o), 0);
                close(o.fd);
        }
        assert_int_equal(f->changed.count, CHANGED_MAX);
        assert_int_equal(changed_sync(&f->changed), -EBADF);
        assert_int_equal(f->changed.count, 0);
        assert_int_equal(changed_sync(&f->changed), 0);
}

/* DUR-07 */
static void test_drop_box(void **state)
{
        Fixture *f = *state;
        PlaceRequest q;

        assert_return_code(chmod(f->root, 0300), errno);
        assert_int_equal(place_check(f->final), 0);
        q = transferred(f, "x");
        assert_int_equal(f->changed.count, 1);
        assert_true(f->changed.items[0].whole);
        assert_int_equal(place_commit(&f->changed, &q, 0), 0);
        assert_int_equal(changed_sync(&f->changed), 0);
        assert_content(f->final, "x");
}

/* DUR-01 */
static void test_sync_files(void **state)
{
        Fixture *f = *state;
        int fds[64], pair[2];
        uint32_t errors[64];
        char name[64];

        for (unsigned i = 0; i < 64; i++) {
                snprintf(name, sizeof(name), "f%u", i);
                fds[i] = open(inside(f, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                assert_int_equal(write(fds[i], name, sizeof(name)), sizeof(name));
        }
        assert_int_equal(fd_socketpair(SOCK_STREAM, false, pair), 0);
        close(fds[7]);
        fds[7] = pair[0];
        close(fds[9]);
        fds[9] = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        memset(errors, 0xff, sizeof(errors));
        sync_files(fds, 64, errors);
        for (unsigned i = 0; i < 64; i++) {
                assert_int_equal(errors[i], i == 7 || i == 9 ? EINVAL : 0);
                close(fds[i]);
        }
        close(pair[1]);
        sync_files(&fds[0], 1, errors);
        assert_int_equal(errors[0], EBADF);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_names),
                TEST(test_check_kinds),
                TEST(test_check_permissions),
                TEST(test_check_sticky),
                TEST(test_links_in_the_path),
                TEST(test_temporary_names),
                TEST(test_number_of_the_device),
                TEST(test_open_new_and_again),
                TEST(test_open_lost),
                TEST(test_open_orphan_gets_new_inode),
                TEST(test_open_refuses_what_is_not_ours),
                TEST(test_open_refuses_strangers_file),
                TEST(test_open_mode),
                TEST(test_commit),
                TEST(test_commit_without_date),
                TEST(test_commit_over_link),
                TEST(test_commit_stale),
                TEST(test_commit_onto_directory),
                TEST(test_commit_two_names),
                TEST(test_commit_race),
                TEST(test_discard),
                TEST(test_discard_orphan),
                TEST(test_marks),
                TEST(test_open_renews),
                TEST(test_changed_directories),
                TEST(test_more_directories_than_room),
                TEST(test_drop_box),
                TEST(test_sync_files),
        };

        started_as_root = geteuid() == 0;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
