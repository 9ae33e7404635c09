/*
 * Users who sign on and off under a running job, with the broker, its workers and the login manager
 * played by the test.
 */
#include "manager/finish.h"
#include "manager/life.h"
#include "manager/sessions.h"
#include "manager/test-resume.h"
#include "manager/waiting.h"
#include "workers/test-world.h"

enum {
        BYTES = 1000,
        HELPER = 2000,
        COOKIE = 5,
        SESSIONS_MAX = 4,
        USERS_MAX = 4,
};

typedef struct Case {
        World w;
        Store *store;
        Turn *turn;
        JobTable *jobs;
        Engine *engine;
        Life life;
        Presence presence;
        uid_t there[USERS_MAX];             /* 0: nobody */
        const char *sessions[SESSIONS_MAX]; /* that live */
        Job *job;
        int local, net, copy;
        unsigned n_errors, n_tokens;
        NetStart start;
        uint32_t serial;
} Case;

/* ---- the login manager ---- */

static bool is_signed_on(void *userdata, uid_t uid)
{
        const Case *c = userdata;

        for (size_t i = 0; i < USERS_MAX; i++)
                if (c->there[i] == uid)
                        return true;
        return false;
}

static bool session_lives(void *userdata, const char *session)
{
        const Case *c = userdata;

        for (size_t i = 0; i < SESSIONS_MAX; i++)
                if (c->sessions[i] && string_equal(c->sessions[i], session))
                        return true;
        return false;
}

static const char *user_name(void *userdata, uid_t uid)
{
        (void)userdata;
        return uid == WORLD_OWNER ? "alice" : "bob";
}

/* ---- the engine's listener ---- */

static void on_job(void *userdata, Job *job)
{
        (void)userdata;
        (void)job;
}

static void on_error(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_errors++;
}

static void on_file_transferred(void *userdata, Job *job, const File *file)
{
        (void)userdata;
        (void)job;
        (void)file;
}

static void on_token(void *userdata, Job *job)
{
        (void)job;
        ((Case *)userdata)->n_tokens++;
}

/* ---- a case ---- */

static void open_case(Case *c, unsigned n_files)
{
        static const EngineListener listener = {
                .on_modified = on_job,
                .on_transferred = on_job,
                .on_error = on_error,
                .on_file_transferred = on_file_transferred,
                .on_token = on_token,
        };
        static const uint8_t random[JOB_ID_BYTES] = { 1 };
        File *file;

        *c = (Case){ .local = -EBADF, .net = -EBADF, .copy = -EBADF, .there = { WORLD_OWNER } };
        c->presence = (Presence){ is_signed_on, session_lives, user_name, c };
        world_open(&c->w);
        assert_int_equal(store_open(c->w.directory, &c->store), 0);
        assert_int_equal(turn_new(c->w.event, c->store, &c->turn), 0);
        assert_int_equal(job_table_new(&c->jobs), 0);
        assert_int_equal(
                engine_new(c->w.event, c->w.pool, c->store, c->turn, &listener, c, &c->engine), 0);
        engine_set_presence(c->engine, &c->presence);
        worker_pool_set_presence(c->w.pool, &c->presence);
        c->life = (Life){ c->jobs, c->engine, c->w.pool, &c->presence };
        assert_int_equal(job_new(random, WORLD_OWNER, JOB_DOWNLOAD, "j", 1, &c->job), 0);
        assert_int_equal(job_table_add(c->jobs, c->job), 0);
        for (unsigned i = 0; i < n_files; i++) {
                assert_int_equal(file_new("http://h/f", "/srv/a", random, &file), 0);
                assert_int_equal(job_append_file(c->job, file), 0);
        }
        assert_int_equal(engine_adopt(c->engine, c->job), 0);
}

static void close_case(Case *c)
{
        turn_free(c->turn);
        engine_release(c->engine, c->job);
        engine_free(c->engine);
        fd_close(c->local);
        fd_close(c->net);
        fd_close(c->copy);
        store_close(c->store);
        worker_pool_free(TAKE_PTR(c->w.pool));
        job_table_free(c->jobs);
        world_close(&c->w);
}

static void give_token(Case *c, const char *session, bool signed_on, uint32_t flags)
{
        int pair[2];

        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, true, pair), 0);
        fd_close(c->copy);
        c->copy = pair[1];
        c->job->token = calloc(1, sizeof(Token));
        *c->job->token = (Token){ .fd = pair[0],
                                  .cookie = COOKIE,
                                  .uid = HELPER,
                                  .session = strdup(session),
                                  .signed_on = signed_on };
        c->job->token_flags = flags;
        engine_identity_changed(c->engine, c->job);
}

static void open_file(Case *c, uint64_t size)
{
        FileOpened opened = { .fresh = size == 0, .device = 1, .inode = 7, .size = size };
        int fd = memfd_create("file", MFD_CLOEXEC);

        if (c->local < 0)
                c->local = world_start_worker(&c->w, WORKER_FILE);
        world_expect(&c->w, c->local, MESSAGE_FILE_OPEN);
        opened.file.items[opened.file.count++] = fd;
        file_opened_write(&c->w.out, c->w.in.serial, &opened);
        world_send(&c->w, c->local);
        fd_close(fd);
}

/* Until bytes arrive, fetched by the owner or the helper. */
static void begin(Case *c, bool helper, uint64_t kept)
{
        open_file(c, kept);
        if (helper) {
                world_expect(&c->w, c->w.broker, MESSAGE_BROKER_START_TOKEN);
                c->net = world_give_worker(&c->w);
                world_worker_hello(&c->w, c->net, WORKER_NET, HELPER);
        } else
                c->net = world_start_worker(&c->w, WORKER_NET);
        world_expect(&c->w, c->net, MESSAGE_NET_START);
        assert_int_equal(net_start_read(&c->w.in, &c->start), 0);
        fd_close(c->start.file);
        assert_int_equal(c->start.offset, kept);
        net_started_write(&c->w.out, 0,
                          &(NetStarted){ .transfer = c->start.transfer,
                                         .status = 200,
                                         .offset = kept,
                                         .total = BYTES,
                                         .etag = "\"v1\"",
                                         .resumable = 1 });
        world_send(&c->w, c->net);
        world_wait_for(&c->w, c->job->state == STATE_TRANSFERRING);
}

/* NET_STOP is obeyed, what has arrived is synced. */
static void wind_down(Case *c, uint64_t written)
{
        FileSync sync;
        FileSynced synced = { .errors.count = 1 };

        world_expect(&c->w, c->net, MESSAGE_NET_STOP);
        net_done_write(&c->w.out, 0,
                       &(NetDone){ .transfer = c->start.transfer,
                                   .outcome = NET_STOPPED,
                                   .written = written });
        world_send(&c->w, c->net);
        world_expect(&c->w, c->local, MESSAGE_FILE_SYNC);
        assert_int_equal(file_sync_read(&c->w.in, &sync), 0);
        fd_close(sync.files.items[0]);
        file_synced_write(&c->w.out, c->w.in.serial, &synced);
        world_send(&c->w, c->local);
}

static void leave(Case *c, uid_t uid)
{
        for (size_t i = 0; i < USERS_MAX; i++)
                if (c->there[i] == uid)
                        c->there[i] = 0;
        life_signed_off(&c->life, uid);
}

static void come(Case *c, uid_t uid)
{
        c->there[0] = uid;
        life_signed_on(&c->life, uid);
}

static void expect_reason(Case *c, const char *part)
{
        _cleanup_free_ char *reason = waiting_sentence(c->engine, c->job, true);

        assert_non_null(reason);
        assert_non_null(strstr(reason, part));
}

static void expect_workers_gone(Case *c)
{
        world_expect_end(&c->w, c->net);
        world_expect_end(&c->w, c->local);
        c->net = fd_close(c->net);
        c->local = fd_close(c->local);
}

/* ---- the tests ---- */

/* ENG-64, ENG-65, ENG-63: without flags the job waits, its bytes are kept, its workers are ended;
   it goes on where it was when the owner is back. */
static void test_owner_leaves_and_returns(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        resume_job(c.engine, c.job);
        begin(&c, false, 0);
        leave(&c, WORLD_OWNER);
        assert_int_equal(c.job->state, STATE_QUEUED);
        expect_reason(&c, "until alice signs on");
        wind_down(&c, 300);
        expect_workers_gone(&c);
        assert_int_equal(c.job->files[0]->kept, 300);
        assert_int_equal(c.job->state, STATE_QUEUED);
        world_expect(&c.w, c.w.broker, MESSAGE_BROKER_END_WORKER);
        world_expect(&c.w, c.w.broker, MESSAGE_BROKER_END_WORKER);
        world_expect_nothing(&c.w, c.w.broker);
        resume_job(c.engine, c.job);
        world_expect_nothing(&c.w, c.w.broker);
        come(&c, WORLD_OWNER);
        begin(&c, false, 300);
        assert_int_equal(c.n_errors, 0);
        close_case(&c);
}

/* TOK-62, TOK-65: with flags the token is gone at once and the sentence says why. */
static void test_owner_of_a_helped_job_leaves(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        give_token(&c, "", false, TOKEN_NETWORK);
        resume_job(c.engine, c.job);
        begin(&c, true, 0);
        leave(&c, WORLD_OWNER);
        assert_int_equal(c.job->state, STATE_ERROR);
        assert_int_equal(c.job->fault.code, BG_E_TOKEN_REQUIRED);
        assert_non_null(strstr(c.job->fault.detail, "the owner alice signed off, which ended"));
        assert_null(c.job->token);
        assert_int_equal(c.job->token_flags, TOKEN_NETWORK);
        assert_int_equal(c.n_errors, 1);
        assert_int_equal(c.n_tokens, 2); /* given, dropped */
        wind_down(&c, 300);
        expect_workers_gone(&c);
        assert_int_equal(c.job->files[0]->kept, 300);
        come(&c, WORLD_OWNER);
        assert_int_equal(c.job->state, STATE_ERROR);
        give_token(&c, "", false, TOKEN_NETWORK);
        resume_job(c.engine, c.job);
        begin(&c, true, 300);
        close_case(&c);
}

/* TOK-62: whoever is not on his way loses the token and nothing else. */
static void test_states_that_stay(void **state)
{
        static const JobState states[] = { STATE_SUSPENDED, STATE_TRANSFERRED, STATE_ERROR };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(states); i++) {
                Case c;

                open_case(&c, 1);
                give_token(&c, "", false, TOKEN_LOCAL_FILE);
                c.job->state = states[i];
                leave(&c, WORLD_OWNER);
                assert_int_equal(c.job->state, states[i]);
                assert_null(c.job->token);
                assert_int_equal(c.n_errors, 0);
                close_case(&c);
        }
}

/* TOK-62: a job that waits to be tried again is as unfinished as one that runs. */
static void test_transient_error(void **state)
{
        (void)state;
        for (unsigned flags = 0; flags <= TOKEN_NETWORK; flags += TOKEN_NETWORK) {
                Case c;

                open_case(&c, 1);
                c.job->token_flags = flags;
                c.job->state = STATE_TRANSIENT_ERROR;
                leave(&c, WORLD_OWNER);
                assert_int_equal(c.job->state, flags ? STATE_ERROR : STATE_QUEUED);
                close_case(&c);
        }
}

/* TOK-63: only tokens of that session. TOK-64: and of a user who was there when it was captured. */
static void test_what_a_token_hangs_on(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        c.there[1] = HELPER;
        c.sessions[0] = "1";
        c.sessions[1] = "2";
        give_token(&c, "1", true, TOKEN_NETWORK);
        resume_job(c.engine, c.job);
        begin(&c, true, 0);
        c.sessions[1] = NULL;
        life_session_ended(&c.life, "2");
        assert_non_null(c.job->token);
        assert_int_equal(c.job->state, STATE_TRANSFERRING);
        c.sessions[0] = NULL;
        life_session_ended(&c.life, "1");
        assert_null(c.job->token);
        assert_int_equal(c.job->state, STATE_ERROR);
        assert_non_null(strstr(c.job->fault.detail, "session 1"));
        wind_down(&c, 10);
        world_expect_end(&c.w, c.net);
        /* Captured outside any session. */
        give_token(&c, "", true, 0);
        leave(&c, HELPER);
        assert_null(c.job->token);
        give_token(&c, "", false, 0);
        life_catch_up(&c.life);
        assert_non_null(c.job->token);
        close_case(&c);
}

/* ENG-63: a worker that does not obey is cut off after half a second and killed after one. */
static void test_worker_that_hangs(void **state)
{
        BrokerEndWorker end;
        Case c;

        (void)state;
        open_case(&c, 1);
        resume_job(c.engine, c.job);
        begin(&c, false, 0);
        leave(&c, WORLD_OWNER);
        world_expect(&c.w, c.net, MESSAGE_NET_STOP);
        expect_workers_gone(&c);
        assert_int_equal(c.job->state, STATE_QUEUED);
        assert_int_equal(c.n_errors, 0);
        world_expect(&c.w, c.w.broker, MESSAGE_BROKER_END_WORKER);
        assert_int_equal(broker_end_worker_read(&c.w.in, &end), 0);
        assert_int_equal(end.pid, getpid());
        close_case(&c);
}

/* ENG-63: back before the worker is gone: it is the same one, and it is not killed. */
static void test_owner_returns_at_once(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        resume_job(c.engine, c.job);
        begin(&c, false, 0);
        leave(&c, WORLD_OWNER);
        come(&c, WORLD_OWNER);
        world_run(&c.w);
        wind_down(&c, 300);
        open_file(&c, 300);
        world_expect(&c.w, c.net, MESSAGE_NET_START);
        assert_int_equal(net_start_read(&c.w.in, &c.start), 0);
        fd_close(c.start.file);
        for (unsigned i = 0; i < 150; i++)
                world_wait(&c.w);
        world_expect_nothing(&c.w, c.w.broker);
        world_expect_nothing(&c.w, c.net);
        close_case(&c);
}

/* ENG-66: what happened while nobody looked. */
static void test_catching_up(void **state)
{
        Case c;

        (void)state;
        open_case(&c, 1);
        give_token(&c, "3", false, TOKEN_NETWORK);
        resume_job(c.engine, c.job);
        life_catch_up(&c.life);
        assert_int_equal(c.job->state, STATE_ERROR);
        assert_non_null(strstr(c.job->fault.detail, "session 3"));
        c.job->token_flags = 0;
        resume_job(c.engine, c.job);
        c.there[0] = 0;
        life_catch_up(&c.life);
        assert_int_equal(c.job->state, STATE_QUEUED);
        world_expect_nothing(&c.w, c.w.broker);
        expect_reason(&c, "alice");
        close_case(&c);
}

/* ---- pictures ---- */

static char news[256];

static void note_off(void *userdata, uid_t uid)
{
        (void)userdata;
        snprintf(news + strlen(news), sizeof(news) - strlen(news), "-%u ", (unsigned)uid);
}

static void note_on(void *userdata, uid_t uid)
{
        (void)userdata;
        snprintf(news + strlen(news), sizeof(news) - strlen(news), "+%u ", (unsigned)uid);
}

static void note_session(void *userdata, const char *session)
{
        (void)userdata;
        snprintf(news + strlen(news), sizeof(news) - strlen(news), "%s ", session);
}

/* ENG-61: the news are what differs, who leaves first. ENG-60: services neither come nor go. */
static void test_pictures(void **state)
{
        static const SessionsListener listener = { note_off, note_session, note_on, NULL };
        char *sessions[] = { "1", "2", "c3" }, *later[] = { "2", "9" };
        struct LoginUser users[] = { { 0, NULL }, { 110, NULL }, { 1000, NULL }, { 1001, NULL } };
        struct LoginUser users_later[] = { { 1001, NULL }, { 1002, NULL } };
        LoginPicture before = { sessions, 3, users, 4 }, after = { later, 2, users_later, 2 };

        (void)state;
        sessions_compare(&before, &after, &listener, NULL);
        assert_string_equal(news, "-1000 1 c3 +1002 ");
        news[0] = 0;
        sessions_compare(&after, &after, &listener, NULL);
        assert_string_equal(news, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_owner_leaves_and_returns),
                cmocka_unit_test(test_owner_of_a_helped_job_leaves),
                cmocka_unit_test(test_states_that_stay),
                cmocka_unit_test(test_transient_error),
                cmocka_unit_test(test_what_a_token_hangs_on),
                cmocka_unit_test(test_worker_that_hangs),
                cmocka_unit_test(test_owner_returns_at_once),
                cmocka_unit_test(test_catching_up),
                cmocka_unit_test(test_pictures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
