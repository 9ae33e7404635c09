/*
 * For tests of what carries descriptors: how many are open, and whether two are the same socket.
 */
#pragma once

#include "basic/fd.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static inline unsigned count_open_fds(void)
{
        unsigned n = 0;
        DIR *d = opendir("/proc/self/fd");

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static inline uint64_t cookie_of(int fd)
{
        uint64_t cookie;

        assert_int_equal(fd_socket_cookie(fd, &cookie), 0);
        return cookie;
}
