/*
 * UTF-8, as far as the service looks at it: is a text well-formed, how many characters has it, and
 * making a text well-formed that was cut or came from elsewhere (the bus carries nothing else).
 */
#pragma once

#include "basic/macros.h"

/* Counts the code points; false if the text is not well-formed. */
bool utf8_length(const char *text, size_t *ret);

/* Replaces every byte that belongs to no well-formed sequence by '?', in place. */
void utf8_scrub(char *text);
