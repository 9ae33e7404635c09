/*
 * A compiled catalogue (.mo): magic number, revision, count, then two tables of (length, offset),
 * one of the texts in English, sorted, and one of the translations in the same order. msgfmt is
 * told to write it little-endian, so it is read by bytes and is the same everywhere. It is part of
 * the program, and so is not mistrusted.
 */
#include "core/translation.h"

#include <ctype.h>
#include <strings.h>

enum {
        COUNT_AT = 8,
        ORIGINALS_AT = 12,
        TRANSLATIONS_AT = 16,
        ENTRY_BYTES = 8,
        OFFSET_IN_ENTRY = 4,
};

static const uint8_t german[] = {
#include "catalogue-de.inc"
};

static const uint8_t french[] = {
#include "catalogue-fr.inc"
};

static const uint8_t italian[] = {
#include "catalogue-it.inc"
};

static const struct {
        const char *language;
        const uint8_t *catalogue;
} catalogues[] = { { "de", german }, { "fr", french }, { "it", italian } };

static uint32_t number_at(const uint8_t *catalogue, uint32_t offset)
{
        const uint8_t *p = catalogue + offset;

        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static const char *text_at(const uint8_t *catalogue, uint32_t table, uint32_t index)
{
        uint32_t entry = number_at(catalogue, table) + index * ENTRY_BYTES;

        return (const char *)catalogue + number_at(catalogue, entry + OFFSET_IN_ENTRY);
}

static const char *find(const uint8_t *catalogue, const char *text)
{
        uint32_t low = 0, high = number_at(catalogue, COUNT_AT);

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                int order = strcmp(text, text_at(catalogue, ORIGINALS_AT, middle));

                if (order == 0)
                        return text_at(catalogue, TRANSLATIONS_AT, middle);
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return text;
}

/* The letters before the territory, the encoding or a variant. */
static size_t language_length(const char *locale)
{
        size_t n = 0;

        while (isalpha((unsigned char)locale[n]))
                n++;
        return locale[n] == 0 || strchr("_-.@", locale[n]) ? n : 0;
}

static bool is_language(const char *locale, size_t length, const char *language)
{
        return length == strlen(language) && strncasecmp(locale, language, length) == 0;
}

/* JOB-261 */
int translate(const char *text, const char *locale, const char **ret)
{
        size_t length = language_length(locale);

        if (*locale == 0 || is_language(locale, length, "C") ||
            is_language(locale, length, "POSIX") || is_language(locale, length, "en")) {
                *ret = text;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTS(catalogues); i++)
                if (is_language(locale, length, catalogues[i].language)) {
                        *ret = find(catalogues[i].catalogue, text);
                        return 0;
                }
        return -ENOENT;
}

const char *translation_language(size_t index)
{
        return index < ELEMENTS(catalogues) ? catalogues[index].language : NULL;
}
