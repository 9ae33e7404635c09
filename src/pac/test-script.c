/*
 * What scripts may call and what they answer; and that scripts which go wrong, or want to, end in a
 * reason. Names are looked up in a table of the test's.
 */
#include "pac/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static unsigned lookups;

static int resolve(void *userdata, const char *host, char ret[SCRIPT_ADDRESSES_MAX])
{
        static const struct {
                const char *host, *addresses;
        } names[] = {
                { "both.test", "2001:db8::5 10.1.2.3 10.1.2.4" },
                { "six.test", "2001:db8:7::1" },
                { "four.test", "192.0.2.9" },
        };

        if (userdata)
                return -ECONNRESET;
        lookups++;
        *ret = 0;
        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (string_equal(names[i].host, host))
                        strcpy(ret, names[i].addresses);
        return 0;
}

static const ScriptWorld world = { .resolve = resolve, .addresses = "2001:db8::1 10.9.8.7" };

static ScriptAnswer ask(const char *text)
{
        ScriptAnswer answer;

        script_ask(text, &world, "http://www.example.org/a?b", "www.example.org", &answer);
        return answer;
}

/* The expression's value, as text. */
static void expect(const char *expression, const char *value)
{
        ScriptAnswer answer;
        char text[1024];

        snprintf(text, sizeof(text), "function FindProxyForURL(url, host) { return String(%s); }",
                 expression);
        answer = ask(text);
        if (answer.failed || !string_equal(answer.text, value))
                fail_msg("%s is %s%s, not %s", expression, answer.failed ? "a failure: " : "",
                         answer.text, value);
}

static void expect_true(const char *expression)
{
        expect(expression, "true");
}

static void expect_false(const char *expression)
{
        expect(expression, "false");
}

/* NET-446 */
static void test_names(void **state)
{
        (void)state;
        expect_true("isPlainHostName('www')");
        expect_false("isPlainHostName('www.example.org')");
        expect_false("isPlainHostName('::1')");
        expect_true("dnsDomainIs('www.example.org', '.example.org')");
        expect_false("dnsDomainIs('www.example.com', '.example.org')");
        expect_false("dnsDomainIs('org', '.example.org')");
        expect_true("localHostOrDomainIs('www.example.org', 'www.example.org')");
        expect_true("localHostOrDomainIs('www', 'www.example.org')");
        expect_false("localHostOrDomainIs('www.example.com', 'www.example.org')");
        expect_false("localHostOrDomainIs('ww', 'www.example.org')");
        expect("dnsDomainLevels('www')", "0");
        expect("dnsDomainLevels('www.example.org')", "2");
        expect_true("shExpMatch('http://example.org/a/b', '*/a/*')");
        expect_false("shExpMatch('http://example.org/b', '*/a/*')");
        expect_true("shExpMatch('abc', 'a?c')");
        expect_false("shExpMatch('abbc', 'a?c')");
        expect_false("shExpMatch('aXc', 'a.c')");
        expect_true("shExpMatch('', '*')");
        expect_false("shExpMatch('', '?')");
        expect_true("shExpMatch('a.(b)', '*.(b)')");
        /* Nothing that takes for ever. */
        expect_false("shExpMatch(new Array(5000).join('a'), '*a*a*a*a*a*a*a*a*b')");
}

/* NET-446 */
static void test_addresses(void **state)
{
        (void)state;
        expect("dnsResolve('both.test')", "10.1.2.3");
        expect("dnsResolve('six.test')", "null");
        expect("dnsResolve('none.test')", "null");
        expect("dnsResolve('10.0.0.1')", "10.0.0.1");
        expect("dnsResolve('a b')", "null");
        expect("dnsResolve('')", "null");
        expect_true("isResolvable('four.test')");
        expect_false("isResolvable('six.test')");
        expect("myIpAddress()", "10.9.8.7");
        expect_true("isInNet('four.test', '192.0.2.0', '255.255.255.0')");
        expect_false("isInNet('four.test', '192.0.3.0', '255.255.255.0')");
        expect_true("isInNet('10.1.2.3', '10.1.0.0', '255.255.0.0')");
        expect_false("isInNet('none.test', '0.0.0.0', '0.0.0.0')");
        expect_false("isInNet('10.1.2.3', 'x', '255.255.0.0')");
        expect_false("isInNet('10.1.2.3', '::', '::')");
        expect_true("isResolvableEx('six.test')");
        expect("dnsResolveEx('both.test')", "2001:db8::5;10.1.2.3;10.1.2.4");
        expect("myIpAddressEx()", "2001:db8::1;10.9.8.7");
        expect_true("isInNetEx('six.test', '2001:db8:7::/48')");
        expect_false("isInNetEx('six.test', '2001:db8:8::/48')");
        expect_true("isInNetEx('six.test', '2001:db8:6::/47')");
        expect_false("isInNetEx('six.test', '2001:db8:7::')");
        expect_false("isInNetEx('six.test', '2001:db8:7::/129')");
        expect_true("isInNetEx('10.1.2.3', '10.0.0.0/8')");
        expect("sortIpAddressList('10.0.0.2;10.0.0.1;2001:db8::2;::1')",
               "::1;2001:db8::2;10.0.0.1;10.0.0.2");
        expect("sortIpAddressList('10.0.0.2;x')", "");
        lookups = 0;
        expect_true("dnsResolve('four.test') === dnsResolve('four.test') && !dnsResolve('n.test') "
                    "&& !isResolvable('n.test')");
        assert_int_equal(lookups, 2);
}

/* The machine's time: faked by what Date says. */
static void at(const char *when, const char *expression, bool value)
{
        char text[512];

        snprintf(text, sizeof(text),
                 "(function () { var D = Date; Date = function () { return new D('%s'); }; return "
                 "%s; })()",
                 when, expression);
        expect(text, value ? "true" : "false");
}

/* NET-446: 2026-03-04 is a Wednesday; the test's zone is an hour east of Greenwich. */
static void test_times(void **state)
{
        static const char wednesday[] = "2026-03-04T10:30:15Z", late[] = "2026-03-04T23:30:00Z";

        (void)state;
        at(wednesday, "weekdayRange('WED')", true);
        at(wednesday, "weekdayRange('THU')", false);
        at(wednesday, "weekdayRange('MON', 'FRI')", true);
        at(wednesday, "weekdayRange('THU', 'TUE')", false);
        at(wednesday, "weekdayRange('SAT', 'WED')", true);
        at(wednesday, "weekdayRange('sat', 'wed')", true);
        at(wednesday, "weekdayRange('nonsense')", false);
        at(late, "weekdayRange('THU')", true);
        at(late, "weekdayRange('WED', 'GMT')", true);

        at(wednesday, "dateRange(4)", true);
        at(wednesday, "dateRange(5)", false);
        at(wednesday, "dateRange('MAR')", true);
        at(wednesday, "dateRange(2026)", true);
        at(wednesday, "dateRange(2025)", false);
        at(wednesday, "dateRange(1, 4)", true);
        at(wednesday, "dateRange(28, 3)", false);
        at(wednesday, "dateRange('JAN', 'MAR')", true);
        at(wednesday, "dateRange('NOV', 'MAR')", true);
        at(wednesday, "dateRange('APR', 'FEB')", false);
        at(wednesday, "dateRange(2020, 2026)", true);
        at(wednesday, "dateRange(1, 'MAR', 3, 'MAR')", false);
        at(wednesday, "dateRange(24, 'DEC', 4, 'MAR')", true);
        at(wednesday, "dateRange('DEC', 2025, 'MAR', 2026)", true);
        at(wednesday, "dateRange('DEC', 2024, 'MAR', 2025)", false);
        at(wednesday, "dateRange(1, 'MAR', 2026, 4, 'MAR', 2026)", true);
        at(wednesday, "dateRange(5, 'MAR', 2026, 9, 'MAR', 2026)", false);
        at(late, "dateRange(5)", true);
        at(late, "dateRange(4, 'GMT')", true);
        at(wednesday, "dateRange()", false);
        at(wednesday, "dateRange(1, 2, 3)", false);
        at(wednesday, "dateRange(1, 'MAR')", false);
        at(wednesday, "dateRange('x', 'y')", false);

        at(wednesday, "timeRange(11)", true);
        at(wednesday, "timeRange(10, 'GMT')", true);
        at(wednesday, "timeRange(10)", false);
        at(wednesday, "timeRange(9, 11)", true);
        at(wednesday, "timeRange(9, 10)", false);
        at(wednesday, "timeRange(22, 11)", true);
        at(wednesday, "timeRange(22, 6)", false);
        at(wednesday, "timeRange(11, 30, 11, 30)", true);
        at(wednesday, "timeRange(11, 31, 12, 0)", false);
        at(wednesday, "timeRange(11, 30, 15, 11, 30, 15)", true);
        at(wednesday, "timeRange(11, 30, 16, 11, 30, 20)", false);
        at(wednesday, "timeRange(0, 0, 0, 11, 30, 15)", true);
        at(wednesday, "timeRange()", false);
        at(wednesday, "timeRange(1, 2, 3)", false);
        at(wednesday, "timeRange(-1, 80)", false);
}

static void answers(const char *script, const char *text)
{
        ScriptAnswer answer = ask(script);

        assert_string_equal(answer.text, text);
        assert_false(answer.failed);
}

static void test_answers(void **state)
{
        (void)state;
        answers("function FindProxyForURL(u, h) { return 'PROXY p:1; DIRECT' }",
                "PROXY p:1; DIRECT");
        answers("function FindProxyForURL(u, h) { return u + ' ' + h }",
                "http://www.example.org/a?b www.example.org");
        answers("function FindProxyForURL() { return 'a' } function FindProxyForURLEx() { "
                "return 'b' }",
                "b");
        answers("FindProxyForURL = function () { alert('x'); return '' }", "");
        /* A mark of the beginning; Latin-1. */
        answers("\xef\xbb\xbf"
                "function FindProxyForURL() { return 'a' }",
                "a");
        answers("// f\xfcr alle\nfunction FindProxyForURL() { return 'f\xfcr'.length + '' }", "3");
        answers("// f\xc3\xbcr\nfunction FindProxyForURL() { return 'f\xc3\xbcr'.length + '' }",
                "3");
}

static void fails(const char *script, const char *reason)
{
        ScriptAnswer answer = ask(script);

        if (!answer.failed || !strstr(answer.text, reason))
                fail_msg("%s: %s", script, answer.text);
}

/* NET-447 */
static void test_hostile_scripts(void **state)
{
        ScriptWorld deaf = { .resolve = resolve, .userdata = &deaf, .addresses = "" };
        ScriptAnswer answer;

        (void)state;
        fails("", "has no function FindProxyForURL");
        fails("<html>404</html>", "line 1: SyntaxError");
        fails("\x7f"
              "ELF\x02\x01\xff\xfe",
              "SyntaxError");
        fails("FindProxyForURL = 1", "has no function");
        fails("function FindProxyForURL() { }", "did not answer with a text");
        fails("function FindProxyForURL() { return { toString: function () { return 'a' } } }",
              "did not answer with a text");
        fails("\nfunction FindProxyForURL() { nobody() }", "line 2: ReferenceError");
        fails("function FindProxyForURL() { throw 'up' }", "up");
        fails("function FindProxyForURL() { throw { toString: function () { throw 1 } } }", "");
        fails("function FindProxyForURL() { throw Object.defineProperty(new Error('x'), "
              "'lineNumber', { get: function () { throw 2 } }) }",
              "it failed");
        fails("function FindProxyForURL() { return FindProxyForURL() + 1 }", "RangeError");
        fails("function f(n) { return [n].map(f) } function FindProxyForURL() { return f(1) }",
              "RangeError");
        fails("var a = 'x'; while (true) a += a;", "line 1: ");
        fails("var a = []; while (true) a.push(new Array(1000).join('y') + a.length);", "");
        fails("function FindProxyForURL() { return new Array(5001).join('x') }", "is too long");
        fails("new Uint8Array(1 << 27); function FindProxyForURL() { return 'a' }", "rror");
        fails("function FindProxyForURL() { for (var i = 0; ; i++) dnsResolve('a' + i) }",
              "too many names");
        /* The interpreter's own doors are closed. */
        answers("function FindProxyForURL() { return typeof Duktape + typeof CBOR }",
                "undefinedundefined");
        /* What it answers can be put into a log. */
        answers("function FindProxyForURL() { return 'a\\n\\u0000\\u00fcb' }", "a ???b");

        script_ask("function FindProxyForURL() { return dnsResolve('four.test') }", &deaf,
                   "http://a/", "a", &answer);
        assert_true(answer.failed && strstr(answer.text, "nobody looks up names"));
        /* Deep nesting of the text itself. */
        {
                size_t n = 1000000;
                char *deep = malloc(n + 1);

                assert_non_null(deep);
                memset(deep, '(', n);
                deep[n] = 0;
                fails(deep, "RangeError");
                memset(deep, '[', n);
                fails(deep, "RangeError");
                free(deep);
        }
        /* A question knows nothing of the one before. */
        answers("seen = typeof seen; function FindProxyForURL() { return seen }", "undefined");
        answers("seen = typeof seen; function FindProxyForURL() { return seen }", "undefined");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),           cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_times),           cmocka_unit_test(test_answers),
                cmocka_unit_test(test_hostile_scripts),
        };

        (void)setenv("TZ", "TEST-1", 1);
        tzset();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
