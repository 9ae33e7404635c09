/*
 * What is made of a BITS server's answers, and of the texts that go into requests and URLs.
 */
#include "net/ack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void feed(Ack *ack, const char *status, const char *const lines[])
{
        ack_reset(ack);
        assert_int_equal(ack_line(ack, status, strlen(status)), ANSWER_MORE);
        for (; *lines; lines++)
                assert_int_equal(ack_line(ack, *lines, strlen(*lines)), ANSWER_MORE);
        assert_int_equal(ack_line(ack, "\r\n", 2), ANSWER_COMPLETE);
}

/* NET-122 */
static void test_create_ack(void **state)
{
        static const char *const lines[] = {
                "bits-packet-type: ACK\r\n",
                "BITS-Protocol: {7DF0354D-249B-430F-820D-3D2A9BEF4931}\r\n",
                "BITS-Session-Id: {A0FF}\r\n",
                "BITS-Host-Id: node7.example\r\n",
                "BITS-Host-Id-Fallback-Timeout: 86400\r\n",
                "Accept-Encoding: identity\r\n",
                NULL,
        };
        Ack ack = { 0 };

        (void)state;
        feed(&ack, "HTTP/1.1 200 OK\r\n", lines);
        assert_int_equal(ack.answer.status, 200);
        assert_true(ack.is_ack && ack.speaks);
        assert_string_equal(ack.session, "{A0FF}");
        assert_string_equal(ack.host, "node7.example");
        assert_int_equal(ack.host_fallback, 86400);
        assert_false(ack.has_next);
        assert_int_equal(ack.error, 0);
        ack_done(&ack);
}

/* NET-121: "node7" with something behind it is no host; an address is one. */
static void test_host(void **state)
{
        static const struct {
                const char *value, *expected;
        } cases[] = {
                { "node7", "node7" },
                { "10.0.0.1", "10.0.0.1" },
                { "[::1]", "[::1]" },
                { "::1", "[::1]" },
                { "fe80::1:2", "[fe80::1:2]" },
                { "node7:81", "node7:81" },
                { "node7/x", "" },
                { "a@node7", "" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char line[80];
                const char *const lines[] = { "BITS-Package-Type: Ack\r\n", line, NULL };
                Ack ack = { 0 };

                snprintf(line, sizeof(line), "BITS-Host-Id: %s\r\n", cases[i].value);
                feed(&ack, "HTTP/1.1 200 OK\r\n", lines);
                assert_true(ack.is_ack);
                assert_string_equal(ack.host, cases[i].expected);
                ack_done(&ack);
        }
}

/* NET-122: whatever has not its form is as good as absent. */
static void test_nonsense(void **state)
{
        char session[200] = "BITS-Session-Id: ";
        const char *const lines[] = {
                "BITS-Protocol: {0}\r\n",
                session,
                "BITS-Host-Id: evil.example/path\r\n",
                "BITS-Host-Id-Fallback-Timeout: soon\r\n",
                "BITS-Received-Content-Range: -1\r\n",
                "BITS-Reply-URL: http://h/\x01\r\n",
                "BITS-Error: yes\r\n",
                "BITS-Error-Context: 0x17\r\n",
                NULL,
        };
        Ack ack = { 0 };

        (void)state;
        memset(session + strlen(session), 'x', ACK_SESSION_MAX + 1);
        strcat(session, "\r\n");
        feed(&ack, "HTTP/1.1 200 OK\r\n", lines);
        assert_false(ack.is_ack || ack.speaks || ack.has_next || ack.of_the_application);
        assert_string_equal(ack.session, "");
        assert_string_equal(ack.host, "");
        assert_string_equal(ack.reply_url, "");
        assert_int_equal(ack.host_fallback, UINT32_MAX);
        assert_int_equal(ack.error, 0);
        ack_done(&ack);
}

/* NET-122 */
static void test_errors(void **state)
{
        static const char *const one[] = { "BITS-Error: 8020001f\r\n", NULL };
        static const char *const other[] = { "BITS-Error-Code: 0x8020001F\r\n",
                                             "BITS-Error-Context: 0x7\r\n", NULL };
        Ack ack = { 0 };

        (void)state;
        feed(&ack, "HTTP/1.1 500 No\r\n", one);
        assert_int_equal(ack.error, BG_E_SESSION_NOT_FOUND);
        assert_false(ack.of_the_application);
        feed(&ack, "HTTP/1.1 500 No\r\n", other);
        assert_int_equal(ack.error, BG_E_SESSION_NOT_FOUND);
        assert_true(ack.of_the_application);
        /* An interim answer leaves nothing. */
        ack_reset(&ack);
        (void)ack_line(&ack, "HTTP/1.1 103 x\r\n", 16);
        (void)ack_line(&ack, "BITS-Session-Id: a\r\n", 20);
        assert_int_equal(ack_line(&ack, "\r\n", 2), ANSWER_MORE);
        (void)ack_line(&ack, "HTTP/1.1 200 x\r\n", 16);
        assert_string_equal(ack.session, "");
        ack_done(&ack);
}

static void test_hex(void **state)
{
        static const char *const bad[] = { "", "0x", "x", "80200020a0", "-1", "0x 1", "12 " };
        uint32_t number = 7;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                assert_false(ack_parse_hex(bad[i], &number));
        assert_int_equal(number, 7);
        assert_true(ack_parse_hex("0XfF", &number));
        assert_int_equal(number, 255);
}

static void test_content_name(void **state)
{
        char name[264], longest[400];

        (void)state;
        content_name("a:b\\c\"d\r\n\xc3\xa4.txt", name, sizeof(name));
        assert_string_equal(name, "a_b_c_d____.txt");
        memset(longest, 'n', sizeof(longest));
        longest[sizeof(longest) - 1] = 0;
        content_name(longest, name, sizeof(name));
        assert_int_equal(strlen(name), 260);
}

/* NET-123 */
static void test_reply_url(void **state)
{
        static const struct {
                const char *base, *text, *expected;
        } cases[] = {
                { "http://h:81/vdir/name?q=1", "BITS-Sessions\\Replies\\{AF}\\responsefile.bin",
                  "http://h:81/vdir/BITS-Sessions/Replies/%7BAF%7D/responsefile.bin" },
                { "http://h/vdir/name", "https://other/r?x=%20", "https://other/r?x=%20" },
                { "http://h/vdir/name", "/r s", "http://h/r%20s" },
                { "https://h/vdir/name", "http://h/r", NULL }, /* out of the open */
                { "http://h/vdir/name", "file:///etc/passwd", NULL },
                { "http://h/vdir/name", "", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_free_ char *url = reply_url_resolve(cases[i].base, cases[i].text);

                if (!string_equal(url, cases[i].expected))
                        fail_msg("%s: %s", cases[i].text, url ? url : "nothing");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_create_ack), cmocka_unit_test(test_host),
                cmocka_unit_test(test_nonsense),   cmocka_unit_test(test_errors),
                cmocka_unit_test(test_hex),        cmocka_unit_test(test_content_name),
                cmocka_unit_test(test_reply_url),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
