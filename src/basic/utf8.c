#include "basic/utf8.h"

/* Bytes of the well-formed UTF-8 sequence at s (Unicode table 3-7), 0 if there is none. */
static size_t utf8_sequence(const unsigned char *s)
{
        unsigned char low = 0x80, high = 0xBF;
        size_t n;

        if (s[0] < 0x80)
                return 1;
        if (s[0] < 0xC2 || s[0] > 0xF4)
                return 0;
        n = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
        if (s[0] == 0xE0)
                low = 0xA0;
        else if (s[0] == 0xED)
                high = 0x9F;
        else if (s[0] == 0xF0)
                low = 0x90;
        else if (s[0] == 0xF4)
                high = 0x8F;
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (s[i] < 0x80 || s[i] > 0xBF)
                        return 0;
        return n;
}

bool utf8_length(const char *text, size_t *ret)
{
        size_t count = 0;

        for (const unsigned char *s = (const unsigned char *)text; *s; count++) {
                size_t n = utf8_sequence(s);

                if (n == 0)
                        return false;
                s += n;
        }
        *ret = count;
        return true;
}

void utf8_scrub(char *text)
{
        for (unsigned char *s = (unsigned char *)text; *s;) {
                size_t n = utf8_sequence(s);

                if (n == 0)
                        *s = '?';
                s += MAX(n, (size_t)1);
        }
}
