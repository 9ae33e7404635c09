/*
 * Credentials as data, and proxy lists: what is refused with which code, what comes back from
 * bytes, which entry answers which challenge.
 */
#include "core/credentials.h"
#include "core/proxy.h"

#include "basic/secret.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char *long_text(size_t n)
{
        char *text = malloc(n + 1);

        assert_non_null(text);
        memset(text, 'x', n);
        text[n] = 0;
        return text;
}

/* NET-50, NET-51 */
static void test_check(void **state)
{
        static const struct {
                int target, scheme;
                bool implicit;
                const char *user, *password;
                BitsCode code;
        } cases[] = {
                { AUTH_SERVER, AUTH_BASIC, false, "u", "p", 0 },
                { AUTH_SERVER, AUTH_BASIC, false, "u", "", 0 },
                { AUTH_PROXY, AUTH_NEGOTIATE, true, "", "", 0 },
                { AUTH_PROXY, AUTH_PASSPORT, false, "u", "p", 0 },
                { AUTH_TARGET_INVALID, AUTH_BASIC, false, "u", "p", BG_E_INVALID_AUTH_TARGET },
                { AUTH_SERVER, AUTH_SCHEME_INVALID, false, "u", "p", BG_E_INVALID_AUTH_SCHEME },
                { AUTH_SERVER, AUTH_BASIC, true, "", "", BITS_E_INVALID_ARGUMENT },
                { AUTH_SERVER, AUTH_DIGEST, true, "", "", BITS_E_INVALID_ARGUMENT },
                { AUTH_SERVER, AUTH_NTLM, true, "", "", BITS_E_NOT_IMPLEMENTED },
                { AUTH_SERVER, AUTH_NEGOTIATE, true, "u", "", BITS_E_INVALID_ARGUMENT },
                { AUTH_SERVER, AUTH_NEGOTIATE, true, "", "p", BITS_E_INVALID_ARGUMENT },
                { AUTH_SERVER, AUTH_DIGEST, false, "", "p", BG_E_INVALID_CREDENTIALS },
                { AUTH_SERVER, AUTH_DIGEST, false, "u\r\nX: y", "p", BG_E_INVALID_CREDENTIALS },
                { AUTH_SERVER, AUTH_BASIC, false, "a:b", "p", BG_E_INVALID_CREDENTIALS },
                { AUTH_SERVER, AUTH_DIGEST, false, "a:b", "p", 0 },
        };
        char *user = long_text(301), *password = long_text(65537);
        const char *why = NULL;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(credentials_check((AuthTarget)cases[i].target,
                                                   (AuthScheme)cases[i].scheme, cases[i].implicit,
                                                   cases[i].user, cases[i].password, &why),
                                 cases[i].code);
        assert_int_equal(credentials_check(AUTH_SERVER, AUTH_BASIC, false, user, "p", &why),
                         BG_E_USERNAME_TOO_LARGE);
        assert_int_equal(credentials_check(AUTH_SERVER, AUTH_BASIC, false, user + 1, "p", &why), 0);
        assert_int_equal(credentials_check(AUTH_SERVER, AUTH_BASIC, false, "u", password, &why),
                         BG_E_PASSWORD_TOO_LARGE);
        assert_int_equal(credentials_check(AUTH_SERVER, AUTH_BASIC, false, "u", password + 1, &why),
                         0);
        free(user);
        free(password);
}

/* NET-50 */
static void test_one_entry_for_each_pair(void **state)
{
        Credentials c = { 0 };

        (void)state;
        assert_true(credentials_empty(&c));
        assert_int_equal(credentials_set(&c, AUTH_SERVER, AUTH_BASIC, false, "a", "1"), 0);
        assert_int_equal(credentials_set(&c, AUTH_SERVER, AUTH_BASIC, false, "b", "2"), 0);
        assert_string_equal(credentials_find(&c, AUTH_SERVER, AUTH_BASIC)->user, "b");
        assert_null(credentials_find(&c, AUTH_PROXY, AUTH_BASIC));
        assert_null(credentials_find(&c, AUTH_SERVER, AUTH_DIGEST));
        assert_true(credentials_remove(&c, AUTH_SERVER, AUTH_BASIC));
        assert_false(credentials_remove(&c, AUTH_SERVER, AUTH_BASIC));
        assert_true(credentials_empty(&c));
}

/* NET-52 */
static void test_implicit_ones_of_the_proxy_serve_the_server(void **state)
{
        Credentials c = { 0 };

        (void)state;
        assert_int_equal(credentials_set(&c, AUTH_SERVER, AUTH_NEGOTIATE, true, "", ""), 0);
        assert_null(credentials_find(&c, AUTH_PROXY, AUTH_NEGOTIATE));
        credentials_remove(&c, AUTH_SERVER, AUTH_NEGOTIATE);
        assert_int_equal(credentials_set(&c, AUTH_PROXY, AUTH_NEGOTIATE, true, "", ""), 0);
        assert_non_null(credentials_find(&c, AUTH_SERVER, AUTH_NEGOTIATE));
        assert_int_equal(credentials_set(&c, AUTH_SERVER, AUTH_BASIC, false, "u", "p"), 0);
        assert_null(credentials_find(&c, AUTH_SERVER, AUTH_NEGOTIATE));
        assert_int_equal(credentials_set(&c, AUTH_PROXY, AUTH_DIGEST, false, "u", "p"), 0);
        assert_null(credentials_find(&c, AUTH_SERVER, AUTH_DIGEST));
        credentials_done(&c);
}

/* SEC-82 */
static void test_bytes(void **state)
{
        Credentials c = { 0 }, again = { 0 };
        uint8_t *bytes = NULL;
        size_t size = 0;

        (void)state;
        assert_int_equal(credentials_set(&c, AUTH_SERVER, AUTH_DIGEST, false, "us\xc3\xa4r", "pw"),
                         0);
        assert_int_equal(credentials_set(&c, AUTH_PROXY, AUTH_NEGOTIATE, true, "", ""), 0);
        assert_int_equal(credentials_encode(&c, &bytes, &size), 0);
        assert_int_equal(credentials_decode(bytes, size, &again), 0);
        assert_string_equal(again.entries[AUTH_SERVER][AUTH_DIGEST].user, "us\xc3\xa4r");
        assert_string_equal(again.entries[AUTH_SERVER][AUTH_DIGEST].password, "pw");
        assert_true(again.entries[AUTH_PROXY][AUTH_NEGOTIATE].implicit);
        credentials_done(&again);
        for (size_t cut = 1; cut < size; cut++)
                if (credentials_decode(bytes, cut, &again) == 0) {
                        /* Only between two entries. */
                        assert_false(again.entries[AUTH_PROXY][AUTH_NEGOTIATE].set);
                        credentials_done(&again);
                }
        for (size_t at = 0; at < size; at++) {
                uint8_t kept = bytes[at];

                bytes[at] = 0xff;
                if (credentials_decode(bytes, size, &again) == 0)
                        credentials_done(&again);
                bytes[at] = kept;
        }
        secret_free(bytes, size);
        credentials_done(&c);
}

/* NET-60 */
static void test_proxy_check(void **state)
{
        char *text = long_text(4001);
        const char *why = NULL;

        (void)state;
        assert_int_equal(proxy_check(PROXY_PRECONFIG, "", "", &why), 0);
        assert_int_equal(proxy_check(PROXY_NONE, "", "", &why), 0);
        assert_int_equal(proxy_check(PROXY_OVERRIDE, "p:1", "<local>", &why), 0);
        assert_int_equal(proxy_check(PROXY_OVERRIDE, "", "", &why), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(proxy_check(PROXY_NONE, "p:1", "", &why), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(proxy_check(PROXY_PRECONFIG, "", "x", &why), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(proxy_check(PROXY_AUTODETECT, "", "", &why), 0); /* NET-440 */
        assert_int_equal(proxy_check(PROXY_AUTODETECT, "p:1", "", &why), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(proxy_check(PROXY_USAGE_INVALID, "", "", &why), BITS_E_NOT_IMPLEMENTED);
        assert_int_equal(proxy_check(PROXY_OVERRIDE, text, "", &why), BG_E_PROXY_LIST_TOO_LARGE);
        assert_int_equal(proxy_check(PROXY_OVERRIDE, "p", text, &why),
                         BG_E_PROXY_BYPASS_LIST_TOO_LARGE);
        free(text);
}

/* NET-61, NET-62 */
static void test_proxy_list(void **state)
{
        static const struct {
                const char *list, *scheme;
                unsigned index;
                int result;
                const char *url;
        } cases[] = {
                { "proxy", "http", 0, 1, "http://proxy:80" },
                { "proxy:3128", "https", 0, 1, "http://proxy:3128" },
                { "https://proxy", "http", 0, 1, "https://proxy:443" },
                { "http=a:1 https=b:2 c:3", "http", 0, 1, "http://a:1" },
                { "http=a:1 https=b:2 c:3", "https", 0, 1, "http://b:2" },
                { "http=a:1 c:3", "https", 0, 1, "http://c:3" },
                { "http=a:1", "https", 0, 0, NULL },
                { "a:1;b:2, c:3", "http", 2, 1, "http://c:3" },
                { "a:1;b:2, c:3", "http", 3, 0, NULL },
                { "http=https://a/", "http", 0, 1, "https://a:443" },
                { "[::1]:8080", "http", 0, 1, "http://[::1]:8080" },
                { "ftp://a:1", "http", 0, -EINVAL, NULL },
                { "a:0", "http", 0, -EINVAL, NULL },
                { "a:99999", "http", 0, -EINVAL, NULL },
                { "u:p@a:1", "http", 0, -EINVAL, NULL },
                { "a:1 b@", "http", 1, -EINVAL, NULL },
                { "[::1", "http", 0, -EINVAL, NULL },
                { "a:1 direct://", "http", 1, 1, "" },
                { "direct://a", "http", 0, -EINVAL, NULL },
                { "socks4://a", "http", 0, 1, "socks4a://a:1080" },
                { "socks5://a:1", "https", 0, 1, "socks5h://a:1" },
        };
        char url[PROXY_URL_MAX];

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                assert_int_equal(proxy_select(cases[i].list, cases[i].scheme, cases[i].index, url),
                                 cases[i].result);
                if (cases[i].url)
                        assert_string_equal(url, cases[i].url);
        }
}

/* NET-445 */
static void test_answers_of_scripts(void **state)
{
        static const struct {
                const char *answer, *list;
        } cases[] = {
                { "DIRECT", "direct:// " },
                { "PROXY a:3128; DIRECT", "http://a:3128 direct:// " },
                { "proxy a:1;HTTPS b:2 ; SOCKS c", "http://a:1 https://b:2 socks4://c " },
                { "  HTTP a ;;SOCKS5\tb:1; SOCKS4 c:2;", "http://a socks5://b:1 socks4://c:2 " },
                { "PROXY [::1]:8080", "http://[::1]:8080 " },
                { "QUIC a:1; PROXY u:p@b:1; PROXY c:1", "http://c:1 " },
                { "PROXY a:1 b:2; DIRECT", "direct:// " },
                { "DIRECT now; DIRECT", "direct:// " },
                { "", "" },
                { " ; ", "" },
                { "nonsense", NULL },
                { "PROXY", NULL },
                { "PROXY a:99999", NULL },
                { "PROXYa:1", NULL },
                { "PROXY a,b", NULL },
        };
        _cleanup_free_ char *many = calloc(100, sizeof("PROXY a;"));

        (void)state;
        assert_non_null(many);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_free_ char *list = NULL;

                assert_int_equal(proxy_list_from_answer(cases[i].answer, &list),
                                 cases[i].list ? 0 : -EINVAL);
                if (cases[i].list)
                        assert_string_equal(list, cases[i].list);
        }
        for (size_t i = 0; i < 100; i++)
                strcat(many, "PROXY a;");
        {
                _cleanup_free_ char *list = NULL;
                char url[PROXY_URL_MAX];

                assert_int_equal(proxy_list_from_answer(many, &list), 0);
                assert_int_equal(proxy_select(list, "http", PROXY_ANSWER_ENTRIES_MAX - 1, url), 1);
                assert_int_equal(proxy_select(list, "http", PROXY_ANSWER_ENTRIES_MAX, url), 0);
        }
}

/* NET-63 */
static void test_bypass(void **state)
{
        (void)state;
        assert_true(proxy_bypassed("example.org", "Example.org"));
        assert_false(proxy_bypassed("example.org", "www.example.org"));
        assert_true(proxy_bypassed("a;*.example.org b", "www.example.org"));
        assert_false(proxy_bypassed("*.example.org", "example.org"));
        assert_true(proxy_bypassed("<local>", "intranet"));
        assert_false(proxy_bypassed("<local>", "a.b"));
        assert_false(proxy_bypassed("<local>", "::1"));
        /* NET-423 */
        assert_true(proxy_bypassed("a [::1]", "[::1]"));
        assert_true(proxy_bypassed("::1;b", "[::1]"));
        assert_true(proxy_bypassed("[::1]", "::1"));
        assert_true(proxy_bypassed("*:1", "[::1]"));
        assert_false(proxy_bypassed("[::2] ::1:1", "[::1]"));
        assert_false(proxy_bypassed("<local>", "[::1]"));
        assert_true(proxy_bypassed("127.*;*", "anything"));
        assert_false(proxy_bypassed("", "a"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_check),
                cmocka_unit_test(test_one_entry_for_each_pair),
                cmocka_unit_test(test_implicit_ones_of_the_proxy_serve_the_server),
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_proxy_check),
                cmocka_unit_test(test_proxy_list),
                cmocka_unit_test(test_answers_of_scripts),
                cmocka_unit_test(test_bypass),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
