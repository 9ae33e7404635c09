/*
 * Where proxies are looked for, and where never.
 */
#include "net/wpad.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void expect(const char *domains, const char *places)
{
        char text[WPAD_PLACES_MAX * WPAD_URL_MAX] = "";
        WpadPlaces found;

        wpad_places(domains, &found);
        for (size_t i = 0; i < found.count; i++) {
                size_t length =
                        strlen(found.urls[i]) - strlen("http://wpad.") - strlen("/wpad.dat");

                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.*s", i ? " " : "",
                         (int)length, found.urls[i] + strlen("http://wpad."));
        }
        assert_string_equal(text, places);
}

/* NET-441 */
static void test_places(void **state)
{
        WpadPlaces found;

        (void)state;
        wpad_places("example.org", &found);
        assert_int_equal(found.count, 1);
        assert_string_equal(found.urls[0], "http://wpad.example.org/wpad.dat");
        expect("a.b.example.org", "a.b.example.org b.example.org example.org");
        expect(" b.example.org\texample.net. a.EXAMPLE.org ",
               "b.example.org example.org example.net a.example.org");
        expect("", "");
        expect("a..b.org .example.org - exa/mple.org ex:1.org 10.0.0.1 @", "");
        expect("xn--bcher-kva.example", "xn--bcher-kva.example");
}

/* NET-442 */
static void test_never_above_the_organisation(void **state)
{
        (void)state;
        expect("com", "");
        expect("co.uk", "");
        expect("example.co.uk", "example.co.uk");
        expect("lab.example.co.uk", "lab.example.co.uk example.co.uk");
        expect("github.io", "");
        expect("me.github.io", "me.github.io");
        expect("x.kawasaki.jp", "");
        expect("a.x.kawasaki.jp", "a.x.kawasaki.jp");
        /* What nobody has registered. */
        expect("lan", "");
        expect("corp local", "");
        expect("office.corp", "office.corp");
        expect("a.office.corp", "a.office.corp office.corp");
        expect("home.arpa", "home.arpa");
        expect("kitchen.home.arpa", "kitchen.home.arpa home.arpa");
        expect("internal x.internal", "internal x.internal");
        expect("notinternal nothome.arpa", "nothome.arpa");
}

static void test_bounds(void **state)
{
        char many[4096] = "", label[300];
        WpadPlaces found;

        (void)state;
        for (unsigned i = 0; i < 100; i++)
                snprintf(many + strlen(many), sizeof(many) - strlen(many), "d%u.example ", i);
        wpad_places(many, &found);
        assert_int_equal(found.count, WPAD_PLACES_MAX);
        memset(label, 'a', sizeof(label));
        strcpy(label + sizeof(label) - 9, ".example");
        expect(label, "");
}

static void expect_domains(const char *conf, const char *local, const char *host, const char *value)
{
        _cleanup_free_ char *domains = wpad_domains(conf, local, host);

        assert_string_equal(domains, value);
}

static void test_domains(void **state)
{
        (void)state;
        expect_domains("nameserver 192.0.2.1\nsearch a.example b.example\n", NULL, "host",
                       " a.example b.example ");
        expect_domains("search a.example\ndomain b.example", NULL, "host.c.example",
                       " b.example c.example");
        expect_domains("#search a.example\nsearching b\n", NULL, "host", " ");
        expect_domains("search a.example\n", "d.example e.example", "host", "d.example e.example ");
        expect_domains("", NULL, "", " ");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_never_above_the_organisation),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_domains),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
