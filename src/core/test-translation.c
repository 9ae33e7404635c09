/*
 * Every text of a code has its translations, and a locale's name finds the right ones.
 */
#include "core/translation.h"

#include "basic/utf8.h"
#include "core/error-table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check_translated(const char *text, const char *language)
{
        const char *other = NULL;
        size_t length;

        assert_int_equal(translate(text, language, &other), 0);
        if (other == text)
                fail_msg("po/%s.po has no translation, or a fuzzy one, of: %s", language, text);
        if (!utf8_length(other, &length) || strchr(other, '\n') || other[strlen(other) - 1] != '.')
                fail_msg("po/%s.po: no sentence: %s", language, other);
}

/* JOB-261: a new text needs a line in each po file. */
static void every_text_is_translated(void **state)
{
        (void)state;
        for (size_t l = 0; translation_language(l); l++) {
                for (size_t i = 0; i < error_table_length; i++)
                        check_translated(error_table[i].text, translation_language(l));
                for (unsigned status = 100; status < 600; status++)
                        check_translated(error_text(BITS_E_HTTP(status)), translation_language(l));
                for (ErrorContext c = 0; c < CONTEXT_MAX; c++)
                        check_translated(error_context_text(c), translation_language(l));
        }
}

/* JOB-261 */
static void locales_lead_to_languages(void **state)
{
        static const struct {
                const char *locale, *text;
        } known[] = {
                { "", "The job has no error." },
                { "C", "The job has no error." },
                { "C.UTF-8", "The job has no error." },
                { "POSIX", "The job has no error." },
                { "en", "The job has no error." },
                { "en_GB.UTF-8", "The job has no error." },
                { "EN-us", "The job has no error." },
                { "de", "Der Auftrag hat keinen Fehler." },
                { "de_DE.UTF-8", "Der Auftrag hat keinen Fehler." },
                { "de_AT@euro", "Der Auftrag hat keinen Fehler." },
                { "DE-ch", "Der Auftrag hat keinen Fehler." },
                { "fr_CA", "La tâche n'a pas d'erreur." },
                { "fr.utf8", "La tâche n'a pas d'erreur." },
                { "it_IT", "Il processo non ha errori." },
        };
        static const char *const unknown[] = { "xx",  "nl_NL", "d",    "deu", "german", "de/../fr",
                                               "de ", "1",     "_de",  "-",   "CC",     "POSIXX",
                                               ".",   "eng",   "\xff", "d_e", "de\n",   "*" };
        const char *text;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(known); i++) {
                assert_int_equal(
                        error_text_in(BG_E_ERROR_INFORMATION_UNAVAILABLE, known[i].locale, &text),
                        0);
                assert_string_equal(text, known[i].text);
        }
        for (size_t i = 0; i < ELEMENTS(unknown); i++)
                if (translate("x", unknown[i], &text) != -ENOENT)
                        fail_msg("'%s' is no language", unknown[i]);
}

static void text_of_no_catalogue_stays(void **state)
{
        static const char *const texts[] = { "A", "zzz", "The job has no error", "\xff" };
        const char *text;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                assert_int_equal(translate(texts[i], "de", &text), 0);
                assert_ptr_equal(text, texts[i]);
        }
        assert_int_equal(error_text_in(0x8020FFFFu, "de", &text), -EINVAL);
        assert_int_equal(error_text_in(0x8020FFFFu, "xx", &text), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_text_is_translated),
                cmocka_unit_test(locales_lead_to_languages),
                cmocka_unit_test(text_of_no_catalogue_stays),
        };

        return cmocka_run_group_tests_name("translation", tests, NULL, NULL);
}
