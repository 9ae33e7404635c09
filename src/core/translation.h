/*
 * Texts in other languages. The catalogues (po/) are compiled by msgfmt and lie in the program
 * itself: nothing is opened at run time, so a daemon in its sandbox, a library in a stranger's
 * process and a program in its build folder all have them; and no locale has to exist on the
 * machine, which gettext() would want.
 *
 * Pure, and safe from any thread.
 */
#pragma once

#include "basic/macros.h"

/* `text` in the language of a locale's name: "de", "fr_CA", "it-CH.UTF-8@euro". "", "C", "POSIX"
   and English names give the text itself, and so does a text that is in no catalogue. 0, or
   -ENOENT: there are no texts in that language. */
int translate(const char *text, const char *locale, const char **ret);

/* The languages besides English: "de", "fr", "it"; NULL past the end. */
const char *translation_language(size_t index);
