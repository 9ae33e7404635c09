/*
 * Which certificates' names, flags, methods and headers are refused, and with which code.
 */
#include "core/http-options.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* SEC-150, SEC-151 */
static void test_certificate(void **state)
{
        static const struct {
                const char *certificate, *key, *passphrase;
                BitsCode code;
        } cases[] = {
                { "/etc/mine.pem", "", "", 0 },
                { "/etc/mine.pem", "/etc/mine.key", "secret", 0 },
                { CERTIFICATE_NONE, "", "", 0 },
                { CERTIFICATE_NONE, "/etc/mine.key", "", BITS_E_INVALID_ARGUMENT },
                { CERTIFICATE_NONE, "", "secret", BITS_E_INVALID_ARGUMENT },
                { "", "", "", BITS_E_INVALID_ARGUMENT },
                { "mine.pem", "", "", BITS_E_INVALID_ARGUMENT },
                { "/etc/../mine.pem", "", "", BITS_E_INVALID_ARGUMENT },
                { "/proc/self/fd/3", "", "", BITS_E_INVALID_ARGUMENT },
                { "/etc/mine.pem", "mine.key", "", BITS_E_INVALID_ARGUMENT },
                { "pkcs11:token=x", "", "", BITS_E_NOT_IMPLEMENTED },
                { "/etc/mine.pem", "PKCS11:token=x", "", BITS_E_NOT_IMPLEMENTED },
        };
        char longest[CERTIFICATE_PASSPHRASE_MAX + 2];
        const char *why = NULL;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                assert_int_equal(http_check_certificate(cases[i].certificate, cases[i].key,
                                                        cases[i].passphrase, &why),
                                 cases[i].code);
                if (cases[i].code != 0)
                        assert_non_null(why);
        }
        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = 0;
        assert_int_equal(http_check_certificate("/a/b", "", longest, &why), BG_E_STRING_TOO_LONG);
        assert_int_equal(http_check_certificate("/a/b", "", longest + 1, &why), 0);
}

/* NET-150 */
static void test_flags(void **state)
{
        static const uint32_t good[] = { 0, 1, 0x1f, 0x100, 0x200, 0x800, 0x91f, 0xa00 };
        static const uint32_t bad[] = { 0x20, 0x40, 0x80, 0x300, 0x400, 0x700, 0x1000, 1u << 31 };
        const char *why = NULL;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(good); i++)
                assert_int_equal(http_check_security_flags(good[i], &why), 0);
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                assert_int_equal(http_check_security_flags(bad[i], &why), BITS_E_NOT_IMPLEMENTED);
}

/* NET-156 */
static void test_method(void **state)
{
        static const struct {
                const char *method;
                BitsCode code;
        } cases[] = {
                { "", 0 },
                { "GET", 0 },
                { "POST", 0 },
                { "X-my~method", 0 },
                { "GET /", BITS_E_INVALID_ARGUMENT },
                { "GET\r\nHost: x", BITS_E_INVALID_ARGUMENT },
                { "GÉT", BITS_E_INVALID_ARGUMENT },
                { "HEAD", BITS_E_INVALID_ARGUMENT },
                { "head", BITS_E_INVALID_ARGUMENT },
                { "CONNECT", BITS_E_INVALID_ARGUMENT },
                { "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", 0 },
                { "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", BG_E_STRING_TOO_LONG },
        };
        const char *why = NULL;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(http_check_method(cases[i].method, &why), cases[i].code);
}

/* NET-152, NET-153 */
static void test_headers(void **state)
{
        static const char *const good[] = {
                "",
                "A: b",
                "A: b\r\n",
                "A: b\r\nC: d: e\r\n",
                "A: b\nC: d",
                "X-Empty:",
                "Authorization: Bearer x",
                "User-Agent: mine\r\nCookie: a=b; c=d",
                "X-Text: \xc3\xa9\t.",
                "Hosts: x",
                "Bit: x",
        };
        static const char *const bad[] = {
                "A",
                "A b: c",
                ": b",
                " A: b",
                "A: b\nHost: x",
                "A: b\n C: folded",
                "A: b\n\nGET / HTTP/1.1",
                "A: b\r\r\nC: d",
                "A: b\rC: d",
                "A: b\r\n C: folded",
                "A: b\r\n\r\nGET / HTTP/1.1",
                "A: \x01",
                "A: \x7f",
                "host: x",
                "Content-Length: 0",
                "RANGE: bytes=0-1",
                "A: b\r\nIf-Range: x",
                "Transfer-Encoding: chunked",
                "Connection: close",
                "accept-encoding: gzip",
                "Proxy-Authorization: Basic x",
                "BITS-Session-Id: x",
        };
        char *most = malloc(HTTP_HEADERS_CHARACTERS_MAX + 2);
        const char *why = NULL;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(good); i++)
                assert_int_equal(http_check_headers(good[i], &why), 0);
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                why = NULL;
                assert_int_equal(http_check_headers(bad[i], &why), BITS_E_INVALID_ARGUMENT);
                assert_non_null(why);
        }
        assert_non_null(most);
        memset(most, 'x', HTTP_HEADERS_CHARACTERS_MAX + 1);
        most[1] = ':';
        most[HTTP_HEADERS_CHARACTERS_MAX + 1] = 0;
        assert_int_equal(http_check_headers(most, &why), BG_E_STRING_TOO_LONG);
        most[HTTP_HEADERS_CHARACTERS_MAX] = 0;
        assert_int_equal(http_check_headers(most, &why), 0);
        free(most);
}

/* NET-152, NET-410 */
static void test_lines(void **state)
{
        const char *text = "A: b\r\nC:\nD: \r\n", *line;
        size_t size;

        (void)state;
        assert_true(http_next_header(&text, &line, &size));
        assert_true(size == 4 && memcmp(line, "A: b", 4) == 0);
        assert_true(http_next_header(&text, &line, &size));
        assert_true(size == 2 && memcmp(line, "C:", 2) == 0);
        assert_true(http_next_header(&text, &line, &size));
        assert_true(size == 3 && memcmp(line, "D: ", 3) == 0);
        assert_false(http_next_header(&text, &line, &size));
}

/* SEC-155 */
static void test_forgetting(void **state)
{
        HttpOptions o = { 0 };

        (void)state;
        assert_int_equal(http_options_init(&o), 0);
        assert_false(http_has_certificate(&o));
        free(o.certificate);
        o.certificate = strdup("/a/b");
        assert_true(http_has_certificate(&o));
        http_options_set_headers(&o, malloc(5), 5);
        http_options_set_passphrase(&o, malloc(5), 5);
        o.headers_write_only = true;
        o.security_flags = HTTP_CRL_CHECK;
        http_options_forget_secrets(&o);
        assert_false(http_has_certificate(&o));
        assert_null(o.headers);
        assert_null(o.passphrase);
        assert_false(o.headers_write_only);
        assert_int_equal(o.security_flags, HTTP_CRL_CHECK);
        http_options_done(&o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_certificate), cmocka_unit_test(test_flags),
                cmocka_unit_test(test_method),      cmocka_unit_test(test_headers),
                cmocka_unit_test(test_lines),       cmocka_unit_test(test_forgetting),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
