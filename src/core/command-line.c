#include "core/command-line.h"

#include "basic/utf8.h"

#include <stdio.h>

static void put(char **out, char c)
{
        if (*out)
                *(*out)++ = c;
}

/* Reads one word from *text into *out (NULL: nowhere). 1 a word, 0 the end, -1 a quote that is not
   closed or a backslash with nothing behind it. */
static int next_word(const char **text, char **out)
{
        const char *p = *text + strspn(*text, " \t");
        char quote = 0;

        if (!*p)
                return 0;
        for (; *p && (quote || (*p != ' ' && *p != '\t')); p++) {
                bool escapes = *p == '\\' && quote != '\'' &&
                               (!quote || p[1] == '"' || p[1] == '\\' || !p[1]);

                if (quote ? *p == quote : *p == '"' || *p == '\'')
                        quote = quote ? 0 : *p;
                else if (!escapes)
                        put(out, *p);
                else if (*++p)
                        put(out, *p);
                else
                        return -1;
        }
        if (quote)
                return -1;
        put(out, '\0');
        *text = p;
        return 1;
}

/* The words, one behind the other, each with its NUL; `out` has room for the text and its NUL, or
   is NULL. The number of words, or -1. */
static int split(const char *text, char *out)
{
        int n = 0, r;

        while ((r = next_word(&text, &out)) > 0)
                n++;
        return r < 0 ? -1 : n;
}

static bool has_control_character(const char *text)
{
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;

                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        return true;
        }
        return false;
}

static BitsCode answer(BitsCode code, const char *why, const char **ret_why)
{
        if (ret_why)
                *ret_why = why;
        return code;
}

/* NTF-240, NTF-241 */
BitsCode command_line_check(const char *program, const char *parameters, const char **ret_why)
{
        size_t characters;

        if (string_empty(program))
                return string_empty(parameters)
                               ? 0
                               : answer(BITS_E_INVALID_ARGUMENT,
                                        "parameters without a program: both are empty, or neither",
                                        ret_why);
        if (strlen(program) > COMMAND_PROGRAM_BYTES_MAX)
                return answer(BG_E_STRING_TOO_LONG, "the program's path has more than 4,095 bytes",
                              ret_why);
        if (program[0] != '/')
                return answer(BITS_E_INVALID_ARGUMENT,
                              "the program is not a full path: nothing is searched for, and no "
                              "variable is replaced",
                              ret_why);
        if (program[strlen(program) - 1] == '/')
                return answer(BITS_E_INVALID_ARGUMENT, "the program is a directory", ret_why);
        parameters = parameters ? parameters : "";
        if (!utf8_length(program, &characters) || !utf8_length(parameters, &characters))
                return answer(BITS_E_INVALID_ARGUMENT, "the command line is not UTF-8", ret_why);
        if (characters > COMMAND_PARAMETERS_CHARACTERS_MAX)
                return answer(BG_E_STRING_TOO_LONG,
                              "the parameters have more than 4,000 characters", ret_why);
        if (has_control_character(program) || has_control_character(parameters))
                return answer(BITS_E_INVALID_ARGUMENT, "the command line has a control character",
                              ret_why);
        if (split(parameters, NULL) < 0)
                return answer(BITS_E_INVALID_ARGUMENT,
                              "the parameters end within a quote or behind a backslash", ret_why);
        return 0;
}

/* The pointers first, the words behind them. NTF-241 */
char **command_line_split(const char *program, const char *parameters)
{
        const char *text = string_empty(parameters) ? "" : parameters;
        size_t most = strlen(text) / 2 + 3, words = strlen(text) + 1;
        char **argv = calloc(1, most * sizeof(char *) + words + strlen(program) + 1), *out;
        int n;

        if (!argv)
                return NULL;
        out = (char *)(argv + most);
        n = split(text, out);
        if (n <= 0) {
                argv[0] = strcpy(out, program);
                return argv;
        }
        for (int i = 0; i < n; i++, out += strlen(out) + 1)
                argv[i] = out;
        return argv;
}

void command_result_text(uint32_t result, char ret[COMMAND_RESULT_SIZE])
{
        if (result < COMMAND_SIGNAL)
                snprintf(ret, COMMAND_RESULT_SIZE, "exit status %u", result);
        else if (result < COMMAND_TIMED_OUT)
                snprintf(ret, COMMAND_RESULT_SIZE, "ended by signal %u (%s)",
                         result - COMMAND_SIGNAL, strsignal((int)(result - COMMAND_SIGNAL)));
        else if (result == COMMAND_TIMED_OUT)
                snprintf(ret, COMMAND_RESULT_SIZE, "ended, because it ran too long");
        else if (result == COMMAND_RUNNING)
                snprintf(ret, COMMAND_RESULT_SIZE, "running");
        else if (result >= COMMAND_NOT_STARTED && result != COMMAND_NEVER)
                snprintf(ret, COMMAND_RESULT_SIZE, "could not be launched: %s",
                         strerror((int)(result - COMMAND_NOT_STARTED)));
        else
                snprintf(ret, COMMAND_RESULT_SIZE, "%s",
                         result == COMMAND_NEVER ? "not run yet" : "lost: nobody saw how it ended");
}
