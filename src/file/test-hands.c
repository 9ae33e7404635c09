/*
 * A temporary file that another user has begun: copied, or left alone as it was.
 */
#include "file/copy.h"
#include "file/test-fixture.h"

/* A temporary file of the stranger's, in a directory with this mode that is root's. */
static PlaceRequest strangers(Fixture *f, mode_t directory_mode, mode_t file_mode)
{
        PlaceRequest q;

        if (!started_as_root)
                skip();
        become(0);
        assert_return_code(chown(f->root, 0, 0), errno);
        assert_return_code(chmod(f->root, 0777), errno);
        become(STRANGER);
        q = transferred(f, "12345unsure");
        q.kept = 5;
        assert_return_code(chmod(f->temporary, file_mode), errno);
        become(0);
        assert_return_code(chmod(f->root, directory_mode), errno);
        become(USER);
        return q;
}

static uid_t owner_of(const char *path)
{
        struct stat st;

        assert_return_code(lstat(path, &st), errno);
        return st.st_uid;
}

static void assert_no_copy(const Fixture *f)
{
        assert_false(exists(inside(f, ".temporary.new")));
}

/* FIL-42, DUR-52: goes on from the kept bytes, in a file of our own. */
static void test_change_of_hands(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0644);
        _cleanup_close_ int stale = -EBADF;
        PlaceOpened o, again;

        become(STRANGER);
        stale = open(f->temporary, O_WRONLY | O_CLOEXEC);
        become(USER);
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_false(o.fresh);
        assert_int_equal(o.size, 5);
        assert_false(mark_equal(&o.mark, &q.recorded));
        assert_int_equal(owner_of(f->temporary), USER);
        assert_content(f->temporary, "12345");
        assert_no_copy(f);
        assert_int_equal(fcntl(o.fd, F_GETFL) & O_ACCMODE, O_WRONLY);
        assert_int_equal(pwrite(o.fd, "67", 2, 5), 2);
        close(o.fd);
        assert_int_equal(write(stale, "STALE", 5), 5);
        assert_content(f->temporary, "1234567");
        q.recorded = o.mark;
        q.kept = q.written = 7;
        assert_int_equal(place_open(&f->changed, &q, &again), 0);
        assert_true(mark_equal(&again.mark, &o.mark)); /* once is enough */
        close(again.fd);
        assert_int_equal(place_commit(&f->changed, &q, 0), 0);
        assert_int_equal(owner_of(f->final), USER);
        assert_content(f->final, "1234567");
}

/* FIL-42: also where we could write into the other's. */
static void test_change_of_hands_writable(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0666);
        PlaceOpened o;

        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_int_equal(o.size, 5);
        assert_int_equal(owner_of(f->temporary), USER);
}

/* FIL-43: what cannot be read begins anew, and so does what is shorter than it should be. */
static void test_change_of_hands_unreadable(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0600);
        PlaceOpened o;

        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_true(o.fresh);
        assert_int_equal(o.size, 0);
        assert_int_equal(owner_of(f->temporary), USER);
        assert_content(f->temporary, "");
        assert_no_copy(f);
}

static void test_change_of_hands_shortened(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0644);
        PlaceOpened o;

        q.kept = q.written = 100;
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_true(o.fresh);
        assert_content(f->temporary, "");
}

/* FIL-44: our own file, which we may not write any more, is no other case. */
static void test_read_only_file(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = transferred(f, "12345");
        PlaceOpened o;

        assert_return_code(chmod(f->temporary, 0444), errno);
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_false(o.fresh);
        assert_content(f->temporary, "12345");
        assert_no_copy(f);
}

/* FIL-45: where it may not be replaced nothing changes, and its owner goes on. */
static void test_change_of_hands_refused(void **state)
{
        static const mode_t modes[] = { 01777, 0755 };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTS(modes); i++) {
                PlaceRequest q = strangers(f, modes[i], 0644);
                PlaceOpened o;

                assert_int_equal(place_open(&f->changed, &q, &o), -EACCES);
                assert_content(f->temporary, "12345unsure");
                assert_no_copy(f);
                become(STRANGER);
                assert_int_equal(place_open(&f->changed, &q, &o), 0);
                assert_false(o.fresh);
                assert_int_equal(o.size, 11);
                close(o.fd);
                become(0);
                assert_return_code(unlink(f->temporary), errno);
        }
}

/* FIL-47: a crash left a half copy. */
static void test_left_copy(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0644);
        char name[NAME_MAX + 1], copy[NAME_MAX + 1];
        PlaceOpened o;

        put(inside(f, ".temporary.new"), "123");
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_content(f->temporary, "12345");
        assert_no_copy(f);

        put(inside(f, ".temporary.new"), "123");
        q.recorded = o.mark;
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        assert_no_copy(f);
        assert_false(exists(f->temporary));

        /* Somebody else's of that name is his. */
        become(STRANGER);
        put(inside(f, ".temporary.new"), "theirs");
        become(USER);
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        assert_content(inside(f, ".temporary.new"), "theirs");

        /* The longest name. */
        memset(name, '.', sizeof(name));
        name[NAME_MAX] = 0;
        memcpy(copy, name, sizeof(copy));
        memcpy(copy + NAME_MAX - 4, ".new", 4);
        q = (PlaceRequest){ .local_name = f->final, .temporary_name = name };
        put(inside(f, copy), "123");
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        assert_false(exists(inside(f, copy)));
}

/* FIL-48: nothing of it is wanted, so it makes room, whosever it is. */
static void test_change_of_hands_renews(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0600);
        PlaceOpened o;

        q.kept = q.written = 0;
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_true(o.fresh);
        assert_int_equal(owner_of(f->temporary), USER);
}

/* FIL-49: removing takes rights in the directory, not in the file. */
static void test_change_of_hands_discard(void **state)
{
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0600), unknown = request(f);

        assert_int_equal(place_discard(&f->changed, &unknown, false), -ESTALE);
        assert_int_equal(place_discard(&f->changed, &q, false), 0);
        assert_false(exists(f->temporary));
        q = strangers(f, 0777, 0600);
        assert_int_equal(place_discard(&f->changed, &q, true), -EPERM); /* FIL-460 */
        assert_true(exists(f->temporary));
        q = strangers(f, 01777, 0600);
        assert_int_equal(place_discard(&f->changed, &q, false), -EPERM);
        assert_true(exists(f->temporary));
}

/* FIL-42: more than one step of the copy. */
static void test_change_of_hands_large(void **state)
{
        enum { BYTES = 3 * 1024 * 1024 + 17 };
        Fixture *f = *state;
        PlaceRequest q = strangers(f, 0777, 0644);
        _cleanup_free_ char *content = malloc(BYTES), *copy = malloc(BYTES);
        _cleanup_close_ int fd = -EBADF;
        PlaceOpened o;

        assert_true(content && copy);
        for (size_t i = 0; i < BYTES; i++)
                content[i] = (char)(i * 2654435761u >> 13);
        become(STRANGER);
        fd = open(f->temporary, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, content, BYTES), BYTES);
        become(USER);
        q.kept = q.written = BYTES - 1;
        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        close(o.fd);
        assert_int_equal(o.size, BYTES - 1);
        fd_close(fd);
        fd = open(f->temporary, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, copy, BYTES), BYTES - 1);
        assert_memory_equal(copy, content, BYTES - 1);
}

/* FIL-42: where the kernel does not copy, as from a pipe, it is done by hand. */
static void test_copy_by_hand(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int to = open(f->final, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        int ends[2];

        assert_return_code(pipe2(ends, O_CLOEXEC), errno);
        assert_int_equal(write(ends[1], "12345", 5), 5);
        assert_int_equal(copy_bytes(ends[0], to, 3), 1);
        assert_content(f->final, "123");
        close(ends[1]);
        assert_int_equal(copy_bytes(ends[0], to, 3), 0);
        assert_content(f->final, "12345");
        close(ends[0]);
        assert_int_equal(copy_bytes(-EBADF, to, 3), -EBADF);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_change_of_hands),
                TEST(test_change_of_hands_writable),
                TEST(test_change_of_hands_unreadable),
                TEST(test_change_of_hands_shortened),
                TEST(test_read_only_file),
                TEST(test_change_of_hands_refused),
                TEST(test_left_copy),
                TEST(test_change_of_hands_renews),
                TEST(test_change_of_hands_discard),
                TEST(test_change_of_hands_large),
                TEST(test_copy_by_hand),
        };

        started_as_root = geteuid() == 0;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
