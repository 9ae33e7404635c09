/*
 * What libcurl's results mean to a job, and the sentences that people read.
 */
#include "net/net-error.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* NET-32 */
static void codes(void **state)
{
        static const struct {
                CURLcode result;
                BitsCode code;
        } rows[] = {
                { CURLE_COULDNT_RESOLVE_HOST, BITS_E_NAME_NOT_RESOLVED },
                { CURLE_COULDNT_RESOLVE_PROXY, BITS_E_NAME_NOT_RESOLVED },
                { CURLE_COULDNT_CONNECT, BITS_E_CANNOT_CONNECT },
                { CURLE_OPERATION_TIMEDOUT, BITS_E_TIMEOUT },
                { CURLE_PEER_FAILED_VERIFICATION, BITS_E_SECURE_FAILURE },
                { CURLE_SSL_CONNECT_ERROR, BITS_E_CONNECTION_ERROR },
                { CURLE_PARTIAL_FILE, BITS_E_CONNECTION_ERROR },
                { CURLE_RECV_ERROR, BITS_E_CONNECTION_ERROR },
                { CURLE_GOT_NOTHING, BITS_E_CONNECTION_ERROR },
                { CURLE_HTTP2_STREAM, BITS_E_CONNECTION_ERROR },
                { CURLE_UNSUPPORTED_PROTOCOL, BG_E_INVALID_SERVER_RESPONSE },
                { CURLE_WEIRD_SERVER_REPLY, BG_E_INVALID_SERVER_RESPONSE },
                { CURLE_OUT_OF_MEMORY, BITS_E_OUT_OF_MEMORY },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                assert_int_equal(net_code(rows[i].result, 0), rows[i].code);
        assert_int_equal(net_code(CURLE_RECV_ERROR, 407), BITS_E_HTTP(407));
        assert_int_equal(net_code(CURLE_RECV_ERROR, 200), BITS_E_CONNECTION_ERROR);
}

/* NET-30, NET-32, NET-36 */
static void sentences(void **state)
{
        const char *url = "http://user:secret@example.org/a?token=1";
        NetFailure f = { 0 };

        (void)state;
        net_failure_status(&f, 404, url);
        assert_int_equal(f.code, BITS_E_HTTP(404));
        assert_int_equal(f.context, CONTEXT_REMOTE_FILE);
        assert_string_equal(f.detail, "example.org answered 404 Not Found");

        f = (NetFailure){ 0 };
        net_failure_status(&f, 599, url);
        assert_string_equal(f.detail, "example.org answered 599");

        f = (NetFailure){ 0 };
        net_failure_status(&f, 302, url); /* NET-421 */
        assert_string_equal(f.detail, "example.org answered 302 Found, and does not say where");

        f = (NetFailure){ 0 };
        net_failure_curl(&f, CURLE_COULDNT_RESOLVE_HOST, 0, url, "Could not resolve: x");
        assert_string_equal(f.detail, "Could not resolve host example.org");

        f = (NetFailure){ 0 };
        net_failure_status(&f, 413, url);
        assert_string_equal(f.detail, "example.org answered 413 Content Too Large");

        f = (NetFailure){ 0 };
        net_failure_curl(&f, CURLE_RECV_ERROR, 0, url, "odd \x1b[2J\xff");
        assert_string_equal(f.detail, "Transfer of http://example.org/a failed: odd ?[2J?");
}

static void the_first_failure_is_told(void **state)
{
        NetFailure f = { 0 };

        (void)state;
        net_failure_file(&f, ENOSPC);
        net_failure_curl(&f, CURLE_WRITE_ERROR, 0, "http://a/", "");
        assert_int_equal(f.context, CONTEXT_LOCAL_FILE);
        assert_int_equal(f.code, BITS_E_DISK_FULL);
}

/* JOB-401 */
static void what_is_no_servers_fault_is_the_services_own(void **state)
{
        NetFailure f = { 0 };

        (void)state;
        net_failure_no_network(&f, "http://example.org/a", ENETUNREACH);
        assert_int_equal(f.context, CONTEXT_GENERAL_QUEUE_MANAGER);
        assert_int_equal(f.code, BG_E_NETWORK_DISCONNECTED);

        f = (NetFailure){ 0 };
        net_failure_curl(&f, CURLE_OUT_OF_MEMORY, 0, "http://example.org/a", "");
        assert_int_equal(f.context, CONTEXT_GENERAL_QUEUE_MANAGER);
        assert_int_equal(f.code, BITS_E_OUT_OF_MEMORY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(codes),
                cmocka_unit_test(sentences),
                cmocka_unit_test(the_first_failure_is_told),
                cmocka_unit_test(what_is_no_servers_fault_is_the_services_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
