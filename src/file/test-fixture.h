/*
 * What the tests of local files share: a directory made for each test. Run by root, the tests take
 * on an unprivileged effective user: a root that may do everything would prove nothing about
 * permissions.
 */
#pragma once

#include "basic/fd.h"
#include "file/place.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum {
        USER = 54321,
        STRANGER = 54322,
};

typedef struct Fixture {
        char root[64];
        char final[PATH_MAX], temporary[PATH_MAX]; /* "<root>/final", "<root>/.temporary" */
        Changed changed;
} Fixture;

static bool started_as_root; /* main() sets it */

static inline void become(uid_t uid)
{
        if (!started_as_root)
                return;
        assert_return_code(seteuid(0), errno);
        assert_return_code(seteuid(uid), errno);
}

static inline const char *inside(const Fixture *f, const char *name)
{
        static char paths[16][PATH_MAX]; /* more than one test uses at a time */
        static unsigned next;
        char *path = paths[next++ % ELEMENTS(paths)];

        assert_true(snprintf(path, PATH_MAX, "%s/%s", f->root, name) < PATH_MAX);
        return path;
}

static inline int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        become(USER);
        strcpy(f->root, "/tmp/test-place-XXXXXX");
        assert_non_null(mkdtemp(f->root));
        snprintf(f->final, sizeof(f->final), "%s/final", f->root);
        snprintf(f->temporary, sizeof(f->temporary), "%s/.temporary", f->root);
        *state = f;
        return 0;
}

static inline int teardown(void **state)
{
        Fixture *f = *state;
        char command[256];

        changed_done(&f->changed);
        become(0);
        snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", f->root, f->root);
        assert_int_equal(system(command), 0);
        free(f);
        return 0;
}

static inline void put(const char *path, const char *content)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
}

static inline void assert_content(const char *path, const char *content)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        char buffer[64] = "";

        assert_true(fd >= 0);
        assert_true(read(fd, buffer, sizeof(buffer) - 1) >= 0);
        assert_string_equal(buffer, content);
}

static inline bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

static inline PlaceRequest request(const Fixture *f)
{
        return (PlaceRequest){ .local_name = f->final, .temporary_name = ".temporary" };
}

/* A temporary file with content, as it stands before Complete. */
static inline PlaceRequest transferred(Fixture *f, const char *content)
{
        PlaceRequest q = request(f);
        PlaceOpened o;

        assert_int_equal(place_open(&f->changed, &q, &o), 0);
        assert_true(o.fresh);
        assert_int_equal(write(o.fd, content, strlen(content)), strlen(content));
        close(o.fd);
        q.recorded = o.mark;
        q.kept = q.written = strlen(content);
        return q;
}
