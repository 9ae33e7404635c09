/*
 * The watch on tokens, with sockets like those that the broker hands out, and a real loop.
 */
#include "manager/token-watch.h"

#include "basic/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
        JOBS = 4,
};

typedef struct Case {
        sd_event *event;
        TokenWatches *watches;
        Job *jobs[JOBS];
        int kept[2], given[2]; /* the broker's ends of two tokens, and copies of somebody's */
        unsigned ended;        /* bit by bit, the jobs that were told */
} Case;

/* As the engine does it: the job lets go of the token, and the watch hears of that. */
static void on_ended(void *userdata, Job *job)
{
        Case *c = userdata;

        for (unsigned i = 0; i < JOBS; i++)
                if (c->jobs[i] == job)
                        c->ended |= 1u << i;
        assert_non_null(job->token);
        token_free(job->token);
        job->token = NULL;
        token_watch_job(c->watches, job);
}

static void give(Case *c, unsigned i, unsigned token)
{
        Token *new = calloc(1, sizeof(*new));

        assert_non_null(new);
        new->fd = dup(c->given[token]);
        new->session = strdup("");
        assert_int_equal(fd_socket_cookie(new->fd, &new->cookie), 0);
        token_free(c->jobs[i]->token);
        c->jobs[i]->token = new;
        token_watch_job(c->watches, c->jobs[i]);
}

static int setup(void **state)
{
        Case *c = calloc(1, sizeof(*c));

        assert_non_null(c);
        assert_true(sd_event_new(&c->event) >= 0);
        assert_int_equal(token_watches_new(c->event, on_ended, c, &c->watches), 0);
        for (uint8_t i = 0; i < JOBS; i++) {
                uint8_t random[JOB_ID_BYTES] = { i };

                assert_int_equal(job_new(random, 1000, JOB_DOWNLOAD, "j", 1, &c->jobs[i]), 0);
        }
        for (unsigned i = 0; i < 2; i++) {
                int pair[2];

                assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
                assert_int_equal(shutdown(pair[0], SHUT_RD), 0);
                c->kept[i] = pair[0];
                c->given[i] = pair[1];
        }
        *state = c;
        return 0;
}

static int teardown(void **state)
{
        Case *c = *state;

        token_watches_free(c->watches);
        for (unsigned i = 0; i < JOBS; i++)
                job_free(c->jobs[i]);
        for (unsigned i = 0; i < 2; i++) {
                fd_close(c->kept[i]);
                fd_close(c->given[i]);
        }
        sd_event_unref(c->event);
        free(c);
        return 0;
}

static void turn(Case *c)
{
        while (sd_event_run(c->event, 0) > 0)
                ;
}

/* TOK-370: all jobs of that token, and no other's. Writing is no end, nor is ending that. */
static void test_the_jobs_of_the_token_are_told(void **state)
{
        Case *c = *state;

        give(c, 0, 0);
        give(c, 1, 1);
        give(c, 2, 0);
        (void)send(c->given[0], "x", 1, MSG_NOSIGNAL);
        assert_int_equal(shutdown(c->given[0], SHUT_WR), 0);
        turn(c);
        assert_int_equal(c->ended, 0);
        assert_int_equal(token_watches_count(c->watches), 2);
        assert_int_equal(shutdown(c->given[0], SHUT_RD), 0);
        turn(c);
        assert_int_equal(c->ended, 5);
        assert_int_equal(token_watches_count(c->watches), 1);
}

/* TOK-370: before it was watched; and with its broker. */
static void test_an_end_is_not_missed(void **state)
{
        Case *c = *state;

        assert_int_equal(shutdown(c->given[0], SHUT_RDWR), 0);
        give(c, 0, 0);
        give(c, 1, 1);
        c->kept[1] = fd_close(c->kept[1]);
        turn(c);
        assert_int_equal(c->ended, 3);
        assert_int_equal(token_watches_count(c->watches), 0);
}

/* TOK-372: a watch lasts as long as a job has the token, and keeps no token alive longer. */
static void test_watch_ends_with_its_last_job(void **state)
{
        Case *c = *state;
        uint64_t cookie;

        give(c, 0, 0);
        give(c, 1, 0);
        give(c, 1, 0);
        assert_int_equal(token_watches_count(c->watches), 1);
        give(c, 0, 1);
        assert_int_equal(token_watches_count(c->watches), 2);
        token_free(TAKE_PTR(c->jobs[1]->token));
        token_watch_job(c->watches, c->jobs[1]);
        assert_int_equal(token_watches_count(c->watches), 1);
        token_watch_forget(c->jobs[0]);
        assert_int_equal(token_watches_count(c->watches), 0);
        token_watch_forget(c->jobs[0]);
        c->given[0] = fd_close(c->given[0]);
        assert_int_equal(fd_socket_cookie(c->kept[0], &cookie), 0);
        assert_int_equal(send(c->kept[0], "x", 1, MSG_NOSIGNAL), -1);
        turn(c);
        assert_int_equal(c->ended, 0);
}

/* A token that cannot be watched serves all the same: the broker refuses it when it has ended. */
static void test_without_a_free_descriptor(void **state)
{
        struct rlimit all, none;
        Case *c = *state;

        give(c, 0, 0);
        token_watch_forget(c->jobs[0]);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
        none = all;
        none.rlim_cur = 3;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        token_watch_job(c->watches, c->jobs[0]);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        assert_int_equal(token_watches_count(c->watches), 0);
        assert_non_null(c->jobs[0]->token);
        token_watch_job(c->watches, c->jobs[0]);
        assert_int_equal(token_watches_count(c->watches), 1);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_the_jobs_of_the_token_are_told, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_an_end_is_not_missed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_watch_ends_with_its_last_job, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_a_free_descriptor, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
