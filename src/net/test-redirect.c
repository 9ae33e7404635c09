/*
 * Where redirects may lead, and what of a URL is shown to people.
 */
#include "net/redirect.h"
#include "wire/protocol.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void follows(const char *base, const char *location, const char *expected)
{
        _cleanup_free_ char *url = NULL;

        assert_int_equal(redirect_decide(base, location, 0, 1, &url), REDIRECT_FOLLOW);
        assert_string_equal(url, expected);
}

static void refuses(const char *base, const char *location, uint32_t flags, unsigned hops,
                    Redirect expected)
{
        char *url = NULL;

        assert_int_equal(redirect_decide(base, location, flags, hops, &url), expected);
        assert_null(url);
}

/* NET-20 */
static void targets(void **state)
{
        (void)state;
        follows("http://a/x/y?q", "/z", "http://a/z");
        follows("http://a/x/y?q", "z", "http://a/x/z");
        follows("http://a/x/y?q", "?r", "http://a/x/y?r");
        follows("http://a/x", "//b/c", "http://b/c");
        follows("http://a/x", "https://b:8443/c", "https://b:8443/c");
        follows("https://a/x", "https://b/c", "https://b/c");
        follows("http://a/x", "/a b\xc3\xa4", "http://a/a%20b%c3%a4");
        refuses("http://a/x", "ftp://b/c", 0, 1, REDIRECT_NONSENSE);
        refuses("http://a/x", "file:///etc/passwd", 0, 1, REDIRECT_NONSENSE);
        refuses("http://a/x", "gopher://b/", 0, 1, REDIRECT_NONSENSE);
        refuses("http://a/x", "http://", 0, 1, REDIRECT_NONSENSE);
        refuses("http://a/x", "/\x01", 0, 1, REDIRECT_NONSENSE);
}

/* NET-21, NET-22 */
static void policy(void **state)
{
        _cleanup_free_ char *url = NULL;

        (void)state;
        refuses("http://a/", "ftp://b/", NET_FLAG_REDIRECT_DISALLOW, 1, REDIRECT_DISALLOWED);
        refuses("https://a/", "http://b/", NET_FLAG_REDIRECT_DISALLOW, 1, REDIRECT_DISALLOWED);
        assert_int_equal(redirect_decide("http://a/x", "/b", NET_FLAG_REDIRECT_DISALLOW, 1, &url),
                         REDIRECT_DISALLOWED);
        assert_string_equal(url, "http://a/b"); /* NET-155 */
        free(TAKE_PTR(url));
        refuses("https://a/", "http://b/", 0, 1, REDIRECT_DISALLOWED);
        refuses("HTTPS://a/", "http://b/", 0, 1, REDIRECT_DISALLOWED);
        refuses("http://a/", "/b", 0, REDIRECT_HOPS_MAX + 1, REDIRECT_TOO_MANY);
        assert_int_equal(redirect_decide("https://a/", "http://b/", NET_FLAG_REDIRECT_HTTPS_TO_HTTP,
                                         REDIRECT_HOPS_MAX, &url),
                         REDIRECT_FOLLOW);
}

/* NET-23 */
static void credentials_stay_with_their_host(void **state)
{
        (void)state;
        follows("http://user:secret@a/x", "http://b/y", "http://b/y");
        follows("http://user:secret@a/x", "//b/y", "http://b/y");
        follows("http://user:secret@a/x", "/y", "http://user:secret@a/y");
}

static void takes(const char *url, const char *rest, const char *expected_user,
                  const char *expected_password)
{
        _cleanup_free_ char *text = strdup(url), *user = NULL, *password = NULL;

        assert_int_equal(url_take_user(text, &user, &password), expected_user != NULL);
        assert_string_equal(text, rest);
        if (!string_equal(user, expected_user) || !string_equal(password, expected_password))
                fail_msg("%s: %s, %s", url, user ? user : "nobody", password ? password : "none");
}

/* NET-420 */
static void users_of_urls(void **state)
{
        (void)state;
        takes("http://user:secret@a:8/x@y?q@z", "http://a:8/x@y?q@z", "user", "secret");
        takes("https://u%40x:p%3aw%2F@[::1]/", "https://[::1]/", "u@x", "p:w/");
        takes("http://u:a:b@c@h/", "http://h/", "u", "a:b@c");
        takes("http://user@a", "http://a", "user", "");
        takes("http://user:@a", "http://a", "user", "");
        takes("http://:secret@a/", "http://a/", NULL, NULL);
        takes("http://@a/", "http://a/", NULL, NULL);
        takes("http://u:x%0d%0aY%00@a/", "http://a/", NULL, NULL);
        takes("http://u%0a:x@a/", "http://a/", NULL, NULL);
        takes("http://a/x:y@z", "http://a/x:y@z", NULL, NULL);
        takes("http://a?x:y@z", "http://a?x:y@z", NULL, NULL);
        takes("", "", NULL, NULL);
}

/* NET-152, SEC-153 */
static void a_step_up_is_the_same_site(void **state)
{
        char peer[64];

        (void)state;
        assert_true(url_same_site("https://a/x", "https://A:443/y"));
        assert_true(url_same_site("http://a/x", "https://a/x"));
        assert_true(url_same_site("http://a:80/x", "https://a:443/x"));
        assert_false(url_same_site("https://a/x", "http://a/x"));
        assert_false(url_same_site("http://a:8080/x", "https://a/x"));
        assert_false(url_same_site("http://a/x", "https://a:8443/x"));
        assert_false(url_same_site("http://a/x", "https://b/x"));
        assert_false(url_same_site("https://a/x", "https://a.b/x"));
        url_peer("https://a.b/x", peer, sizeof(peer));
        assert_string_equal(peer, "a.b:443");
        url_peer("https://[::1]:8443/x", peer, sizeof(peer));
        assert_string_equal(peer, "[::1]:8443");
}

/* NET-36 */
static void shown_urls(void **state)
{
        char text[64];

        (void)state;
        url_for_people("http://user:secret@example.org/a?token=1#f", text, sizeof(text));
        assert_string_equal(text, "http://example.org/a");
        url_for_people("nonsense://", text, sizeof(text));
        assert_string_equal(text, "?");
        url_host("https://user:secret@example.org:8443/a", text, sizeof(text));
        assert_string_equal(text, "example.org");
}

static void acceptable_urls(void **state)
{
        (void)state;
        assert_true(url_is_acceptable("http://a/"));
        assert_true(url_is_acceptable("https://u:p@[::1]:8/x?y"));
        assert_false(url_is_acceptable("ftp://a/"));
        assert_false(url_is_acceptable("a"));
        assert_false(url_is_acceptable(""));
        assert_false(url_is_acceptable("http://a/\r\nX: y"));
        assert_false(url_is_acceptable("http://a b/"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(targets),
                cmocka_unit_test(policy),
                cmocka_unit_test(credentials_stay_with_their_host),
                cmocka_unit_test(users_of_urls),
                cmocka_unit_test(a_step_up_is_the_same_site),
                cmocka_unit_test(shown_urls),
                cmocka_unit_test(acceptable_urls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
