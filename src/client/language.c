/*
 * Texts of codes in the user's language. The library answers by itself, without the service: what
 * failed may be the service.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "core/error.h"
#include "openbits.h"

/* As gettext looks for it: LANGUAGE is a list and counts unless the locale is C. */
static const char *environment_locale(void)
{
        static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                const char *value = getenv(names[i]);

                if (!string_empty(value))
                        return value;
        }
        return "C";
}

static bool is_c_locale(const char *locale)
{
        return string_equal(locale, "POSIX") ||
               (locale[0] == 'C' && (locale[1] == 0 || locale[1] == '.'));
}

/* The first language of the list that has texts. */
static const char *from_list(const char *text, const char *list)
{
        for (const char *p = list; *p; p += strspn(p, ":")) {
                size_t length = strcspn(p, ":");
                char locale[32];
                const char *translated;

                if (length < sizeof(locale)) {
                        memcpy(locale, p, length);
                        locale[length] = 0;
                        if (length > 0 && error_translate(text, locale, &translated) >= 0)
                                return translated;
                }
                p += length;
        }
        return NULL;
}

static const char *from_environment(const char *text)
{
        const char *locale = environment_locale(), *list = getenv("LANGUAGE"), *translated = NULL;

        if (!is_c_locale(locale) && list)
                translated = from_list(text, list);
        if (!translated && error_translate(text, locale, &translated) < 0)
                translated = text;
        return translated;
}

static const char *localize(const char *text, const char *locale)
{
        const char *translated;

        if (!text)
                return NULL;
        if (!locale)
                return from_environment(text);
        return error_translate(text, locale, &translated) < 0 ? NULL : translated;
}

/* LIB-261 */
const char *bits_code_text_localized(uint32_t code, const char *locale)
{
        return localize(bits_code_text(code), locale);
}

const char *bits_context_text(uint32_t context, const char *locale)
{
        return localize(context < CONTEXT_MAX ? error_context_text((ErrorContext)context) : NULL,
                        locale);
}
