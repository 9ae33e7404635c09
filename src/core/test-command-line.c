/*
 * Command lines: limits and codes, and how parameters become words, by a table.
 */
#include "core/command-line.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static BitsCode check(const char *program, const char *parameters)
{
        const char *why = NULL;
        BitsCode code = command_line_check(program, parameters, &why);

        assert_true((code == 0) == (why == NULL));
        return code;
}

/* NTF-240 */
static void test_codes(void **state)
{
        (void)state;
        assert_int_equal(check("/bin/true", NULL), 0);
        assert_int_equal(check("/bin/true", "true -x"), 0);
        assert_int_equal(check(NULL, NULL), 0);
        assert_int_equal(check("", ""), 0);
        assert_int_equal(check(NULL, "true"), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("", "true"), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("true", ""), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("$HOME/true", ""), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/", ""), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/bin/", ""), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/bin/tr\x1bue", ""), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/bin/true", "true\nx"), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/bin/true", "true\t x"), 0);
        assert_int_equal(check("/bin/true", "\xff"), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/bin/true", "true 'x"), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/bin/true", "true x\\"), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(check("/bin/true", "true \"x\\"), BITS_E_INVALID_ARGUMENT);
}

static char *filled(const char *unit, size_t times)
{
        size_t length = strlen(unit);
        char *text = calloc(times, length + 1);

        assert_non_null(text);
        for (size_t i = 0; i < times; i++)
                memcpy(text + i * length, unit, length);
        return text;
}

/* NTF-240: bytes of the path, characters of the parameters. */
static void test_lengths(void **state)
{
        _cleanup_free_ char *path = filled("/", 4096), *long_text = filled("ä", 4001);

        (void)state;
        path[4094] = 'x';
        path[4095] = '\0';
        assert_int_equal(check(path, NULL), 0);
        path[4095] = 'x';
        assert_int_equal(check(path, NULL), BG_E_STRING_TOO_LONG);
        assert_int_equal(check("/x", long_text), BG_E_STRING_TOO_LONG);
        long_text[8000] = '\0';
        assert_int_equal(check("/x", long_text), 0);
}

/* NTF-241: words divided by | */
static void test_words(void **state)
{
        static const struct {
                const char *parameters, *words;
        } rows[] = {
                { "", "/bin/x" },
                { " \t ", "/bin/x" },
                { "x", "x" },
                { "x -a  b\tc ", "x|-a|b|c" },
                { "x 'a b' \"c d\"", "x|a b|c d" },
                { "x a'b c'd", "x|ab cd" },
                { "x ''", "x|" },
                { "x \"\" y", "x||y" },
                { "x a\\ b \\'c \\\\", "x|a b|'c|\\" },
                { "x \"a\\\"b\\\\c\\d\"", "x|a\"b\\c\\d" },
                { "x 'a\\'", "x|a\\" },
                { "x $HOME `id` *; >f", "x|$HOME|`id`|*;|>f" },
                { "''", "" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                _cleanup_free_ char **argv = command_line_split("/bin/x", rows[i].parameters);
                char joined[100] = "";

                assert_non_null(argv);
                for (size_t n = 0; argv[n]; n++) {
                        strcat(joined, n > 0 ? "|" : "");
                        strcat(joined, argv[n]);
                }
                assert_string_equal(joined, rows[i].words);
                assert_int_equal(check("/bin/x", rows[i].parameters), 0);
        }
}

/* As many words as the longest text can have. */
static void test_most_words(void **state)
{
        _cleanup_free_ char *text = filled("a ", 2000);
        _cleanup_free_ char **argv = command_line_split("/bin/x", text);
        size_t n = 0;

        (void)state;
        assert_non_null(argv);
        while (argv[n])
                assert_string_equal(argv[n++], "a");
        assert_int_equal(n, 2000);
}

static void test_results(void **state)
{
        static const struct {
                uint32_t result;
                const char *text;
        } rows[] = {
                { 0, "exit status 0" },
                { COMMAND_STATUS + 255, "exit status 255" },
                { COMMAND_SIGNAL + SIGKILL, "ended by signal 9 (Killed)" },
                { COMMAND_TIMED_OUT, "ended, because it ran too long" },
                { COMMAND_RUNNING, "running" },
                { COMMAND_LOST, "lost: nobody saw how it ended" },
                { COMMAND_NOT_STARTED + ENOENT,
                  "could not be launched: No such file or directory" },
                { COMMAND_NEVER, "not run yet" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                char text[COMMAND_RESULT_SIZE];

                command_result_text(rows[i].result, text);
                assert_string_equal(text, rows[i].text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_codes),   cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_words),   cmocka_unit_test(test_most_words),
                cmocka_unit_test(test_results),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
