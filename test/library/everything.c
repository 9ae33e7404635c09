/*
 * Every function of the header, with what it needs: what is set is read back, what a job has not is
 * said by its code, and all that was made is freed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"

#include <poll.h>

static uint32_t judge(bits_http_options *options, const bits_server_certificate *certificate,
                      void *userdata)
{
        (void)options, (void)certificate, (void)userdata;
        return 0;
}

static void on_event(bits_job *job, bits_event event, void *userdata)
{
        unsigned *seen = userdata;

        CHECK(bits_job_event_info(job));
        *seen |= 1u << event;
}

static int receive(bits_job *job, bits_event event, void *userdata)
{
        on_event(job, event, userdata);
        return 0;
}

/* Text that was got: compares and frees it. */
static bool is(char *text, const char *expected)
{
        bool same = text && expected ? strcmp(text, expected) == 0 : text == expected;

        if (!same)
                printf("is '%s', not '%s'\n", text ? text : "NULL", expected ? expected : "NULL");
        free(text);
        return same;
}

static void words_and_texts(void)
{
        CHECK(strcmp(bits_job_type_name(BITS_JOB_UPLOAD_REPLY), "upload-reply") == 0);
        CHECK(strcmp(bits_job_state_name(BITS_STATE_CANCELLED), "cancelled") == 0);
        CHECK(strcmp(bits_job_priority_name(BITS_PRIORITY_LOW), "low") == 0);
        CHECK(!bits_job_type_name((bits_job_type)3) && !bits_job_state_name((bits_job_state)9) &&
              !bits_job_priority_name((bits_job_priority)-1));
        CHECK(strcmp(bits_code_name(BITS_CODE_TOKEN_REQUIRED), "BG_E_TOKEN_REQUIRED") == 0);
        CHECK(bits_code_text(0x80200056) && !bits_code_text(1) && !bits_code_name(1));
        CHECK(bits_code_text_localized(0x80200056, "fr") &&
              !bits_code_text_localized(0x80200056, "xx"));
        CHECK(bits_context_text(5, "de") && !bits_context_text(9, NULL));
}

static void on_queue(bits_manager *manager, bits_queue_event event, const char *id, void *userdata)
{
        (void)manager, (void)event, (void)id;
        ++*(unsigned *)userdata;
}

/* CLI-491 */
static void news_of_the_queue(bits_manager *manager)
{
        bits_job *job = NULL;
        unsigned told = 0;

        CHECK(bits_manager_set_callback(manager, on_queue, &told) == 0);
        CHECK(bits_manager_set_callback(manager, on_queue, &told) == 0);
        job = new_job(manager);
        CHECK(bits_job_cancel(job, NULL) == 0);
        bits_job_free(job);
        while (told == 0) {
                struct pollfd pollfd = { .fd = bits_manager_fd(manager),
                                         .events = (short)bits_manager_events(manager) };

                if (bits_manager_process(manager) == 0)
                        CHECK(poll(&pollfd, 1, 30000) > 0);
                if (failures)
                        break;
        }
        CHECK(bits_manager_set_callback(manager, NULL, NULL) == 0);
        CHECK(bits_manager_set_callback(manager, NULL, NULL) == 0);
}

static void the_service(bits_manager *manager)
{
        bits_policy *policy = NULL;
        bits_job_list *list = NULL;
        uint64_t usec;
        char *path;
        size_t n;

        CHECK(bits_manager_allow_interaction(manager, 0) == 0);
        CHECK(bits_manager_get_store_set_aside(manager, &path) == 0 && is(path, NULL));
        CHECK(bits_manager_get_policy(manager, &policy) == 0);
        n = bits_policy_count(policy);
        CHECK(n > 0 && bits_policy_get(policy, n - 1)->name && !bits_policy_get(policy, n));
        bits_policy_free(policy);
        CHECK(bits_manager_list_jobs(manager, 0, &list) == 0);
        n = bits_job_list_count(list);
        CHECK(n > 0 && bits_job_list_get(list, 0)->id && !bits_job_list_get(list, n));
        bits_job_list_free(list);
        CHECK(bits_manager_fd(manager) >= 0 && bits_manager_events(manager) >= 0);
        CHECK(bits_manager_timeout(manager, &usec) == 0);
        CHECK(bits_manager_process(manager) >= 0);
}

static void many_jobs(bits_manager *manager)
{
        const bits_job_spec specs[2] = {
                { .display_name = "one", .description = "d", .priority = BITS_PRIORITY_LOW },
                { .display_name = "two", .priority = BITS_PRIORITY_NORMAL },
        };
        char ids[2][BITS_JOB_ID_SIZE];
        bits_job *job = NULL;

        CHECK(bits_manager_create_jobs(manager, specs, 2, ids) == 0);
        for (int i = 0; i < 2; i++) {
                CHECK(bits_manager_get_job(manager, ids[i], &job) == 0);
                CHECK(strcmp(bits_job_id(job), ids[i]) == 0);
                CHECK(bits_job_cancel(job, NULL) == 0);
                bits_job_free(job);
        }
}

#define NUMBER(job, name, type, value)                                                \
        do {                                                                          \
                type read = 0;                                                        \
                CHECK(bits_job_set_##name(job, value) == 0);                          \
                CHECK(bits_job_get_##name(job, &read) == 0 && read == (type)(value)); \
        } while (0)

/* LIB-416 */
static void by_number(bits_job *job)
{
        bits_job_property_value value = { .uint64 = 5 };
        uint32_t ms;

        FAILS(bits_job_get_property(job, (bits_job_property_id)6, &value),
              BITS_CODE_UNKNOWN_PROPERTY_ID);
        FAILS(bits_job_set_property(job, (bits_job_property_id)0, &value),
              BITS_CODE_UNKNOWN_PROPERTY_ID);
        value.dword = 77;
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_MINIMUM_NOTIFICATION_INTERVAL_MS,
                                    &value) == 0);
        CHECK(bits_job_get_minimum_notification_interval(job, &ms) == 0 && ms == 77);
        CHECK(bits_job_get_property(job, BITS_JOB_PROPERTY_MAX_DOWNLOAD_SIZE, &value) == 0 &&
              value.uint64 == 1 << 30);
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_MAX_DOWNLOAD_SIZE, &value) == 0);
        CHECK(bits_job_get_property(job, BITS_JOB_PROPERTY_USE_STORED_CREDENTIALS, &value) == 0 &&
              value.target == BITS_AUTH_PROXY);
        value.target = BITS_AUTH_SERVER;
        FAILS(bits_job_set_property(job, BITS_JOB_PROPERTY_USE_STORED_CREDENTIALS, &value),
              BITS_CODE_USE_STORED_CREDENTIALS_NOT_SUPPORTED);
        value.target = 0;
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_USE_STORED_CREDENTIALS, &value) == 0);
        CHECK(bits_job_get_property(job, BITS_JOB_PROPERTY_NOTIFICATION_CLSID, &value) == 0);
        CHECK(strcmp(value.clsid, "00000000-0000-0000-0000-000000000000") == 0);
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_NOTIFICATION_CLSID, &value) == 0);
        value.clsid[0] = '1';
        FAILS(bits_job_set_property(job, BITS_JOB_PROPERTY_NOTIFICATION_CLSID, &value),
              BITS_CODE_NOT_IMPLEMENTED);
        value.enable = 1;
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_ON_DEMAND_MODE, &value) == 0);
        CHECK(bits_job_get_property(job, BITS_JOB_PROPERTY_ON_DEMAND_MODE, &value) == 0 &&
              value.enable == 1);
        value.enable = 0;
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_ON_DEMAND_MODE, &value) == 0);
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_DYNAMIC_CONTENT, &value) == 0);
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_HIGH_PERFORMANCE, &value) == 0);
        CHECK(bits_job_get_property(job, BITS_JOB_PROPERTY_COST_FLAGS, &value) == 0 &&
              value.dword == BITS_TRANSFER_POLICY_ALWAYS);
        CHECK(bits_job_set_property(job, BITS_JOB_PROPERTY_COST_FLAGS, &value) == 0);
}

static void numbers(bits_job *job)
{
        bits_job_priority priority;
        bits_job_type type;
        bits_times times;
        uint64_t usec;
        uint32_t n;
        int flag;

        NUMBER(job, priority, bits_job_priority, BITS_PRIORITY_HIGH);
        NUMBER(job, minimum_retry_delay, uint32_t, 7);
        NUMBER(job, no_progress_timeout, uint32_t, 60);
        NUMBER(job, maximum_download_time, uint32_t, 600);
        NUMBER(job, notify_flags, uint32_t, 0x3f);
        NUMBER(job, minimum_notification_interval, uint32_t, 100);
        NUMBER(job, file_acl_flags, uint32_t, BITS_COPY_FILE_ALL);
        NUMBER(job, on_demand_mode, int, 1);
        NUMBER(job, on_demand_mode, int, 0);
        NUMBER(job, dynamic_content, int, 1);
        NUMBER(job, dynamic_content, int, 0);
        NUMBER(job, high_performance, int, 1);
        NUMBER(job, high_performance, int, 0);
        NUMBER(job, max_download_size, uint64_t, 1 << 30);
        NUMBER(job, peer_caching_flags, uint32_t, 3);
        NUMBER(job, cost_flags, uint32_t, BITS_TRANSFER_POLICY_ALWAYS);
        NUMBER(job, use_stored_credentials, int, 1);
        by_number(job);
        CHECK(bits_job_get_priority(job, &priority) == 0 && bits_job_get_type(job, &type) == 0);
        CHECK(type == BITS_JOB_DOWNLOAD && priority == BITS_PRIORITY_HIGH);
        CHECK(bits_job_get_times(job, &times) == 0 && times.creation > 0);
        CHECK(bits_job_get_next_attempt(job, &usec) == 0 && usec == 0);
        CHECK(bits_job_get_error_time(job, &usec) == 0 && usec == 0);
        CHECK(bits_job_get_error_count(job, &n) == 0 && n == 0);
        CHECK(bits_job_get_owner_uid(job, &n) == 0);
        CHECK(bits_job_get_owner_integrity_level(job, &n) == 0 && n >= 0x2000);
        CHECK(bits_job_get_owner_elevated(job, &flag) == 0);
}

static void texts(bits_job *job)
{
        char *text, *other;

        CHECK(bits_job_set_display_name(job, "a name") == 0);
        CHECK(bits_job_get_display_name(job, &text) == 0 && is(text, "a name"));
        CHECK(bits_job_set_description(job, "words") == 0);
        CHECK(bits_job_get_description(job, &text) == 0 && is(text, "words"));
        CHECK(bits_job_get_owner(job, &text) == 0 && strncmp(text, "S-1-", 4) == 0);
        free(text);
        CHECK(bits_job_get_wait_reason(job, &text) == 0 && is(text, ""));
        CHECK(bits_job_get_waiting_for(job, &text) == 0 && is(text, ""));
        CHECK(bits_job_set_credential_cache(job, "FILE:/nonexistent") == 0);
        CHECK(bits_job_get_credential_cache(job, &text) == 0 && is(text, "FILE:/nonexistent"));
        CHECK(bits_job_set_credential_cache(job, NULL) == 0);

        CHECK(bits_job_set_proxy_settings(job, BITS_PROXY_OVERRIDE, "proxy:1", "<local>") == 0);
        bits_proxy_usage usage;
        CHECK(bits_job_get_proxy_settings(job, &usage, &text, &other) == 0);
        CHECK(usage == BITS_PROXY_OVERRIDE && is(text, "proxy:1") && is(other, "<local>"));
        CHECK(bits_job_set_proxy_settings(job, BITS_PROXY_NO_PROXY, NULL, NULL) == 0);
        CHECK(bits_job_get_proxy_settings(job, &usage, &text, &other) == 0);
        CHECK(usage == BITS_PROXY_NO_PROXY && !text && !other);

        CHECK(bits_job_set_credentials(job, BITS_AUTH_SERVER, BITS_AUTH_BASIC, "u", "p") == 0);
        CHECK(bits_job_remove_credentials(job, BITS_AUTH_SERVER, BITS_AUTH_BASIC) == 0);
        CHECK(bits_job_remove_credentials(job, BITS_AUTH_SERVER, BITS_AUTH_BASIC) == S_FALSE);
}

static void command_line(bits_job *job)
{
        bits_notify_state state;
        char *text, *other;

        CHECK(bits_job_set_notify_cmd_line(job, "/bin/true", "true x") == 0);
        CHECK(bits_job_get_notify_cmd_line(job, &text, &other) == 0);
        CHECK(is(text, "/bin/true") && is(other, "true x"));
        CHECK(bits_job_get_notify_state(job, &state) == 1 && state.runs == 0);
        bits_notify_state_done(&state);
        CHECK(bits_job_set_notify_cmd_line(job, NULL, NULL) == 0);
        CHECK(bits_job_get_notify_state(job, &state) == 0);
        bits_notify_state_done(&state);
}

static void token(bits_job *job)
{
        bits_token_options *options = NULL;
        uint32_t flags;
        char *text;

        CHECK(bits_job_query_token_options(job, &options) == 0);
        CHECK(bits_token_options_set_helper_token(options) == 0);
        CHECK(bits_token_options_get_helper_token_sid(options, &text) == 0 && text);
        free(text);
        CHECK(bits_token_options_set_helper_credential_cache(options, "KCM:") == 0);
        CHECK(bits_token_options_get_helper_credential_cache(options, &text) == 0);
        CHECK(is(text, "KCM:"));
        CHECK(bits_token_options_set_helper_token_flags(options, BITS_TOKEN_NETWORK) == 0);
        CHECK(bits_token_options_get_helper_token_flags(options, &flags) == 0 &&
              flags == BITS_TOKEN_NETWORK);
        CHECK(bits_token_options_set_helper_token_flags(options, 0) == 0);
        CHECK(bits_token_options_clear_helper_token(options) == 0);
        CHECK(bits_token_options_get_helper_token_sid(options, &text) == 0 && !text);
        bits_token_options_free(options);
}

static void http(bits_job *job)
{
        bits_http_options *options = NULL;
        char *text, *other;
        uint32_t flags;

        CHECK(bits_job_query_http_options(job, &options) == 0);
        CHECK(bits_http_options_get_custom_headers(options, &text) == S_FALSE && !text);
        CHECK(bits_http_options_set_custom_headers(options, "A: b\r\n") == 0);
        CHECK(bits_http_options_get_custom_headers(options, &text) == 0 && is(text, "A: b\r\n"));
        CHECK(bits_http_options_make_custom_headers_write_only(options) == 0);
        FAILS(bits_http_options_get_custom_headers(options, &text), BITS_CODE_ACCESS_DENIED);
        FAILS(bits_http_options_get_client_certificate(options, &text, &other),
              BITS_CODE_BAD_STUB_DATA);
        CHECK(bits_http_options_set_client_certificate(options, "none", NULL, NULL) == 0);
        CHECK(bits_http_options_get_client_certificate(options, &text, &other) == 0);
        CHECK(is(text, "none") && is(other, NULL));
        CHECK(bits_http_options_remove_client_certificate(options) == 0);
        CHECK(bits_http_options_remove_client_certificate(options) == S_FALSE);
        CHECK(bits_http_options_set_security_flags(options, BITS_SSL_ENABLE_CRL_CHECK) == 0);
        CHECK(bits_http_options_get_security_flags(options, &flags) == 0 && flags == 1);
        CHECK(bits_http_options_get_http_method(options, &text) == 0 && is(text, "GET"));
        CHECK(bits_http_options_set_http_method(options, "GET") == 0);
        CHECK(bits_http_options_set_server_certificate_validation(options, judge, NULL) == 0);
        CHECK(bits_http_options_set_server_certificate_validation(options, NULL, NULL) == 0);
        bits_http_options_free(options);
}

static void file(bits_job *job, const char *url, const char *path)
{
        bits_range *ranges = NULL, head = { 0, 1 };
        bits_file_progress progress;
        uint64_t origin, peers;
        bits_file *f = NULL;
        char *text;
        int flag;
        size_t n;

        FAILS(bits_job_get_file(job, 9, &f), BITS_CODE_NOT_FOUND);
        CHECK(bits_job_get_file(job, 0, &f) == 0);
        CHECK(bits_file_get_remote_name(f, &text) == 0 && is(text, url));
        CHECK(bits_file_set_remote_name(f, url) == 0);
        CHECK(bits_file_get_local_name(f, &text) == 0 && is(text, path));
        CHECK(bits_file_get_temporary_name(f, &text) == 0 && text);
        free(text);
        CHECK(bits_file_get_response_headers(f, &text) == 0 && is(text, ""));
        CHECK(bits_file_get_progress(f, &progress) == 0 &&
              progress.bytes_total == BITS_SIZE_UNKNOWN && !progress.completed);
        CHECK(bits_file_get_ranges(f, &ranges, &n) == S_FALSE && n == 0 && !ranges);
        CHECK(bits_file_request_ranges(f, &head, 1) == 0);
        CHECK(bits_file_update_download_position(f, 1) == 0);
        CHECK(bits_file_get_filled_ranges(f, &ranges, &n) == 0 && n == 0);
        free(ranges);
        FAILS(bits_file_set_validation_state(f, 1), BITS_CODE_PENDING);
        CHECK(bits_file_get_validation_state(f, &flag) == 0 && !flag);
        CHECK(bits_file_get_peer_download_stats(f, &origin, &peers) == 0 && origin + peers == 0);
        CHECK(bits_file_is_downloaded_from_peer(f, &flag) == 0 && !flag);
        bits_file_free(f);
}

/* A file is fetched; of another one some ranges. */
static void fetch(bits_manager *manager, bits_job *job, const char *url, const char *folder)
{
        const bits_range tail = { 3, BITS_LENGTH_TO_EOF };
        char one[4096], two[4096], three[4096];
        bits_file_pair pair = { url, two };
        bits_file_list *list = NULL;
        bits_range *ranges = NULL;
        bits_job_state state;
        bits_progress progress;
        bits_file *f = NULL;
        static unsigned seen; /* the job is told of its end after this function's */
        uint32_t code;
        size_t n;

        snprintf(one, sizeof(one), "%s/one", folder);
        snprintf(two, sizeof(two), "%s/two", folder);
        snprintf(three, sizeof(three), "%s/three", folder);
        CHECK(bits_job_add_file(job, url, one) == 0);
        file(job, url, one);
        CHECK(bits_job_add_files(job, &pair, 1) == 0);
        CHECK(bits_job_add_file_with_ranges(job, url, three, &tail, 1) == 0);
        CHECK(bits_job_get_file(job, 2, &f) == 0);
        CHECK(bits_file_get_ranges(f, &ranges, &n) == 0 && n == 1 && ranges[0].offset == 3);
        free(ranges);
        bits_file_free(f);
        CHECK(bits_job_replace_remote_prefix(job, "nothing", "x") == S_FALSE);

        CHECK(bits_job_set_notify_flags(job, 0x1b) == 0);
        CHECK(bits_job_set_callback(job, on_event, &seen) == 0);
        CHECK(bits_job_set_receiver(job, receive, &seen) == 0);
        CHECK(bits_job_resume(job) == 0);
        CHECK(bits_job_wait(job, 30 * 1000000ull, &state) == 1 && state == BITS_STATE_TRANSFERRED);
        while (bits_manager_process(manager) > 0)
                ;
        CHECK(seen & 1u << BITS_EVENT_FILE_TRANSFERRED && seen & 1u << BITS_EVENT_TRANSFERRED);
        CHECK(bits_job_get_progress(job, &progress) == 0 && progress.files_transferred == 3);
        CHECK(bits_job_list_files(job, &list) == 0 && bits_file_list_count(list) == 3);
        CHECK(!bits_file_list_get(list, 0)->completed && !bits_file_list_get(list, 3));
        bits_file_list_free(list);
        CHECK(bits_job_complete(job, &code) == 0 && code == 0);
        CHECK(bits_job_get_state(job, &state) == 0 && state == BITS_STATE_ACKNOWLEDGED);
        FAILS(bits_job_set_receiver(job, NULL, NULL), BITS_CODE_INVALID_STATE);
}

/* A job fails, and says so. */
static void fail(bits_manager *manager, const char *folder)
{
        bits_job *job = new_job(manager);
        bits_job_error error = { 0 };
        bits_job_state state;
        char path[4096], *protocol;

        FAILS(bits_job_get_error_protocol(job, &protocol), BITS_CODE_ERROR_INFORMATION_UNAVAILABLE);
        FAILS(bits_job_get_error(job, &error), BITS_CODE_ERROR_INFORMATION_UNAVAILABLE);
        snprintf(path, sizeof(path), "%s/none", folder);
        CHECK(bits_job_add_file(job, "file:///nonexistent/file", path) == 0);
        CHECK(bits_job_resume(job) == 0);
        CHECK(bits_job_wait(job, 30 * 1000000ull, &state) == 1 && state == BITS_STATE_ERROR);
        CHECK(bits_job_get_error(job, &error) == 0 && strcmp(error.local_name, path) == 0);
        bits_job_error_done(&error);
        CHECK(bits_job_get_error_protocol(job, &protocol) == 0 && is(protocol, "file"));
        CHECK(bits_job_suspend(job) == 0);
        CHECK(bits_job_cancel(job, NULL) == 0);
        bits_job_free(job);
}

static void upload(bits_manager *manager)
{
        uint64_t total, transferred;
        bits_job *job = NULL;
        void *data = NULL;
        char *text;
        size_t n;

        CHECK(bits_manager_create_job(manager, "up", BITS_JOB_UPLOAD_REPLY, &job) == 0);
        CHECK(bits_job_get_reply_file_name(job, &text) == 0 && !text);
        CHECK(bits_job_set_reply_file_name(job, NULL) == 0);
        CHECK(bits_job_get_reply_progress(job, &total, &transferred) == 0 &&
              total == BITS_SIZE_UNKNOWN);
        FAILS(bits_job_get_reply_data(job, &data, &n), BITS_CODE_INVALID_STATE);
        CHECK(bits_job_cancel(job, NULL) == 0);
        bits_job_free(job);
}

/* LIB-412 */
void call_everything(const char *url, const char *folder)
{
        bits_manager *manager = open_manager();
        bits_job *job = new_job(manager);

        words_and_texts();
        the_service(manager);
        news_of_the_queue(manager);
        many_jobs(manager);
        numbers(job);
        texts(job);
        command_line(job);
        token(job);
        http(job);
        fetch(manager, job, url, folder);
        fail(manager, folder);
        upload(manager);
        CHECK(bits_job_take_ownership(job) < 0);
        bits_job_free(job);
        bits_manager_close(manager);
}
